//! [`Rows`]: short lists of rules in order of rank, of which sixteen are compared at a time with a
//! flow, without a branch on what matches.

use crate::endpoint::Zone;
use crate::flow::{Flow, FlowTraits};
use crate::matcher::columns::Column;
use crate::matcher::intervals::{Gathered, Node, Value};
use crate::matcher::lanes::{Lanes, Packed, prefetch};
use crate::matcher::leaf::{CASES, COMMON_CASES, Leaf, Ranked};
use crate::matcher::memory;
use std::hint::select_unpredictable;

/// The number of rules that are compared at a time.
pub(super) const LANES: usize = 16;

/// Where a row begins, or what else an address or a port leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Place(u32);

impl Place {
    /// The row of no rules.
    pub(super) const EMPTY: Place = Place(0);
    /// No row, but a list that is more than one, or a node.
    const OTHER: u32 = 1 << 31;
    /// Of these, the node of a further step of the look-up.
    const NODE: u32 = Place::OTHER | 1 << 30;

    /// The place of the row that begins at a word, a multiple of [`ALIGN`].
    ///
    /// A row of one rule takes 24 words at most, so that half of the places are enough for a row of
    /// each rule that a matcher can have, and for merged rows.
    fn of_word(word: usize) -> Place {
        Place((word / ALIGN) as u32)
    }

    pub(super) const fn of_link(index: usize) -> Place {
        Place(index as u32 | Place::OTHER)
    }

    /// Returns the place of these [`words`](Packed::words).
    #[inline(always)]
    pub(super) fn of_words([word]: [u32; 1]) -> Place {
        Place(word)
    }

    /// Returns the place of these [`halves`](Place::halves).
    #[inline(always)]
    pub(super) fn of_halves([low, high]: [u16; 2]) -> Place {
        Place(u32::from(high) << 16 | u32::from(low))
    }

    /// Returns the halves of the place as a number.
    pub(super) fn halves(self) -> [u16; 2] {
        [self.0 as u16, (self.0 >> 16) as u16]
    }

    /// Returns the number of the list that is more than a row; for places that no node is at.
    #[inline(always)]
    pub(super) fn link(self) -> Option<usize> {
        (self.0 & Place::OTHER != 0).then_some((self.0 & !Place::NODE) as usize)
    }

    /// Returns the index of the row's first word.
    #[inline(always)]
    fn word(self) -> usize {
        self.0 as usize * ALIGN
    }
}

/// The place of a row, with what has to be known of it before its rules are read.
// PERF: so that no load of them waits for another one; decide-dependent/acl-1k.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Spot(u32);

impl Spot {
    /// The low bits: the number of pairs of the first chunk, and whether another follows.
    const PAIRS: u32 = 0b1111;
    const MORE: u32 = 0b1_0000;
    const BITS: u32 = 5;

    /// The row of no rules.
    pub(super) const EMPTY: Spot = Spot(0);

    /// Returns the spot of these [`words`](Packed::words).
    #[inline(always)]
    pub(super) fn of_words([word]: [u32; 1]) -> Spot {
        Spot(word)
    }

    /// Returns the index of the row's first word.
    #[inline(always)]
    fn word(self) -> usize {
        (self.0 >> Spot::BITS) as usize * ALIGN
    }
}

// SAFETY: one word.
#[allow(unsafe_code, reason = "read by vector instructions")]
unsafe impl Packed<1> for Spot {
    #[inline(always)]
    fn words(self) -> [u32; 1] {
        [self.0]
    }
}

// SAFETY: one word.
#[allow(unsafe_code, reason = "read by vector instructions")]
unsafe impl Packed<1> for Place {
    #[inline(always)]
    fn words(self) -> [u32; 1] {
        [self.0]
    }
}

impl Value for Place {
    const NONE: Place = Place::EMPTY;

    fn of_node(node: Node, links: &mut Vec<Node>) -> Place {
        links.push(node);
        Place((links.len() - 1) as u32 | Place::NODE)
    }

    #[inline(always)]
    fn node(&self, links: &[Node]) -> Option<Node> {
        if !self.is_node() {
            return None;
        }
        links.get((self.0 & !Place::NODE) as usize).copied()
    }

    #[inline(always)]
    fn is_node(&self) -> bool {
        self.0 >= Place::NODE
    }
}

impl Gathered<1> for Place {
    #[inline(always)]
    fn nodes(lanes: impl Lanes, [values]: &[Column; 1], links: &[Node]) -> ([Column; 2], Column) {
        let are_nodes = values.map(|place| u32::from(place >= Place::NODE));
        (lanes.gather(links, &values.map(|place| place & !Place::NODE)), are_nodes)
    }
}

/// Rows begin at multiples of so many words, so that 31 bits number them.
const ALIGN: usize = 4;

/// A rule of a row: all that is compared, less the address that leads to the row.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowRule<const W: usize> {
    pub(super) ranked: Ranked,
    /// The first and the last remote port.
    remote_ports: (u16, u16),
    local_ports: (u16, u16),
    /// Bits of [`FlowTraits`]: the traits that the rule does not match, and the number of another
    /// protocol.
    traits: u16,
    /// The other address: value and mask, from the high words to the low ones.
    value: [u32; W],
    mask: [u32; W],
    /// The zone ids of the remote and the local side.
    zones: [Option<Zone>; 2],
}

/// Beside the traits of flows that it does not match and a protocol's number, the bit of rules that
/// have a zone id; no flow asks for it.
const ZONED: u16 = 1 << 7;

impl<const W: usize> RowRule<W> {
    pub(super) fn new(
        leaf: &Leaf,
        local_ports: (u16, u16),
        may_be_loopback: bool,
        [value, mask]: [[u32; W]; 2],
        zones: [Option<Zone>; 2],
    ) -> RowRule<W> {
        let zoned = if zones == [None; 2] { 0 } else { ZONED };
        let traits = leaf.traits(may_be_loopback) | zoned;
        let remote_ports = leaf.ports();
        RowRule { ranked: leaf.ranked, remote_ports, local_ports, traits, value, mask, zones }
    }

    /// A rule that matches no flow, to fill a row up.
    const NONE: RowRule<W> = RowRule {
        ranked: Ranked::NONE,
        remote_ports: (0, 0),
        local_ports: (0, 0),
        traits: FlowTraits::ALL,
        value: [0; W],
        mask: [0; W],
        zones: [None; 2],
    };

    pub(super) fn single_remote_port(&self) -> Option<u16> {
        let (first, last) = self.remote_ports;
        (first == last).then_some(first)
    }

    pub(super) fn single_local_port(&self) -> Option<u16> {
        let (first, last) = self.local_ports;
        (first == last).then_some(first)
    }

    /// Returns the leaf of a rule of which nothing is compared but the case and the port of one side, the
    /// remote one or else the local one. Loopback flows are as others to it.
    pub(super) fn of_one_port(&self) -> Option<(bool, Leaf)> {
        let is_of_case = |case: &usize| self.traits & FlowTraits::of_case(*case) == 0;
        let is_number = (COMMON_CASES..CASES).any(|case| is_of_case(&case));
        let is_compared = self.mask != [0; W] || self.zones != [None; 2];
        if is_compared || is_number || self.traits & FlowTraits::LOOPBACK != 0 {
            return None;
        }
        let is_remote = self.local_ports == (0, u16::MAX);
        let (first_port, last_port) = match is_remote {
            true => self.remote_ports,
            false if self.remote_ports == (0, u16::MAX) => self.local_ports,
            false => return None,
        };
        let cases = (0..COMMON_CASES).filter(is_of_case).fold(0, |cases, case| cases | 1 << case);
        let leaf = Leaf { ranked: self.ranked, first_port, last_port, cases, ..Leaf::NONE };
        Some((is_remote, leaf))
    }

    /// Returns the fields of 16 bits, then those of 32, each as it stands in its column.
    fn fields(&self) -> ([u16; HALVES], impl Iterator<Item = u32>) {
        let ((remote, last_remote), (local, last_local)) = (self.remote_ports, self.local_ports);
        let halves = [remote, last_remote - remote, local, last_local - local, self.traits];
        (halves, self.value.into_iter().chain([self.ranked.bits()]).chain(self.mask))
    }
}

/// What a flow is compared by.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowQuery<'a> {
    pub(super) traits: FlowTraits,
    pub(super) remote_port: u16,
    pub(super) local_port: u16,
    pub(super) flow: &'a Flow<'a>,
}

impl<'a> RowQuery<'a> {
    #[inline(always)]
    pub(super) fn new(flow: &'a Flow<'a>) -> RowQuery<'a> {
        let (remote, local) = flow.ends();
        let (remote_port, local_port) = (remote.port(), local.port());
        RowQuery { traits: flow.traits(), remote_port, local_port, flow }
    }
}

/// Whether the zone ids of a rule, of its remote and its local side, agree with the flow's.
fn agree(flow: &Flow<'_>, zones: &[Option<Zone>; 2]) -> bool {
    let mut pairs = zones.iter().zip(flow.zones());
    pairs.all(|(own, zone)| own.is_none() || zone.is_none() || *own == zone)
}

/// The number of fields of 16 bits.
const HALVES: usize = 5;

/// Up to sixteen rules of a row, field by field: the columns follow each other, each as long as
/// there are rules, those of 16 bits first. `W` is the number of words in an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a, const W: usize> {
    /// INVARIANT: [`WORDS`](Self::WORDS), some of which need not belong to the chunk.
    words: &'a [u32],
    /// The number of pairs of rules.
    ///
    /// INVARIANT: at most half of [`LANES`].
    pairs: usize,
    has_more: bool,
}

// Columns are counted in columns of 16 bits, of which one of 32 bits is two. Those that are compared
// stand where two additions of the processor's own lead to.
impl<'a, const W: usize> Chunk<'a, W> {
    pub(super) const REMOTE_FIRST: usize = 0;
    pub(super) const REMOTE_MORE: usize = 1;
    pub(super) const LOCAL_FIRST: usize = 2;
    pub(super) const LOCAL_MORE: usize = 3;
    pub(super) const TRAITS: usize = 4;
    pub(super) const VALUE: usize = HALVES;
    const RANKED: usize = HALVES + 2 * W;
    pub(super) const MASK: usize = HALVES + 2 * W + 2;
    const COLUMNS: usize = HALVES + 4 * W + 2;

    /// The number of words that sixteen rules take.
    const WORDS: usize = LANES / 2 * Self::COLUMNS;

    /// In the word before a chunk, beside the number of pairs: another chunk follows.
    const MORE: u32 = 1 << 31;

    /// Returns the number of rules; even.
    #[inline(always)]
    pub(super) fn count(self) -> usize {
        self.pairs * 2
    }

    /// Returns where a column begins. A whole line may be read there, half a line for a column of 16
    /// bits; what is beyond the rules is of no account.
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        allow(dead_code, reason = "read by their vectors only")
    )]
    #[inline(always)]
    pub(super) fn column(self, column: usize) -> *const u32 {
        self.words.as_ptr().wrapping_add(column * self.pairs)
    }

    #[inline(always)]
    fn field(self, column: usize, lane: usize) -> u32 {
        self.words.get(column * self.pairs + lane).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn half(self, column: usize, lane: usize) -> u16 {
        (self.field(column, lane / 2) >> (lane % 2 * 16)) as u16
    }

    /// Returns a bit for each rule that matches a flow whose other address is `other`.
    #[inline(always)]
    pub(super) fn matching(self, query: RowQuery<'_>, other: &[u32; W]) -> u32 {
        let FlowTraits { asked, number } = query.traits;
        let mut bits = 0;
        for lane in 0..self.count() {
            let in_ports = |port: u16, first: usize, more: usize| {
                port.wrapping_sub(self.half(first, lane)) <= self.half(more, lane)
            };
            let mut holds = ((self.half(Self::TRAITS, lane) ^ number) & asked == 0)
                & in_ports(query.remote_port, Self::REMOTE_FIRST, Self::REMOTE_MORE)
                & in_ports(query.local_port, Self::LOCAL_FIRST, Self::LOCAL_MORE);
            for (word, own) in other.iter().enumerate() {
                let value = self.field(Self::VALUE + 2 * word, lane);
                holds &= (own ^ value) & self.field(Self::MASK + 2 * word, lane) == 0;
            }
            bits |= u32::from(holds) << lane;
        }
        bits
    }
}

/// The rows.
#[derive(Debug)]
pub(super) struct Rows<const W: usize> {
    /// Each row: chunks of sixteen rules, and one of the rest, each after a word that says how many
    /// pairs it has and whether another follows.
    ///
    /// INVARIANT: the words of a chunk of sixteen follow the last one.
    words: Vec<u32>,
    /// The zone ids of rules that have some, by rank.
    zones: Vec<(Ranked, [Option<Zone>; 2])>,
}

impl<const W: usize> Rows<W> {
    pub(super) fn new() -> Rows<W> {
        // The row of no rules.
        Rows { words: vec![0; ALIGN], zones: Vec::new() }
    }

    /// Adds rules in ascending rank.
    pub(super) fn add(&mut self, rules: &[RowRule<W>]) -> Place {
        if rules.is_empty() {
            return Place::EMPTY;
        }
        let place = Place::of_word(self.words.len());
        let last = (rules.len() - 1) / LANES;
        for (chunk, rules) in rules.chunks(LANES).enumerate() {
            let pairs = rules.len().div_ceil(2);
            let more = if chunk < last { Chunk::<W>::MORE } else { 0 };
            self.words.push(pairs as u32 | more);
            let start = self.words.len();
            self.words.resize(start + pairs * Chunk::<W>::COLUMNS, 0);
            let words = self.words.get_mut(start..).unwrap_or_default();
            for (pair, rules) in rules.chunks(2).enumerate() {
                let [one, other] = [0, 1].map(|lane| rules.get(lane).unwrap_or(&RowRule::NONE));
                let ((halves, fields), (other_halves, other_fields)) =
                    (one.fields(), other.fields());
                let places = (pair..).step_by(pairs);
                for ((place, half), other) in places.zip(halves).zip(other_halves) {
                    if let Some(word) = words.get_mut(place) {
                        *word = u32::from(half) | u32::from(other) << 16;
                    }
                }
                let places = (HALVES * pairs + 2 * pair..).step_by(2 * pairs);
                for ((place, field), other) in places.zip(fields).zip(other_fields) {
                    if let Some(two) = words.get_mut(place..place + 2) {
                        two.copy_from_slice(&[field, other]);
                    }
                }
            }
        }
        for rule in rules.iter().filter(|rule| rule.zones != [None; 2]) {
            self.zones.push((rule.ranked, rule.zones));
        }
        self.words.resize(self.words.len().next_multiple_of(ALIGN), 0);
        place
    }

    /// To be called after the last row was added.
    pub(super) fn finish(&mut self) {
        self.words.resize(self.words.len() + Chunk::<W>::WORDS, 0);
        self.words.shrink_to_fit();
        self.zones.sort_unstable_by_key(|(ranked, _)| *ranked);
        self.zones.dedup_by_key(|(ranked, _)| *ranked);
        self.zones.shrink_to_fit();
    }

    /// The words that a rule takes.
    pub(super) const WORDS_OF_RULE: usize = Chunk::<W>::COLUMNS.div_ceil(2);

    /// Returns the number of words that the rows take.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Returns the spot of a row; none for a place beyond the first 2 GiB.
    pub(super) fn spot(&self, place: Place) -> Option<Spot> {
        let head = self.words.get(place.word()).copied().unwrap_or(0);
        let more = if head & Chunk::<W>::MORE != 0 { Spot::MORE } else { 0 };
        let is_near = place.0 < 1 << (u32::BITS - Spot::BITS);
        is_near.then_some(Spot(place.0 << Spot::BITS | head & Spot::PAIRS | more))
    }

    /// Does what [`prefetch`](Rows::prefetch) does.
    #[inline(always)]
    pub(super) fn prefetch_spot(&self, spot: Spot) {
        prefetch(self.words.get(spot.word()));
        prefetch(self.words.get(spot.word() + 16));
    }

    /// Returns the first rule of a row that matches.
    #[inline(always)]
    pub(super) fn find_at(
        &self,
        lanes: impl Lanes,
        spot: Spot,
        query: RowQuery<'_>,
        other: &[u32; W],
    ) -> Ranked {
        let first = spot.word() + 1;
        let Some(words) = self.words.get(first..first + Chunk::<W>::WORDS) else {
            return Ranked::NONE;
        };
        let pairs = (spot.0 & Spot::PAIRS) as usize;
        let has_more = spot.0 & Spot::MORE != 0;
        let found = self.find_first(lanes, Chunk { words, pairs, has_more }, query, other);
        match has_more & (found == Ranked::NONE) {
            true => self.find_from(lanes, first + Chunk::<W>::WORDS, query, other, Ranked::NONE),
            false => found,
        }
    }

    #[inline(always)]
    pub(super) fn prefetch(&self, place: Place) {
        let word = place.word();
        prefetch(self.words.get(word));
        prefetch(self.words.get(word + 16));
    }

    /// Returns the first rule of a row that matches and goes before `best`, else `best`.
    #[inline(always)]
    pub(super) fn find(
        &self,
        lanes: impl Lanes,
        place: Place,
        query: RowQuery<'_>,
        other: &[u32; W],
        best: Ranked,
    ) -> Ranked {
        let (first, more) = self.find_in_chunk(lanes, place.word(), query, other);
        match more {
            Some(more) if first == Ranked::NONE => self.find_from(lanes, more, query, other, best),
            _ => first.min(best),
        }
    }

    /// Does the same of what follows the first chunk of a row.
    #[inline(always)]
    pub(super) fn find_further(
        &self,
        lanes: impl Lanes,
        place: Place,
        query: RowQuery<'_>,
        other: &[u32; W],
        best: Ranked,
    ) -> Ranked {
        self.find_from(lanes, place.word() + 1 + Chunk::<W>::WORDS, query, other, best)
    }

    /// Returns the first rule of the first chunk of a row that matches, and whether others follow.
    #[inline(always)]
    pub(super) fn find_in_first(
        &self,
        lanes: impl Lanes,
        place: Place,
        query: RowQuery<'_>,
        other: &[u32; W],
    ) -> (Ranked, bool) {
        let (first, more) = self.find_in_chunk(lanes, place.word(), query, other);
        (first, more.is_some())
    }

    /// Does what [`find`](Rows::find) does with a chunk, given by where it begins, and those after it.
    #[inline(always)]
    fn find_from(
        &self,
        lanes: impl Lanes,
        start: usize,
        query: RowQuery<'_>,
        other: &[u32; W],
        best: Ranked,
    ) -> Ranked {
        let mut next = Some(start);
        while let Some(start) = next {
            let before = self.chunk(start).map(|chunk| chunk.field(Chunk::<W>::RANKED, 0));
            if before.is_none_or(|ranked| Ranked::of_bits(ranked) >= best) {
                return best;
            }
            let (first, more) = self.find_in_chunk(lanes, start, query, other);
            if first != Ranked::NONE {
                return first.min(best);
            }
            next = more;
        }
        best
    }

    #[inline(always)]
    fn chunk(&self, start: usize) -> Option<Chunk<'_, W>> {
        let (head, words) = self.words.get(start..start + 1 + Chunk::<W>::WORDS)?.split_first()?;
        let pairs = (*head & !Chunk::<W>::MORE) as usize;
        Some(Chunk { words, pairs, has_more: head & Chunk::<W>::MORE != 0 })
    }

    /// Returns the first rule that matches of a chunk, given by where it begins, and where the next
    /// one of the row does.
    #[inline(always)]
    fn find_in_chunk<L: Lanes>(
        &self,
        lanes: L,
        start: usize,
        query: RowQuery<'_>,
        other: &[u32; W],
    ) -> (Ranked, Option<usize>) {
        let Some(chunk) = self.chunk(start) else { return (Ranked::NONE, None) };
        let more = chunk.has_more.then_some(start + 1 + Chunk::<W>::WORDS);
        (self.find_first(lanes, chunk, query, other), more)
    }

    /// Returns the first rule that matches of a chunk.
    #[inline(always)]
    fn find_first<L: Lanes>(
        &self,
        lanes: L,
        chunk: Chunk<'_, W>,
        query: RowQuery<'_>,
        other: &[u32; W],
    ) -> Ranked {
        let mut bits = lanes.match_row(chunk, query, other);
        if !self.zones.is_empty() {
            // PERF: the chunk in its parts, so that it is never in memory; decide-batch/acl-1k.
            let Chunk { words, pairs, .. } = chunk;
            bits = self.within_zones(words, pairs, query.flow, bits, L::ROW_BITS);
        }
        let first = (bits.trailing_zeros() / L::ROW_BITS) as usize % LANES;
        let ranked = Ranked::of_bits(chunk.field(Chunk::<W>::RANKED, first));
        select_unpredictable(bits != 0, ranked, Ranked::NONE)
    }

    /// Returns the bits of the rules of a chunk whose zone ids agree with the flow's, up to the first.
    #[cold]
    fn within_zones(
        &self,
        words: &[u32],
        pairs: usize,
        flow: &Flow<'_>,
        mut bits: u32,
        row_bits: u32,
    ) -> u32 {
        let chunk = Chunk::<W> { words, pairs, has_more: false };
        while bits != 0 {
            let lane = (bits.trailing_zeros() / row_bits) as usize;
            if chunk.half(Chunk::<W>::TRAITS, lane) & ZONED == 0 {
                break;
            }
            let ranked = Ranked::of_bits(chunk.field(Chunk::<W>::RANKED, lane));
            let own = self.zones.binary_search_by_key(&ranked, |(ranked, _)| *ranked).ok();
            let own = own.and_then(|index| self.zones.get(index));
            if own.is_none_or(|(_, zones)| agree(flow, zones)) {
                break;
            }
            bits &= bits - 1;
        }
        bits
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.words) + memory::of_vec(&self.zones)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Ports;
    use crate::flow::{Direction, IpProtocol};
    use crate::matcher::Vectors;
    use crate::matcher::lanes::{Job, Machine};
    use crate::rule::{Action, Protocol};
    use std::net::Ipv4Addr;

    /// Numbers that differ by their seed, and are the same in every run.
    fn mix(seed: &mut u64) -> u32 {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) as u32
    }

    fn pick<T: Copy>(seed: &mut u64, values: &[T]) -> T {
        values.get(mix(seed) as usize % values.len()).copied().expect("some values")
    }

    fn rule<const W: usize>(rank: u32, seed: &mut u64) -> RowRule<W> {
        let protocols = [Protocol::Any, Protocol::Tcp, Protocol::Udp, Protocol::Number(47)];
        let directions = [Direction::Any, Direction::Inbound, Direction::Outbound];
        let ranked = Ranked::new(rank, Action::Drop);
        let (protocol, direction) = (pick(seed, &protocols), pick(seed, &directions));
        let leaf = Leaf::new(ranked, Ports::ANY, protocol, direction);
        let mut ports = || {
            let first: u16 = pick(seed, &[0, 1, 3, 0x7fff, 0x8000, 0xfffe]);
            (first, pick(seed, &[first, first.saturating_add(1), u16::MAX]))
        };
        let leaf_ports = ports();
        let leaf = Leaf { first_port: leaf_ports.0, last_port: leaf_ports.1, ..leaf };
        let local_ports = ports();
        let mask = std::array::from_fn(|_| pick(seed, &[0, 0, u32::MAX << 31, u32::MAX, 1]));
        let value: [u32; W] =
            std::array::from_fn(|word| pick(seed, &[0, 1, 1 << 31, u32::MAX]) & mask[word]);
        RowRule::new(&leaf, local_ports, mix(seed).is_multiple_of(2), [value, mask], [None; 2])
    }

    /// Compares rows of every length with flows.
    struct Compare<const W: usize>(u64);

    impl<const W: usize> Job for Compare<W> {
        type Output = usize;

        fn run(self, lanes: impl Lanes) -> usize {
            check_rows::<_, W>(lanes, self.0)
        }
    }

    fn check_rows<L: Lanes, const W: usize>(lanes: L, mut seed: u64) -> usize {
        let mut matching = 0;
        for count in (1..=LANES).cycle().take(400) {
            let rules: Vec<RowRule<W>> =
                (0..count as u32).map(|rank| rule(rank, &mut seed)).collect();
            let mut rows = Rows::new();
            let place = rows.add(&rules);
            // What stands after the row is of no account.
            rows.words.resize(rows.words.len() + 64, u32::MAX);
            rows.finish();
            let chunk = rows.chunk(place.word()).expect("a chunk");
            for _ in 0..20 {
                let protocols = [IpProtocol::TCP, IpProtocol::UDP, IpProtocol(47), IpProtocol(1)];
                let directions = [Direction::Any, Direction::Inbound, Direction::Outbound];
                let ports = [0, 1, 2, 3, 4, 0x7fff, 0x8000, 0xfffe, 0xffff];
                let remote = pick(&mut seed, &[Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 0, 2, 1)]);
                let flow = Flow::new(pick(&mut seed, &protocols), pick(&mut seed, &directions))
                    .with_remote_address(remote.into(), None, pick(&mut seed, &ports))
                    .with_local_address(remote.into(), None, pick(&mut seed, &ports));
                let other = std::array::from_fn(|_| pick(&mut seed, &[0, 1, 1 << 31, u32::MAX]));
                let query = RowQuery::new(&flow);
                let expected = chunk.matching(query, &other);
                let bits = lanes.match_row(chunk, query, &other);
                let of_lanes = (0..count).fold(0, |found, lane| {
                    found | (bits >> (lane as u32 * L::ROW_BITS) & 1) << lane
                });
                assert_eq!(of_lanes, expected, "{count} rules of {W} words, {flow}");
                let beyond = bits.checked_shr(chunk.count() as u32 * L::ROW_BITS).unwrap_or(0);
                assert_eq!(beyond, 0, "{count} rules of {W} words");
                matching += expected.count_ones() as usize;
            }
        }
        matching
    }

    #[test]
    fn every_machine_compares_rows_as_one_rule_after_the_other() {
        for limit in Vectors::ALL {
            let machine = Machine::up_to(limit);
            let matching = [
                machine.run(Compare::<1>(1)),
                machine.run(Compare::<2>(2)),
                machine.run(Compare::<4>(3)),
            ];
            assert!(matching.iter().all(|count| *count > 100), "{matching:?} rules match");
        }
    }

    #[test]
    fn rows_lists_and_nodes_are_told_apart_up_to_the_most_rules() {
        let mut nodes = Vec::new();
        let node = Place::of_node(Node::EMPTY, &mut nodes);
        assert_eq!(node.node(&nodes), Some(Node::EMPTY));
        for index in [0, 1, Ranked::MAX_RULES] {
            let link = Place::of_link(index);
            assert_eq!((link.link(), link.node(&nodes)), (Some(index), None));
        }
        // A row of each of the most rules, of the most words, and merged ones.
        for word in [0, ALIGN, Ranked::MAX_RULES * 24 + (1 << 30)] {
            let row = Place::of_word(word);
            assert_eq!((row.link(), row.node(&nodes), row.word()), (None, None, word));
        }
    }
}
