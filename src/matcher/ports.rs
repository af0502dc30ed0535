//! [`PortTable`]: the best of the rules that depend on a port, protocol and direction alone, and [`NamedPorts`]: whether
//! there is one.

use crate::endpoint::Ports;
use crate::flow::Flow;
use crate::matcher::columns::{Bits, Column, Columns, lower};
use crate::matcher::intervals::{Bitmap, Ends, GROUP, Node};
use crate::matcher::lanes::Lanes;
use crate::matcher::leaf::{COMMON_CASES, Case, Leaf, Ranked};
use crate::matcher::memory;
use std::collections::BTreeSet;
use std::ops::Range;

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

    /// Makes a table that every flow may ask, and that so may take 16 KiB more.
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

/// Which kinds of rules of any host may match a flow, or be pending, as they name one of its ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds(u32);

impl Kinds {
    pub(super) const NONE: Kinds = Kinds(0);
    /// Rules for a remote port, whatever the local side, as [`PlainIndex`](crate::matcher::plain::PlainIndex) has them.
    pub(super) const BY_REMOTE_PORT: Kinds = Kinds(1);
    /// Rules for a local port and any local address, as [`LocalPorts`](crate::matcher::locals::LocalPorts) has them.
    pub(super) const BY_LOCAL_PORT: Kinds = Kinds(2);
    /// All others, which have a local side.
    pub(super) const SIDED: Kinds = Kinds(3 << 16);

    /// Whether one of these kinds is among `kinds`.
    #[inline(always)]
    pub(super) fn has(self, kinds: Kinds) -> bool {
        self.0 & kinds.0 != 0
    }

    #[inline(always)]
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// The kinds of rules of any host that name each port: most flows have no port that is named, and are asked for no such
/// rule.
// PERF: decide/ipv4-100k, decide/ipv6-100k, decide-batch/ipv6-1k, decide/wide-100k.
#[derive(Debug)]
pub(super) struct NamedPorts {
    remote: KindsOfPorts,
    /// Where it names some, also port 0, which is that of flows whose local port is not known yet.
    local: KindsOfPorts,
}

/// What [`NamedPorts`] is made of: the ports of rules for a port alone, and of others, of each side.
#[derive(Debug, Default)]
pub(super) struct NamedPortsBuilder {
    remote: [Vec<Ports>; 2],
    local: [Vec<Ports>; 2],
}

impl NamedPortsBuilder {
    /// Adds a rule of the kind [`BY_REMOTE_PORT`](Kinds::BY_REMOTE_PORT).
    pub(super) fn add_by_remote_port(&mut self, ports: Ports) {
        let [by_port, _] = &mut self.remote;
        by_port.push(ports);
    }

    /// Adds a rule of the kind [`BY_LOCAL_PORT`](Kinds::BY_LOCAL_PORT).
    pub(super) fn add_by_local_port(&mut self, ports: Ports) {
        let [by_port, _] = &mut self.local;
        by_port.push(ports);
    }

    /// Adds a rule of the kind [`SIDED`](Kinds::SIDED). If it asks for both ports, either tells.
    pub(super) fn add_sided(&mut self, remote: Ports, local: Ports) {
        let ([_, of_remote], [_, of_local]) = (&mut self.remote, &mut self.local);
        match remote.is_any() && !local.is_any() {
            true => of_local.push(local),
            false => of_remote.push(remote),
        }
    }

    /// # Complexity
    ///
    /// O(n log n) in the number of rules.
    pub(super) fn finish(self) -> NamedPorts {
        let remote = KindsOfPorts::new(self.remote, Some(NamedPorts::MOST_USED));
        let mut local = KindsOfPorts::new(self.local, None);
        local.add_first();
        NamedPorts { remote, local }
    }
}

impl NamedPorts {
    /// That of HTTPS, to which most flows go.
    const MOST_USED: u16 = 443;

    /// Returns the kinds of rules that may match a flow.
    #[inline(always)]
    pub(super) fn of(&self, flow: &Flow<'_>) -> Kinds {
        let (remote, local) = flow.ends();
        Kinds(self.remote.of(remote.port()) | self.local.of(local.port()) << 1)
    }

    /// Returns for each kind, [by remote port](Kinds::BY_REMOTE_PORT), [by local port](Kinds::BY_LOCAL_PORT), and
    /// [the others](Kinds::SIDED), a bit for each flow of a group that such rules may match.
    #[inline(always)]
    pub(super) fn of_group(&self, lanes: impl Lanes, columns: &Columns<'_>) -> [Bits; 3] {
        let [by_remote_port, of_remote] = self.remote.of_group(lanes, &columns.remote_port);
        let [by_local_port, of_local] = self.local.of_group(lanes, &columns.local_port);
        [by_remote_port, by_local_port, of_remote | of_local]
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.remote.words) + memory::of_vec(&self.local.words)
    }
}

/// Which kinds of rules name each port of one side.
#[derive(Debug)]
struct KindsOfPorts {
    /// For sixteen ports a word: a bit for each that rules for a port alone name, and one for each that others do. No
    /// words, if no port by itself is named.
    words: Vec<u32>,
    /// The bits of the kinds that name all ports, as they stand for the first port of a word.
    all: u32,
}

impl KindsOfPorts {
    /// The most ports of a kind that are worth asking for.
    const MAX: u32 = 1 << 14;
    /// The bits of the kinds of the first port of a word.
    const KINDS: [u32; 2] = [1, 1 << 16];

    /// Takes the ports of each kind. Where so many are named, or `most_used` is, that most flows may have one, all are, so
    /// that what follows can be foreseen.
    // PERF: where seven flows in ten have one, asking first takes a tenth more, in calls and in batches.
    fn new(ports: [Vec<Ports>; 2], most_used: Option<u16>) -> KindsOfPorts {
        let mut kinds = KindsOfPorts { words: Vec::new(), all: 0 };
        for (ports, kind) in ports.into_iter().zip(Self::KINDS) {
            let runs = runs_of(ports);
            let count: u32 = runs.iter().map(|run| run.end - run.start).sum();
            let is_used =
                most_used.is_some_and(|port| runs.iter().any(|r| r.contains(&port.into())));
            if count > Self::MAX || is_used {
                kinds.all |= kind;
            } else if count > 0 {
                kinds.words.resize(1 << 12, 0);
                for port in runs.into_iter().flatten() {
                    if let Some(word) = kinds.words.get_mut(port as usize >> 4) {
                        *word |= kind << (port & 15);
                    }
                }
            }
        }
        kinds
    }

    /// Adds port 0 to each kind that has some.
    fn add_first(&mut self) {
        let all = self.words.iter().fold(0, |all, word| all | word);
        if let Some(word) = self.words.first_mut() {
            for kind in Self::KINDS {
                *word |= if all & (kind * 0xffff) != 0 { kind } else { 0 };
            }
        }
    }

    /// Returns the bits of the kinds that name a port.
    #[inline(always)]
    fn of(&self, port: u16) -> u32 {
        let word = self.words.get(usize::from(port >> 4)).copied().unwrap_or(0);
        word >> (port & 15) & 0x1_0001 | self.all
    }

    /// Returns for each kind a bit for each port of a group that it names.
    #[inline(always)]
    fn of_group(&self, lanes: impl Lanes, ports: &Column) -> [Bits; 2] {
        let all = Self::KINDS.map(|kind| if self.all & kind != 0 { Bits::MAX } else { 0 });
        if self.words.is_empty() {
            return all;
        }
        let [words] = lanes.gather(&self.words, &ports.map(|port| port >> 4));
        let (mut by_port, mut sided) = ([0; GROUP], [0; GROUP]);
        for (((by_port, sided), word), port) in
            by_port.iter_mut().zip(&mut sided).zip(words).zip(ports)
        {
            let kinds = word >> (port & 15);
            (*by_port, *sided) = (kinds & 1, kinds & 1 << 16);
        }
        let [all_by_port, all_sided] = all;
        [lanes.nonzero(&by_port) | all_by_port, lanes.nonzero(&sided) | all_sided]
    }
}

/// Returns the ports of all ranges, in ascending order, each once.
fn runs_of(mut ports: Vec<Ports>) -> Vec<Range<u32>> {
    ports.sort_unstable_by_key(|ports| ports.first());
    let mut next = 0;
    let runs = ports.iter().map(|ports| {
        let start = next.max(u32::from(ports.first()));
        next = next.max(u32::from(ports.last()) + 1);
        start..next
    });
    runs.filter(|run| !run.is_empty()).collect()
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
        // The runs of ports are found by a bitmap, of few and of many ports.
        for (first, last) in [(8000, 8040), (8000, 8000 + 8192)] {
            let mut ranges = ranges;
            ranges[2] = (first, last);
            let table = PortTable::for_every_flow(&leaves(&ranges));
            // Beside each other most of a group are in a range, or none; apart one or two are.
            for (limit, step) in
                Vectors::ALL.into_iter().flat_map(|limit| [(limit, 1), (limit, 2011)])
            {
                Machine::up_to(limit).run(InGroups { table: &table, case, step });
            }
        }
    }

    /// Returns the ports named by rules of a kind for these ranges, of the remote or the local side.
    fn named(ranges: &[(u16, u16)], kind: Kinds, is_remote: bool) -> NamedPorts {
        let mut builder = NamedPortsBuilder::default();
        for (first, last) in ranges {
            let ports = Ports::range(*first, *last).unwrap();
            match (kind.has(Kinds::SIDED), is_remote) {
                (false, true) => builder.add_by_remote_port(ports),
                (false, false) => builder.add_by_local_port(ports),
                (true, true) => builder.add_sided(ports, Ports::ANY),
                (true, false) => builder.add_sided(Ports::ANY, ports),
            }
        }
        builder.finish()
    }

    const SIDES: [(Kinds, bool); 4] = [
        (Kinds::BY_REMOTE_PORT, true),
        (Kinds::BY_LOCAL_PORT, false),
        (Kinds::SIDED, true),
        (Kinds::SIDED, false),
    ];

    fn flow_of(remote: u16, local: u16) -> Flow<'static> {
        let address = "192.0.2.1".parse().unwrap();
        let flow = Flow::new(IpProtocol::TCP, Direction::Outbound);
        flow.with_remote_address(address, None, remote).with_local_address(address, None, local)
    }

    #[test]
    fn flows_are_asked_for_the_kinds_of_rules_that_name_their_ports() {
        let ranges = [(22, 22), (20, 25), (24, 40), (30, 30), (65535, 65535)];
        for (kind, is_remote) in SIDES {
            let named = named(&ranges, kind, is_remote);
            for port in 0..=u16::MAX {
                let is_named = ranges.iter().any(|(first, last)| (*first..=*last).contains(&port));
                // A local port of 0 is not known yet.
                let expected = is_named || !is_remote && port == 0;
                let flow = if is_remote { flow_of(port, 7) } else { flow_of(7, port) };
                let kinds = named.of(&flow);
                assert_eq!(kinds.has(kind), expected, "{kind:?} {is_remote} {port}");
                assert_eq!(kinds.is_none(), !expected, "{kind:?} {is_remote} {port}");
            }
        }
    }

    #[test]
    fn a_rule_for_both_ports_is_asked_for_by_the_remote_one() {
        let mut builder = NamedPortsBuilder::default();
        builder.add_sided(Ports::one(22), Ports::one(5000));
        let named = builder.finish();
        assert!(named.of(&flow_of(22, 5000)).has(Kinds::SIDED));
        assert!(named.of(&flow_of(23, 5000)).is_none());
    }

    #[test]
    fn ports_that_most_flows_may_have_are_all_asked_for() {
        // As many ports as tell flows apart, and one more; those around that of most flows, and that.
        for (ranges, tell_apart) in [
            (vec![(1000, 1000 + 16383)], true),
            (vec![(1000, 1000 + 16384)], false),
            (vec![(1000, 9000), (2000, 3000), (5000, 1000 + 16383)], true),
            (vec![(1000, 9000), (5000, 1000 + 16384)], false),
            (vec![(400, 442), (444, 480)], true),
            (vec![(443, 443)], false),
            (vec![(1, 65535)], false),
        ] {
            for (kind, is_remote) in SIDES {
                // To that port go remote flows.
                let tell_apart = tell_apart || !is_remote && ranges == [(443, 443)];
                let named = named(&ranges, kind, is_remote);
                let is_asked = named.of(&flow_of(64000, 64000)).has(kind);
                assert_eq!(is_asked, !tell_apart, "{ranges:?} {kind:?} {is_remote}");
            }
        }
        let mut builder = NamedPortsBuilder::default();
        builder.add_sided(Ports::ANY, Ports::ANY);
        assert!(builder.finish().of(&flow_of(1, 1)).has(Kinds::SIDED));
        assert!(NamedPortsBuilder::default().finish().of(&flow_of(443, 0)).is_none());
    }

    /// Asserts that groups of flows are asked for what each is asked for alone.
    struct NamedInGroups<'a>(&'a NamedPorts);

    impl Job for NamedInGroups<'_> {
        type Output = ();

        fn run(self, lanes: impl Lanes) {
            for first in (0..1 << 16).step_by(7) {
                let flows: Vec<Flow<'static>> = (0..GROUP as u16)
                    .map(|lane| flow_of(first as u16 ^ lane, (first as u16).rotate_left(5) ^ lane))
                    .collect();
                let of_group = self.0.of_group(lanes, &Columns::new(lanes, &flows));
                let kinds = [Kinds::BY_REMOTE_PORT, Kinds::BY_LOCAL_PORT, Kinds::SIDED];
                for (bits, kind) in of_group.into_iter().zip(kinds) {
                    for (lane, flow) in flows.iter().enumerate() {
                        assert_eq!(bits >> lane & 1 != 0, self.0.of(flow).has(kind), "{flow}");
                    }
                }
            }
        }
    }

    #[test]
    fn groups_of_flows_are_asked_for_what_each_is_asked_for_alone() {
        let few = || {
            let mut builder = NamedPortsBuilder::default();
            for first in (0..65000).step_by(37) {
                let ports = Ports::range(first + 1, first + 1 + first % 5).unwrap();
                match first % 4 {
                    0 => builder.add_by_remote_port(ports),
                    1 => builder.add_by_local_port(ports),
                    2 => builder.add_sided(ports, Ports::ANY),
                    _ => builder.add_sided(Ports::ANY, ports),
                }
            }
            builder
        };
        let many = Ports::range(1000, 60_000).unwrap();
        let (mut remote, mut local, mut all) = (few(), few(), NamedPortsBuilder::default());
        remote.add_sided(many, Ports::ANY);
        local.add_by_local_port(many);
        all.add_by_remote_port(many);
        for named in [few(), remote, local, all].map(NamedPortsBuilder::finish) {
            for limit in Vectors::ALL {
                Machine::up_to(limit).run(NamedInGroups(&named));
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
