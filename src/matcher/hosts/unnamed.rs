//! [`Unnamed`]: what is pending for a flow without a name.

use crate::flow::{Direction, Flow};
use crate::matcher::lanes::{Lanes, Scalar};
use crate::matcher::leaf::{COMMON_CASES, Case, Ranked, cases};
use crate::matcher::lists::{Entry, FirstPending};
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
        if rules.is_empty() {
            return Unnamed::default();
        }
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

/// What is pending for a flow to each remote port, by runs of ports.
#[derive(Debug, Default)]
struct PortRuns {
    /// The last port of each run, ascending, and the last one again until the place is full.
    // PERF: one of all ports also for a case that no rule has, since which case a flow has nobody can foresee;
    // decide/hosts-10k-addresses-10k/unnamed.
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
                assert_eq!(runs.get(Scalar, port), expected, "{ports:?} {port}");
            }
        }
    }
}
