//! [`V4Index`], [`V6Index`]: from a bare address to the number of the longest network that contains
//! it.
//!
//! The first 16 bits lead, by a bitmap of where runs of them with the same answer begin or a table
//! of all their values, to that answer or to a node of the next 16. A node of few intervals is one
//! comparison with their ends, as in [`Intervals`](crate::matcher::intervals::Intervals). Where there
//! are many, IPv4 reads a [block](Blocks), and IPv6 a bitmap of all 16 bits; then it goes on by 16, 16
//! and 64, of which routing tables need the first.
//!
//! What costs time in a large table is not the number of steps but that each waits for a load which
//! the caches are too small for. So answers take few bytes, and stand beside what is read before
//! them, or are begun to be loaded before it is known which of some they are.

use crate::matcher::intervals::{
    Bitmap, Interval, Level, Node, Part, Piece, Value, flatten, split,
};
use crate::matcher::lanes::{Lanes, prefetch};
use crate::matcher::memory;
use std::hint::select_unpredictable;

/// The number that stands for no network.
pub(super) const NO_NETWORK: u32 = u32::MAX;

/// Networks in ascending order, those that contain one before it: each as its first and its last
/// address, left-aligned, and its number.
pub(super) type Numbered = [(u128, u128, u32)];

/// The index of IPv4 networks.
#[derive(Debug)]
pub(super) struct V4Index {
    first: First,
    blocks: Blocks,
    halves: Level<u16, Slot>,
    /// The nodes of blocks that do not say all, and of values that stand for one.
    links: Vec<Node>,
}

/// The index of IPv6 networks.
#[derive(Debug)]
pub(super) struct V6Index {
    first: First,
    /// The second 16 bits of few intervals, and of many.
    seconds: Level<u16, Step>,
    many_seconds: Many<Step>,
    /// The third 16 bits, and the fourth.
    halves: Level<u16, Slot>,
    many_halves: Many<Slot>,
    /// The last 64 bits.
    longs: Level<u64, Slot>,
    links: Vec<Node>,
}

/// Nodes of 16 bits with many intervals.
#[derive(Debug)]
struct Many<V> {
    /// The runs are those of `runs`.
    bitmaps: Vec<Bitmap>,
    runs: Vec<V>,
}

/// What the first 16 bits of an address lead to.
#[derive(Debug, Default)]
struct First {
    /// The runs are the steps.
    bitmap: Bitmap,
    steps: Vec<Step>,
    /// The same for each value of the bits, in place of these, if the runs are many and the nodes
    /// are all kept elsewhere.
    slots: Vec<Slot>,
    /// The number of the first network in the block that the slot of the same index links to.
    bases: Vec<u32>,
    /// Of that block, a bit for each eight values of the next 8 bits that not only `outers` is the answer
    /// for. Left out if most have a bit.
    parts: Vec<u32>,
    /// The number of the network, or of none, that contains all of that block.
    // PERF: where networks are scattered, most addresses are in none of those of their block, and what says so is
    // small enough to stay in a cache, other than the blocks; longest-match-dependent/routing-table-ipv4-uniform.
    outers: Vec<u32>,
}

/// The number of a network, of none, or of a node: 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
struct Slot(u32);

/// The number of a network, of none, or a node itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
struct Step(Node);

/// The number of intervals of the second 16 bits of IPv6 from which on a bitmap pays.
const MANY_SECONDS: usize = 256;

/// The same of the third and the fourth.
const MANY_HALVES: usize = 1024;

/// More than the runs of a block, of which there are up to 256.
const MAX_RUNS: usize = 1 << 9;

/// The number of runs of the first 16 bits from which on a table of all their values pays.
const MANY_FIRST: usize = 1 << 14;

impl V4Index {
    /// The longest prefix, in bits, of a wide network, one that the first 16 bits of an address
    /// decide on. Wide networks hold most addresses and are few: numbered before the others, what is
    /// kept of them stands together.
    pub(super) const WIDE: u8 = 16;

    /// Makes an index of networks, of which the first `wide_count` numbers are those of the wide
    /// ones, and the others are numbered in order.
    pub(super) fn new(networks: &Numbered, wide_count: u32) -> V4Index {
        let intervals = intervals(networks);
        let mut index = V4Index {
            first: First::default(),
            blocks: Blocks::default(),
            halves: Level::new(),
            links: Vec::new(),
        };
        let is_large = |intervals: &[Interval<Slot>]| intervals.len() > u16::LANES;
        let in_large = split_first(&intervals).into_iter().map(|(_, piece)| match piece {
            Piece::Inner(intervals, _) if is_large(intervals) => intervals.len(),
            _ => 0,
        });
        // So many that no machine could foresee which nodes are.
        let mostly_large = in_large.sum::<usize>() > intervals.len() / 8;
        index.first =
            First::new(&intervals, |intervals, last| match mostly_large || is_large(intervals) {
                true => index.add_block(wide_count, intervals, last),
                false => index.add_half(intervals, last),
            });
        if mostly_large {
            index.first.unfold(&index.blocks);
        }
        index.blocks.lines.shrink_to_fit();
        index.halves.finish();
        index.links.shrink_to_fit();
        index
    }

    fn add_block(&mut self, wide_count: u32, intervals: &[Interval<Slot>], last: u128) -> Node {
        let is_outer = |slot: Slot| slot.0 < wide_count || slot == Slot::NONE;
        let runs: Vec<(u8, Option<Slot>)> = split(intervals, last, 104, u8::BITS)
            .into_iter()
            .map(|(end, piece)| match piece {
                Piece::Whole(slot) => (end as u8, Some(slot)),
                Piece::Inner(..) => (end as u8, None),
            })
            .collect();
        let outer = runs.iter().filter_map(|(_, slot)| *slot).find(|slot| is_outer(*slot));
        let outer = outer.unwrap_or(Slot::NONE);
        let inner = runs.iter().filter_map(|(_, slot)| *slot).filter(|slot| *slot != outer);
        let base = inner.map(|slot| slot.0).min().unwrap_or(0);
        let codes = runs.into_iter().map(|(end, slot)| {
            let code = match slot {
                Some(slot) if slot == outer => Blocks::OUTER.into(),
                Some(slot) => slot.0 - base + 1,
                None => u32::MAX,
            };
            (end, u8::try_from(code).unwrap_or(Blocks::ELSEWHERE))
        });
        let codes: Vec<(u8, u8)> = codes.collect();
        let link = self.links.len() as u32;
        if codes.iter().any(|(_, code)| *code == Blocks::ELSEWHERE) {
            let node = self.add_half(intervals, last);
            self.links.push(node);
        }
        self.blocks.add(&codes, [base, outer.0, link])
    }

    fn add_half(&mut self, intervals: &[Interval<Slot>], last: u128) -> Node {
        let list: Vec<(u16, Slot)> = split(intervals, last, 96, u16::BITS)
            .into_iter()
            .filter_map(|(end, piece)| match piece {
                Piece::Whole(slot) => Some((u16::of(end), slot)),
                // Nothing is left to look up.
                Piece::Inner(..) => None,
            })
            .collect();
        self.halves.add(&list, false)
    }

    /// Returns the number of the network of an address. Calls `guess` with a number that is not far
    /// off, if it can be guessed early.
    #[inline(always)]
    pub(super) fn get(&self, lanes: impl Lanes, address: u32, guess: impl Fn(usize)) -> u32 {
        let (first, value, half) = ((address >> 16) as u16, (address >> 8) as u8, address as u16);
        let found = match self.first.slots.get(usize::from(first)) {
            Some(slot) => match slot.link() {
                Some(link) => {
                    let (line, runs) = (link / MAX_RUNS, link % MAX_RUNS);
                    if let Some(outer) = self.first.outer(first, value) {
                        return outer;
                    }
                    let base = self.first.bases.get(usize::from(first)).copied().unwrap_or(0);
                    guess(base as usize + ((usize::from(value) * runs) >> 8));
                    self.blocks.get(line, runs, value)
                }
                None => return slot.0,
            },
            None => {
                let step = self.first.get(first);
                match (step.0.as_elsewhere(), step.node(&[])) {
                    (Some((line, runs)), _) => self.blocks.get(line, runs, value),
                    (None, Some(node)) => return self.half(lanes, node, half),
                    (None, None) => return step.number(),
                }
            }
        };
        match found {
            Ok(number) => number,
            Err(link) => {
                let node = self.links.get(link as usize).copied().unwrap_or(Node::EMPTY);
                self.half(lanes, node, half)
            }
        }
    }

    #[inline(always)]
    fn half(&self, lanes: impl Lanes, node: Node, half: u16) -> u32 {
        self.halves.get_ahead(lanes, node, half).map_or(NO_NETWORK, |slot| slot.0)
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        self.first.size_bytes()
            + memory::of_vec(&self.blocks.lines)
            + self.halves.size_bytes()
            + memory::of_vec(&self.links)
    }
}

impl V6Index {
    pub(super) fn new(networks: &Numbered) -> V6Index {
        let intervals = intervals(networks);
        let mut index = V6Index {
            first: First::default(),
            seconds: Level::new(),
            many_seconds: Many::new(),
            halves: Level::new(),
            many_halves: Many::new(),
            longs: Level::new(),
            links: Vec::new(),
        };
        index.first = First::new(&intervals, |intervals, last| index.add_second(intervals, last));
        index.seconds.finish();
        index.many_seconds.finish();
        index.halves.finish();
        index.many_halves.finish();
        index.longs.finish();
        index.links.shrink_to_fit();
        index
    }

    fn add_second(&mut self, intervals: &[Interval<Slot>], last: u128) -> Node {
        let mut list = Vec::new();
        for (end, piece) in split(intervals, last, 96, u16::BITS) {
            let step = match piece {
                Piece::Whole(slot) => Step::of(slot),
                Piece::Inner(intervals, last) => Step(self.add_half(intervals, last, 80)),
            };
            list.push((u16::of(end), step));
        }
        match list.len() <= MANY_SECONDS {
            true => self.seconds.add(&list, false),
            false => self.many_seconds.add(&list),
        }
    }

    /// Adds a node of the 16 bits above the lowest `shift`, 80 or 64.
    fn add_half(&mut self, intervals: &[Interval<Slot>], last: u128, shift: u32) -> Node {
        let mut list = Vec::new();
        for (end, piece) in split(intervals, last, shift, u16::BITS) {
            let slot = match piece {
                Piece::Whole(slot) => slot,
                Piece::Inner(intervals, last) => {
                    let node = match shift {
                        64 => self.add_long(intervals, last),
                        _ => self.add_half(intervals, last, 64),
                    };
                    Slot::of_node(node, &mut self.links)
                }
            };
            list.push((u16::of(end), slot));
        }
        match list.len() <= MANY_HALVES {
            true => self.halves.add(&list, false),
            false => self.many_halves.add(&list),
        }
    }

    fn add_long(&mut self, intervals: &[Interval<Slot>], last: u128) -> Node {
        let list: Vec<(u64, Slot)> = split(intervals, last, 0, u64::BITS)
            .into_iter()
            .filter_map(|(end, piece)| match piece {
                Piece::Whole(slot) => Some((u64::of(end), slot)),
                // Nothing is left to look up.
                Piece::Inner(..) => None,
            })
            .collect();
        self.longs.add(&list, false)
    }

    /// Returns the number of the network of an address, given by its halves.
    #[inline(always)]
    pub(super) fn get(&self, lanes: impl Lanes, high: u64, low: u64) -> u32 {
        let step = self.first.get((high >> 48) as u16);
        let Some(node) = step.node(&[]) else { return step.number() };
        let second = (high >> 32) as u16;
        let step = match node.as_elsewhere() {
            Some((bitmap, _)) => self.many_seconds.get(bitmap, second),
            None => self.seconds.get_ahead(lanes, node, second).copied().unwrap_or(Step::NONE),
        };
        let Some(node) = step.node(&[]) else { return step.number() };
        let slot = self.half(lanes, node, (high >> 16) as u16);
        match slot.link() {
            Some(link) => self.get_long(lanes, link, high as u16, low),
            None => slot.0,
        }
    }

    /// Goes on beyond 48 bits, where few networks of routing tables are.
    #[inline(always)]
    fn get_long(&self, lanes: impl Lanes, link: usize, fourth: u16, low: u64) -> u32 {
        let node = |link: usize| self.links.get(link).copied().unwrap_or(Node::EMPTY);
        let slot = self.half(lanes, node(link), fourth);
        match slot.link() {
            Some(link) => {
                let found = self.longs.get_ahead(lanes, node(link), low);
                found.map_or(NO_NETWORK, |slot| slot.0)
            }
            None => slot.0,
        }
    }

    #[inline(always)]
    fn half(&self, lanes: impl Lanes, node: Node, half: u16) -> Slot {
        match node.as_elsewhere() {
            Some((bitmap, _)) => self.many_halves.get(bitmap, half),
            None => self.halves.get_ahead(lanes, node, half).copied().unwrap_or(Slot::NONE),
        }
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        self.first.size_bytes()
            + self.seconds.size_bytes()
            + self.many_seconds.size_bytes()
            + self.halves.size_bytes()
            + self.many_halves.size_bytes()
            + self.longs.size_bytes()
            + memory::of_vec(&self.links)
    }
}

impl<V: Value> Many<V> {
    fn new() -> Many<V> {
        Many { bitmaps: Vec::new(), runs: Vec::new() }
    }

    fn add(&mut self, list: &[(u16, V)]) -> Node {
        let ends = list.iter().map(|(end, _)| *end);
        self.bitmaps.push(Bitmap::new(ends, self.runs.len() as u32));
        self.runs.extend(list.iter().map(|(_, value)| *value));
        Node::elsewhere(self.bitmaps.len() - 1, 0)
    }

    /// To be called after the last node was added.
    fn finish(&mut self) {
        self.bitmaps.shrink_to_fit();
        self.runs.shrink_to_fit();
    }

    #[inline(always)]
    fn get(&self, bitmap: usize, half: u16) -> V {
        let run = self.bitmaps.get(bitmap).map_or(usize::MAX, |bitmap| bitmap.run(half));
        self.runs.get(run).copied().unwrap_or(V::NONE)
    }

    fn size_bytes(&self) -> usize {
        self.bitmaps.iter().map(Bitmap::size_bytes).sum::<usize>()
            + memory::of_vec(&self.bitmaps)
            + memory::of_vec(&self.runs)
    }
}

/// The answers of nodes of IPv4, by the 8 bits after the first 16.
///
/// A block is a header and, right behind it and into the next lines, a byte for each run of values
/// of these bits with one answer, in order: the number of a network less that of the first one in
/// the node, plus 1, or another thing where that does not say it.
#[derive(Debug, Default)]
struct Blocks {
    lines: Vec<Line>,
}

/// The words of a line. In that of a header, eight are a bitmap of where runs begin, two hold how
/// many runs begin before each of these, a byte each, then come the number of the first network, the
/// number of the network that contains the node, and the index of a link.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Line([u32; 16]);

impl Blocks {
    /// The network, or none, that contains all of the node.
    const OUTER: u8 = 0;
    /// The node's link leads to the answer: the network is a longer one, or there are too many.
    const ELSEWHERE: u8 = u8::MAX;

    /// The number of bytes before the codes.
    const HEADER: usize = 52;

    /// Adds a block of codes, each with the last value of its run.
    fn add(&mut self, codes: &[(u8, u8)], [base, outer, link]: [u32; 3]) -> Node {
        let line = self.lines.len();
        let mut bytes = [0; Blocks::HEADER + 256];
        let mut words = [0u32; 13];
        let (mut start, mut counts) = (0u8, [0u8; 8]);
        for (run, (end, code)) in codes.iter().enumerate() {
            if let Some(word) = words.get_mut(usize::from(start >> 5)) {
                *word |= 1 << (start & 31);
            }
            if let Some(byte) = bytes.get_mut(Blocks::HEADER + run) {
                *byte = *code;
            }
            start = end.wrapping_add(1);
        }
        let mut count = 0;
        for (own, word) in counts.iter_mut().zip(&words) {
            *own = count as u8;
            count += word.count_ones();
        }
        let counts = u64::from_le_bytes(counts);
        let rest = [counts as u32, (counts >> 32) as u32, base, outer, link];
        for (own, word) in words.iter_mut().skip(8).zip(rest) {
            *own = word;
        }
        for (own, word) in bytes.chunks_exact_mut(4).zip(words) {
            own.copy_from_slice(&word.to_le_bytes());
        }
        let len = Blocks::HEADER + codes.len();
        for bytes in bytes.get(..len).unwrap_or_default().chunks(64) {
            let mut line = Line::default();
            for (index, byte) in bytes.iter().enumerate() {
                if let Some(word) = line.0.get_mut(index / 4) {
                    *word |= u32::from(*byte) << (index % 4 * 8);
                }
            }
            self.lines.push(line);
        }
        Node::elsewhere(line, codes.len())
    }

    /// Returns the number of the first network of the block at `line`, and that of the network that
    /// contains it.
    fn base_and_outer(&self, line: usize) -> (u32, u32) {
        let numbers = |Line([.., base, outer, _, _, _, _]): &Line| (*base, *outer);
        self.lines.get(line).map_or((NO_NETWORK, NO_NETWORK), numbers)
    }

    /// Returns a bit for each eight values of the 8 bits, unless one network, or none, that contains the block
    /// at `line` is the answer for all of them.
    fn parts(&self, line: usize) -> u32 {
        let Some(Line(header)) = self.lines.get(line) else { return u32::MAX };
        let (mut parts, mut run, mut is_inner) = (0, 0, false);
        for value in 0..=u8::MAX {
            let starts = header.get(usize::from(value >> 5)).copied().unwrap_or(0);
            if starts >> (value & 31) & 1 != 0 {
                is_inner = self.code(line, Blocks::HEADER + run) != Some(Blocks::OUTER);
                run += 1;
            }
            parts |= u32::from(is_inner) << (value >> 3);
        }
        parts
    }

    /// Returns the code at a place of the block at `line`, counted in bytes.
    #[inline(always)]
    fn code(&self, line: usize, place: usize) -> Option<u8> {
        let Line(words) = self.lines.get(line + place / 64)?;
        let word = words.get(place / 4 % 16).copied().unwrap_or(0);
        Some((word >> (place % 4 * 8)) as u8)
    }

    /// Returns the number of the network, or else the index of the link, by the block at `line`, of
    /// so many runs.
    #[inline(always)]
    fn get(&self, line: usize, runs: usize, value: u8) -> Result<u32, u32> {
        // Where the code is if the runs are alike.
        let place = Blocks::HEADER + ((usize::from(value) * runs) >> 8);
        prefetch(self.lines.get(line + place / 64));
        let Some(Line(header)) = self.lines.get(line) else { return Ok(NO_NETWORK) };
        let part = usize::from(value >> 5);
        let [.., low, high, base, outer, link, _, _, _] = *header;
        let counts = u64::from(high) << 32 | u64::from(low);
        let starts = header.get(part).copied().unwrap_or(0) << (!value & 31);
        let run = (counts >> (part * 8) & 0xff) as usize + starts.count_ones() as usize;
        // The run that holds the value is the last that begins up to it.
        let place = Blocks::HEADER - 1 + run;
        let Some(code) = self.code(line, place) else { return Ok(NO_NETWORK) };
        if code == Blocks::ELSEWHERE {
            return Err(link);
        }
        let inner = base.wrapping_add(u32::from(code)).wrapping_sub(1);
        Ok(select_unpredictable(code == Blocks::OUTER, outer, inner))
    }
}

impl First {
    /// Makes it of intervals, of which `add` adds those of a node.
    fn new(
        intervals: &[Interval<Slot>],
        mut add: impl FnMut(&[Interval<Slot>], u128) -> Node,
    ) -> First {
        let pieces = split_first(intervals);
        if pieces.is_empty() {
            return First::default();
        }
        let bitmap = Bitmap::new(pieces.iter().map(|(end, _)| *end as u16), 0);
        let steps = pieces.into_iter().map(|(_, piece)| match piece {
            Piece::Whole(slot) => Step::of(slot),
            Piece::Inner(intervals, last) => Step(add(intervals, last)),
        });
        First { bitmap, steps: steps.collect(), ..First::default() }
    }

    /// Puts a table of all values in place of the bitmap if there are many runs. All nodes have to
    /// be blocks.
    fn unfold(&mut self, blocks: &Blocks) {
        if self.steps.len() < MANY_FIRST {
            return;
        }
        let mut all = First::default();
        let reserve = |numbers: &mut Vec<u32>| numbers.reserve_exact(1 << u16::BITS);
        all.slots.reserve_exact(1 << u16::BITS);
        [&mut all.bases, &mut all.parts, &mut all.outers].into_iter().for_each(reserve);
        for bits in 0..=u16::MAX {
            let step = self.get(bits);
            let (slot, base, parts, outer) = match step.0.as_elsewhere() {
                Some((line, runs)) => {
                    let slot = Slot(Slot::LINK | (line * MAX_RUNS + runs) as u32);
                    let (base, outer) = blocks.base_and_outer(line);
                    (slot, base, blocks.parts(line), outer)
                }
                None => (Slot(step.number()), NO_NETWORK, 0, NO_NETWORK),
            };
            all.slots.push(slot);
            all.bases.push(base);
            all.parts.push(parts);
            all.outers.push(outer);
        }
        let blocks = all.slots.iter().filter(|slot| slot.link().is_some()).count();
        let inner: usize = all.parts.iter().map(|parts| parts.count_ones() as usize).sum();
        if inner > blocks * u32::BITS as usize / 2 {
            (all.parts, all.outers) = (Vec::new(), Vec::new());
        }
        *self = all;
    }

    /// Returns the answer for the block of the first 16 bits if it is that for all values like `value` of
    /// the next 8.
    #[inline(always)]
    fn outer(&self, first: u16, value: u8) -> Option<u32> {
        let parts = self.parts.get(usize::from(first))?;
        match parts >> (value >> 3) & 1 {
            0 => self.outers.get(usize::from(first)).copied(),
            _ => None,
        }
    }

    #[inline(always)]
    fn get(&self, bits: u16) -> Step {
        self.steps.get(self.bitmap.run(bits)).copied().unwrap_or(Step::NONE)
    }

    fn size_bytes(&self) -> usize {
        self.bitmap.size_bytes()
            + memory::of_vec(&self.steps)
            + memory::of_vec(&self.slots)
            + [&self.bases, &self.parts, &self.outers].map(memory::of_vec).iter().sum::<usize>()
    }
}

/// Returns the intervals into which networks cut the addresses; none if there are no networks.
fn intervals(networks: &Numbered) -> Vec<Interval<Slot>> {
    if networks.is_empty() {
        return Vec::new();
    }
    let networks = networks.iter().map(|(first, last, number)| (*first, *last, Slot(*number)));
    flatten(&networks.collect::<Vec<_>>(), Slot::NONE)
}

fn split_first(intervals: &[Interval<Slot>]) -> Vec<(u128, Piece<'_, Slot>)> {
    split(intervals, u128::MAX, 112, u16::BITS)
}

impl Slot {
    /// Set where the others are the index of a node.
    const LINK: u32 = 1 << 31;

    /// Returns the number of the node that this stands for.
    #[inline(always)]
    fn link(self) -> Option<usize> {
        (self.0 & Slot::LINK != 0 && self != Slot::NONE).then_some((self.0 & !Slot::LINK) as usize)
    }
}

impl Value for Slot {
    const NONE: Slot = Slot(NO_NETWORK);

    fn of_node(node: Node, links: &mut Vec<Node>) -> Slot {
        links.push(node);
        Slot(Slot::LINK | (links.len() - 1) as u32)
    }

    #[inline(always)]
    fn node(&self, links: &[Node]) -> Option<Node> {
        links.get(self.link()?).copied()
    }

    #[inline(always)]
    fn is_node(&self) -> bool {
        self.link().is_some()
    }
}

impl Step {
    fn of(slot: Slot) -> Step {
        Step(Node::of_number(slot.0))
    }

    #[inline(always)]
    fn number(self) -> u32 {
        self.0.as_number().unwrap_or(NO_NETWORK)
    }
}

impl Value for Step {
    const NONE: Step = Step(Node::of_number(NO_NETWORK));

    fn of_node(node: Node, _: &mut Vec<Node>) -> Step {
        Step(node)
    }

    #[inline(always)]
    fn node(&self, _: &[Node]) -> Option<Node> {
        self.is_node().then_some(self.0)
    }

    #[inline(always)]
    fn is_node(&self) -> bool {
        self.0.as_number().is_none()
    }
}

#[cfg(test)]
impl V4Index {
    /// Returns the numbers of blocks and of links, and whether the first 16 bits have a table.
    pub(super) fn kinds(&self) -> (usize, usize, bool) {
        let First { steps, slots, .. } = &self.first;
        let blocks = steps.iter().filter(|step| step.0.as_elsewhere().is_some()).count()
            + slots.iter().filter(|slot| slot.link().is_some()).count();
        (blocks, self.links.len(), !slots.is_empty())
    }

    /// Returns whether there is a table of which parts of blocks what contains these is the answer for.
    pub(super) fn has_parts(&self) -> bool {
        !self.first.parts.is_empty()
    }
}

#[cfg(test)]
impl V6Index {
    /// Returns how many nodes of the second 16 bits have bitmaps, and how many further ones.
    pub(super) fn kinds(&self) -> (usize, usize) {
        (self.many_seconds.bitmaps.len(), self.many_halves.bitmaps.len())
    }
}
