//! [`Unnamed`]: what is pending for a flow without a name.

use crate::decision::Decision;
use crate::flow::{Direction, Flow};
use crate::matcher::lanes::{Lanes, Scalar};
use crate::matcher::leaf::{CASES, COMMON_CASES, Case, Ranked, cases};
use crate::matcher::lists::{Entry, FirstPending};
use crate::matcher::memory;
use crate::rule::{Action, Protocol};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hint::select_unpredictable;

/// Which rules are pending for a flow without a name, by its protocol, direction and remote port.
#[derive(Debug)]
pub(super) struct Unnamed {
    /// What the rank of the deciding rule tells of each case.
    by_rank: [ByRank; CASES],
    /// The number of the action of all the rules; [`NO_ACTION`] if they have several.
    action: u32,
    /// For each case of TCP or UDP.
    common: [PortRuns; COMMON_CASES],
    /// For each other protocol and direction that a rule has, in ascending order.
    others: Vec<((u8, u8), PortRuns)>,
}

/// The number of no action: that of remediate, which no rule has.
const NO_ACTION: u32 = 2;

impl Unnamed {
    /// Makes the table of `rules`, of which only the ports, protocols, directions and ranks count, given the first of the
    /// host rules that are not among them.
    pub(super) fn new(rules: &[&Entry], first_of_others: Ranked) -> Unnamed {
        let mut common: [Vec<&Entry>; COMMON_CASES] = Default::default();
        let mut others: BTreeMap<(u8, u8), Vec<&Entry>> = BTreeMap::new();
        for rule in rules {
            let cases = cases(rule.protocol, rule.direction);
            for (case, rules) in common.iter_mut().enumerate() {
                if cases >> case & 1 != 0 {
                    rules.push(rule);
                }
            }
            let Protocol::Number(number) = rule.protocol else { continue };
            let directions = [Direction::Any, Direction::Inbound, Direction::Outbound];
            for flow in directions.into_iter().filter(|flow| rule.direction.matches(*flow)) {
                others.entry((number, flow as u8)).or_default().push(rule);
            }
        }
        let others = others.into_iter().map(|(key, rules)| (key, PortRuns::new(&rules)));
        let mut others: Vec<((u8, u8), PortRuns)> = others.collect();
        others.shrink_to_fit();
        let common = match rules.is_empty() {
            true => Default::default(),
            false => common.map(|rules| PortRuns::new(&rules)),
        };
        let mut actions = rules.iter().map(|rule| rule.ranked.action_number());
        // Of the other rules the action does not count here, and any may be another one.
        let action = actions.next().filter(|_| first_of_others == Ranked::NONE);
        let action = action.filter(|action| actions.all(|other| other == *action));
        let first = others.iter().map(|(_, runs)| runs.first()).min().unwrap_or(Ranked::NONE);
        let mut by_rank = [ByRank { first, all: Ranked::NONE }; CASES];
        for (by_rank, runs) in by_rank.iter_mut().zip(&common) {
            *by_rank = ByRank { first: runs.first(), all: runs.all(action.is_some()) };
        }
        by_rank.iter_mut().for_each(|by_rank| by_rank.first = by_rank.first.min(first_of_others));
        ByRank::level(&mut by_rank);
        Unnamed { by_rank, action: action.unwrap_or(NO_ACTION), common, others }
    }

    /// Returns whether the rank of the deciding rule tells what is pending for the flow, and whether [all](Self::add_all) is
    /// then; else nothing is.
    #[inline(always)]
    pub(super) fn by_rank(&self, flow: &Flow<'_>, best: Ranked) -> (bool, bool) {
        let Some(by_rank) = self.by_rank.get(Case::of(flow).index()) else { return (false, false) };
        (by_rank.tells(best), best > by_rank.all)
    }

    /// Adds to a decision that rules of all actions are pending that the rules have, if `is_pending` says so.
    #[inline(always)]
    pub(super) fn add_all(&self, decision: Decision, is_pending: bool) -> Decision {
        // PERF: settings have one action or several, which is foreseen; decide/hosts-10k-addresses-10k/unnamed.
        let pending = match self.action {
            NO_ACTION => decision.with_pending(true, false),
            action => decision.with_pending(true, decision.action_number() == action),
        };
        select_unpredictable(is_pending, pending, decision)
    }

    /// Returns what is pending for the flow.
    #[inline(always)]
    pub(super) fn get(&self, lanes: impl Lanes, flow: &Flow<'_>) -> FirstPending {
        match self.common.get(Case::of(flow).index()) {
            Some(runs) => runs.get(lanes, flow.ends().0.port()),
            None => self.get_other(flow),
        }
    }

    #[inline(never)]
    fn get_other(&self, flow: &Flow<'_>) -> FirstPending {
        let key = (flow.protocol().0, flow.direction() as u8);
        let index = self.others.binary_search_by_key(&key, |(key, _)| *key);
        let runs = index.ok().and_then(|index| self.others.get(index));
        runs.map(|(_, runs)| runs.get(Scalar, flow.ends().0.port())).unwrap_or_default()
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        let runs = self.common.iter().chain(self.others.iter().map(|(_, runs)| runs));
        runs.map(PortRuns::size_bytes).sum::<usize>() + memory::of_vec(&self.others)
    }
}

/// What the rank of the deciding rule tells of what is pending, whatever the remote port.
#[derive(Clone, Copy, Debug)]
struct ByRank {
    /// The first rule that is pending for some port: before it nothing is.
    first: Ranked,
    /// The rule after which for each port rules of two actions are pending, or, where all rules have one action, a rule; none
    /// if there is a port for which that is never so.
    all: Ranked,
}

impl ByRank {
    /// Makes all of them tell nothing of ports where one does not.
    // PERF: else whether one tells would depend on the protocol and the direction, which nobody can foresee;
    // decide/hosts-10k-addresses-10k/unnamed-ports.
    fn level(cases: &mut [ByRank; CASES]) {
        let common = cases.iter().take(COMMON_CASES);
        if common.clone().any(|case| (case.first != Ranked::NONE) & (case.all == Ranked::NONE)) {
            let first = cases.iter().map(|case| case.first).min().unwrap_or(Ranked::NONE);
            *cases = [ByRank { first, all: Ranked::NONE }; CASES];
        }
    }

    /// Whether it tells what is pending before `best`, which is none of the pending rules.
    #[inline(always)]
    fn tells(self, best: Ranked) -> bool {
        // PERF: one comparison is one branch; two would be two, and nobody can foresee which of them holds;
        // decide/hosts-10k-addresses-10k/unnamed.
        let after_first = best.bits().wrapping_sub(self.first.bits()).wrapping_sub(1);
        after_first >= self.all.bits().wrapping_sub(self.first.bits())
    }
}

/// What is pending for a flow to each remote port, by runs of ports.
#[derive(Debug, Default)]
struct PortRuns {
    /// The last port of each run, ascending, and the last one again until the place is full.
    // PERF: one of all ports also for a case that no rule has, since which case a flow has nobody can foresee;
    // decide/hosts-10k-addresses-10k/unnamed-ports.
    lasts: Vec<[u16; LASTS]>,
    /// What is pending in each run.
    firsts: Vec<FirstPending>,
}

/// How many ports are compared at once.
const LASTS: usize = 32;

impl PortRuns {
    #[inline(always)]
    fn get(&self, lanes: impl Lanes, port: u16) -> FirstPending {
        let block = match self.lasts.len() {
            0 | 1 => 0,
            _ => self.lasts.partition_point(|lasts| lasts[LASTS - 1] < port),
        };
        let Some(lasts) = self.lasts.get(block) else { return FirstPending::default() };
        let run = block * LASTS + lanes.first_at_least_u16(lasts, port);
        self.firsts.get(run).copied().unwrap_or_default()
    }

    /// Returns the first rule of all runs.
    fn first(&self) -> Ranked {
        self.firsts.iter().map(|run| run.first).min().unwrap_or(Ranked::NONE)
    }

    /// Returns the rule after which for each port rules of two actions are pending, or a rule, if all have one action.
    fn all(&self, is_one_action: bool) -> Ranked {
        let of_run = |run: &FirstPending| if is_one_action { run.first } else { run.of_another };
        self.firsts.iter().map(of_run).max().unwrap_or(Ranked::NONE)
    }

    fn size_bytes(&self) -> usize {
        memory::of_vec(&self.lasts) + memory::of_vec(&self.firsts)
    }

    /// Sweeps over the ports, keeping the set of rules whose ports have begun and not ended.
    fn new(rules: &[&Entry]) -> PortRuns {
        let mut events: BTreeMap<u32, Vec<(bool, Ranked)>> = BTreeMap::new();
        for Entry { remote_ports, ranked, .. } in rules {
            let first = u32::from(remote_ports.first());
            let after = u32::from(remote_ports.last()) + 1;
            events.entry(first).or_default().push((true, *ranked));
            events.entry(after).or_default().push((false, *ranked));
        }
        let mut open: HashMap<Action, BTreeSet<Ranked>> = HashMap::new();
        let (mut lasts, mut firsts) = (Vec::new(), vec![FirstPending::default()]);
        for (port, events) in events {
            for (begins, ranked) in events {
                let of_action = open.entry(ranked.action()).or_default();
                if begins {
                    of_action.insert(ranked)
                } else {
                    of_action.remove(&ranked)
                };
            }
            let mut run = FirstPending::default();
            for first in open.values().filter_map(BTreeSet::first) {
                run.add(*first);
            }
            let Some(last) = port.checked_sub(1) else {
                firsts = vec![run];
                continue;
            };
            // After the last port of all, none is left for a run.
            if last < u32::from(u16::MAX) && firsts.last() != Some(&run) {
                lasts.push(last as u16);
                firsts.push(run);
            }
        }
        lasts.push(u16::MAX);
        firsts.shrink_to_fit();
        let lasts = lasts.chunks(LASTS).map(|lasts| {
            let mut block = [u16::MAX; LASTS];
            block.iter_mut().zip(lasts).for_each(|(place, last)| *place = *last);
            block
        });
        PortRuns { lasts: lasts.collect(), firsts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Ports;
    use crate::flow::IpProtocol;

    fn entry(rank: u32, action: Action, ports: Ports, protocol: Protocol) -> Entry {
        Entry {
            ranked: Ranked::new(rank, action),
            remote_ports: ports,
            protocol,
            direction: Direction::Any,
            may_be_loopback: true,
            whole: None,
        }
    }

    #[test]
    fn what_the_rank_tells_is_what_is_pending() {
        use Action::{Allow, Drop, FilterData};
        let (https, icmp) = (Ports::one(443), Protocol::Number(1));
        let any = Ports::ANY;
        let several = [
            entry(4, Drop, https, Protocol::Any),
            entry(8, Allow, any, Protocol::Any),
            entry(12, Drop, any, Protocol::Any),
            entry(16, Drop, any, icmp),
        ];
        let one = [entry(4, Drop, https, Protocol::Any), entry(8, Drop, any, Protocol::Any)];
        let some_ports =
            [entry(4, Drop, https, Protocol::Any), entry(8, Allow, https, Protocol::Tcp)];
        let tcp = [entry(4, Allow, any, Protocol::Tcp), entry(8, FilterData, any, Protocol::Tcp)];
        // The ranks that it does not tell of, for TCP, UDP and ICMP: after `first` up to `all`.
        let never = 0..0;
        for (rules, others, untold) in [
            (&several[..], None, [4..12, 4..12, 16..99]),
            (&several[..3], Some(2), [2..12, 2..12, 2..99]),
            (&one, None, [4..8, 4..8, never.clone()]),
            (&one, Some(6), [4..99, 4..99, 4..99]),
            (&some_ports, None, [4..99, 4..99, 4..99]),
            (&tcp, None, [4..8, never.clone(), never.clone()]),
            (&[], Some(6), [6..99, 6..99, 6..99]),
            (&[], None, [never.clone(), never.clone(), never]),
        ] {
            let other = others.map_or(Ranked::NONE, |rank| Ranked::new(rank, Allow));
            let unnamed = Unnamed::new(&rules.iter().collect::<Vec<_>>(), other);
            for ((protocol, untold), port) in [6, 17, 1]
                .into_iter()
                .zip(untold)
                .flat_map(|case| [(case.clone(), 443), (case, 80)])
            {
                let remote = format!("192.0.2.1:{port}").parse().unwrap();
                let flow = Flow::new(IpProtocol(protocol), Direction::Outbound);
                let flow = flow.with_remote(remote).unwrap();
                let mut pending = unnamed.get(Scalar, &flow);
                pending.add(other);
                let ranks = (1..20).step_by(2).map(Some).chain([None]);
                for (rank, action) in
                    ranks.flat_map(|rank| Action::ALL.map(|action| (rank, action)))
                {
                    let (best, decision) = match rank {
                        Some(rank) => (Ranked::new(rank, action), Decision::of_rule(rank, action)),
                        None => (Ranked::NONE, Decision::of_no_rule(action, false)),
                    };
                    let context = format!("{rules:?} {others:?} {flow:?} {rank:?}");
                    let (is_told, is_pending) = unnamed.by_rank(&flow, best);
                    assert_eq!(is_told, !untold.contains(&rank.unwrap_or(98)), "{context}");
                    if is_told {
                        let (is_before, overruled) = pending.before(best, decision);
                        let expected = decision.with_pending(is_before, !overruled);
                        assert_eq!(unnamed.add_all(decision, is_pending), expected, "{context}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_port_gets_the_first_rule_of_each_action_that_holds_it() {
        let overlapping = [(443, 443), (440, 450), (65535, 65535), (1, 7), (0, 65535)];
        let apart: Vec<(u16, u16)> = (0..20).map(|n| (65535 - 3 * n, 65535 - 3 * n)).collect();
        for ports in [&overlapping, apart.as_slice(), &[(9, 65535)], &[]] {
            let entry = |(rank, (first, last)): (u32, &(u16, u16))| {
                let ports = Ports::range(*first, *last).unwrap_or(Ports::ANY);
                entry(rank, Action::ALL[rank as usize % 2], ports, Protocol::Tcp)
            };
            let entries: Vec<Entry> = (0..).zip(ports).map(entry).collect();
            let runs = PortRuns::new(&entries.iter().collect::<Vec<_>>());
            for port in 0..=u16::MAX {
                let mut expected = FirstPending::default();
                for entry in entries.iter().filter(|entry| entry.remote_ports.contains(port)) {
                    expected.add(entry.ranked);
                }
                assert_eq!(runs.get(Scalar, port), expected, "{ports:?} {port}");
            }
        }
    }
}
