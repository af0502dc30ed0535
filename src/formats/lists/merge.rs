//! [`merge`]: the fewest rules that do the same.

use super::rules::written;
use crate::endpoint::{AddressFamily, Endpoint, Host, Ports};
use crate::flow::Direction;
use crate::network::Network;
use crate::rule::{Action, FilterRule, Initializer, NetworkRule, Protocol, Remote};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixSet;
use std::collections::{HashMap, HashSet};

/// Returns rules that give every flow the same action under
/// [`FirstMatch`](crate::Precedence::FirstMatch), and of these as few as can be found.
///
/// Among rules one after the other that have the same action, order means nothing. There,
/// networks that rules differ in alone become the fewest networks that hold the same addresses,
/// and host rules below others go; so does every rule all flows of which one earlier network or
/// name takes. Of rules that all have the same action, and differ in their networks alone, there
/// is no shorter list. Nothing becomes a network of prefix length 0 that was none.
///
/// A rule that stands for several has the label of the first of them, and says how many more.
///
/// # Complexity
///
/// About that of inserting each network in a trie twice.
pub fn merge(rules: Vec<FilterRule>) -> Vec<FilterRule> {
    let mut merged = Vec::new();
    let mut taken: HashMap<Kind, Taken> = HashMap::new();
    let mut rules = rules.into_iter().peekable();
    while let Some(first) = rules.next() {
        let action = first.action();
        let mut run = vec![first];
        while let Some(next) = rules.next_if(|rule| rule.action() == action) {
            run.push(next);
        }
        merge_run(run, &mut taken, &mut merged);
    }
    merged
}

/// What rules agree in whose remotes are merged.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    initializer: Initializer,
    protocol: Protocol,
    direction: Direction,
    ports: Ports,
}

/// What rules of one kind took so far.
#[derive(Default)]
struct Taken {
    v4: PrefixSet<Ipv4Net>,
    v6: PrefixSet<Ipv6Net>,
    wildcards: HashSet<AddressFamily>,
    names: HashSet<String>,
}

/// Rules of one kind, of one action.
#[derive(Default)]
struct Group {
    own: Taken,
    /// Of each network of the result, its first label and how many entries it stands for.
    labels: HashMap<IpNet, (Option<Box<str>>, usize)>,
}

/// A rule that is kept, or the kind of those that are merged where it stood.
enum Kept {
    Rule(FilterRule),
    Nets(Kind, Action),
}

fn merge_run(run: Vec<FilterRule>, taken: &mut HashMap<Kind, Taken>, merged: &mut Vec<FilterRule>) {
    let mut groups: HashMap<Kind, Group> = HashMap::new();
    // Which networks there are, before labels are given to those that remain.
    for rule in &run {
        let Some((kind, remote)) = mergeable(rule) else { continue };
        let before = taken.entry(kind).or_default();
        let group = groups.entry(kind).or_default();
        match remote {
            Mergeable::Net(net) if before.holds(net) => {}
            remote => group.own.insert(remote),
        }
    }
    for group in groups.values_mut() {
        group.own.aggregate();
    }
    let mut kept: Vec<Kept> = Vec::new();
    let mut seen: HashSet<NetworkRule> = HashSet::new();
    // Of each kind, what has a place among those that are kept.
    let mut started: HashSet<Kind> = HashSet::new();
    let mut wildcards: HashSet<(Kind, AddressFamily)> = HashSet::new();
    let mut names: HashSet<(Kind, String)> = HashSet::new();
    for rule in run {
        let Some((kind, remote)) = mergeable(&rule) else {
            if seen.insert(rule.network_rule().clone()) {
                kept.push(Kept::Rule(rule));
            }
            continue;
        };
        let (Some(before), Some(group)) = (taken.get(&kind), groups.get_mut(&kind)) else {
            continue;
        };
        let is_kept = match remote {
            Mergeable::Net(net) => {
                if !before.holds(net) {
                    if let Some(whole) = group.own.longest(net) {
                        let label = || (rule.label().map(Into::into), 0);
                        group.labels.entry(whole).or_insert_with(label).1 += 1;
                    }
                    if started.insert(kind) {
                        kept.push(Kept::Nets(kind, rule.action()));
                    }
                }
                false
            }
            Mergeable::Wildcard(family) => {
                !before.wildcards.contains(&family) && wildcards.insert((kind, family))
            }
            Mergeable::Name(name) => {
                !before.holds_name(&name)
                    && !group.own.holds_name_above(&name)
                    && names.insert((kind, name))
            }
        };
        if is_kept {
            kept.push(Kept::Rule(rule));
        }
    }
    for kept in kept {
        match kept {
            Kept::Rule(rule) => merged.push(rule),
            Kept::Nets(kind, action) => {
                let Some(group) = groups.get_mut(&kind) else { continue };
                group.write(kind, action, merged);
            }
        }
    }
    for (kind, group) in groups {
        taken.entry(kind).or_default().take(group.own);
    }
}

/// What of a remote can be merged.
enum Mergeable {
    Net(IpNet),
    Wildcard(AddressFamily),
    Name(String),
}

fn mergeable(rule: &FilterRule) -> Option<(Kind, Mergeable)> {
    let network_rule = rule.network_rule();
    let kind = Kind {
        initializer: network_rule.initializer(),
        protocol: network_rule.match_protocol(),
        direction: network_rule.match_direction(),
        ports: network_rule.remote().ports(),
    };
    let remote = match network_rule.remote() {
        _ if *network_rule.local() != Network::Nil => return None,
        Remote::Network(Network::Prefix { net, zone: None, .. }) => Mergeable::Net(net.trunc()),
        Remote::Network(Network::Wildcard { family, .. }) => Mergeable::Wildcard(*family),
        Remote::Network(_) => return None,
        Remote::Host { name, .. } => Mergeable::Name(name.trimmed().to_ascii_lowercase()),
    };
    Some((kind, remote))
}

impl Taken {
    fn insert(&mut self, remote: Mergeable) {
        match remote {
            Mergeable::Net(IpNet::V4(net)) => {
                self.v4.insert(net);
            }
            Mergeable::Net(IpNet::V6(net)) => {
                self.v6.insert(net);
            }
            Mergeable::Wildcard(family) => {
                self.wildcards.insert(family);
            }
            Mergeable::Name(name) => {
                self.names.insert(name);
            }
        }
    }

    fn aggregate(&mut self) {
        self.v4.aggregate();
        self.v6.aggregate();
    }

    /// Whether one earlier rule takes all flows to a network.
    fn holds(&self, net: IpNet) -> bool {
        // No wildcard does: an explicit network also matches flows from a loopback address (S-18).
        match net {
            IpNet::V4(net) => self.v4.get_lpm(&net).is_some(),
            IpNet::V6(net) => self.v6.get_lpm(&net).is_some(),
        }
    }

    fn longest(&self, net: IpNet) -> Option<IpNet> {
        match net {
            IpNet::V4(net) => self.v4.get_lpm(&net).map(|net| IpNet::V4(net.trunc())),
            IpNet::V6(net) => self.v6.get_lpm(&net).map(|net| IpNet::V6(net.trunc())),
        }
    }

    fn holds_name(&self, name: &str) -> bool {
        self.names.contains(name) || self.holds_name_above(name)
    }

    fn holds_name_above(&self, name: &str) -> bool {
        let above = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
        above.filter(|above| above.contains('.')).any(|above| self.names.contains(above))
    }

    fn take(&mut self, other: Taken) {
        for net in other.v4 {
            self.v4.insert(net);
        }
        for net in other.v6 {
            self.v6.insert(net);
        }
        self.wildcards.extend(other.wildcards);
        self.names.extend(other.names);
    }
}

impl Group {
    /// Writes a rule for each network, in the order of addresses.
    fn write(&mut self, kind: Kind, action: Action, merged: &mut Vec<FilterRule>) {
        let v4 = self.own.v4.iter().map(|net| IpNet::V4(net.trunc()));
        let v6 = self.own.v6.iter().map(|net| IpNet::V6(net.trunc()));
        let nets: Vec<IpNet> = v4.chain(v6).collect();
        for net in nets {
            let label = match self.labels.remove(&net) {
                Some((Some(label), 1)) => Some(label),
                Some((Some(label), count)) => {
                    Some(format!("{label} and {} more", count - 1).into())
                }
                Some((None, _)) | None => None,
            };
            // All of a family is written as two halves: prefix length 0 is rarely meant.
            let halves = match net.prefix_len() {
                0 => net.subnets(1).ok(),
                _ => None,
            };
            let nets = halves.map_or_else(|| vec![net], Iterator::collect);
            for net in nets {
                let Ok(rule) = kind.rule(net) else { continue };
                let rule = FilterRule::new(rule, action);
                merged.push(match &label {
                    Some(label) => rule.with_label(label.clone()),
                    None => rule,
                });
            }
        }
    }
}

impl Kind {
    fn rule(self, net: IpNet) -> Result<NetworkRule, crate::error::Error> {
        let endpoint = Endpoint::from_parts(Host::Address(written(net)?, None), self.ports);
        let bits = u64::from(net.prefix_len());
        match self.initializer {
            Initializer::DestinationNetwork => {
                NetworkRule::destination_network(endpoint, bits, self.protocol)
            }
            Initializer::DestinationHost | Initializer::RemoteNetwork => {
                let (protocol, direction) = (self.protocol, self.direction);
                NetworkRule::remote_network(Some(endpoint), bits, None, 0, protocol, direction)
            }
        }
    }
}
