//! [`Intervals`]: from an address to the leaf of the longest network that contains it.
//!
//! Networks cut the addresses of a family into intervals, within which every address has the same
//! longest network. An address is looked up by its first 16 bits, in a bitmap of where runs of
//! values with the same node begin, or in a node for each value where these are many, then by the
//! next 16 bits - the rest, for IPv4 - then by 32 and by 64. A step after the first finds, among the sorted
//! ends of up to a cache line of intervals, the first that is not below the address: one comparison of
//! whole vectors.

use crate::endpoint::AddressFamily;
use crate::matcher::columns::{Column, Columns, Picked, Which, lanes_of};
use crate::matcher::exact::{Exact, Key};
use crate::matcher::lanes::{Job, Lanes, Packed, prefetch};
use crate::matcher::leaf::{Leaf, Ranked};
use crate::matcher::memory;
use ipnet::IpNet;
use std::fmt::Debug;
use std::hint::select_unpredictable;

/// The index, with a [`Leaf`] for each interval, or a [`Ranked`] where that says all.
#[derive(Debug)]
pub(super) struct Intervals<V> {
    /// Over the first 16 bits of the address; the runs are the nodes.
    root: Bitmap,
    nodes: Vec<Node>,
    halves: Level<u16, V>,
    words: Level<u32, V>,
    longs: Level<u64, V>,
    /// The nodes that values stand for, where these have no room for them.
    links: Vec<Node>,
    /// Over the second 16 bits, for nodes with many intervals; the runs are leaves of `halves`.
    bitmaps: Vec<Bitmap>,
    /// Every node of `halves` has a directory: so many have one that no machine could foresee
    /// which.
    has_directories: bool,
    /// What holds where there are no networks.
    rest: V,
    /// Intervals that are kept apart: their values are the last of `halves`.
    exact: ExactMatch,
}

/// Intervals that are asked for whatever the others say: those of one address, and of addresses that have the first
/// half in common.
#[derive(Debug, Default)]
struct ExactMatch {
    v4: Exact<u32>,
    /// First halves of IPv6 addresses.
    nets: Exact<u64>,
    v6: Exact<[u64; 2]>,
}

impl ExactMatch {
    /// Whether there are none of IPv6.
    #[inline(always)]
    fn is_empty_v6(&self) -> bool {
        self.nets.is_empty() & self.v6.is_empty()
    }

    /// Puts so many places before all of them.
    fn begin_at(&mut self, first: usize) {
        for start in [&mut self.v4.first, &mut self.nets.first, &mut self.v6.first] {
            *start += first;
        }
    }

    fn size_bytes(&self) -> usize {
        self.v4.size_bytes() + self.nets.size_bytes() + self.v6.size_bytes()
    }
}

/// A bit for each value of 16 bits, set where a run of values begins; empty where each is a run by itself.
#[derive(Debug, Default)]
pub(super) struct Bitmap {
    words: Vec<Word>,
}

/// 32 bits of a bitmap.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Word {
    starts: u32,
    /// The number of the run that the word begins in, or would if no run began with it.
    run: u32,
}

/// The intervals of one step of the look-up, node by node.
#[derive(Debug)]
pub(super) struct Level<W, V> {
    ends: Ends<W>,
    /// One for each place.
    values: Vec<V>,
}

/// The ends of intervals, node by node.
#[derive(Debug)]
pub(super) struct Ends<W> {
    /// INVARIANT: those of one node ascend, the last is the greatest number there is, and a line
    /// of that number follows the last node.
    ends: Vec<W>,
}

/// The place of a node in its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Node {
    base: u32,
    /// What the look-up has to do, in the two low bits, and the number that it needs.
    shape: u32,
}

impl Node {
    /// The ends, up to a line of them, are at the base. The only shape of number 0, so that it is
    /// told by one comparison.
    const LINE: u32 = 0;
    /// At the base is the last end of each line, then all ends. The number is that of the lines, and
    /// above [`LINES_BITS`](Node::LINES_BITS) that of the ends.
    const DIRECTORY: u32 = 1;
    const LINES_BITS: u32 = 8;
    /// More than a directory of one line leads to: at the base are the levels of a tree, the top one, of up to a line,
    /// first, each the last number of each line of the next. All ends are the lowest, whose number it is.
    const TREE: u32 = 2;
    /// The base is the number of a bitmap, the number that of the ends.
    const BITMAP: u32 = 3;

    /// No node but a number: a shape that no node has.
    const NUMBER: u32 = Node::LINE | 1 << 2;

    /// Returns what stands for a number in place of a node.
    #[inline(always)]
    pub(super) const fn of_number(number: u32) -> Node {
        Node { base: number, shape: Node::NUMBER }
    }

    /// Returns the number that this stands for in place of a node.
    #[inline(always)]
    pub(super) fn as_number(self) -> Option<u32> {
        (self.shape == Node::NUMBER).then_some(self.base)
    }

    /// Returns a node that the caller keeps by himself, with two numbers of his, the second of 30
    /// bits.
    pub(super) fn elsewhere(base: usize, number: usize) -> Node {
        Node::new(Node::BITMAP, base, number)
    }

    /// Returns the numbers of a node that is kept [`elsewhere`](Node::elsewhere).
    #[inline(always)]
    pub(super) fn as_elsewhere(self) -> Option<(usize, usize)> {
        (self.shape & 3 == Node::BITMAP).then_some((self.base as usize, self.number()))
    }

    /// The shape of a directory of one end: the value that follows it is that of every address.
    const ONE: u32 = Node::DIRECTORY | (1 << Node::LINES_BITS | 1) << 2;

    /// The same, but that it says how it came about: the value is that of addresses in no network.
    const REST: u32 = Node::DIRECTORY | 1 << 2;

    /// Nothing is there.
    pub(super) const EMPTY: Node = Node { base: u32::MAX, shape: Node::LINE };

    fn new(shape: u32, base: usize, number: usize) -> Node {
        Node { base: base as u32, shape: (number as u32) << 2 | shape }
    }

    /// Whether the ends are so many that a tree leads to them.
    pub(super) fn is_tree(self) -> bool {
        self.shape & 3 == Node::TREE
    }

    /// Whether it is a directory of one end, of whatever value.
    #[inline(always)]
    fn is_one(self) -> bool {
        self.shape & !(Node::ONE ^ Node::REST) == Node::REST
    }

    fn number(self) -> usize {
        (self.shape >> 2) as usize
    }

    /// Returns the number of ends that a directory leads to.
    #[inline(always)]
    fn count(self) -> usize {
        self.number() >> Node::LINES_BITS
    }

    /// Returns the number of lines of a directory.
    #[inline(always)]
    fn lines(self) -> usize {
        self.number() & ((1 << Node::LINES_BITS) - 1)
    }
}

/// What an interval has: what is looked for, or the node of a further step.
pub(super) trait Value: Copy + PartialEq + Debug {
    const NONE: Self;
    /// Whether a call ends where the first 16 bits of an address say all, at the cost of a branch.
    // PERF: of addresses anywhere a routing table tells many by these;
    // longest-match-dependent/assigned-table-ipv6-uniform. Of the addresses that block lists are asked for it tells a
    // few, and nobody could foresee which.
    const ENDS_EARLY: bool = false;

    fn of_node(node: Node, links: &mut Vec<Node>) -> Self;
    fn node(&self, links: &[Node]) -> Option<Node>;
    /// Whether it is a node.
    fn is_node(&self) -> bool;
}

impl Value for Leaf {
    const NONE: Leaf = Leaf::NONE;

    fn of_node(node: Node, _: &mut Vec<Node>) -> Leaf {
        let (first_port, last_port) = ((node.shape >> 16) as u16, node.shape as u16);
        Leaf { next: node.base, first_port, last_port, flags: Leaf::NODE, ..Leaf::NONE }
    }

    #[inline(always)]
    fn node(&self, _: &[Node]) -> Option<Node> {
        let shape = u32::from(self.first_port) << 16 | u32::from(self.last_port);
        self.is_node().then_some(Node { base: self.next, shape })
    }

    #[inline(always)]
    fn is_node(&self) -> bool {
        self.flags & Leaf::NODE != 0
    }
}

impl Value for Ranked {
    const NONE: Ranked = Ranked::NONE;
    const ENDS_EARLY: bool = true;

    fn of_node(node: Node, links: &mut Vec<Node>) -> Ranked {
        links.push(node);
        Ranked::of_link((links.len() - 1) as u32)
    }

    #[inline(always)]
    fn node(&self, links: &[Node]) -> Option<Node> {
        links.get(self.link()? as usize).copied()
    }

    #[inline(always)]
    fn is_node(&self) -> bool {
        self.link().is_some()
    }
}

/// A [`Value`] that is looked up for a group of addresses, as words, field by field.
pub(super) trait Gathered<const N: usize>: Value + Packed<N> {
    /// Returns the words of the nodes that some values stand for, and a column with no 0 for these only;
    /// of the others, anything.
    fn nodes(lanes: impl Lanes, values: &[Column; N], links: &[Node]) -> ([Column; 2], Column);
}

impl Gathered<4> for Leaf {
    #[inline(always)]
    fn nodes(_: impl Lanes, values: &[Column; 4], _: &[Node]) -> ([Column; 2], Column) {
        let [_, next, ports, kinds] = values;
        // The shape has the first port above the last one.
        let shapes = ports.map(|ports| ports.rotate_right(16));
        ([*next, shapes], kinds.map(|kind| kind & u32::from(Leaf::NODE) << 24))
    }
}

impl Gathered<1> for Ranked {
    #[inline(always)]
    fn nodes(lanes: impl Lanes, [values]: &[Column; 1], links: &[Node]) -> ([Column; 2], Column) {
        let ranked = values.map(Ranked::of_bits);
        let are_links = ranked.map(|ranked| u32::from(ranked.is_link()));
        (lanes.gather(links, &ranked.map(Ranked::rank)), are_links)
    }
}

/// An address to be looked up with others, left-aligned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a, V> {
    pub(super) intervals: &'a Intervals<V>,
    pub(super) high: u64,
    pub(super) low: u64,
}

/// The number of addresses that are looked up together.
// PERF: two of the widest vectors, so that there is something to do while one of them is waited for: of sixteen
// addresses the steps take a fifth to a third longer, and of 64 no less; decide-batch. Where vectors are narrow, of
// 32 they take a tenth longer.
pub(crate) const GROUP: usize = if cfg!(target_arch = "x86_64") { 32 } else { 16 };

/// So many nodes of the first 16 bits that there is one for each value, 512 KiB, so that no bitmap is asked first.
// PERF: by the public routing table calls take 6 % less, by a block list of 100,000 rules 1 to 4 %.
const DIRECT: usize = 1 << 14;

/// So many bytes of values, with their ends and what flows need, are not all in a near cache.
const LARGE: usize = 1 << 18;

/// A part of an address, or a port.
pub(super) trait Part: Copy + Ord {
    const MAX: Self;
    /// The number of ends in a line.
    const LANES: usize;

    /// Returns the low bits.
    fn of(bits: u128) -> Self;
    /// Returns the number, within the line at `base`, of the first end that is at least `self`; 0 if there is no line.
    fn find_in_line(self, lanes: impl Lanes, ends: &[Self], base: usize) -> usize;

    /// Returns the place of that end.
    #[inline(always)]
    fn find(self, lanes: impl Lanes, ends: &[Self], base: usize) -> usize {
        base + self.find_in_line(lanes, ends, base)
    }
}

macro_rules! part {
    ($word:ty, $lanes:literal, $find:ident) => {
        impl Part for $word {
            const MAX: $word = <$word>::MAX;
            const LANES: usize = $lanes;

            fn of(bits: u128) -> $word {
                bits as $word
            }

            #[inline(always)]
            fn find_in_line(self, lanes: impl Lanes, ends: &[$word], base: usize) -> usize {
                let line = ends.get(base..).and_then(|ends| ends.first_chunk());
                line.map_or(0, |line| lanes.$find(line, self))
            }
        }
    };
}

part!(u16, 32, first_at_least_u16);
part!(u32, 16, first_at_least_u32);
part!(u64, 8, first_at_least_u64);

/// Networks in ascending order, those that contain one before it: each as its first and its last
/// address, left-aligned, and its value.
pub(super) type Networks<V> = [(u128, u128, V)];

impl<V: Value> Intervals<V> {
    /// Makes an index. `rest` is the value of addresses in no network.
    ///
    /// # Complexity
    ///
    /// Linear in the number of networks.
    pub(super) fn new(networks: &Networks<V>, rest: V) -> Intervals<V> {
        let mut index = Intervals::empty(rest);
        if !networks.is_empty() {
            index.add_all(&flatten(networks, rest));
        }
        index.finish();
        index
    }

    /// Does the same for addresses of a family, of which those that are intervals by themselves are kept apart, also
    /// all IPv6 addresses with a first half in common.
    pub(super) fn with_singles(
        networks: &Networks<V>,
        rest: V,
        family: AddressFamily,
        singles: Singles,
    ) -> Intervals<V> {
        let mut index = Intervals::empty(rest);
        if networks.is_empty() {
            return index;
        }
        let intervals = flatten(networks, rest);
        match Parted::new(&intervals, family, singles) {
            Some(Parted { kept, exact, values }) => {
                drop(intervals);
                index.add_all(&kept);
                index.exact = exact;
                // Their values follow those of all nodes.
                index.exact.begin_at(index.halves.values.len());
                index.halves.values.extend(values);
            }
            None => index.add_all(&intervals),
        }
        index.finish();
        index
    }

    fn empty(rest: V) -> Intervals<V> {
        Intervals {
            root: Bitmap::default(),
            nodes: Vec::new(),
            halves: Level::new(),
            words: Level::new(),
            longs: Level::new(),
            links: Vec::new(),
            bitmaps: Vec::new(),
            has_directories: false,
            rest,
            exact: ExactMatch::default(),
        }
    }

    /// Makes the nodes of all addresses.
    fn add_all(&mut self, intervals: &[Interval<V>]) {
        let pieces = split(intervals, u128::MAX, 112, 16);
        let is_direct = pieces.len() >= DIRECT;
        if !is_direct {
            self.root = Bitmap::new(pieces.iter().map(|(end, _)| *end as u16), 0);
        }
        self.nodes = Vec::with_capacity(if is_direct { 1 << 16 } else { pieces.len() });
        let in_directories = pieces.iter().map(|(_, piece)| match piece {
            Piece::Inner(intervals, _) if intervals.len() > u16::LANES => intervals.len(),
            _ => 0,
        });
        self.has_directories = in_directories.sum::<usize>() > intervals.len() / 8;
        // Where calls end with them, nodes of one interval follow each other, so that a cache holds them.
        let (mut of_one, mut of_rest) = (Vec::new(), None);
        for (_, piece) in &pieces {
            match piece {
                Piece::Whole(value) if V::ENDS_EARLY && *value == self.rest => {
                    of_one.push(*of_rest.get_or_insert_with(|| self.add_rest()));
                }
                Piece::Whole(value) if V::ENDS_EARLY => of_one.push(self.add_whole(*value)),
                _ => {}
            }
        }
        let mut of_one = of_one.into_iter();
        for (end, piece) in pieces {
            let node = match piece {
                Piece::Whole(value) => of_one.next().unwrap_or_else(|| self.add_whole(value)),
                Piece::Inner(intervals, last) => self.add_halves(intervals, last),
            };
            let count = if is_direct { end as usize + 1 } else { self.nodes.len() + 1 };
            self.nodes.resize(count, node);
        }
    }

    /// Adds the node of all values of 16 bits.
    fn add_whole(&mut self, value: V) -> Node {
        self.add_half(&[(u16::MAX, value)])
    }

    /// Does the same for what holds where there are no networks.
    fn add_rest(&mut self) -> Node {
        let node = self.add_whole(self.rest);
        if node.shape == Node::ONE { Node { shape: Node::REST, ..node } } else { node }
    }

    /// To be called when all values are there.
    fn finish(&mut self) {
        self.halves.finish();
        self.words.finish();
        self.longs.finish();
        self.bitmaps.shrink_to_fit();
        self.links.shrink_to_fit();
    }

    /// Changes what is looked for.
    pub(super) fn change(&mut self, change: impl Fn(V) -> V) {
        let Intervals { halves, words, longs, rest, .. } = self;
        let values = [&mut halves.values, &mut words.values, &mut longs.values];
        let values = values.into_iter().flatten().filter(|value| !value.is_node());
        for value in values.chain([rest]) {
            *value = change(*value);
        }
    }

    fn add_halves(&mut self, intervals: &[Interval<V>], last: u128) -> Node {
        let mut list = Vec::new();
        for (end, piece) in split(intervals, last, 96, u16::BITS) {
            let value = match piece {
                Piece::Whole(value) => value,
                Piece::Inner(intervals, last) => {
                    let node = self.add_words(intervals, last);
                    V::of_node(node, &mut self.links)
                }
            };
            list.push((u16::of(end), value));
        }
        let node = self.add_half(&list);
        if !node.is_tree() {
            return node;
        }
        let first = node.base + Ends::<u16>::directory(node) as u32;
        self.bitmaps.push(Bitmap::new(list.iter().map(|(end, _)| *end), first));
        Node::new(Node::BITMAP, self.bitmaps.len() - 1, node.number())
    }

    fn add_half(&mut self, list: &[(u16, V)]) -> Node {
        self.halves.add(list, self.has_directories)
    }

    fn add_words(&mut self, intervals: &[Interval<V>], last: u128) -> Node {
        let mut list = Vec::new();
        for (end, piece) in split(intervals, last, 64, u32::BITS) {
            let value = match piece {
                Piece::Whole(value) => value,
                Piece::Inner(intervals, last) => {
                    let ends = split(intervals, last, 0, u64::BITS).into_iter();
                    let list: Vec<_> = ends
                        .filter_map(|(end, piece)| match piece {
                            Piece::Whole(value) => Some((u64::of(end), value)),
                            // Nothing is left to look up.
                            Piece::Inner(..) => None,
                        })
                        .collect();
                    let node = self.longs.add(&list, false);
                    V::of_node(node, &mut self.links)
                }
            };
            list.push((u32::of(end), value));
        }
        self.words.add(&list, false)
    }

    /// Returns the node of addresses, given their first 16 bits; none, if there are no networks.
    #[inline(always)]
    fn node(&self, first: u16) -> Option<Node> {
        self.nodes.get(self.root.run(first)).copied()
    }

    /// Returns the value of an IPv4 address.
    #[inline(always)]
    pub(super) fn get_v4(&self, lanes: impl Lanes, address: u32) -> &V {
        let Some(node) = self.node((address >> 16) as u16) else { return &self.rest };
        if self.exact.v4.is_empty() {
            self.guess(node, address as u16);
            return self.half(lanes, node, address as u16);
        }
        let exact = self.exact.v4.place(address);
        prefetch(self.exact.v4.key(exact));
        prefetch(self.halves.values.get(exact));
        self.guess(node, address as u16);
        let place = self.place_of_half(lanes, node, address as u16);
        let place = select_unpredictable(self.exact.v4.has(address, exact), exact, place);
        self.halves.values.get(place).unwrap_or(&self.rest)
    }

    /// Returns the value of an IPv6 address, given by its halves.
    #[inline(always)]
    pub(super) fn get_v6(&self, lanes: impl Lanes, high: u64, low: u64) -> &V {
        let Some(node) = self.node((high >> 48) as u16) else { return &self.rest };
        self.get_v6_at(lanes, node, high, low)
    }

    /// Returns the same, or none, at the cost of a branch, where the first 16 bits tell that no network holds the
    /// address.
    // PERF: what comes next need not wait for the address, where the branch is foreseen: addresses anywhere take a
    // third of the time or less; longest-match-dependent/assigned-table-ipv6-uniform/matcher.
    #[inline(always)]
    pub(super) fn get_v6_if_near(&self, lanes: impl Lanes, high: u64, low: u64) -> Option<&V> {
        let node = self.node((high >> 48) as u16)?;
        let is_of_none = (node.shape == Node::REST) & self.exact.is_empty_v6();
        if is_of_none { None } else { Some(self.get_v6_at(lanes, node, high, low)) }
    }

    /// Returns the same, given the node of the first 16 bits.
    #[inline(always)]
    fn get_v6_at(&self, lanes: impl Lanes, node: Node, high: u64, low: u64) -> &V {
        let exact = &self.exact;
        if exact.is_empty_v6() {
            return self.get_v6_of(lanes, node, high, low);
        }
        let (of_net, of_host) = (exact.nets.place(high), exact.v6.place([high, low]));
        for place in [of_net, of_host] {
            prefetch(self.halves.values.get(place));
        }
        prefetch(exact.nets.key(of_net));
        prefetch(exact.v6.key(of_host));
        let value = self.get_v6_of(lanes, node, high, low);
        let values = &self.halves.values;
        let net = values.get(of_net).unwrap_or(value);
        let value = select_unpredictable(exact.nets.has(high, of_net), net, value);
        let host = values.get(of_host).unwrap_or(value);
        select_unpredictable(exact.v6.has([high, low], of_host), host, value)
    }

    /// Returns the same, but for exact matches.
    #[inline(always)]
    fn get_v6_of(&self, lanes: impl Lanes, node: Node, high: u64, low: u64) -> &V {
        let mut value = self.half(lanes, node, (high >> 32) as u16);
        if let Some(node) = value.node(&self.links) {
            value = self.words.get_ahead(lanes, node, high as u32).unwrap_or(&self.rest);
            if let Some(node) = value.node(&self.links) {
                value = self.longs.get_ahead(lanes, node, low).unwrap_or(&self.rest);
            }
        }
        value
    }

    #[inline(always)]
    fn half(&self, lanes: impl Lanes, node: Node, half: u16) -> &V {
        let Level { ends, values } = &self.halves;
        let place = match node.shape {
            shape if self.has_directories & (shape & 3 == Node::DIRECTORY) => match shape {
                _ if V::ENDS_EARLY && node.is_one() => node.base as usize + 1,
                _ => ends.place_by_directory(lanes, node, half),
            },
            _ => self.place_of_half(lanes, node, half),
        };
        values.get(place).unwrap_or(&self.rest)
    }

    /// Begins to load, while the directory of a node is searched, what follows it: the ends, and the values near
    /// the one that it would be if all intervals were of one length.
    // PERF: where networks are many these are in the third-level cache or in memory, and each step would wait for
    // the one before; decide-dependent/ipv4-100k. IPv6 addresses gain nothing by it, and groups take a tenth longer.
    #[inline(always)]
    fn guess(&self, node: Node, half: u16) {
        if !self.has_directories | (node.shape & 3 != Node::DIRECTORY) {
            return;
        }
        let first = node.base as usize + node.lines();
        let guess = first + ((node.count() * usize::from(half)) >> u16::BITS);
        let Level { ends: Ends { ends }, values } = &self.halves;
        prefetch(ends.get(first + u16::LANES));
        prefetch(ends.get(first + 2 * u16::LANES));
        let in_line = const { 64 / size_of::<V>() };
        prefetch(values.get(guess.saturating_sub(in_line)));
        prefetch(values.get(guess));
        prefetch(values.get(guess + in_line));
    }

    #[inline(always)]
    fn place_of_half(&self, lanes: impl Lanes, node: Node, half: u16) -> usize {
        let ends = &self.halves.ends;
        match node.shape {
            shape if self.has_directories & (shape & 3 == Node::DIRECTORY) => {
                ends.place_by_directory(lanes, node, half)
            }
            Node::LINE => half.find(lanes, &ends.ends, node.base as usize),
            shape if shape & 3 == Node::BITMAP => {
                let bitmap = self.bitmaps.get(node.base as usize);
                bitmap.map_or(usize::MAX, |bitmap| bitmap.run(half))
            }
            _ => ends.place(lanes, node, half),
        }
    }

    /// Returns the words of the values of a group of IPv4 addresses, field by field.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    pub(super) fn gather_v4<const N: usize>(
        &self,
        lanes: impl Lanes,
        addresses: &Column,
    ) -> [Column; N]
    where
        V: Packed<N>,
    {
        if self.nodes.is_empty() {
            return self.rest.words().map(|word| [word; GROUP]);
        }
        let exact = &self.exact.v4;
        if exact.is_empty() {
            let places = self.places_of_v4(lanes, addresses);
            return lanes.gather(&self.halves.values, &places);
        }
        let own = exact.places(lanes, |lane| [0, addresses[lane].into()]);
        let mut places = self.places_of_v4(lanes, addresses);
        exact.choose(lanes, addresses, &own, &mut places);
        lanes.gather(&self.halves.values, &places)
    }

    /// Returns the places of a group of IPv4 addresses, or of the first 32 bits of others.
    #[inline(always)]
    fn places_of_v4(&self, lanes: impl Lanes, addresses: &Column) -> Column {
        let numbers = self.root.gather(lanes, &addresses.map(|bits| bits >> 16));
        let [bases, shapes] = lanes.gather(&self.nodes, &numbers);
        let mut places = [0; GROUP];
        for (((place, base), shape), address) in
            places.iter_mut().zip(bases).zip(shapes).zip(addresses)
        {
            *place = self.place_of_half(lanes, Node { base, shape }, *address as u16) as u32;
        }
        places
    }

    /// Returns the words of the values of the addresses of one end of each flow of a group, field by field;
    /// for flows without an address there, anything.
    #[inline(always)]
    pub(super) fn gather_ends<const N: usize>(
        &self,
        lanes: impl Lanes,
        columns: &Columns<'_>,
        which: Which,
    ) -> [Column; N]
    where
        V: Gathered<N>,
    {
        lanes.call(GatherEnds { intervals: self, columns, which })
    }

    /// Returns the value of each of up to [`GROUP`] addresses, all of them a step at a time: while
    /// one is loaded, others are looked up. What is beyond the addresses is `rest`.
    ///
    /// The number of addresses is not a constant, lest each step be laid out for each of them.
    #[inline(always)]
    pub(super) fn get_group<'a>(
        lanes: impl Lanes,
        wanted: &[Wanted<'a, V>],
        rest: &'a V,
    ) -> [&'a V; GROUP] {
        lanes.call(GetGroup { wanted, rest })
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        let bitmaps = self.bitmaps.iter().chain([&self.root]);
        bitmaps.map(Bitmap::size_bytes).sum::<usize>()
            + memory::of_vec(&self.bitmaps)
            + memory::of_vec(&self.nodes)
            + memory::of_vec(&self.links)
            + self.halves.size_bytes()
            + self.words.size_bytes()
            + self.longs.size_bytes()
            + self.exact.size_bytes()
    }

    /// Returns the value of an exact match of an address, left-aligned, if there is one.
    #[inline(always)]
    fn exact(&self, high: u64, low: u64) -> Option<&V> {
        let ExactMatch { v4, nets, v6 } = &self.exact;
        let values = &self.halves.values;
        if !v4.is_empty() {
            let place = v4.place((high >> 32) as u32);
            return values.get(place).filter(|_| v4.has((high >> 32) as u32, place));
        }
        let (host, net) = (v6.place([high, low]), nets.place(high));
        let of_net = values.get(net).filter(|_| nets.has(high, net));
        values.get(host).filter(|_| v6.has([high, low], host)).or(of_net)
    }

    #[inline(always)]
    pub(super) fn has_exact(&self) -> bool {
        !self.exact.v4.is_empty() | !self.exact.is_empty_v6()
    }
}

/// Whether intervals of one address, and of a first half of IPv6 addresses, are kept apart from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Singles {
    Within,
    Apart,
    /// Where they are many, and the others not many more.
    ApartIfMany,
}

impl Singles {
    /// Whether so many are kept apart from so many others, which have the values `V`.
    // PERF: decide-dependent/ipv6-100k and addresses-100k. Of a million IPv4 rules, and of whole IPv4 networks, of
    // which only an address is compared, batches take longer by it, unless nearly all are hosts.
    fn are_apart<V: Value>(self, family: AddressFamily, count: usize, others: usize) -> bool {
        let most = match family {
            AddressFamily::V4 if V::ENDS_EARLY => 0,
            AddressFamily::V4 => 1 << 18,
            AddressFamily::V6 => usize::MAX,
        };
        let are_nearly_all = count >= 1 << 11 && others <= count / 4;
        let are_many = count >= 1 << 14 && others <= most.min(4 * count);
        match self {
            Singles::Within => false,
            Singles::Apart => count > 0,
            Singles::ApartIfMany => are_nearly_all | are_many,
        }
    }
}

/// Intervals, and those that were among them, with their values by their places.
struct Parted<V> {
    kept: Vec<Interval<V>>,
    exact: ExactMatch,
    values: Vec<V>,
}

impl<V: Value> Parted<V> {
    fn new(
        intervals: &[Interval<V>],
        family: AddressFamily,
        singles: Singles,
    ) -> Option<Parted<V>> {
        if singles == Singles::Within {
            return None;
        }
        let shift = if family == AddressFamily::V4 { 96 } else { 0 };
        let (hosts, mut kept) = take_singles(intervals, shift);
        let mut nets = Vec::new();
        if family == AddressFamily::V6 {
            (nets, kept) = take_singles(&kept, 64);
        }
        if !singles.are_apart::<V>(family, hosts.len() + nets.len(), kept.len()) {
            return None;
        }
        let mut parted = Parted { kept, exact: ExactMatch::default(), values: Vec::new() };
        match family {
            AddressFamily::V4 => {
                parted.exact.v4 = parted.add(&hosts, |at| (at >> 96) as u32)?;
            }
            AddressFamily::V6 => {
                parted.exact.v6 = parted.add(&hosts, |at| [(at >> 64) as u64, at as u64])?;
                parted.exact.nets = parted.add(&nets, |at| (at >> 64) as u64)?;
            }
        }
        Some(parted)
    }

    /// Makes a table of singles, and adds their values; `None` if there can be none.
    fn add<K: Key>(
        &mut self,
        singles: &[Interval<V>],
        key: impl Fn(u128) -> K,
    ) -> Option<Exact<K>> {
        if singles.is_empty() {
            return Some(Exact::default());
        }
        let keys: Vec<K> = singles.iter().map(|(address, _)| key(*address)).collect();
        let exact = Exact::new(&keys, self.values.len())?;
        self.values.resize(self.values.len() + exact.len(), V::NONE);
        for (key, (_, value)) in keys.iter().zip(singles) {
            *self.values.get_mut(exact.place(*key))? = *value;
        }
        Some(exact)
    }
}

/// Returns those of some intervals that are all addresses with the bits above `shift` in common, by their last
/// address, and the others, which hold these too.
fn take_singles<V: Value>(
    intervals: &[Interval<V>],
    shift: u32,
) -> (Vec<Interval<V>>, Vec<Interval<V>>) {
    let below = (1u128 << shift) - 1;
    let (mut singles, mut kept) = (Vec::new(), Vec::<Interval<V>>::new());
    let mut start = 0u128;
    for (end, value) in intervals {
        // The last one stays, as each of the others becomes part of the next.
        let is_single = *end < u128::MAX && start & below == 0 && *end == start | below;
        match kept.last_mut() {
            _ if is_single => singles.push((*end, *value)),
            Some((last, same)) if same == value => *last = *end,
            _ => kept.push((*end, *value)),
        }
        start = end.wrapping_add(1);
    }
    (singles, kept)
}

/// [`Intervals::gather_ends`], apart, as both families and several tables need it.
struct GatherEnds<'a, V, const N: usize> {
    intervals: &'a Intervals<V>,
    columns: &'a Columns<'a>,
    which: Which,
}

impl<V: Gathered<N>, const N: usize> Job for GatherEnds<'_, V, N> {
    type Output = [Column; N];

    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    fn run(self, lanes: impl Lanes) -> [Column; N] {
        let GatherEnds { intervals, columns, which } = self;
        let exact = &intervals.exact;
        let mut own = [[0; GROUP]; 2];
        if !exact.is_empty_v6() {
            own = [
                exact.nets.places(lanes, |lane| [0, columns.halves(which, lane).0]),
                exact.v6.places(lanes, |lane| columns.halves(which, lane).into()),
            ];
        }
        let mut found = intervals.gather_v4(lanes, columns.firsts(which));
        if !exact.is_empty_v6() {
            let [of_nets, of_hosts] = own;
            let (mut places, mut are_exact) = ([0; GROUP], [0; GROUP]);
            for lane in 0..GROUP {
                let (high, low) = columns.halves(which, lane);
                let (net, host) = (of_nets[lane], of_hosts[lane]);
                let is_net = exact.nets.has(high, net as usize);
                let is_host = exact.v6.has([high, low], host as usize);
                places[lane] =
                    select_unpredictable(is_host, host, select_unpredictable(is_net, net, 0));
                are_exact[lane] = u32::from(is_net | is_host);
            }
            let next: [Column; N] = lanes.gather(&intervals.halves.values, &places);
            for (found, next) in found.iter_mut().zip(&next) {
                *found = lanes.choose(&are_exact, u32::MAX, next, found);
            }
        }
        if !intervals.words.values.is_empty() {
            let part = |lane| columns.halves(which, lane).0 as u32;
            intervals.words.gather_next(lanes, &intervals.links, part, &mut found);
        }
        if !intervals.longs.values.is_empty() {
            let part = |lane| columns.halves(which, lane).1;
            intervals.longs.gather_next(lanes, &intervals.links, part, &mut found);
        }
        found
    }
}

/// [`Intervals::get_group`], apart for the same reason.
struct GetGroup<'a, 'b, V> {
    wanted: &'b [Wanted<'a, V>],
    rest: &'a V,
}

impl<'a, V: Value> Job for GetGroup<'a, '_, V> {
    type Output = [&'a V; GROUP];

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> [&'a V; GROUP] {
        let wanted = self.wanted;
        let mut values = self.by_steps(lanes);
        for (value, wanted) in values.iter_mut().zip(wanted) {
            if wanted.intervals.has_exact() {
                *value = wanted.intervals.exact(wanted.high, wanted.low).unwrap_or(*value);
            }
        }
        values
    }
}

impl<'a, V: Value> GetGroup<'a, '_, V> {
    /// Returns the values, but for exact matches.
    #[inline(always)]
    fn by_steps(self, lanes: impl Lanes) -> [&'a V; GROUP] {
        let GetGroup { wanted, rest } = self;
        let mut numbers = [0; GROUP];
        for (number, wanted) in numbers.iter_mut().zip(wanted) {
            *number = wanted.intervals.root.run((wanted.high >> 48) as u16);
            prefetch(wanted.intervals.nodes.get(*number));
        }
        let mut nodes = [Node::EMPTY; GROUP];
        for ((node, number), wanted) in nodes.iter_mut().zip(numbers).zip(wanted) {
            if let Some(own) = wanted.intervals.nodes.get(number) {
                *node = *own;
                wanted.intervals.halves.prefetch(*own);
            }
        }
        let mut values = [rest; GROUP];
        for ((value, node), wanted) in values.iter_mut().zip(nodes).zip(wanted) {
            *value = wanted.intervals.half(lanes, node, (wanted.high >> 32) as u16);
            prefetch(Some(*value));
        }
        let mut picked = Picked::new();
        for (number, value) in values.iter().enumerate().take(wanted.len()) {
            picked.push(number, value.is_node());
        }
        if picked.is_empty() {
            return values;
        }
        for_each(&picked, &mut values, wanted, |node, wanted, _| {
            wanted.intervals.words.prefetch(node);
        });
        for_each(&picked, &mut values, wanted, |node, wanted, value| {
            let found = wanted.intervals.words.get(lanes, node, wanted.high as u32);
            *value = found.unwrap_or(&wanted.intervals.rest);
            prefetch(Some(*value));
        });
        let mut still = Picked::new();
        for number in picked.numbers() {
            still.push(number, values.get(number).is_some_and(|value| value.is_node()));
        }
        for_each(&still, &mut values, wanted, |node, wanted, _| {
            wanted.intervals.longs.prefetch(node);
        });
        for_each(&still, &mut values, wanted, |node, wanted, value| {
            let found = wanted.intervals.longs.get(lanes, node, wanted.low);
            *value = found.unwrap_or(&wanted.intervals.rest);
            prefetch(Some(*value));
        });
        values
    }
}

/// Does a step for those of a group of addresses that are picked and have a further one.
#[inline(always)]
fn for_each<'a, V: Value>(
    picked: &Picked,
    values: &mut [&'a V; GROUP],
    wanted: &[Wanted<'a, V>],
    mut step: impl FnMut(Node, &Wanted<'a, V>, &mut &'a V),
) {
    for number in picked.numbers() {
        if let (Some(value), Some(wanted)) = (values.get_mut(number), wanted.get(number))
            && let Some(node) = value.node(&wanted.intervals.links)
        {
            step(node, wanted, value);
        }
    }
}

impl Word {
    /// Returns the number of the run that holds a value of this word.
    #[inline(always)]
    fn run(self, value: u32) -> u32 {
        self.run.wrapping_add((self.starts << (!value & 31)).count_ones())
    }
}

// SAFETY: two words, in this order.
#[allow(unsafe_code, reason = "read by vector instructions")]
unsafe impl Packed<2> for Word {
    #[inline(always)]
    fn words(self) -> [u32; 2] {
        [self.starts, self.run]
    }
}

// SAFETY: two words, in this order.
#[allow(unsafe_code, reason = "read by vector instructions")]
unsafe impl Packed<2> for Node {
    #[inline(always)]
    fn words(self) -> [u32; 2] {
        [self.base, self.shape]
    }
}

impl Bitmap {
    /// Makes a bitmap of runs with these ends, numbered from `first`.
    pub(super) fn new(ends: impl Iterator<Item = u16>, first: u32) -> Bitmap {
        let mut words = vec![Word::default(); 1 << 11];
        let mut start = 0u16;
        for end in ends {
            if let Some(word) = words.get_mut(usize::from(start >> 5)) {
                word.starts |= 1 << (start & 31);
            }
            start = end.wrapping_add(1);
        }
        let mut run = first.wrapping_sub(1);
        for word in &mut words {
            word.run = run;
            run = run.wrapping_add(word.starts.count_ones());
        }
        Bitmap { words }
    }

    /// Returns the number of the run that holds `value`.
    #[inline(always)]
    pub(super) fn run(&self, value: u16) -> usize {
        let Some(word) = self.words.get(usize::from(value >> 5)) else { return value.into() };
        word.run(value.into()) as usize
    }

    /// Returns the numbers of the runs that hold these values of 16 bits.
    #[inline(always)]
    pub(super) fn gather(&self, lanes: impl Lanes, values: &Column) -> Column {
        if self.words.is_empty() {
            return *values;
        }
        let [starts, runs] = lanes.gather(&self.words, &values.map(|value| value >> 5));
        let mut numbers = [0; GROUP];
        for (((number, starts), run), value) in numbers.iter_mut().zip(starts).zip(runs).zip(values)
        {
            *number = Word { starts, run }.run(*value);
        }
        numbers
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.words)
    }
}

impl<W: Part> Ends<W> {
    pub(super) fn new() -> Ends<W> {
        Ends { ends: Vec::new() }
    }

    /// Adds a node of intervals with these ends. The places of its intervals follow each other,
    /// the first after as many places as its [`directory`](Ends::directory) takes.
    ///
    /// With `with_directory` there is a directory also where one line would do.
    pub(super) fn add(&mut self, ends: &[W], with_directory: bool) -> Node {
        let base = self.ends.len();
        let height = Self::height(ends.len()).max(with_directory.into());
        for level in (1..=height).rev() {
            let of_line = 1 << (level * Self::LINE_BITS);
            self.ends.extend(ends.chunks(of_line).filter_map(|ends| ends.last()));
        }
        let lines = self.ends.len() - base;
        let node = match height {
            0 => Node::new(Node::LINE, base, 0),
            1 => Node::new(Node::DIRECTORY, base, ends.len() << Node::LINES_BITS | lines),
            _ => Node::new(Node::TREE, base, ends.len()),
        };
        self.ends.extend(ends);
        node
    }

    /// A line is 2 to the power of so many ends.
    const LINE_BITS: u32 = W::LANES.ilog2();

    /// Returns the level of a tree that is no more than a line, and so is looked in first.
    fn height(count: usize) -> u32 {
        (count.max(2) - 1).ilog2() / Self::LINE_BITS
    }

    /// Returns how many there are in a level of a tree, from the ends themselves upward.
    #[inline(always)]
    fn in_level(count: usize, level: u32) -> usize {
        (count.saturating_sub(1) >> (level * Self::LINE_BITS)) + 1
    }

    /// Returns the number of places of a node that precede those of its intervals.
    pub(super) fn directory(node: Node) -> usize {
        match node.shape & 3 {
            Node::DIRECTORY => node.lines(),
            Node::TREE => {
                let count = node.number();
                (1..=Self::height(count)).map(|level| Self::in_level(count, level)).sum()
            }
            _ => 0,
        }
    }

    /// To be called after the last node was added.
    pub(super) fn finish(&mut self) {
        if !self.ends.is_empty() {
            self.ends.extend(std::iter::repeat_n(W::MAX, W::LANES));
        }
        self.ends.shrink_to_fit();
    }

    /// Returns the place of the interval that holds `part`.
    #[inline(always)]
    pub(super) fn place(&self, lanes: impl Lanes, node: Node, part: W) -> usize {
        part.find(lanes, &self.ends, self.line(lanes, node, part))
    }

    #[inline(always)]
    fn place_by_directory(&self, lanes: impl Lanes, node: Node, part: W) -> usize {
        part.find(lanes, &self.ends, self.line_by_directory(lanes, node, part))
    }

    /// Returns the place of the line that has the end of the interval that holds `part`.
    #[inline(always)]
    fn line(&self, lanes: impl Lanes, node: Node, part: W) -> usize {
        match node.shape {
            Node::LINE => node.base as usize,
            shape if shape & 3 == Node::DIRECTORY => self.line_by_directory(lanes, node, part),
            _ => self.line_by_tree(lanes, node, part),
        }
    }

    #[inline(always)]
    fn line_by_directory(&self, lanes: impl Lanes, node: Node, part: W) -> usize {
        let base = node.base as usize;
        base + node.lines() + part.find_in_line(lanes, &self.ends, base) * W::LANES
    }

    /// Finds the line of each level by that of the one above it, and returns the place of the last.
    #[inline(always)]
    fn line_by_tree(&self, lanes: impl Lanes, node: Node, part: W) -> usize {
        lanes.call(LineByTree { ends: self, node, part })
    }

    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.ends)
    }
}

/// [`Ends::line_by_tree`], apart, as few nodes of most tables are trees.
struct LineByTree<'a, W> {
    ends: &'a Ends<W>,
    node: Node,
    part: W,
}

impl<W: Part> Job for LineByTree<'_, W> {
    type Output = usize;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> usize {
        let LineByTree { ends: Ends { ends }, node, part } = self;
        let count = node.number();
        let (mut start, mut line) = (node.base as usize, 0);
        for level in (1..=Ends::<W>::height(count)).rev() {
            let first = line * W::LANES;
            line = first + part.find_in_line(lanes, ends, start + first);
            start += Ends::<W>::in_level(count, level);
        }
        start + line * W::LANES
    }
}

impl<W: Part, V: Value> Level<W, V> {
    pub(super) fn new() -> Level<W, V> {
        Level { ends: Ends::new(), values: Vec::new() }
    }

    pub(super) fn add(&mut self, list: &[(W, V)], with_directory: bool) -> Node {
        let ends: Vec<W> = list.iter().map(|(end, _)| *end).collect();
        let node = self.ends.add(&ends, with_directory);
        self.values.extend(std::iter::repeat_n(V::NONE, Ends::<W>::directory(node)));
        self.values.extend(list.iter().map(|(_, value)| *value));
        node
    }

    pub(super) fn finish(&mut self) {
        self.ends.finish();
        self.values.shrink_to_fit();
    }

    #[inline(always)]
    pub(super) fn get(&self, lanes: impl Lanes, node: Node, part: W) -> Option<&V> {
        self.values.get(self.ends.place(lanes, node, part))
    }

    /// Puts the values of a further step in place of those of a group that stand for nodes of this level,
    /// given a part of the address of each lane.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    fn gather_next<L: Lanes, const N: usize>(
        &self,
        lanes: L,
        links: &[Node],
        part: impl Fn(usize) -> W,
        found: &mut [Column; N],
    ) where
        V: Gathered<N>,
    {
        let ([bases, shapes], are_nodes) = V::nodes(lanes, found, links);
        let bits = lanes.nonzero(&are_nodes);
        if bits == 0 {
            return;
        }
        if !L::STEPS_TOGETHER {
            for lane in lanes_of(bits) {
                let node = Node { base: bases[lane], shape: shapes[lane] };
                let words = self.get(lanes, node, part(lane)).map_or([0; N], |value| value.words());
                for (column, word) in found.iter_mut().zip(words) {
                    column[lane] = word;
                }
            }
            return;
        }
        // The lanes without a node look at the first line, which there is.
        let none = [0; GROUP];
        let bases = lanes.choose(&are_nodes, u32::MAX, &bases, &none);
        let shapes = lanes.choose(&are_nodes, u32::MAX, &shapes, &[Node::LINE; GROUP]);
        let mut places = [0; GROUP];
        if self.is_large() {
            places = self.places_ahead(lanes, &bases, &shapes, part);
        } else {
            let nodes = bases.into_iter().zip(shapes);
            for (lane, (place, (base, shape))) in places.iter_mut().zip(nodes).enumerate() {
                *place = self.ends.place(lanes, Node { base, shape }, part(lane)) as u32;
            }
        }
        let next: [Column; N] = lanes.gather(&self.values, &places);
        for (found, next) in found.iter_mut().zip(&next) {
            *found = lanes.choose(&are_nodes, u32::MAX, next, found);
        }
    }

    /// Whether it takes so much memory that the loads of a group are begun one step before they are needed.
    // PERF: decide-batch/ipv6-100k.
    #[inline(always)]
    fn is_large(&self) -> bool {
        self.values.len() > const { LARGE / size_of::<V>() }
    }

    /// Returns the places of a group of parts, given the nodes: while the lines of one are loaded, those of others
    /// are asked for.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is less than their number")]
    fn places_ahead(
        &self,
        lanes: impl Lanes,
        bases: &Column,
        shapes: &Column,
        part: impl Fn(usize) -> W,
    ) -> Column {
        let Level { ends, values } = self;
        for base in bases {
            prefetch(ends.ends.get(*base as usize));
        }
        let mut lines = [0; GROUP];
        for lane in 0..GROUP {
            let node = Node { base: bases[lane], shape: shapes[lane] };
            lines[lane] = ends.line(lanes, node, part(lane));
            prefetch(ends.ends.get(lines[lane]));
        }
        let mut places = [0; GROUP];
        for lane in 0..GROUP {
            let place = part(lane).find(lanes, &ends.ends, lines[lane]);
            prefetch(values.get(place));
            places[lane] = place as u32;
        }
        places
    }

    /// Does what [`get`](Level::get) does, and begins to load values while it looks for the place.
    // PERF: where networks are many it saves the time of a load at each step; decide-dependent/ipv6-100k.
    #[inline(always)]
    pub(super) fn get_ahead(&self, lanes: impl Lanes, node: Node, part: W) -> Option<&V> {
        let line = self.ends.line(lanes, node, part);
        self.prefetch_values(line);
        self.values.get(part.find(lanes, &self.ends.ends, line))
    }

    /// Begins to load the values of a line of ends.
    #[inline(always)]
    fn prefetch_values(&self, start: usize) {
        let values = self.values.get(start..).and_then(|values| values.get(..W::LANES));
        let Some(values) = values else { return };
        for number in (0..W::LANES).step_by(64 / size_of::<V>()) {
            prefetch(values.get(number));
        }
        prefetch(values.last());
    }

    /// Begins to load what a look-up in `node` reads first.
    #[inline(always)]
    fn prefetch(&self, node: Node) {
        prefetch(self.ends.ends.get(node.base as usize));
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.ends.size_bytes() + memory::of_vec(&self.values)
    }
}

/// Returns the first and the last address of a network, left-aligned.
pub(super) fn bounds(net: IpNet) -> (u128, u128) {
    match net {
        IpNet::V4(net) => {
            let align = |bits: u32| u128::from(bits) << 96;
            let last = align(net.broadcast().to_bits()) | ((1 << 96) - 1);
            (align(net.network().to_bits()), last)
        }
        IpNet::V6(net) => (net.network().to_bits(), net.broadcast().to_bits()),
    }
}

/// Addresses up to and with an end, left-aligned, that have the same value.
pub(super) type Interval<V> = (u128, V);

/// What holds in a part of the addresses: one value, or these intervals, up to and with an end.
pub(super) enum Piece<'a, V> {
    Whole(V),
    Inner(&'a [Interval<V>], u128),
}

/// Returns the intervals into which networks cut the addresses.
pub(super) fn flatten<V: Value>(networks: &Networks<V>, rest: V) -> Vec<Interval<V>> {
    let mut intervals: Vec<Interval<V>> = Vec::with_capacity(networks.len() * 2);
    let mut add = |end, leaf| match intervals.last_mut() {
        Some((last, same)) if *same == leaf => *last = end,
        _ => intervals.push((end, leaf)),
    };
    // The networks that contain the one at hand, and the first address that is in no interval yet.
    let mut open = vec![(u128::MAX, rest)];
    let mut next = Some(0u128);
    let close =
        |open: &mut Vec<(u128, V)>, next: &mut Option<u128>, add: &mut dyn FnMut(u128, V)| {
            if let Some((end, leaf)) = open.pop()
                && let Some(start) = *next
                && start <= end
            {
                add(end, leaf);
                *next = end.checked_add(1);
            }
        };
    for (first, last, leaf) in networks {
        while open.last().is_some_and(|(end, _)| end < first) {
            close(&mut open, &mut next, &mut add);
        }
        if let (Some((_, outer)), Some(start)) = (open.last(), next)
            && start < *first
        {
            add(first - 1, *outer);
            next = Some(*first);
        }
        open.push((*last, *leaf));
    }
    while !open.is_empty() {
        close(&mut open, &mut next, &mut add);
    }
    intervals
}

/// Splits intervals, of which the last counts up to `last`, by the `width` bits above the lowest
/// `shift`: values of these bits, each the last for which a piece holds.
pub(super) fn split<V: Value>(
    intervals: &[Interval<V>],
    last: u128,
    shift: u32,
    width: u32,
) -> Vec<(u128, Piece<'_, V>)> {
    let below = (1u128 << shift) - 1;
    let value = |address: u128| address >> shift & ((1 << width) - 1);
    let mut pieces = Vec::new();
    let mut next = 0;
    let mut rest = intervals;
    while let Some((end, leaf)) = rest.first() {
        let end = (*end).min(last);
        if end & below == below {
            pieces.push((value(end), Piece::Whole(*leaf)));
            rest = rest.get(1..).unwrap_or(&[]);
        } else {
            if value(end) > next {
                pieces.push((value(end) - 1, Piece::Whole(*leaf)));
            }
            let end = end | below;
            let count = rest.partition_point(|(own, _)| *own < end) + 1;
            let (inner, _) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            pieces.push((value(end), Piece::Inner(inner, end)));
            let is_whole = inner.last().is_none_or(|(own, _)| *own == end);
            rest = rest.get(if is_whole { count } else { count - 1 }..).unwrap_or(&[]);
        }
        if pieces.last().is_some_and(|(end, _)| *end == (1 << width) - 1) {
            break;
        }
        next = pieces.last().map_or(0, |(end, _)| end + 1);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Direction, Flow, IpProtocol};
    use crate::matcher::Vectors;
    use crate::matcher::lanes::Machine;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    /// Finds numbers in nodes of so many ends.
    struct Find<W> {
        counts: Vec<usize>,
        of: fn(usize) -> W,
    }

    impl<W: Part + Debug> Job for Find<W> {
        type Output = ();

        fn run(self, lanes: impl Lanes) {
            let Find { counts, of } = self;
            let ends_of = |count: usize| -> Vec<W> {
                // Of each three numbers the first.
                (0..count - 1).map(|number| of(3 * number)).chain([W::MAX]).collect()
            };
            let mut ends = Ends::new();
            let nodes: Vec<Node> = counts.iter().map(|n| ends.add(&ends_of(*n), false)).collect();
            ends.finish();
            for (node, count) in nodes.into_iter().zip(counts) {
                let first = node.base as usize + Ends::<W>::directory(node);
                let own = ends_of(count);
                assert_eq!(
                    ends.ends.get(first..first + count),
                    Some(own.as_slice()),
                    "{count} ends"
                );
                for number in (0..3 * count + 2).map(of).chain([W::MAX]) {
                    let place = ends.place(lanes, node, number);
                    let expected = first + own.partition_point(|end| *end < number);
                    assert_eq!(place, expected, "{number:?} of {count} ends");
                }
            }
        }
    }

    #[test]
    fn the_first_end_that_is_not_below_a_number_is_found_among_any_number_of_them() {
        // Up to a line and one more, a directory of a line, a tree of two levels above the ends, of three.
        let counts = |lanes: usize| {
            let edges = [lanes, lanes * lanes, lanes * lanes * lanes];
            let near = edges.map(|edge| [edge - 1, edge, edge + 1]);
            let more = [1, 2, lanes * lanes + lanes, 3 * lanes * lanes + 7];
            let counts = near.into_iter().flatten().chain(more);
            counts.filter(|count| *count < 20_000).collect::<Vec<_>>()
        };
        for limit in Vectors::ALL {
            let machine = Machine::up_to(limit);
            machine.run(Find::<u16> { counts: counts(u16::LANES), of: |number| number as u16 });
            machine.run(Find::<u32> { counts: counts(u32::LANES), of: |number| number as u32 });
            machine.run(Find::<u64> { counts: counts(u64::LANES), of: |number| number as u64 });
        }
    }

    /// Looks addresses of a family up in each way, and asserts what is found.
    struct InEachWay<'a> {
        index: &'a Intervals<Ranked>,
        expected: &'a [(IpAddr, Ranked)],
    }

    impl Job for InEachWay<'_> {
        type Output = ();

        fn run(self, lanes: impl Lanes) {
            let InEachWay { index, expected } = self;
            for of_group in expected.chunks(GROUP) {
                let new = || Flow::new(IpProtocol::TCP, Direction::Outbound);
                let flow =
                    |(address, _): &(IpAddr, Ranked)| new().with_remote_address(*address, None, 1);
                let flows: Vec<Flow<'_>> = of_group.iter().map(flow).collect();
                let columns = Columns::new(lanes, &flows);
                let [gathered] = index.gather_ends(lanes, &columns, Which::Remote);
                let wanted: Vec<Wanted<'_, Ranked>> = of_group
                    .iter()
                    .map(|(address, _)| {
                        let (at, _) = bounds(IpNet::from(*address));
                        Wanted { intervals: index, high: (at >> 64) as u64, low: at as u64 }
                    })
                    .collect();
                let of_wanted = Intervals::get_group(lanes, &wanted, &Ranked::NONE);
                let found = gathered.into_iter().zip(of_wanted).zip(&wanted);
                for ((address, expected), ((gathered, of_wanted), wanted)) in
                    of_group.iter().zip(found)
                {
                    let single = match address {
                        IpAddr::V4(address) => index.get_v4(lanes, address.to_bits()),
                        IpAddr::V6(_) => index.get_v6(lanes, wanted.high, wanted.low),
                    };
                    assert_eq!(single, expected, "{address}, alone");
                    if address.is_ipv6() {
                        let near = index.get_v6_if_near(lanes, wanted.high, wanted.low);
                        assert_eq!(near.unwrap_or(&Ranked::NONE), expected, "{address}, if near");
                    }
                    assert_eq!(of_wanted, expected, "{address}, of a group");
                    assert_eq!(Ranked::of_bits(gathered), *expected, "{address}, by columns");
                }
            }
        }
    }

    /// Makes an index with singles apart and one with them within, and looks the edges of all networks up.
    fn assert_alike_in_each_way(family: AddressFamily, nets: &[&str]) {
        let mut nets: Vec<IpNet> = nets.iter().map(|net| net.parse().unwrap()).collect();
        nets.sort();
        let ranked = |rank| Ranked::new(rank, crate::rule::Action::Drop);
        let networks: Vec<(u128, u128, Ranked)> = (0..)
            .zip(&nets)
            .map(|(rank, net)| {
                let (first, last) = bounds(*net);
                (first, last, ranked(rank))
            })
            .collect();
        let v4 = family == AddressFamily::V4;
        let unit = if v4 { 1 << 96 } else { 1 };
        let edges = networks.iter().flat_map(|(first, last, _)| {
            let near = [*first, *last].map(|at| [at.wrapping_sub(unit), at, at.wrapping_add(unit)]);
            near.into_iter().flatten().chain([first + (last - first) / 2])
        });
        let expected: Vec<(IpAddr, Ranked)> = edges
            .map(|at| {
                let of = networks.iter().rev().find(|(first, last, _)| *first <= at && at <= *last);
                let address = match v4 {
                    true => IpAddr::V4(Ipv4Addr::from_bits((at >> 96) as u32)),
                    false => IpAddr::V6(Ipv6Addr::from_bits(at)),
                };
                (address, of.map_or(Ranked::NONE, |(.., ranked)| *ranked))
            })
            .collect();
        let (_, kept) = take_singles(&flatten(&networks, Ranked::NONE), if v4 { 96 } else { 0 });
        assert_eq!(kept.last().map(|(end, _)| *end), Some(u128::MAX), "all addresses are in one");
        for singles in [Singles::Within, Singles::Apart] {
            let index = Intervals::with_singles(&networks, Ranked::NONE, family, singles);
            assert_eq!(index.has_exact(), singles == Singles::Apart);
            for limit in Vectors::ALL {
                let job = InEachWay { index: &index, expected: &expected };
                Machine::up_to(limit).run(job);
            }
        }
    }

    #[test]
    fn single_ipv4_addresses_are_found_apart_from_networks_as_within() {
        assert_alike_in_each_way(
            AddressFamily::V4,
            &[
                "0.0.0.0/32",
                "0.0.0.2/32",
                "10.0.0.0/8",
                "10.0.0.0/32",
                "10.1.2.0/24",
                "10.1.2.0/30",
                "10.1.2.1/32",
                "10.1.2.3/32",
                "10.1.2.4/32",
                "10.1.2.5/32",
                "10.1.2.6/31",
                "10.1.2.255/32",
                "10.255.255.255/32",
                "11.0.0.0/32",
                "11.0.0.1/32",
                "200.1.2.3/32",
                "255.255.255.254/32",
                "255.255.255.255/32",
            ],
        );
        // Nothing but hosts, and one.
        assert_alike_in_each_way(AddressFamily::V4, &["1.2.3.4/32", "1.2.3.5/32", "9.9.9.9/32"]);
        assert_alike_in_each_way(AddressFamily::V4, &["1.2.3.4/32"]);
    }

    #[test]
    fn single_ipv6_addresses_and_first_halves_are_found_apart_from_networks_as_within() {
        assert_alike_in_each_way(
            AddressFamily::V6,
            &[
                // A host at each edge of networks of 64 bits; such a network beside another; one that has a
                // network in it, in its first half, in its last, or all of it; and hosts in these.
                "::2/128",
                "2001:db8::/32",
                "2001:db8::/64",
                "2001:db8::/128",
                "2001:db8::1/128",
                "2001:db8:0:1::/64",
                "2001:db8:0:1:ffff:ffff:ffff:ffff/128",
                "2001:db8:0:3::/64",
                "2001:db8:0:3::/65",
                "2001:db8:0:4::/64",
                "2001:db8:0:4:8000::/65",
                "2001:db8:0:5::/64",
                "2001:db8:0:5:1::/80",
                "2001:db8:0:5:1::7/128",
                "2001:db8:0:6::/63",
                "2001:db8:0:6::/128",
                "2001:db8:0:7::9/128",
                "2001:db8:0:8::/62",
                "2001:db8:0:9::/64",
                "2001:db8:0:9:5::/128",
                "2001:db8:1::/48",
                "2001:db8:1:ffff::/64",
                "2001:db8:2::1/128",
                "2400::/64",
                "fe80::/10",
                "fe80::/64",
                "fe80::1/128",
                "ffff:ffff:ffff:fffe::/64",
                "ffff:ffff:ffff:ffff::/64",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/128",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
            ],
        );
        assert_alike_in_each_way(AddressFamily::V6, &["2001:db8::1/128", "2001:db8::2/128"]);
        assert_alike_in_each_way(AddressFamily::V6, &["2001:db8::/64", "2001:db8:0:2::/64"]);
        // So many networks that calls end early, and single ones far from them.
        let many = (0..100).map(|n| format!("2001:{n:x}00::/24"));
        let far = ["3000::1/128", "4000:1:2:3::/64", "5000::/16"].map(str::to_owned);
        let nets: Vec<String> = many.chain(far).collect();
        let nets: Vec<&str> = nets.iter().map(String::as_str).collect();
        assert_alike_in_each_way(AddressFamily::V6, &nets);
    }

    #[test]
    fn networks_of_very_many_first_bits_are_found_by_a_node_for_each_value() {
        // Of each three values of 16 bits the second is a network, or the first half of one.
        let networks: Vec<(u128, u128, Ranked)> = (0u32..1 << 16)
            .filter(|first| first % 3 == 1)
            .map(|first| {
                let bits = if first % 2 == 0 { 112 } else { 111 };
                let start = u128::from(first) << 112;
                (start, start | ((1 << bits) - 1), Ranked::new(first, crate::rule::Action::Drop))
            })
            .collect();
        let index = Intervals::new(&networks, Ranked::NONE);
        assert!(index.root.words.is_empty());
        let seldom = (0u32..1 << 16).step_by(41).chain([1, 2, 4, (1 << 16) - 1]);
        let expected: Vec<(IpAddr, Ranked)> = seldom
            .flat_map(|first| [0x0000, 0x7fff, 0x8000, 0xffff].map(|low| (first, low)))
            .flat_map(|(first, low)| {
                let is_in = first % 3 == 1 && (first % 2 == 0 || low < 0x8000);
                let ranked = Ranked::new(first, crate::rule::Action::Drop);
                let ranked = if is_in { ranked } else { Ranked::NONE };
                let bits = first << 16 | low;
                let v6 = Ipv6Addr::from_bits(u128::from(bits) << 96);
                [(IpAddr::from(Ipv4Addr::from_bits(bits)), ranked), (v6.into(), ranked)]
            })
            // An IPv4-mapped address is looked up as the IPv4 one.
            .filter(|(address, _)| address.to_canonical() == *address)
            .collect();
        let of = |is_ipv4: bool| -> Vec<(IpAddr, Ranked)> {
            expected.iter().filter(|(address, _)| address.is_ipv4() == is_ipv4).copied().collect()
        };
        for limit in Vectors::ALL {
            for is_ipv4 in [true, false] {
                let job = InEachWay { index: &index, expected: &of(is_ipv4) };
                Machine::up_to(limit).run(job);
            }
        }
    }

    /// Looks addresses up, left-aligned.
    struct LookUp<'a> {
        index: &'a Intervals<Ranked>,
        wanted: &'a [u128],
    }

    impl Job for LookUp<'_> {
        type Output = Vec<([Ranked; 2], Option<Ranked>)>;

        fn run(self, lanes: impl Lanes) -> Vec<([Ranked; 2], Option<Ranked>)> {
            let LookUp { index, wanted } = self;
            let all = wanted.iter().map(|wanted| {
                let (high, low) = ((wanted >> 64) as u64, *wanted as u64);
                let v4 = index.get_v4(lanes, (wanted >> 96) as u32);
                let near = index.get_v6_if_near(lanes, high, low).copied();
                ([*v4, *index.get_v6(lanes, high, low)], near)
            });
            all.collect()
        }
    }

    #[test]
    fn addresses_whose_first_bits_say_all_are_found_beside_networks_that_are_many() {
        let around = ["10.0.0.0/12", "10.2.0.0/16", "11.0.0.0/16", "200.0.0.0/6"];
        let many = (0..200).map(|n| format!("10.3.{n}.0/25"));
        let nets = around.map(str::to_owned).into_iter().chain(many);
        let mut nets: Vec<IpNet> = nets.map(|net| net.parse().unwrap()).collect();
        nets.sort();
        let networks: Vec<(u128, u128, Ranked)> = (0..)
            .zip(&nets)
            .map(|(rank, net)| {
                let (first, last) = bounds(*net);
                (first, last, Ranked::new(rank, crate::rule::Action::Drop))
            })
            .collect();
        let index = Intervals::new(&networks, Ranked::NONE);
        assert!(index.has_directories, "calls end early in these only");
        let edges = networks.iter().flat_map(|(first, last, _)| {
            let step = 1 << 96;
            [*first, first.wrapping_sub(step), *last, last.wrapping_add(step)]
        });
        // For IPv4 the low bits say nothing.
        let wanted: Vec<u128> = edges.chain([0, u128::MAX]).map(|at| at >> 96 << 96).collect();
        for limit in Vectors::ALL {
            let found = Machine::up_to(limit).run(LookUp { index: &index, wanted: &wanted });
            let far = found.iter().filter(|(_, near)| near.is_none()).count();
            assert!(far > 2, "{far} addresses are near no network");
            for (wanted, (found, near)) in wanted.iter().zip(found) {
                let of = networks
                    .iter()
                    .rev()
                    .find(|(first, last, _)| first <= wanted && wanted <= last);
                let expected = of.map_or(Ranked::NONE, |(.., ranked)| *ranked);
                assert_eq!(found, [expected; 2], "{wanted:x} by {limit:?}");
                assert_eq!(near.unwrap_or(Ranked::NONE), expected, "{wanted:x}, if near");
            }
        }
    }
}
