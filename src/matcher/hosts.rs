//! From a host name to the lists of the host rules that it matches, and, for a flow without a
//! name, whether one could still match.

use crate::flow::{Direction, IpProtocol};
use crate::hostname::HostName;
use crate::matcher::leaf::Ranked;
use crate::matcher::lists::{Entry, FirstPending, List, Lists, Outcome, Query};
use crate::matcher::memory;
use crate::network::Answer;
use crate::rule::{Action, Protocol};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All host rules.
#[derive(Debug, Default)]
pub(super) struct HostIndex {
    /// Single-label names, which match only themselves (S-41), trimmed and in lower case.
    hosts: HashMap<Box<[u8]>, List>,
    /// Names of two or more labels, which match all below them too (S-40), likewise.
    domains: HashMap<Box<[u8]>, List>,
    /// The length of the longest domain, in bytes.
    longest_domain: usize,
    /// What is pending for a flow without a name: by protocol number and direction, then port.
    unnamed: HashMap<(u8, Direction), PortMap>,
    /// The rules that also have a local side, which `unnamed` leaves out. Only a host name in the
    /// six-argument initialiser makes one (S-46).
    with_local: List,
}

impl HostIndex {
    /// Makes the index; the rules are in ascending rank.
    pub(super) fn new(rules: Vec<(HostName, Entry)>, lists: &mut Lists) -> HostIndex {
        let (with_local, plain): (Vec<_>, Vec<_>) =
            rules.iter().map(|(_, entry)| entry).partition(|entry| entry.detail.is_some());
        let mut index = HostIndex {
            unnamed: unnamed(&plain),
            with_local: lists.add(with_local.into_iter().cloned().collect()),
            ..HostIndex::default()
        };
        let mut by_name: BTreeMap<(bool, Box<[u8]>), Vec<Entry>> = BTreeMap::new();
        for (name, entry) in rules {
            let key = name.trimmed().to_ascii_lowercase().into_bytes().into();
            by_name.entry((name.is_single_label(), key)).or_default().push(entry);
        }
        for ((is_single_label, name), entries) in by_name {
            let list = lists.add(entries);
            if is_single_label {
                index.hosts.insert(name, list);
            } else {
                index.longest_domain = index.longest_domain.max(name.len());
                index.domains.insert(name, list);
            }
        }
        index
    }

    /// Returns the memory held, in bytes on the heap, less what is in [`Lists`].
    pub(super) fn size_bytes(&self) -> usize {
        let by_name = self.hosts.iter().chain(&self.domains);
        let by_name = by_name.map(|(name, list)| name.len() + list.size_bytes());
        memory::of_map(&self.hosts)
            + memory::of_map(&self.domains)
            + by_name.sum::<usize>()
            + memory::of_map(&self.unnamed)
            + self.unnamed.values().map(PortMap::size_bytes).sum::<usize>()
            + self.with_local.size_bytes()
    }

    /// Goes through the lists of the rules whose name the flow's matches or, if it has none, adds
    /// what is pending.
    pub(super) fn visit(&self, query: &Query<'_>, outcome: &mut Outcome) {
        match query.flow.trimmed_hostname() {
            Some(name) => self.visit_named(name.as_bytes(), query, outcome),
            None => self.visit_unnamed(query, outcome),
        }
    }

    fn visit_named(&self, name: &[u8], query: &Query<'_>, outcome: &mut Outcome) {
        // What precedes the longest name that a rule could have does not count, save for whether
        // a dot ends it.
        const ROOM: usize = HostName::MAX_LEN + 1;
        let tail = name.get(name.len().saturating_sub(ROOM)..).unwrap_or(name);
        let mut buffer = [0; ROOM];
        let Some(lower) = buffer.get_mut(..tail.len()) else { return };
        lower.copy_from_slice(tail);
        lower.make_ascii_lowercase();

        if name.len() == tail.len() {
            if let Some(list) = self.hosts.get(&*lower) {
                query.scan(list, outcome);
            }
            self.visit_domain(lower, query, outcome);
        }
        let dots = lower.iter().enumerate().filter(|(_, byte)| **byte == b'.');
        for below in dots.filter_map(|(dot, _)| lower.get(dot + 1..)) {
            self.visit_domain(below, query, outcome);
        }
    }

    fn visit_domain(&self, name: &[u8], query: &Query<'_>, outcome: &mut Outcome) {
        if name.len() <= self.longest_domain
            && let Some(list) = self.domains.get(name)
        {
            query.scan(list, outcome);
        }
    }

    fn visit_unnamed(&self, query: &Query<'_>, outcome: &mut Outcome) {
        let key = (query.flow.protocol().0, query.flow.direction());
        if let Some(ports) = self.unnamed.get(&key) {
            outcome.pending.merge(ports.get(query.remote_port));
        }
        query.scan_where(&self.with_local, outcome, |_, answer| answer.and(Answer::NotYet));
    }
}

/// What is pending for a flow without a name to each remote port, by runs of ports.
#[derive(Debug)]
struct PortMap {
    /// The first port of each run, ascending from 0.
    starts: Vec<u16>,
    /// What is pending in each run.
    runs: Vec<FirstPending>,
}

impl PortMap {
    fn get(&self, port: u16) -> FirstPending {
        let run = self.starts.partition_point(|start| *start <= port).wrapping_sub(1);
        self.runs.get(run).copied().unwrap_or_default()
    }

    fn size_bytes(&self) -> usize {
        memory::of_vec(&self.starts) + memory::of_vec(&self.runs)
    }

    /// Sweeps over the ports, keeping the set of rules whose ports have begun and not ended.
    fn new(rules: &[&Entry]) -> PortMap {
        let mut events: BTreeMap<u32, Vec<(bool, Ranked)>> = BTreeMap::new();
        events.entry(0).or_default();
        for Entry { remote_ports, ranked, .. } in rules {
            let first = u32::from(remote_ports.first());
            let after = u32::from(remote_ports.last()) + 1;
            events.entry(first).or_default().push((true, *ranked));
            events.entry(after).or_default().push((false, *ranked));
        }
        let mut open: HashMap<Action, BTreeSet<Ranked>> = HashMap::new();
        let mut map = PortMap { starts: Vec::new(), runs: Vec::new() };
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
            if let Ok(start) = u16::try_from(port)
                && map.runs.last() != Some(&run)
            {
                map.starts.push(start);
                map.runs.push(run);
            }
        }
        map
    }
}

fn unnamed(rules: &[&Entry]) -> HashMap<(u8, Direction), PortMap> {
    let mut by_key: HashMap<(u8, Direction), Vec<&Entry>> = HashMap::new();
    for entry in rules {
        let protocols = match entry.protocol {
            Protocol::Any => [Some(IpProtocol::TCP), Some(IpProtocol::UDP)],
            Protocol::Tcp => [Some(IpProtocol::TCP), None],
            Protocol::Udp => [Some(IpProtocol::UDP), None],
            Protocol::Number(number) => [Some(IpProtocol(number)), None],
        };
        let directions = [Direction::Any, Direction::Inbound, Direction::Outbound];
        for direction in directions.into_iter().filter(|flow| entry.direction.matches(*flow)) {
            for protocol in protocols.into_iter().flatten() {
                by_key.entry((protocol.0, direction)).or_default().push(entry);
            }
        }
    }
    by_key.into_iter().map(|(key, rules)| (key, PortMap::new(&rules))).collect()
}
