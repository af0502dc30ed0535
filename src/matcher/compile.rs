//! From settings to a [`Matcher`].

use crate::endpoint::AddressFamily;
use crate::error::{Error, ErrorKind};
use crate::matcher::address::AddressIndex;
use crate::matcher::hosts::HostIndex;
use crate::matcher::leaf::{Leaf, Ranked};
use crate::matcher::lists::{Detail, Entry, Lists};
use crate::matcher::locals::LocalPorts;
use crate::matcher::pairs::PairIndex;
use crate::matcher::plain::{Anyone, PlainIndex};
use crate::matcher::{Anywhere, Has, Matcher, Strategy};
use crate::network::Network;
use crate::rule::{NetworkRule, Remote};
use crate::settings::{FilterSettings, Precedence};
use ipnet::IpNet;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The number of rules up to which scanning is chosen.
const SCAN_LIMIT: usize = 4;

pub(super) fn compile(
    settings: &FilterSettings,
    precedence: Precedence,
    strategy: Option<Strategy>,
) -> Result<Matcher, Error> {
    let (rules, limit) = (settings.rules(), Ranked::MAX_RULES);
    if rules.len() > limit {
        return Err(Error::new(ErrorKind::TooManyRules { count: rules.len(), limit }));
    }
    let strategy = strategy.unwrap_or(match rules.len() {
        0..=SCAN_LIMIT => Strategy::Scan,
        _ => Strategy::Lengths,
    });

    let mut order: Vec<u32> = (0..rules.len() as u32).collect();
    if precedence == Precedence::LongestPrefix {
        let specificity =
            |index: &u32| rules.get(*index as usize).map(|r| precedence.specificity(r));
        order.sort_by_key(|index| Reverse(specificity(index)));
    }

    let mut lists = Lists::default();
    let mut plain = Vec::new();
    let mut plain_anywhere = Vec::new();
    let mut local_ports = Vec::new();
    let mut anywhere: Anywhere<Vec<Entry>> = Anywhere::default();
    let mut by_local_port: Anywhere<Vec<Entry>> = Anywhere::default();
    let mut networks: BTreeMap<_, Vec<Entry>> = BTreeMap::new();
    let mut pairs = Vec::new();
    let mut hosts = Vec::new();
    let mut conditional = Vec::new();
    let in_order = order.iter().filter_map(|index| rules.get(*index as usize));
    for (rank, rule) in (0..).zip(in_order) {
        let (ranked, rule) = (Ranked::new(rank, rule.action()), rule.network_rule());
        let is_host = matches!(rule.remote(), Remote::Host { .. });
        if is_host || *rule.local() != Network::Nil {
            conditional.push((rank, rule.clone()));
        }
        let network = match rule.remote() {
            Remote::Network(network) => network,
            Remote::Host { name, .. } => {
                hosts.push((name.clone(), entry(ranked, rule, &mut lists)));
                continue;
            }
        };
        let is_plain = *rule.local() == Network::Nil && network.zone().is_none();
        let anyone = match network {
            Network::Nil => Some(Anyone::Nil),
            Network::Wildcard { family: AddressFamily::V4, .. } => Some(Anyone::V4),
            Network::Wildcard { family: AddressFamily::V6, .. } => Some(Anyone::V6),
            Network::Prefix { .. } => None,
        };
        match (anyone, network.net()) {
            (Some(anyone), _) if is_plain && strategy == Strategy::Lengths => {
                plain_anywhere.push((anyone, leaf(ranked, rule)));
            }
            (None, Some(net)) if is_plain && strategy == Strategy::Lengths => {
                plain.push((net, leaf(ranked, rule)));
            }
            (Some(anyone), _) => {
                let entry = entry(ranked, rule, &mut lists);
                let of_port = LocalPorts::rule(ranked, anyone, rule);
                match of_port.filter(|_| strategy == Strategy::Lengths) {
                    Some(rule) => {
                        local_ports.push(rule);
                        by_local_port.get_mut(anyone).push(entry);
                    }
                    None => {
                        pairs.push((network, rule.local(), entry.clone()));
                        anywhere.get_mut(anyone).push(entry);
                    }
                }
            }
            (None, Some(net)) => {
                let entry = entry(ranked, rule, &mut lists);
                pairs.push((network, rule.local(), entry.clone()));
                networks.entry(net).or_default().push(entry);
            }
            // Only nil has no network.
            (None, None) => {}
        }
    }
    if precedence == Precedence::FirstMatch {
        order = Vec::new();
    }
    let conditional_networks = match strategy {
        Strategy::Lengths => networks.keys().copied().collect(),
        Strategy::Scan | Strategy::Trie => Vec::new(),
    };
    let has_anywhere =
        [&anywhere.nil, &anywhere.v4, &anywhere.v6].iter().any(|entries| !entries.is_empty());
    let has = Has {
        local_ports: !local_ports.is_empty(),
        hosts: !hosts.is_empty(),
        others: has_anywhere || strategy != Strategy::Lengths,
    };
    if strategy != Strategy::Lengths {
        pairs.clear();
    }
    let pairs_v4 = PairIndex::new(&pairs_of(AddressFamily::V4, &pairs), &mut lists);
    let pairs_v6 = PairIndex::new(&pairs_of(AddressFamily::V6, &pairs), &mut lists);
    conditional.shrink_to_fit();
    let mut matcher = Matcher {
        plain: PlainIndex::new(plain, &plain_anywhere, conditional_networks),
        local_ports: LocalPorts::new(&local_ports),
        by_local_port: by_local_port.map(|entries| lists.add(entries)),
        anywhere: anywhere.map(|entries| lists.add(entries)),
        addresses: AddressIndex::new(networks, &mut lists, strategy),
        pairs_v4,
        pairs_v6,
        hosts: HostIndex::new(hosts, &mut lists),
        lists,
        conditional,
        order,
        has,
        default_action: settings.default_action(),
        precedence,
        strategy,
    };
    matcher.lists.shrink_to_fit();
    Ok(matcher)
}

/// The rules of which both sides can hold addresses of one family, with the networks.
fn pairs_of(
    family: AddressFamily,
    rules: &[(&Network, &Network, Entry)],
) -> Vec<(IpNet, IpNet, Entry)> {
    let side = |network: &Network| match network.family() {
        None => IpNet::new(family.unspecified(), 0).ok(),
        Some(own) => network.net().filter(|_| own == family),
    };
    let of_family = |(remote, local, entry): &(&Network, &Network, Entry)| {
        Some((side(remote)?, side(local)?, entry.clone()))
    };
    rules.iter().filter_map(of_family).collect()
}

fn leaf(ranked: Ranked, rule: &NetworkRule) -> Leaf {
    Leaf::new(ranked, rule.remote().ports(), rule.match_protocol(), rule.match_direction())
}

fn entry(ranked: Ranked, rule: &NetworkRule, lists: &mut Lists) -> Entry {
    let (zone, is_named) = match rule.remote() {
        Remote::Network(network) => (network.zone(), network.is_explicit()),
        Remote::Host { .. } => (None, true),
    };
    let local = rule.local();
    let has_detail = zone.is_some() || *local != Network::Nil;
    Entry {
        ranked,
        remote_ports: rule.remote().ports(),
        protocol: rule.match_protocol(),
        direction: rule.match_direction(),
        may_be_loopback: is_named || local.is_explicit(),
        detail: has_detail.then(|| lists.add_detail(Detail { local: local.clone(), zone })),
    }
}
