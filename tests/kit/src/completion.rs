//! What "pending" and "final" mean, by trying what could become known of a flow.
//!
//! A completion of a flow has something in place of what is not known: an address in place of a
//! nil or unspecified local one, a local port in place of 0, a host name in place of a missing
//! one; each by itself. The address is of the family of the remote address once folded, else of
//! that of the unspecified local address, else of either. It is neither unspecified nor mapped: a
//! mapped one is an IPv4 address (S-20).
//!
//! A rule is pending if it does not match, and does match some completion. A decision is final if
//! its action is the same for every completion that does not make a loopback flow of one that was
//! none.

use crate::agreement::Shown;
use flowsieve::{
    Answer, FilterRule, FilterSettings, Flow, FlowEndpoint, Matcher, Network, NetworkRule,
    Precedence, Remote, Strategy, Zone, reference,
};
use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv6Addr};

/// Checks that `rule` is pending for `flow` if and only if there is a completion that it matches.
///
/// # Panics
///
/// If it is not; the message has the rule, the flow and the completion.
pub fn check_pending(rule: &NetworkRule, flow: &Flow<'_>) {
    let is_pending = rule.test(flow).answer() == Answer::NotYet;
    let mut completions = completions(rule, flow).into_iter();
    let matching = completions.find(|completion| rule.matches(completion));
    let expected = !rule.matches(flow) && matching.is_some();
    assert_eq!(
        is_pending, expected,
        "pending, by trying\n{rule}\n{flow}\n{rule:?}\n{flow:?}\nmatches when: {matching:?}"
    );
}

/// Checks that a final decision on `flow` has the same action for every completion.
///
/// # Panics
///
/// If it has not; the message has the rules, the flow, the completion and both decisions.
pub fn check_final(settings: &FilterSettings, precedence: Precedence, flow: &Flow<'_>) {
    let decision = reference::decide(settings, precedence, flow);
    if !decision.is_final() {
        return;
    }
    // There are many completions, and the matcher is held to the reference elsewhere.
    let builder = Matcher::builder().precedence(precedence).strategy(Strategy::Scan);
    let matcher = builder.build(settings);
    let matcher = matcher.expect("settings compile");
    let rules = settings.rules().iter().map(FilterRule::network_rule);
    // Only these parts of a rule suggest completions.
    let mut seen = HashSet::new();
    let different = rules.filter(|rule| {
        let name = match rule.remote() {
            Remote::Host { name, .. } => Some(name),
            Remote::Network(_) => None,
        };
        seen.insert((rule.local(), name))
    });
    for completion in different.flat_map(|rule| completions(rule, flow)) {
        if completion.is_loopback() && !flow.is_loopback() {
            continue;
        }
        let completed = matcher.decide(&completion);
        assert_eq!(
            completed.action(),
            decision.action(),
            "action when complete, final action of {precedence}\n{}\ncompletion: {completion}\n\
             {completed:?}\n{decision:?}",
            Shown(settings, flow)
        );
    }
}

/// Returns completions of `flow` that `rule` suggests: addresses in its local network, its local
/// ports and its name, and some that have nothing to do with it. `flow` itself is among them.
pub fn completions(rule: &NetworkRule, flow: &Flow<'_>) -> Vec<Flow<'static>> {
    let mut completions = Vec::new();
    for local in local_ends(rule, flow) {
        for name in names(rule, flow) {
            let mut completion = Flow::new(flow.protocol(), flow.direction());
            completion = match (flow.remote(), flow.remote().and_then(FlowEndpoint::address)) {
                (None, _) => completion,
                (Some(remote), Some(address)) => {
                    completion.with_remote_address(address, remote.zone(), remote.port())
                }
                (Some(remote), None) => named_remote(completion, remote.port(), &name),
            };
            if let Some((address, zone, port)) = local {
                completion = completion.with_local_address(address, zone, port);
            }
            if let Some(name) = name {
                completion = completion.with_remote_hostname(name);
            }
            completions.push(completion);
        }
    }
    completions
}

/// A remote endpoint that holds a name, which a flow does not keep beside the host name.
fn named_remote(flow: Flow<'static>, port: u16, name: &Option<String>) -> Flow<'static> {
    let name = name.as_deref().and_then(|name| name.parse().ok());
    let name = name.unwrap_or_else(|| "name.test".parse().expect("a host name"));
    let host = flowsieve::Host::Name(name);
    let endpoint = flowsieve::Endpoint::from_parts(host, flowsieve::Ports::one(port));
    flow.with_remote(endpoint).expect("one port")
}

type LocalEnd = Option<(IpAddr, Option<Zone>, u16)>;

fn local_ends(rule: &NetworkRule, flow: &Flow<'_>) -> Vec<LocalEnd> {
    let local = flow.local();
    let known = local.and_then(|local| Some((local.folded_address()?, local.zone(), local.port())));
    let ports = match known {
        Some((_, _, port @ 1..)) => BTreeSet::from([port]),
        _ => {
            let ports = rule.local().ports();
            BTreeSet::from([0, ports.first(), ports.last(), FREE_PORT])
        }
    };
    let addresses = match known {
        Some((address, zone, _)) if !address.is_unspecified() => vec![(address, zone)],
        _ => {
            let as_it_is = match known {
                Some((address, zone, _)) => vec![(address, zone)],
                None => [IpAddr::V4(0.into()), IpAddr::V6(0.into())]
                    .into_iter()
                    .filter(|address| is_expected(*address, flow))
                    .map(|address| (address, None))
                    .collect(),
            };
            let named = candidates(rule.local()).into_iter();
            let usable = named.filter(|(address, _)| {
                let is_mapped = address.to_canonical() != *address;
                !address.is_unspecified() && !is_mapped && is_expected(*address, flow)
            });
            as_it_is.into_iter().chain(usable).collect()
        }
    };
    let pairs = addresses
        .iter()
        .flat_map(|(address, zone)| ports.iter().map(move |port| Some((*address, *zone, *port))));
    // A nil local endpoint may also stay nil.
    pairs.chain(known.is_none().then_some(None)).collect()
}

/// Addresses in `network`, and some that have nothing to do with it.
fn candidates(network: &Network) -> Vec<(IpAddr, Option<Zone>)> {
    let mut addresses: BTreeSet<IpAddr> =
        ["198.51.100.77", "2001:db8:77::77"].map(|address| address.parse().expect("text")).into();
    let alien = Zone::new("en9").expect("a zone id");
    let zones: Vec<_> = [None, Some(alien)].into_iter().chain(network.zone().map(Some)).collect();
    if let Some(net) = network.net() {
        let (first, last) = (net.network(), net.broadcast());
        addresses.extend([first, last, next(first)].into_iter().filter(|a| net.contains(a)));
        addresses.extend(network.endpoint().and_then(|endpoint| match endpoint.host() {
            flowsieve::Host::Address(address, _) => Some(*address),
            flowsieve::Host::Name(_) => None,
        }));
    }
    let pairs = addresses.into_iter().flat_map(|address| {
        let zones = zones.iter().filter(move |zone| zone.is_none() || address.is_ipv6());
        zones.map(move |zone| (address, *zone))
    });
    pairs.collect()
}

fn next(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(u32::from(address).wrapping_add(1).into()),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address).wrapping_add(1))),
    }
}

/// Whether the local address of `flow` can be of the family of `address`.
fn is_expected(address: IpAddr, flow: &Flow<'_>) -> bool {
    let ends = [flow.remote(), flow.local()];
    let known = ends.into_iter().flatten().find_map(FlowEndpoint::folded_address);
    known.is_none_or(|known| known.is_ipv4() == address.is_ipv4())
}

fn names(rule: &NetworkRule, flow: &Flow<'_>) -> Vec<Option<String>> {
    let as_it_is = flow.remote_hostname().map(str::to_owned);
    let is_missing = as_it_is.iter().all(|name| name.chars().all(|c| c == '.' || c == '*'));
    let mut names = vec![as_it_is];
    if is_missing {
        names.push(Some("unrelated.test".to_owned()));
        if let Remote::Host { name, .. } = rule.remote() {
            names.push(Some(name.as_str().to_owned()));
        }
    }
    names
}

/// A port that no rule names.
const FREE_PORT: u16 = 49_152;
