//! What the prefix length does to an address: L-01, L-06, L-08, L-21, L-26.

use super::draft::{Draft, Side};
use super::{Entry, Lint, LintCode, RuleList};
use crate::endpoint::AddressFamily;
use crate::network::Network;
use crate::rule::NetworkRule;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// L-01, and L-26 for an included rule whose remote address is that of loopback.
pub(super) fn zero(entry: &Entry<'_>) -> Option<Lint> {
    let rule = entry.rule;
    let zeros: Vec<_> = Side::BOTH
        .into_iter()
        .filter_map(|side| Some((side, zero_prefix(side.of(rule)?)?)))
        .collect();
    let (first, net) = *zeros.first()?;
    if entry.list == RuleList::Included && first == Side::Remote && net.addr().is_loopback() {
        return Some(trick(entry, net));
    }
    let messages = zeros.iter().map(|(side, net)| {
        format!(
            "{key} 0 compares no bits of {host}, so the {side} side matches the whole {family} \
             family; for that one host write {width}",
            key = side.prefix_key(rule),
            host = net.addr(),
            side = side.as_str(),
            family = AddressFamily::of(net.addr()),
            width = net.max_prefix_len(),
        )
    });
    let message = messages.collect::<Vec<_>>().join("; ");
    let draft = zeros
        .iter()
        .fold(Draft::of(rule), |draft, (side, net)| draft.with_prefix(*side, net.max_prefix_len()));
    let lint = entry.lint(LintCode::PrefixZero, Some(first.prefix_key(rule)), message);
    Some(lint.suggesting(draft.build().map(|rule| entry.replaced_by([rule]))))
}

/// L-26.
fn trick(entry: &Entry<'_>, net: IpNet) -> Lint {
    let (key, family) = (Side::Remote.prefix_key(entry.rule), AddressFamily::of(net.addr()));
    let message = format!(
        "{key} 0 compares no bits of {host}, so the rule matches every {family} flow, perhaps that \
         of loopback too, and none of the other family; a nil network matches both families and no \
         loopback; for that one host write {width}",
        host = net.addr(),
        width = net.max_prefix_len(),
    );
    let draft = Draft::of(entry.rule);
    let everything = match entry.rule.remote().ports().is_any() {
        true => vec![draft.without(Side::Remote).build()],
        // A nil network has no port, and a wildcard one family.
        false => [AddressFamily::V4, AddressFamily::V6]
            .map(|family| draft.clone().with_network(Side::Remote, family.unspecified(), 0).build())
            .to_vec(),
    };
    let everything: Option<Vec<_>> = everything.into_iter().collect();
    let lint = entry.lint(LintCode::LoopbackPrefixZero, Some(key), message);
    lint.suggesting(everything.map(|rules| entry.replaced_by(rules)))
}

/// The network of an explicit side with prefix length 0.
fn zero_prefix(network: &Network) -> Option<IpNet> {
    explicit(network).filter(|net| net.prefix_len() == 0)
}

/// The network of an explicit side, as it was given.
fn explicit(network: &Network) -> Option<IpNet> {
    match network {
        Network::Prefix { net, .. } => Some(*net),
        Network::Nil | Network::Wildcard { .. } => None,
    }
}

/// L-06.
pub(super) fn loopback_network_as_host(entry: &Entry<'_>) -> Option<Lint> {
    let rule = entry.rule;
    let is_meant = |side: &Side| {
        let net = side.of(rule).and_then(explicit);
        net == Some(IpNet::from(IpAddr::from(Ipv4Addr::new(127, 0, 0, 0))))
    };
    let side = Side::BOTH.into_iter().find(is_meant)?;
    let key = side.prefix_key(rule);
    let message = format!(
        "{key} 32 beside 127.0.0.0 matches that address only, which no flow has: the network \
         127.0.0.0 has prefix length 8, and the loopback address is 127.0.0.1"
    );
    let draft = Side::BOTH
        .into_iter()
        .filter(is_meant)
        .fold(Draft::of(rule), |draft, side| draft.with_prefix(side, 8));
    let lint = entry.lint(LintCode::LoopbackNetworkAsHost, Some(key), message);
    Some(lint.suggesting(draft.build().map(|rule| entry.replaced_by([rule]))))
}

/// L-08.
pub(super) fn wildcard_with_prefix(entry: &Entry<'_>) -> Option<Lint> {
    let rule = entry.rule;
    let wildcard = |side: Side| match side.of(rule)? {
        Network::Wildcard { family, prefix, .. } if *prefix > 0 => Some((side, *family, *prefix)),
        _ => None,
    };
    let wildcards: Vec<_> = Side::BOTH.into_iter().filter_map(wildcard).collect();
    let (side, family, prefix) = *wildcards.first()?;
    let key = side.prefix_key(rule);
    let address = family.unspecified();
    let mut message = format!(
        "{key} {prefix} is ignored, as {address} is a wildcard whatever its prefix length: the \
         {side} side matches every {family} address but loopback",
        side = side.as_str(),
    );
    if let (within, false) = (within(family), prefix == family.bits()) {
        message.push_str(&format!("; the network {address}/{prefix} is written {within}/{prefix}"));
    }
    let draft =
        wildcards.iter().fold(Draft::of(rule), |draft, (side, family, prefix)| {
            match *prefix == family.bits() {
                true => draft.with_network(*side, family.unspecified(), 0),
                false => draft.with_network(*side, within(*family), *prefix),
            }
        });
    let lint = entry.lint(LintCode::WildcardWithPrefix, Some(key), message);
    Some(lint.suggesting(draft.build().map(|rule| entry.replaced_by([rule]))))
}

/// The first address of a family that is no wildcard: host bits have no effect (S-10).
fn within(family: AddressFamily) -> IpAddr {
    match family {
        AddressFamily::V4 => Ipv4Addr::from_bits(1).into(),
        AddressFamily::V6 => Ipv6Addr::from_bits(1).into(),
    }
}

/// L-21.
pub(super) fn mapped(entry: &Entry<'_>) -> Option<Lint> {
    let rule = entry.rule;
    let mapped = |side: Side| {
        let net = side.of(rule).and_then(explicit).filter(|net| net.prefix_len() > 0)?;
        match net {
            IpNet::V6(net) => Some((side, net.addr().to_ipv4_mapped()?, net.prefix_len())),
            IpNet::V4(_) => None,
        }
    };
    let sides: Vec<_> = Side::BOTH.into_iter().filter_map(mapped).collect();
    let (side, address, prefix) = *sides.first()?;
    let message = match prefix {
        96.. => format!(
            "::ffff:{address}/{prefix} never matches: a flow to an IPv4-mapped address counts as \
             IPv4, and a rule with one does not"
        ),
        _ => format!(
            "::ffff:{address}/{prefix} is a network of IPv6 addresses and matches no IPv4-mapped \
             one: a flow to such an address counts as IPv4, and a rule with one does not"
        ),
    };
    let draft = sides.iter().try_fold(Draft::of(rule), |draft, (side, address, prefix)| {
        unmapped(entry, draft, *side, *address, *prefix)
    });
    let lint = entry.lint(LintCode::MappedAddress, Some(side.network_key(rule)), message);
    Some(lint.suggesting(draft.and_then(Draft::build).map(|rule| entry.replaced_by([rule]))))
}

/// The same network in IPv4. A prefix length up to 32 is taken for one of IPv4.
fn unmapped(
    entry: &Entry<'_>,
    draft: Draft,
    side: Side,
    address: Ipv4Addr,
    prefix: u8,
) -> Option<Draft> {
    let prefix = match prefix {
        96.. => prefix - 96,
        33.. => 32,
        _ => prefix,
    };
    if prefix == 0 {
        let ports = side.of(entry.rule).map(Network::ports);
        // A proxy takes no wildcard with any port (S-91).
        return Some(match entry.action.is_none() && ports.is_some_and(|ports| ports.is_any()) {
            true => draft.without(side),
            false => draft.with_network(side, Ipv4Addr::UNSPECIFIED.into(), 0),
        });
    }
    match (address.is_unspecified(), prefix) {
        (false, _) => Some(draft.with_network(side, address.into(), prefix)),
        (true, 32) => None,
        (true, _) => Some(draft.with_network(side, within(AddressFamily::V4), prefix)),
    }
}

/// Whether a side names loopback: explicitly, and by a network that is not much larger (S-18).
pub(super) fn names_loopback(network: &Network, family: AddressFamily) -> bool {
    network.compared_bits() >= 8 && holds_loopback(network, family)
}

/// Whether a side is explicit and contains the loopback address of `family`, so that a rule with
/// it matches loopback (S-18).
pub(super) fn holds_loopback(network: &Network, family: AddressFamily) -> bool {
    explicit(network).is_some_and(|net| net.contains(&loopback(family)))
}

/// The loopback address of a family.
pub(super) fn loopback(family: AddressFamily) -> IpAddr {
    match family {
        AddressFamily::V4 => Ipv4Addr::LOCALHOST.into(),
        AddressFamily::V6 => Ipv6Addr::LOCALHOST.into(),
    }
}

/// Whether a rule matches every TCP and UDP flow of a family, or of both for `None`, but for
/// loopback and for its direction.
pub(super) fn is_everything(rule: &NetworkRule, family: Option<AddressFamily>) -> bool {
    let is_all = |network: &Network| match network {
        Network::Nil => true,
        // With a prefix length a network is meant (L-08).
        Network::Wildcard { family: own, prefix, ports } => {
            let is_meant = !(1..own.bits()).contains(prefix);
            is_meant && Some(*own) == family && ports.is_any()
        }
        Network::Prefix { .. } => false,
    };
    rule.remote_side().is_some_and(is_all)
        && *rule.local() == Network::Nil
        && rule.match_protocol() == crate::rule::Protocol::Any
}
