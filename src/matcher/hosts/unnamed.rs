//! [`Unnamed`]: what is pending for a flow without a name.

use crate::flow::Direction;
use crate::matcher::leaf::{COMMON_CASES, Ranked, cases};
use crate::matcher::lists::{Entry, FirstPending, Query};
use crate::matcher::memory;
use crate::rule::{Action, Protocol};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Which rules are pending for a flow without a name, by its protocol, direction and remote port.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    /// For each case of TCP or UDP.
    common: [PortRuns; COMMON_CASES],
    /// For each other protocol and direction that a rule has, in ascending order.
    others: Vec<((u8, u8), PortRuns)>,
}

impl Unnamed {
    /// Makes the table; only the ports, protocols, directions and ranks of the rules count.
    pub(super) fn new(rules: &[&Entry]) -> Unnamed {
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
        Unnamed { common: common.map(|rules| PortRuns::new(&rules)), others }
    }

    /// Returns what is pending for the flow.
    #[inline(always)]
    pub(super) fn get(&self, query: &Query<'_>) -> FirstPending {
        match self.common.get(query.case.index()) {
            Some(runs) => runs.get(query.remote_port),
            None => self.get_other(query),
        }
    }

    #[inline(never)]
    fn get_other(&self, query: &Query<'_>) -> FirstPending {
        let key = (query.flow.protocol().0, query.flow.direction() as u8);
        let index = self.others.binary_search_by_key(&key, |(key, _)| *key);
        let runs = index.ok().and_then(|index| self.others.get(index));
        runs.map(|(_, runs)| runs.get(query.remote_port)).unwrap_or_default()
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        let runs = self.common.iter().chain(self.others.iter().map(|(_, runs)| runs));
        runs.map(|runs| memory::of_vec(&runs.later)).sum::<usize>() + memory::of_vec(&self.others)
    }
}

/// What is pending for a flow to each remote port, by runs of ports.
#[derive(Debug, Default)]
struct PortRuns {
    /// What is pending in the run that begins at port 0.
    first: FirstPending,
    /// The first port of each other run, ascending, and what is pending in it.
    later: Vec<(u16, FirstPending)>,
}

impl PortRuns {
    #[inline(always)]
    fn get(&self, port: u16) -> FirstPending {
        let later = self.later.partition_point(|(start, _)| *start <= port);
        let run = later.checked_sub(1).and_then(|run| self.later.get(run));
        run.map_or(self.first, |(_, pending)| *pending)
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
        let mut runs = PortRuns::default();
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
            match u16::try_from(port) {
                Ok(0) => runs.first = run,
                Ok(start) if runs.later.last().map_or(runs.first, |(_, last)| *last) != run => {
                    runs.later.push((start, run));
                }
                Ok(_) | Err(_) => {}
            }
        }
        runs.later.shrink_to_fit();
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Ports;

    #[test]
    fn every_port_gets_the_first_rule_of_each_action_that_holds_it() {
        let overlapping = [(443, 443), (440, 450), (65535, 65535), (1, 7), (0, 65535)];
        let apart: Vec<(u16, u16)> = (0..20).map(|n| (65535 - 3 * n, 65535 - 3 * n)).collect();
        for ports in [&overlapping, apart.as_slice(), &[(9, 65535)], &[]] {
            let entry = |(rank, (first, last)): (u32, &(u16, u16))| Entry {
                ranked: Ranked::new(rank, Action::ALL[rank as usize % 2]),
                remote_ports: Ports::range(*first, *last).unwrap_or(Ports::ANY),
                protocol: Protocol::Tcp,
                direction: Direction::Any,
                may_be_loopback: true,
                whole: None,
            };
            let entries: Vec<Entry> = (0..).zip(ports).map(entry).collect();
            let runs = PortRuns::new(&entries.iter().collect::<Vec<_>>());
            for port in 0..=u16::MAX {
                let mut expected = FirstPending::default();
                for entry in entries.iter().filter(|entry| entry.remote_ports.contains(port)) {
                    expected.add(entry.ranked);
                }
                assert_eq!(runs.get(port), expected, "{ports:?} {port}");
            }
        }
    }
}
