//! [`PortTable`]: the best of the rules that depend on a port, protocol and direction alone.

use crate::matcher::columns::{Bits, Column, lanes_of, lower};
use crate::matcher::intervals::{Bitmap, Ends, GROUP, Node};
use crate::matcher::lanes::Lanes;
use crate::matcher::leaf::{COMMON_CASES, Case, Leaf, Ranked};
use crate::matcher::memory;
use std::collections::BTreeSet;

/// From a port and a case of TCP or UDP to the first rule that matches.
#[derive(Debug)]
pub(super) struct PortTable {
    /// The runs of ports between which no rule tells.
    ends: Ends<u16>,
    node: Node,
    /// In place of these, where the runs are many.
    bitmap: Option<Bitmap>,
    /// For the place of each run, the first rule in each case.
    runs: Vec<[Ranked; COMMON_CASES]>,
    /// Beside a bitmap, the ports that have rules, if they are few.
    ports: Option<PortSet>,
}

/// The number of runs from which a bitmap finds them, where every flow asks for one: that of one port.
// PERF: in a batch a group of ports takes one step, in place of a comparison each or, from 33 runs on, two;
// decide-batch/ipv4-1k and ipv4-10k.
const BITMAP_FROM: usize = 3;

/// What a run has that no rule holds.
pub(super) const NO_RULES: [Ranked; COMMON_CASES] = [Ranked::NONE; COMMON_CASES];

impl PortTable {
    /// Makes a table; only the ports, cases and ranks of the leaves count.
    pub(super) fn new(leaves: &[Leaf]) -> PortTable {
        PortTable::with_bitmap_from(leaves, usize::MAX)
    }

    /// Makes a table that is asked for every flow, and so may take 24 KiB more.
    pub(super) fn for_every_flow(leaves: &[Leaf]) -> PortTable {
        PortTable::with_bitmap_from(leaves, BITMAP_FROM)
    }

    /// Makes a table in which a bitmap finds so many runs, or more, and those that a tree would lead to.
    fn with_bitmap_from(leaves: &[Leaf], many: usize) -> PortTable {
        let (starts, runs) = sweep(leaves);
        let mut ends = Ends::new();
        let last_ports = starts.iter().skip(1).map(|start| (start - 1) as u16);
        let last_ports: Vec<u16> = last_ports.chain([u16::MAX]).collect();
        let mut node = ends.add(&last_ports, false);
        let has_bitmap = node.is_tree() || last_ports.len() >= many;
        let bitmap = has_bitmap.then(|| Bitmap::new(last_ports.into_iter(), 0));
        let mut ports = None;
        if bitmap.is_some() {
            (ends, node) = (Ends::new(), Node::EMPTY);
            ports = PortSet::new(&starts, |run| runs.get(run) != Some(&NO_RULES));
        }
        ends.finish();
        let directory = std::iter::repeat_n(NO_RULES, Ends::<u16>::directory(node));
        let mut runs: Vec<_> = directory.chain(runs).collect();
        runs.shrink_to_fit();
        PortTable { ends, node, bitmap, runs, ports }
    }

    /// Returns the first rule that matches a port in a case; none for a case of another protocol.
    #[inline(always)]
    pub(super) fn get(&self, lanes: impl Lanes, port: u16, case: Case) -> Ranked {
        let place = match &self.bitmap {
            Some(bitmap) => bitmap.run(port),
            None => self.ends.place(lanes, self.node, port),
        };
        let run = self.runs.get(place);
        let ranked = run.and_then(|run| run.get(case.index()));
        ranked.copied().unwrap_or(Ranked::NONE)
    }

    /// Puts the first rule that matches each of a group of ports and cases of TCP or UDP in place of
    /// those that it goes before.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    pub(super) fn lower(
        &self,
        lanes: impl Lanes,
        ports: &Column,
        cases: &Column,
        best: &mut [Ranked; GROUP],
    ) {
        if let (Some(of_rules), Some(bitmap)) = (&self.ports, &self.bitmap) {
            let bits = lanes.nonzero(&of_rules.gather(lanes, ports));
            if PortSet::are_few(bits) {
                for lane in lanes_of(bits) {
                    let run = self.runs.get(bitmap.run(ports[lane] as u16));
                    let first = run.and_then(|run| run.get(cases[lane] as usize));
                    best[lane] = best[lane].min(first.copied().unwrap_or(Ranked::NONE));
                }
                return;
            }
        }
        let mut places = [0; GROUP];
        match &self.bitmap {
            Some(bitmap) => places = bitmap.gather(lanes, ports),
            None => {
                for (place, port) in places.iter_mut().zip(ports) {
                    *place = self.ends.place(lanes, self.node, *port as u16) as u32;
                }
            }
        }
        for (place, case) in places.iter_mut().zip(cases) {
            *place = *place * COMMON_CASES as u32 + case;
        }
        let [found] = lanes.gather(self.runs.as_flattened(), &places);
        lower(best, &found);
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        let bitmap = self.bitmap.as_ref().map_or(0, Bitmap::size_bytes);
        let ports = self.ports.as_ref().map_or(0, PortSet::size_bytes);
        self.ends.size_bytes() + bitmap + memory::of_vec(&self.runs) + ports
    }
}

/// The ports that rules of any host name, a bit for each; empty if none is.
///
/// Few flows have one, so that most flows of a batch are seen to have no such rule without looking for it.
// PERF: decide-batch/ipv4-10k, ipv6-10k. To ask a group for its ports takes a third of what looking for their rules does.
#[derive(Debug)]
pub(super) struct PortSet {
    words: Vec<u32>,
}

impl PortSet {
    /// The most ports that are worth asking for first.
    const MAX: usize = 1 << 13;
    /// That of HTTPS, to which most flows go.
    const MOST_USED: u32 = 443;

    /// Takes where runs of ports begin, and whether they are in the set; `None` if so many are, or [one](PortSet::MOST_USED)
    /// is, that most flows may have one.
    // PERF: where seven flows in ten have one, asking first takes a tenth more, in calls and in batches.
    pub(super) fn new(starts: &[u32], is_in: impl Fn(usize) -> bool) -> Option<PortSet> {
        let ends = starts.iter().skip(1).copied().chain([1 << 16]);
        let runs = starts.iter().copied().zip(ends).zip(0..).filter(|(_, run)| is_in(*run));
        let runs: Vec<_> = runs.map(|((start, end), _)| start..end).collect();
        let count: usize = runs.iter().map(ExactSizeIterator::len).sum();
        if count > Self::MAX || runs.iter().any(|run| run.contains(&Self::MOST_USED)) {
            return None;
        }
        let mut words = if runs.is_empty() { Vec::new() } else { vec![0; 1 << 11] };
        for port in runs.into_iter().flatten() {
            *words.get_mut(port as usize >> 5)? |= 1 << (port & 31);
        }
        Some(PortSet { words })
    }

    #[inline(always)]
    pub(super) fn contains(&self, port: u16) -> bool {
        let word = self.words.get(usize::from(port >> 5)).copied().unwrap_or(0);
        word >> (port & 31) & 1 != 0
    }

    /// Returns another number than 0 for each port of a group that is in the set.
    #[inline(always)]
    pub(super) fn gather(&self, lanes: impl Lanes, ports: &Column) -> Column {
        let mut are_in = [0; GROUP];
        if self.words.is_empty() {
            return are_in;
        }
        let [words] = lanes.gather(&self.words, &ports.map(|port| port >> 5));
        for ((is_in, word), port) in are_in.iter_mut().zip(words).zip(ports) {
            *is_in = word >> (port & 31) & 1;
        }
        are_in
    }

    /// Whether of a group the rules of those ports that have a bit are looked for one by one.
    #[inline(always)]
    pub(super) fn are_few(bits: Bits) -> bool {
        bits.count_ones() as usize <= GROUP / 4
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.words)
    }
}

/// Returns the runs of ports between which no leaf tells: where each begins, and the first leaf in each case.
///
/// Sweeps over the ports, keeping the leaves whose ports have begun and not ended: O(n log n).
pub(super) fn sweep(leaves: &[Leaf]) -> (Vec<u32>, Vec<[Ranked; COMMON_CASES]>) {
    let mut events: Vec<(u32, bool, &Leaf)> = Vec::with_capacity(leaves.len() * 2);
    for leaf in leaves {
        let (first, last) = leaf.ports();
        events.push((first.into(), true, leaf));
        events.push((u32::from(last) + 1, false, leaf));
    }
    events.sort_by_key(|(port, ..)| *port);
    let mut open: [BTreeSet<Ranked>; COMMON_CASES] = Default::default();
    let mut starts = vec![0u32];
    let mut runs = vec![NO_RULES];
    for of_port in events.chunk_by(|(a, ..), (b, ..)| a == b) {
        let Some((port, ..)) = of_port.first() else { continue };
        for (_, begins, leaf) in of_port {
            for (case, open) in open.iter_mut().enumerate() {
                if leaf.cases >> case & 1 != 0 {
                    if *begins {
                        open.insert(leaf.ranked)
                    } else {
                        open.remove(&leaf.ranked)
                    };
                }
            }
        }
        let run = open.each_ref().map(|open| open.first().copied().unwrap_or(Ranked::NONE));
        if *port > u32::from(u16::MAX) || runs.last() == Some(&run) {
            continue;
        }
        if *port == 0 {
            runs.clear();
            starts.clear();
        }
        starts.push(*port);
        runs.push(run);
    }
    (starts, runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Ports;
    use crate::flow::{Direction, Flow, IpProtocol};
    use crate::matcher::Vectors;
    use crate::matcher::lanes::{Job, Machine, Scalar};
    use crate::rule::{Action, Protocol};

    /// Asserts that groups of ports get what each gets alone.
    struct InGroups<'a> {
        table: &'a PortTable,
        case: Case,
        /// How far the ports of a group are from each other.
        step: u16,
    }

    impl Job for InGroups<'_> {
        type Output = ();

        fn run(self, lanes: impl Lanes) {
            let InGroups { table, case, step } = self;
            let cases = [case.index() as u32; GROUP];
            for first in 0..1 << 16 {
                let ports: [u16; GROUP] =
                    std::array::from_fn(|lane| (first as u16).wrapping_add(lane as u16 * step));
                let mut best = [Ranked::NONE; GROUP];
                table.lower(lanes, &ports.map(u32::from), &cases, &mut best);
                assert_eq!(best, ports.map(|port| table.get(lanes, port, case)), "{ports:?}");
            }
        }
    }

    #[test]
    fn groups_of_ports_get_what_each_gets_alone() {
        let ranges = [(22, 22), (80, 81), (8000, 8040), (16384, 16400), (65534, 65535)];
        let leaves = |ranges: &[(u16, u16)]| -> Vec<Leaf> {
            let leaf = |(rank, (first, last)): (u32, &(u16, u16))| {
                let ports = Ports::range(*first, *last).unwrap();
                Leaf::new(Ranked::new(rank, Action::Drop), ports, Protocol::Tcp, Direction::Any)
            };
            (0..).zip(ranges).map(leaf).collect()
        };
        let case = Case::of(&Flow::new(IpProtocol::TCP, Direction::Inbound));
        // The ports of rules are few, as many as are asked for first, and one more; few without and with that of most
        // flows.
        for (first, last, are_few) in [
            (8000, 8040, true),
            (8000, 8000 + 8192 - 23, true),
            (8000, 8000 + 8192 - 22, false),
            (400, 442, true),
            (444, 480, true),
            (443, 443, false),
            (400, 443, false),
        ] {
            let mut ranges = ranges;
            ranges[2] = (first, last);
            let table = PortTable::for_every_flow(&leaves(&ranges));
            assert_eq!(table.ports.is_some(), are_few, "{first} to {last}");
            // Beside each other most of a group are in a range, or none; apart one or two are.
            for (limit, step) in
                Vectors::ALL.into_iter().flat_map(|limit| [(limit, 1), (limit, 2011)])
            {
                Machine::up_to(limit).run(InGroups { table: &table, case, step });
            }
        }
    }

    #[test]
    fn every_port_gets_the_first_rule_that_holds_it() {
        let rules = [
            (Ports::one(443), Protocol::Tcp, Direction::Outbound),
            (Ports::range(440, 450).unwrap(), Protocol::Any, Direction::Any),
            (Ports::one(65535), Protocol::Udp, Direction::Inbound),
            (Ports::range(1, 65535).unwrap(), Protocol::Udp, Direction::Any),
            (Ports::ANY, Protocol::Tcp, Direction::Any),
        ];
        let leaves: Vec<Leaf> = (0..)
            .zip(rules)
            .map(|(rank, (ports, protocol, direction))| {
                Leaf::new(Ranked::new(rank, Action::Drop), ports, protocol, direction)
            })
            .collect();
        let (table, with_bitmap) = (PortTable::new(&leaves), PortTable::for_every_flow(&leaves));
        assert_eq!([&table, &with_bitmap].map(|table| table.bitmap.is_some()), [false, true]);
        for protocol in [IpProtocol::TCP, IpProtocol::UDP, IpProtocol::ICMP] {
            for direction in [Direction::Any, Direction::Inbound, Direction::Outbound] {
                let case = Case::of(&Flow::new(protocol, direction));
                for port in 0..=u16::MAX {
                    let first = leaves.iter().find(|leaf| leaf.matches(case, port));
                    let expected = first.map_or(Ranked::NONE, |leaf| leaf.ranked);
                    for table in [&table, &with_bitmap] {
                        let found = table.get(Scalar, port, case);
                        assert_eq!(found, expected, "{protocol} {direction} {port}");
                    }
                }
            }
        }
        // So many runs that a bitmap finds them.
        let many: Vec<Leaf> = (0..3000u16)
            .map(|number| {
                let port = number.wrapping_mul(0x9e37) | 1;
                let ranked = Ranked::new(number.into(), Action::Drop);
                Leaf::new(ranked, Ports::one(port), Protocol::Tcp, Direction::Any)
            })
            .collect();
        let table = PortTable::new(&many);
        assert!(table.bitmap.is_some());
        let case = Case::of(&Flow::new(IpProtocol::TCP, Direction::Inbound));
        for port in 0..=u16::MAX {
            let first = many.iter().find(|leaf| leaf.matches(case, port));
            let expected = first.map_or(Ranked::NONE, |leaf| leaf.ranked);
            assert_eq!(table.get(Scalar, port, case), expected, "{port}");
        }
        let none = PortTable::new(&[]);
        let case = Case::of(&Flow::new(IpProtocol::TCP, Direction::Any));
        assert_eq!(none.get(Scalar, 7, case), Ranked::NONE);
    }
}
