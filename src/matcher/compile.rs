//! From settings to a [`Matcher`].

use crate::decision::Decision;
use crate::endpoint::AddressFamily;
use crate::error::{Error, ErrorKind};
use crate::matcher::address::AddressIndex;
use crate::matcher::cross;
use crate::matcher::direct;
use crate::matcher::hosts::HostIndex;
use crate::matcher::intervals::Intervals;
use crate::matcher::lanes::{Decider, Machine, Rules};
use crate::matcher::leaf::{Leaf, Ranked};
use crate::matcher::lists::{Entry, Lists};
use crate::matcher::locals::LocalPorts;
use crate::matcher::memory;
use crate::matcher::nets::{LocalNets, LocalRule};
use crate::matcher::phases;
use crate::matcher::plain::{Anyone, PlainIndex};
use crate::matcher::rows::Place;
use crate::matcher::scan::{self, Scan};
use crate::matcher::sided::{CrossLimits, Crossed, Sided, SidedRule};
use crate::matcher::unbound::{self, Unbound};
use crate::matcher::{Anywhere, Crossing, Has, Matcher, MatcherBuilder, Strategy, Vectors};
use crate::network::Network;
use crate::rule::{FilterRule, NetworkRule, Remote};
use crate::settings::{FilterSettings, Precedence};
use ipnet::IpNet;
use std::cmp::Reverse;
use std::collections::BTreeMap;

pub(super) fn compile(
    settings: &FilterSettings,
    options: &MatcherBuilder,
) -> Result<Matcher, Error> {
    let count = settings.rules().len();
    let mut limits = match options.crossing {
        None => {
            direct::room(options.max_bytes).map_or(CrossLimits::default(), |room| CrossLimits {
                phases: Some(phases::Limits::of_rules(count, room)),
                pairs: Some(cross::Limits::of_rules(count, room)),
            })
        }
        Some(Crossing::Off) => CrossLimits::default(),
        Some(Crossing::Pairs) => CrossLimits { phases: None, pairs: Some(cross::Limits::ALL) },
        Some(Crossing::Phases) => CrossLimits { phases: Some(phases::Limits::ALL), pairs: None },
    };
    let machine = Machine::up_to(options.vectors.unwrap_or(Vectors::Bits512));
    let mut strategies = match options.strategy {
        Some(strategy) => vec![strategy],
        None => strategies(machine, count),
    };
    loop {
        let mut crossed = Crossing::Off;
        let compiled =
            compile_within(settings, options, machine, &strategies, limits, &mut crossed);
        let is_too_large =
            |error: &Error| matches!(error.kind(), ErrorKind::MatcherTooLarge { .. });
        if !compiled.as_ref().is_err_and(is_too_large) {
            return compiled;
        }
        // What only makes it faster is left out where there is no room.
        match crossed {
            Crossing::Phases if options.crossing.is_none() => limits.phases = None,
            Crossing::Pairs if options.crossing.is_none() => limits.pairs = None,
            _ if options.strategy.is_none() && strategies.first() == Some(&Strategy::Buckets) => {
                strategies.remove(0);
            }
            _ => return compiled,
        }
    }
}

/// Returns the strategies for so many rules: the fastest that suits them, and what is for all of them.
// PERF: decide-dependent/ipv4-1k. Of 64 rules, comparing all of them takes a tenth less than buckets where a call
// waits for the one before (IPv4), and up to two fifths more where it does not (IPv6).
fn strategies(machine: Machine, count: usize) -> Vec<Strategy> {
    let mut strategies = Vec::new();
    if count > machine.few() && count <= machine.in_buckets() {
        strategies.push(Strategy::Buckets);
    }
    if count <= machine.compared() {
        strategies.push(Strategy::Blocks);
    }
    strategies.push(Strategy::Intervals);
    strategies
}

/// Compiles settings by the first of the strategies that suits them, or the last one. The rules are crossed within
/// `limits`; says how they were, also if the matcher is too large.
fn compile_within(
    settings: &FilterSettings,
    options: &MatcherBuilder,
    machine: Machine,
    strategies: &[Strategy],
    limits: CrossLimits,
    crossed: &mut Crossing,
) -> Result<Matcher, Error> {
    let (rules, limit) = (settings.rules(), Ranked::MAX_RULES);
    if rules.len() > limit {
        return Err(Error::new(ErrorKind::TooManyRules { count: rules.len(), limit }));
    }
    let precedence = options.precedence;
    let strategy = strategies.last().copied().unwrap_or(Strategy::Intervals);
    let has_intervals = strategy.has_intervals();

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
    let mut local_rules = Vec::new();
    let mut anywhere: Anywhere<Vec<Entry>> = Anywhere::default();
    let mut by_local_port: Anywhere<Vec<Entry>> = Anywhere::default();
    let mut networks: BTreeMap<_, Vec<Entry>> = BTreeMap::new();
    let mut sided = Vec::new();
    let mut hosts = Vec::new();
    let mut unbound = unbound::Builder::default();
    for (rank, rule) in (0..).zip(order_of(rules, &order)) {
        let (ranked, rule) = (Ranked::new(rank, rule.action()), rule.network_rule());
        let network = match rule.remote() {
            Remote::Network(network) => network,
            Remote::Host { name, .. } => {
                hosts.push((name.clone(), lists.entry(ranked, rule)));
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
        if !is_plain && has_intervals {
            unbound.add(rule, network, leaf(ranked, rule));
        }
        match (anyone, network.net()) {
            (Some(anyone), _) if is_plain && has_intervals => {
                plain_anywhere.push((anyone, leaf(ranked, rule)));
            }
            (None, Some(net)) if is_plain && has_intervals => {
                plain.push((net, leaf(ranked, rule)));
            }
            (Some(anyone), _) => {
                let entry = lists.entry(ranked, rule);
                let of_port = LocalPorts::rule(ranked, anyone, rule);
                match of_port.filter(|_| has_intervals) {
                    Some(rule) => {
                        local_ports.push(rule);
                        by_local_port.get_mut(anyone).push(entry);
                    }
                    None => {
                        local_rules.extend(LocalRule::new(ranked, anyone, rule));
                        sided.push((ranked, network, rule));
                        anywhere.get_mut(anyone).push(entry);
                    }
                }
            }
            (None, Some(net)) => {
                let entry = lists.entry(ranked, rule);
                sided.push((ranked, network, rule));
                networks.entry(net).or_default().push(entry);
            }
            // Only nil has no network.
            (None, None) => {}
        }
    }
    let conditional_networks = match has_intervals {
        true => networks.keys().copied().collect(),
        false => Vec::new(),
    };
    // Many rules of any host are found by port elsewhere.
    let has_pairs = has_intervals
        && sided.len() > plain.len()
        && plain_anywhere.len() + local_ports.len() <= MAX_WIDE;
    if has_pairs {
        sided = all_of(rules, &order);
    }
    let sided_ports = sided.iter().any(|(.., rule)| !rule.local().ports().is_any());
    if has_pairs | !has_intervals {
        local_rules.clear();
    }
    let local_nets = LocalNets::new(&local_rules);
    local_rules.retain(|rule| local_nets.has(rule.family()));
    sided.retain(|(ranked, ..)| {
        local_rules.binary_search_by_key(ranked, LocalRule::ranked).is_err()
    });
    let of_anywhere =
        [&anywhere.nil, &anywhere.v4, &anywhere.v6].map(Vec::len).iter().sum::<usize>();
    let has_zone = |rule: &FilterRule| {
        let rule = rule.network_rule();
        [rule.remote_side(), Some(rule.local())].into_iter().flatten().any(|n| n.zone().is_some())
    };
    let has = Has {
        anywhere: !plain_anywhere.is_empty(),
        local_ports: !local_ports.is_empty(),
        hosts: !hosts.is_empty(),
        local_nets: !local_rules.is_empty(),
        sided_anywhere: of_anywhere > local_rules.len(),
        sided_ports,
        some_local_ports: rules.iter().any(|rule| !rule.network_rule().local().ports().is_any()),
        zones: rules.iter().any(has_zone),
        local: !lists.rules().is_empty(),
        pairs: has_pairs,
        few: false,
        few_in_groups: false,
        others: !has_intervals,
        groups: false,
        sided_groups: false,
    };
    if !has_intervals {
        sided.clear();
    }
    let mut few = match hosts.is_empty() && !has.zones {
        true => strategies.iter().find_map(|own| Some((*own, few_of(*own, rules, &order)?))),
        false => None,
    };
    let has_all = |(_, (v4, v6)): &(Strategy, (Scan<1>, Scan<4>))| v4.has_all() && v6.has_all();
    lists.shrink_to_fit();
    let mut budget = Budget::new(options.max_bytes);
    budget.take(lists.size_bytes())?;
    budget.take(local_nets.size_bytes())?;
    let sided_v4 = Sided::new(&sided_of(AddressFamily::V4, &sided), has_pairs, limits);
    *crossed = sided_v4.cross().map_or(Crossing::Off, Crossed::crossing);
    budget.take(sided_v4.size_bytes())?;
    let sided_v6 =
        Sided::new(&sided_of(AddressFamily::V6, &sided), has_pairs, CrossLimits::default());
    budget.take(sided_v6.size_bytes())?;
    drop(sided);
    // No rule that is kept elsewhere has a rank to compare with those of the index.
    let all_are_plain = plain.len() == rules.len();
    let mut plain = PlainIndex::new(plain, &plain_anywhere, conditional_networks);
    let is_simple = all_are_plain && plain.is_simple();
    if options.strategy.is_none() {
        let suits = |few: &_| !has_pairs || has_all(few);
        few = few.filter(|few| suits(few) && !(is_simple && rules.len() > MAX_SIMPLE_IN_BUCKETS));
    }
    let is_few = few.is_some();
    let all_are_networks = is_simple && !is_few;
    let has_all = few.as_ref().is_some_and(has_all);
    let (strategy, (few_v4, few_v6)) =
        few.unwrap_or_else(|| (strategy, (Scan::new(&[]), Scan::new(&[]))));
    budget.take(few_v4.size_bytes() + few_v6.size_bytes())?;
    if precedence == Precedence::FirstMatch || (all_are_networks && plain.number_by(&order)) {
        order = Vec::new();
    }
    budget.take(plain.size_bytes() + memory::of_vec(&order))?;
    let addresses = AddressIndex::new(networks, &mut lists, strategy);
    budget.take(addresses.size_bytes())?;
    let unbound = unbound.finish();
    budget.take(unbound.as_deref().map_or(0, Unbound::size_bytes))?;
    let hosts = HostIndex::new(hosts, &mut lists);
    budget.take(hosts.size_bytes())?;
    let kind = match (is_few, all_are_networks) {
        (true, _) if strategy == Strategy::Buckets && has_all => Rules::InBuckets,
        (true, _) if strategy == Strategy::Buckets => Rules::BesideBuckets,
        (true, _) => Rules::Few,
        (false, true) => Rules::Networks,
        (false, false) => Rules::Any,
    };
    let mut matcher = Matcher {
        plain,
        local_ports: LocalPorts::new(&local_ports),
        local_nets,
        by_local_port: by_local_port.map(|entries| lists.add(entries)),
        anywhere: anywhere.map(|entries| lists.add(entries)),
        addresses,
        sided_v4,
        sided_v6,
        few_v4,
        few_v6,
        unbound,
        nowhere: Intervals::new(&[], Place::EMPTY),
        hosts,
        lists,
        order,
        has,
        of_no_rule: Decision::of_no_rule(settings.default_action(), false),
        precedence,
        strategy,
        machine,
        decider: Decider::of(machine, kind),
    };
    matcher.lists.shrink_to_fit();
    matcher.has.few = is_few;
    matcher.has.few_in_groups =
        is_few && strategy == Strategy::Blocks && rules.len() <= scan::MAX_IN_GROUPS;
    matcher.has.groups = options.look_ahead.unwrap_or(true);
    let lens = matcher.sided_v4.len() + matcher.sided_v6.len();
    matcher.has.sided_groups = lens > rules.len() / 8;
    budget.check(matcher.size_bytes())?;
    Ok(matcher)
}

/// The most rules for which buckets are taken where all are of whole networks.
// PERF: their index has 8 to 16 bytes a rule, and nothing to compare; decide-dependent/networks-10k.
const MAX_SIMPLE_IN_BUCKETS: usize = 2000;

/// The most rules of any host for which [`Sided`] has all rules.
const MAX_WIDE: usize = 256;

/// The memory that a matcher may hold.
struct Budget {
    limit: usize,
    taken: usize,
}

impl Budget {
    fn new(limit: Option<usize>) -> Budget {
        Budget { limit: limit.unwrap_or(usize::MAX), taken: size_of::<Matcher>() }
    }

    /// Takes the size of a part.
    fn take(&mut self, bytes: usize) -> Result<(), Error> {
        self.taken = self.taken.saturating_add(bytes);
        self.check(self.taken)
    }

    fn check(&self, bytes: usize) -> Result<(), Error> {
        let limit = self.limit;
        match bytes > limit {
            true => Err(Error::new(ErrorKind::MatcherTooLarge { bytes, limit })),
            false => Ok(()),
        }
    }
}

fn order_of<'a>(rules: &'a [FilterRule], order: &'a [u32]) -> impl Iterator<Item = &'a FilterRule> {
    order.iter().filter_map(|index| rules.get(*index as usize))
}

/// All rules but host rules, in order of rank.
fn all_of<'a>(
    rules: &'a [FilterRule],
    order: &'a [u32],
) -> Vec<(Ranked, &'a Network, &'a NetworkRule)> {
    let all = (0..).zip(order_of(rules, order)).filter_map(|(rank, rule)| {
        let ranked = Ranked::new(rank, rule.action());
        Some((ranked, rule.network_rule().remote_side()?, rule.network_rule()))
    });
    all.collect()
}

/// Returns all rules of each family as they are compared with flows; `None` if another way is taken.
fn few_of(strategy: Strategy, rules: &[FilterRule], order: &[u32]) -> Option<(Scan<1>, Scan<4>)> {
    if !matches!(strategy, Strategy::Blocks | Strategy::Buckets) {
        return None;
    }
    let every = all_of(rules, order);
    let [v4, v6] = [AddressFamily::V4, AddressFamily::V6].map(|family| sided_of(family, &every));
    Some(match strategy {
        Strategy::Buckets => (Scan::in_buckets(&v4)?, Scan::in_buckets(&v6)?),
        _ => (Scan::new(&v4), Scan::new(&v6)),
    })
}

/// The rules of which both sides can hold addresses of `family`.
fn sided_of(family: AddressFamily, rules: &[(Ranked, &Network, &NetworkRule)]) -> Vec<SidedRule> {
    let side = |network: &Network| match network.family() {
        None => IpNet::new(family.unspecified(), 0).ok(),
        Some(own) => network.net().filter(|_| own == family),
    };
    let of_family = |(ranked, remote, rule): &(Ranked, &Network, &NetworkRule)| {
        let local = rule.local();
        Some(SidedRule {
            leaf: leaf(*ranked, rule),
            remote: side(remote)?,
            local: side(local)?,
            local_ports: (local.ports().first(), local.ports().last()),
            zones: [remote.zone(), local.zone()],
            may_be_loopback: remote.is_explicit() || local.is_explicit(),
            has_local: *local != Network::Nil,
            is_of_any_host: matches!(remote, Network::Nil | Network::Wildcard { .. }),
        })
    };
    rules.iter().filter_map(of_family).collect()
}

fn leaf(ranked: Ranked, rule: &NetworkRule) -> Leaf {
    Leaf::new(ranked, rule.remote().ports(), rule.match_protocol(), rule.match_direction())
}
