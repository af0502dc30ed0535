//! [`Unnamed`]: what is pending for a flow without a name.

use crate::decision::Decision;
use crate::flow::Flow;
use crate::matcher::lanes::{Lanes, Scalar};
use crate::matcher::leaf::{CASES, COMMON_CASES, Case, Ranked, cases};
use crate::matcher::lists::{Entry, FirstPending};
use crate::matcher::memory;
use crate::rule::Protocol;
use std::array;
use std::collections::{BTreeMap, BTreeSet};
use std::hint::select_unpredictable;

/// Which rules are pending for a flow without a name, by its protocol, direction and remote port.
#[derive(Debug)]
pub(super) struct Unnamed {
    /// What the rank of the deciding rule tells.
    by_rank: ByRank,
    /// The number of the action of all the rules; [`NO_ACTION`] if they have several.
    action: u32,
    /// For the cases of TCP and UDP.
    common: PortRuns,
    /// For each other protocol that a rule has, in ascending order.
    others: Vec<(u8, PortRuns)>,
}

/// The number of no action: that of remediate, which no rule has.
const NO_ACTION: u32 = 2;

impl Unnamed {
    /// Makes the table of `rules`, of which only the ports, protocols, directions and ranks count, given the first of the
    /// host rules that are not among them.
    pub(super) fn new(rules: &[&Entry], first_of_others: Ranked) -> Unnamed {
        let common = PortRuns::new(rules, |rule| cases(rule.protocol, rule.direction));
        let mut others: BTreeMap<u8, Vec<&Entry>> = BTreeMap::new();
        for rule in rules {
            if let Protocol::Number(number) = rule.protocol {
                others.entry(number).or_default().push(rule);
            }
        }
        let directions = |rule: &Entry| cases(Protocol::Tcp, rule.direction);
        let others =
            others.into_iter().map(|(number, rules)| (number, PortRuns::new(&rules, directions)));
        let mut others: Vec<(u8, PortRuns)> = others.collect();
        others.shrink_to_fit();
        let mut actions = rules.iter().map(|rule| rule.ranked.action_number());
        // Of the other rules the action does not count here, and any may be another one.
        let action = actions.next().filter(|_| first_of_others == Ranked::NONE);
        let action = action.filter(|action| actions.all(|other| other == *action));
        let first =
            |(_, runs): &(u8, PortRuns)| (0..3).map(|direction| runs.first(direction)).min();
        let first = others.iter().filter_map(first).min().unwrap_or(Ranked::NONE);
        let mut told = [(first, Ranked::NONE); CASES];
        for (case, told) in told.iter_mut().enumerate().take(COMMON_CASES) {
            *told = (common.first(case), common.all(case, action.is_some()));
        }
        told.iter_mut().for_each(|(first, _)| *first = first_of_others.min(*first));
        let by_rank = ByRank::new(told);
        Unnamed { by_rank, action: action.unwrap_or(NO_ACTION), common, others }
    }

    /// Returns whether the rank of the deciding rule tells what is pending for the flow, and whether [all](Self::add_all) is
    /// then; else nothing is.
    #[inline(always)]
    pub(super) fn by_rank(&self, flow: &Flow<'_>, best: Ranked) -> (bool, bool) {
        self.by_rank.get(Case::of(flow), best)
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
    pub(super) fn get(&self, lanes: impl Lanes, flow: &Flow<'_>) -> &FirstPending {
        let (case, port) = (Case::of(flow), flow.ends().0.port());
        match case.is_uncommon() {
            true => self.get_other(flow),
            false => self.common.get(lanes, port, case.index()),
        }
    }

    #[inline(never)]
    fn get_other(&self, flow: &Flow<'_>) -> &FirstPending {
        let index = self.others.binary_search_by_key(&flow.protocol().0, |(number, _)| *number);
        let Some((_, runs)) = index.ok().and_then(|index| self.others.get(index)) else {
            return &FirstPending::NONE;
        };
        runs.get(Scalar, flow.ends().0.port(), flow.direction() as usize)
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        let others = self.others.iter().map(|(_, runs)| runs.size_bytes()).sum::<usize>();
        self.common.size_bytes() + others + memory::of_vec(&self.others)
    }
}

/// What the rank of the deciding rule tells of what is pending, whatever the remote port.
///
/// Of each case, `first` is the first rule that is pending for some port: before it nothing is. `all` is the rule after
/// which for each port rules of two actions are pending, or, where all rules have one action, a rule; none if there is a port
/// for which that is never so. In between it does not tell.
#[derive(Debug)]
struct ByRank {
    /// The bits of `first`, plus 1.
    after_first: [u32; CASES],
    /// The bits of `all`, less those of `first`.
    untold: [u32; CASES],
    all: [Ranked; CASES],
}

impl ByRank {
    /// Makes it of `first` and `all` of each case.
    fn new(mut cases: [(Ranked, Ranked); CASES]) -> ByRank {
        // PERF: where one of TCP or UDP does not tell, none does, else whether one tells would depend on the protocol and
        // the direction, which nobody can foresee; decide/hosts-10k-addresses-10k/unnamed-ports.
        let mut common = cases.iter().take(COMMON_CASES);
        if common.any(|(first, all)| (*first != Ranked::NONE) & (*all == Ranked::NONE)) {
            let first = cases.iter().map(|(first, _)| *first).min().unwrap_or(Ranked::NONE);
            cases = [(first, Ranked::NONE); CASES];
        }
        ByRank {
            after_first: cases.map(|(first, _)| first.bits().wrapping_add(1)),
            untold: cases.map(|(first, all)| all.bits().wrapping_sub(first.bits())),
            all: cases.map(|(_, all)| all),
        }
    }

    /// Returns whether it tells what is pending before `best`, which is none of the pending rules, and whether all is.
    #[inline(always)]
    fn get(&self, case: Case, best: Ranked) -> (bool, bool) {
        let case = case.index();
        let (Some(after_first), Some(untold), Some(all)) =
            (self.after_first.get(case), self.untold.get(case), self.all.get(case))
        else {
            return (false, false);
        };
        // PERF: one comparison is one branch; two would be two, and nobody can foresee which of them holds;
        // decide/hosts-10k-addresses-10k/unnamed.
        (best.bits().wrapping_sub(*after_first) >= *untold, best > *all)
    }
}

/// What is pending for a flow to each remote port, by runs of ports.
#[derive(Debug, Default)]
struct PortRuns {
    /// The runs, ascending.
    blocks: Vec<Block>,
}

/// Runs of ports; what is pending in the last one is repeated until the place is full.
#[derive(Debug)]
struct Block {
    /// The last port of each.
    lasts: [u16; RUNS],
    /// What is pending in each.
    // PERF: for all cases, since which case a flow has nobody can foresee; decide/hosts-10k-addresses-10k/unnamed-ports.
    rows: [Row; RUNS],
}

/// What is pending in each case of TCP and UDP, or, of another protocol, in the first three, which are the directions.
type Row = [FirstPending; COMMON_CASES];

/// How many ports are compared at once.
const RUNS: usize = 32;

impl PortRuns {
    #[inline(always)]
    fn get(&self, lanes: impl Lanes, port: u16, case: usize) -> &FirstPending {
        let [block] = self.blocks.as_slice() else { return self.get_of_many(port, case) };
        let run = lanes.first_at_least_u16(&block.lasts, port);
        block.rows.get(run % RUNS).and_then(|row| row.get(case)).unwrap_or(&FirstPending::NONE)
    }

    // PERF: out of line, as mostly there is one block; decide/hosts-10k-addresses-10k/unnamed-ports.
    #[inline(never)]
    fn get_of_many(&self, port: u16, case: usize) -> &FirstPending {
        let before = self.blocks.partition_point(|block| block.lasts[RUNS - 1] < port);
        let Some(block) = self.blocks.get(before) else { return &FirstPending::NONE };
        let run = block.lasts.partition_point(|last| *last < port);
        block.rows.get(run).and_then(|row| row.get(case)).unwrap_or(&FirstPending::NONE)
    }

    /// Returns what is pending in each run in this case.
    fn of_case(&self, case: usize) -> impl Iterator<Item = &FirstPending> {
        self.blocks.iter().flat_map(|block| &block.rows).filter_map(move |row| row.get(case))
    }

    /// Returns the first rule of all runs in this case.
    fn first(&self, case: usize) -> Ranked {
        self.of_case(case).map(FirstPending::first).min().unwrap_or(Ranked::NONE)
    }

    /// Returns the rule after which for each port rules of two actions are pending, or a rule, if all have one action.
    fn all(&self, case: usize, is_one_action: bool) -> Ranked {
        let of_run =
            |run: &FirstPending| if is_one_action { run.first() } else { run.of_another() };
        self.of_case(case).map(of_run).max().unwrap_or(Ranked::NONE)
    }

    fn size_bytes(&self) -> usize {
        memory::of_vec(&self.blocks)
    }

    /// Sweeps over the ports, keeping for each case and action the set of rules whose ports have begun and not ended, given
    /// the cases of a rule, a bit each.
    fn new(rules: &[&Entry], cases: impl Fn(&Entry) -> u16) -> PortRuns {
        if rules.is_empty() {
            return PortRuns::default();
        }
        let mut events: BTreeMap<u32, Vec<(bool, &Entry)>> = BTreeMap::new();
        for rule in rules {
            let first = u32::from(rule.remote_ports.first());
            let after = u32::from(rule.remote_ports.last()) + 1;
            events.entry(first).or_default().push((true, rule));
            events.entry(after).or_default().push((false, rule));
        }
        let mut open: [BTreeMap<u32, BTreeSet<Ranked>>; COMMON_CASES] = Default::default();
        let (mut lasts, mut rows) = (Vec::new(), vec![Row::default()]);
        for (port, events) in events {
            for (begins, rule) in events {
                let cases = cases(rule);
                let open = open.iter_mut().enumerate().filter(|(case, _)| cases >> case & 1 != 0);
                for (_, open) in open {
                    let of_action = open.entry(rule.ranked.action_number()).or_default();
                    match begins {
                        true => of_action.insert(rule.ranked),
                        false => of_action.remove(&rule.ranked),
                    };
                }
            }
            let row = open.each_ref().map(|open| {
                let mut pending = FirstPending::default();
                open.values().filter_map(BTreeSet::first).for_each(|first| pending.add(*first));
                pending
            });
            let Some(last) = port.checked_sub(1) else {
                rows = vec![row];
                continue;
            };
            // After the last port of all, none is left for a run.
            if last < u32::from(u16::MAX) && rows.last() != Some(&row) {
                lasts.push(last as u16);
                rows.push(row);
            }
        }
        lasts.push(u16::MAX);
        let blocks = lasts.chunks(RUNS).zip(rows.chunks(RUNS)).map(|(lasts, rows)| Block {
            lasts: array::from_fn(|run| *lasts.get(run).unwrap_or(&u16::MAX)),
            rows: array::from_fn(|run| *rows.get(run).or(rows.last()).unwrap_or(&Row::default())),
        });
        PortRuns { blocks: blocks.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Ports;
    use crate::flow::{Direction, IpProtocol};
    use crate::rule::Action;

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
                let mut pending = *unnamed.get(Scalar, &flow);
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
    fn it_holds_the_memory_of_the_blocks_that_its_runs_fill() {
        let blocks = |count: u16| {
            let port = |n: u16| {
                entry(4 * u32::from(n), Action::Drop, Ports::one(2 * n + 1), Protocol::Tcp)
            };
            let rules: Vec<Entry> = (0..count).map(port).collect();
            let unnamed = Unnamed::new(&rules.iter().collect::<Vec<_>>(), Ranked::NONE);
            unnamed.size_bytes() / size_of::<Block>()
        };
        // A run for each port, one before it, and one after all.
        assert_eq!([0, 1, 15, 16, 31, 32].map(blocks), [0, 1, 1, 2, 2, 3]);
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
            let runs = PortRuns::new(&entries.iter().collect::<Vec<_>>(), |_| 0b10);
            for port in 0..=u16::MAX {
                let mut expected = FirstPending::default();
                for entry in entries.iter().filter(|entry| entry.remote_ports.contains(port)) {
                    expected.add(entry.ranked);
                }
                assert_eq!(*runs.get(Scalar, port, 1), expected, "{ports:?} {port}");
                assert_eq!(*runs.get(Scalar, port, 0), FirstPending::NONE);
            }
        }
    }
}
