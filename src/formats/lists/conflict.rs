//! Rules of Little Snitch that cannot be put in an order in which they decide as they do there: those
//! of which it is not known which decides - as specific as each other, with flows in common, and other
//! actions - and those for one name that would, as host rules, decide for names below it that others
//! are for.

use super::collect::Record;
use super::entry::Rank;
use super::lsrules;
use crate::endpoint::Ports;
use crate::flow::Direction;
use crate::network::Network;
use crate::rule::{FilterRule, NetworkRule, Protocol, Remote};
use crate::table::RuleTable;
use std::collections::{BTreeMap, HashMap};

/// Why a rule cannot be put in order, with the index of the record of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// As specific as the other.
    Order(usize),
    /// For a name above one that the other is for, and before it.
    NamesBelow(usize),
}

/// Returns each entry that conflicts with another, as an index of `records`, and why.
///
/// # Complexity
///
/// About that of inserting each rule in a trie. At most [`BUDGET`] pairs of rules are compared;
/// beyond that, rules that could conflict count as if they did.
pub(super) fn find(
    rules: &[FilterRule],
    records: &[Record],
    ranks: &[Rank],
) -> BTreeMap<usize, Conflict> {
    let mut classes: BTreeMap<&Rank, Class<'_>> = BTreeMap::new();
    for (index, (record, rank)) in records.iter().zip(ranks).enumerate() {
        let own = rules.get(record.first..record.first + record.count as usize);
        let class = classes.entry(rank).or_default();
        own.unwrap_or_default().iter().for_each(|rule| class.insert(index, rule));
    }
    let mut budget = BUDGET;
    let mut found = BTreeMap::new();
    for class in classes.values().filter(|class| class.has_both()) {
        class.find(&mut found, &mut budget);
    }
    find_names_below(rules, records, ranks, &mut found);
    found
}

/// Finds rules for one name, which as host rules match those below it too, that go before rules of
/// other actions for such names.
fn find_names_below(
    rules: &[FilterRule],
    records: &[Record],
    ranks: &[Rank],
    found: &mut BTreeMap<usize, Conflict>,
) {
    let names = || {
        let of_record = |(index, (record, rank)): (usize, (&Record, _))| {
            let own = rules.get(record.first..record.first + record.count as usize);
            own.unwrap_or_default().iter().map(move |rule| (index, rank, rule)).collect::<Vec<_>>()
        };
        let all = records.iter().zip(ranks).enumerate().flat_map(of_record);
        all.filter_map(|(index, rank, rule)| match rule.network_rule().remote() {
            Remote::Host { name, .. } => Some((index, rank, rule, name)),
            Remote::Network(_) => None,
        })
    };
    let mut hosts: HashMap<String, Vec<(usize, &Rank, &FilterRule)>> = HashMap::new();
    for (index, rank, rule, name) in names() {
        if lsrules::is_of_host(rank) && !name.is_single_label() {
            let name = name.trimmed().to_ascii_lowercase();
            hosts.entry(name).or_default().push((index, rank, rule));
        }
    }
    if hosts.is_empty() {
        return;
    }
    for (index, rank, rule, name) in names() {
        let name = name.trimmed().to_ascii_lowercase();
        // A rule for one name is not for those below it.
        let own = (!lsrules::is_of_host(rank)).then_some(0);
        let dots = name.match_indices('.').map(|(dot, _)| dot + 1);
        for above in own.into_iter().chain(dots).filter_map(|start| name.get(start..)) {
            for (host, rank_of_host, rule_of_host) in hosts.get(above).into_iter().flatten() {
                let goes_before = *rank_of_host < rank;
                let acts_otherwise = rule_of_host.action() != rule.action();
                if goes_before && acts_otherwise && meet(rule_of_host, rule) {
                    found.entry(*host).or_insert(Conflict::NamesBelow(index));
                }
            }
        }
    }
}

/// A rule, and the entry that it is of.
#[derive(Clone, Copy)]
struct Own<'a>(usize, &'a FilterRule);

impl PartialEq for Own<'_> {
    fn eq(&self, other: &Own<'_>) -> bool {
        self.0 == other.0 && std::ptr::eq(self.1, other.1)
    }
}

/// Rules that are as specific as each other.
#[derive(Default)]
struct Class<'a> {
    nets: RuleTable<Own<'a>>,
    names: HashMap<String, Vec<Own<'a>>>,
    others: Vec<Own<'a>>,
    all: Vec<Own<'a>>,
}

impl<'a> Class<'a> {
    fn insert(&mut self, index: usize, rule: &'a FilterRule) {
        let own = Own(index, rule);
        self.all.push(own);
        match rule.network_rule().remote() {
            Remote::Network(Network::Prefix { net, .. }) => self.nets.insert(*net, own),
            Remote::Network(_) => self.others.push(own),
            Remote::Host { name, .. } => {
                let name = name.trimmed().to_ascii_lowercase();
                self.names.entry(name).or_default().push(own);
            }
        }
    }

    fn has_both(&self) -> bool {
        let mut actions = self.all.iter().map(|own| own.1.action());
        let first = actions.next();
        actions.any(|action| Some(action) != first)
    }

    fn find(&self, found: &mut BTreeMap<usize, Conflict>, budget: &mut u64) {
        for own in &self.all {
            let mut compare = |others: &[Own<'a>]| {
                for other in others {
                    let is_other = other.1.action() != own.1.action();
                    *budget = budget.saturating_sub(1);
                    if is_other && (*budget == 0 || may_meet(own.1, other.1)) {
                        found.entry(own.0).or_insert(Conflict::Order(other.0));
                        found.entry(other.0).or_insert(Conflict::Order(own.0));
                    }
                }
            };
            match own.1.network_rule().remote() {
                // Of two networks that meet, one holds the other.
                Remote::Network(Network::Prefix { net, .. }) => {
                    self.nets.covering_net(*net).for_each(|(_, others)| compare(others));
                    compare(&self.others);
                }
                Remote::Network(_) => compare(&self.others),
                Remote::Host { name, .. } => {
                    let name = name.trimmed().to_ascii_lowercase();
                    let dots = name.match_indices('.').map(|(dot, _)| dot + 1);
                    for above in std::iter::once(0).chain(dots).filter_map(|dot| name.get(dot..)) {
                        if let Some(others) = self.names.get(above) {
                            compare(others);
                        }
                    }
                }
            }
        }
    }
}

/// Whether two rules may have flows in common. A flow can have any address and any name, so rules
/// for addresses and for names do.
pub(super) fn may_meet(a: &FilterRule, b: &FilterRule) -> bool {
    let remotes_meet = match (a.network_rule().remote(), b.network_rule().remote()) {
        (Remote::Network(own), Remote::Network(other)) => match (own.net(), other.net()) {
            (Some(own), Some(other)) => own.contains(&other) || other.contains(&own),
            _ => true,
        },
        (Remote::Host { name: own, .. }, Remote::Host { name: other, .. }) => {
            own.matches(other.trimmed()) || other.matches(own.trimmed())
        }
        _ => true,
    };
    remotes_meet && meet(a, b)
}

/// Whether two rules whose remotes meet have flows in common.
fn meet(a: &FilterRule, b: &FilterRule) -> bool {
    let (a, b) = (a.network_rule(), b.network_rule());
    let (own, other) = (a.remote().ports(), b.remote().ports());
    ports_meet(own, other) && protocols_meet(a, b) && directions_meet(a, b)
}

fn ports_meet(a: Ports, b: Ports) -> bool {
    a.first().max(b.first()) <= a.last().min(b.last())
}

fn protocols_meet(a: &NetworkRule, b: &NetworkRule) -> bool {
    let is_of_any = |protocol| matches!(protocol, Protocol::Any | Protocol::Tcp | Protocol::Udp);
    match (a.match_protocol(), b.match_protocol()) {
        (Protocol::Any, other) | (other, Protocol::Any) => is_of_any(other),
        (own, other) => own == other,
    }
}

fn directions_meet(a: &NetworkRule, b: &NetworkRule) -> bool {
    match (a.match_direction(), b.match_direction()) {
        (Direction::Any, _) | (_, Direction::Any) => true,
        (own, other) => own == other,
    }
}

/// The most pairs of rules that are compared.
const BUDGET: u64 = 200_000_000;
