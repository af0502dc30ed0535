//! [`PortTable`]: the best of the rules that depend on a port, protocol and direction alone.

use crate::matcher::columns::{Column, lower};
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

    /// Makes a table that is asked for every flow, and so may take 16 KiB more.
    pub(super) fn for_every_flow(leaves: &[Leaf]) -> PortTable {
        PortTable::with_bitmap_from(leaves, BITMAP_FROM)
    }

    /// Makes a table in which a bitmap finds so many runs, or more, and those that a tree would lead to.
    fn with_bitmap_from(leaves: &[Leaf], many: usize) -> PortTable {
        let (starts, runs) = sweep(leaves);
        let mut ends = Ends::new();
        let starts = starts.iter().skip(1).map(|start| (start - 1) as u16);
        let last_ports: Vec<u16> = starts.chain([u16::MAX]).collect();
        let mut node = ends.add(&last_ports, false);
        let has_bitmap = node.is_tree() || last_ports.len() >= many;
        let bitmap = has_bitmap.then(|| Bitmap::new(last_ports.into_iter(), 0));
        if bitmap.is_some() {
            (ends, node) = (Ends::new(), Node::EMPTY);
        }
        ends.finish();
        let directory = std::iter::repeat_n(NO_RULES, Ends::<u16>::directory(node));
        let mut runs: Vec<_> = directory.chain(runs).collect();
        runs.shrink_to_fit();
        PortTable { ends, node, bitmap, runs }
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
    pub(super) fn lower(
        &self,
        lanes: impl Lanes,
        ports: &Column,
        cases: &Column,
        best: &mut [Ranked; GROUP],
    ) {
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
        self.ends.size_bytes() + bitmap + memory::of_vec(&self.runs)
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
    use crate::matcher::lanes::Scalar;
    use crate::rule::{Action, Protocol};

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
