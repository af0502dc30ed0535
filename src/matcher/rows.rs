//! [`Rows`]: short lists of rules in order of rank, of which sixteen are compared at a time with a
//! flow, without a branch on what matches.

use crate::endpoint::Zone;
use crate::flow::Flow;
use crate::matcher::intervals::{Node, Value};
use crate::matcher::lanes::{Lanes, prefetch};
use crate::matcher::leaf::{Case, Leaf, Ranked};
use crate::matcher::memory;
use std::hint::select_unpredictable;

/// The number of rules that are compared at a time.
pub(super) const LANES: usize = 16;

/// Where a row begins, or what else an address or a port leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// A rule takes 16 words at most, so that half of the places are enough for two rows of each
    /// rule that a matcher can have.
    fn of_word(word: usize) -> Place {
        Place((word / ALIGN) as u32)
    }

    pub(super) fn of_link(index: usize) -> Place {
        Place(index as u32 | Place::OTHER)
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

impl Value for Place {
    const NONE: Place = Place::EMPTY;

    fn of_node(node: Node, links: &mut Vec<Node>) -> Place {
        links.push(node);
        Place((links.len() - 1) as u32 | Place::NODE)
    }

    #[inline(always)]
    fn node(&self, links: &[Node]) -> Option<Node> {
        if self.0 < Place::NODE {
            return None;
        }
        links.get((self.0 & !Place::NODE) as usize).copied()
    }
}

/// Rows begin at multiples of so many words, so that 31 bits number them.
const ALIGN: usize = 4;

/// The words after the last row, so that a vector of four may be loaded where a column ends.
const PADDING: usize = 3;

/// A rule of a row: all that is compared, less the address that leads to the row.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowRule<const W: usize> {
    pub(super) ranked: Ranked,
    /// The first and the last remote port.
    remote_ports: (u16, u16),
    local_ports: (u16, u16),
    /// The cases of flows that are not loopback flows, from bit 0, of those that are, from bit
    /// [`LOOPBACK`], and the number of another protocol, from bit [`NUMBER`].
    cases: u32,
    /// The other address: value and mask, from the high words to the low ones.
    value: [u32; W],
    mask: [u32; W],
    /// The zone ids of the remote and the local side.
    zones: [Option<Zone>; 2],
}

/// The first bit of the cases of loopback flows.
const LOOPBACK: u32 = 9;
/// The bit of rules that have a zone id.
const ZONED: u32 = 1 << 18;
/// The first bit of the number of another protocol.
const NUMBER: u32 = 24;

impl<const W: usize> RowRule<W> {
    pub(super) fn new(
        leaf: &Leaf,
        local_ports: (u16, u16),
        may_be_loopback: bool,
        [value, mask]: [[u32; W]; 2],
        zones: [Option<Zone>; 2],
    ) -> RowRule<W> {
        let own = u32::from(leaf.cases);
        let loopback = if may_be_loopback { own << LOOPBACK } else { 0 };
        let zoned = if zones == [None; 2] { 0 } else { ZONED };
        let cases = own | loopback | zoned | u32::from(leaf.number) << NUMBER;
        let remote_ports = leaf.ports();
        RowRule { ranked: leaf.ranked, remote_ports, local_ports, cases, value, mask, zones }
    }

    pub(super) fn single_remote_port(&self) -> Option<u16> {
        let (first, last) = self.remote_ports;
        (first == last).then_some(first)
    }

    pub(super) fn single_local_port(&self) -> Option<u16> {
        let (first, last) = self.local_ports;
        (first == last).then_some(first)
    }

    /// Returns the fields, each as it stands in its column.
    fn fields(&self) -> impl Iterator<Item = u32> {
        let ports = |(first, last): (u16, u16)| u32::from(last - first) << 16 | u32::from(first);
        let ports = [ports(self.remote_ports), ports(self.local_ports)];
        let ranked = [self.ranked.bits(), self.cases];
        ranked.into_iter().chain(ports).chain(self.value).chain(self.mask)
    }
}

/// What a flow is compared by.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowQuery<'a> {
    /// The case, as one bit.
    pub(super) case: u32,
    /// The number of another protocol, in place.
    pub(super) number: u32,
    pub(super) remote_port: u32,
    pub(super) local_port: u32,
    pub(super) flow: &'a Flow<'a>,
}

impl<'a> RowQuery<'a> {
    #[inline(always)]
    pub(super) fn new(flow: &'a Flow<'a>, case: Case, is_loopback: bool) -> RowQuery<'a> {
        let (remote, local) = flow.ends();
        RowQuery {
            case: 1 << (case.index() as u32 + u32::from(is_loopback) * LOOPBACK),
            number: u32::from(case.number()) << NUMBER,
            remote_port: remote.port().into(),
            local_port: local.port().into(),
            flow,
        }
    }

    /// Whether the zone ids of a rule, of its remote and its local side, agree with the flow's.
    pub(super) fn agrees(&self, zones: &[Option<Zone>; 2]) -> bool {
        let mut pairs = zones.iter().zip(self.flow.zones());
        pairs.all(|(own, zone)| own.is_none() || zone.is_none() || *own == zone)
    }
}

/// Up to sixteen rules of a row, field by field: the columns follow each other, each as long as
/// there are rules. `W` is the number of words in an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a, const W: usize> {
    /// INVARIANT: [`PADDING`] words more than [`COLUMNS`](Self::COLUMNS) times the count.
    words: &'a [u32],
    /// INVARIANT: at most [`LANES`].
    count: usize,
}

impl<'a, const W: usize> Chunk<'a, W> {
    pub(super) const RANKED: usize = 0;
    pub(super) const CASES: usize = 1;
    pub(super) const REMOTE_PORTS: usize = 2;
    pub(super) const LOCAL_PORTS: usize = 3;
    pub(super) const VALUE: usize = 4;
    pub(super) const MASK: usize = 4 + W;
    pub(super) const COLUMNS: usize = 4 + 2 * W;
    /// The bits of the number of another protocol.
    pub(super) const NUMBERS: u32 = 0xff << NUMBER;

    /// Takes the first rules of what `words` begins with, up to [`LANES`].
    #[inline(always)]
    fn new(words: &'a [u32], count: usize) -> Option<Chunk<'a, W>> {
        let count = count.min(LANES);
        let words = words.get(..count * Self::COLUMNS + PADDING)?;
        Some(Chunk { words, count })
    }

    #[inline(always)]
    pub(super) fn count(self) -> usize {
        self.count
    }

    #[inline(always)]
    pub(super) fn words(self) -> &'a [u32] {
        self.words
    }

    #[inline(always)]
    fn field(self, column: usize, lane: usize) -> u32 {
        self.words.get(column * self.count + lane).copied().unwrap_or(0)
    }

    /// Returns a bit for each rule that matches a flow whose other address is `other`.
    #[inline(always)]
    pub(super) fn matching(self, query: &RowQuery<'_>, other: &[u32; W]) -> u32 {
        let mut bits = 0;
        for lane in 0..self.count {
            let cases = self.field(Self::CASES, lane);
            let in_ports = |port: u32, ports: u32| port.wrapping_sub(ports) & 0xffff <= ports >> 16;
            let mut holds = (cases & query.case != 0)
                & ((cases ^ query.number) & Self::NUMBERS == 0)
                & in_ports(query.remote_port, self.field(Self::REMOTE_PORTS, lane))
                & in_ports(query.local_port, self.field(Self::LOCAL_PORTS, lane));
            for (word, own) in other.iter().enumerate() {
                let value = self.field(Self::VALUE + word, lane);
                holds &= (own ^ value) & self.field(Self::MASK + word, lane) == 0;
            }
            bits |= u32::from(holds) << lane;
        }
        bits
    }
}

/// The rows.
#[derive(Debug)]
pub(super) struct Rows<const W: usize> {
    /// Each row: the number of its rules, then these, sixteen at a time, as chunks.
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
        self.words.push(rules.len() as u32);
        for rules in rules.chunks(LANES) {
            let start = self.words.len();
            self.words.resize(start + rules.len() * Chunk::<W>::COLUMNS, 0);
            let columns = self.words.get_mut(start..).unwrap_or_default();
            for (lane, rule) in rules.iter().enumerate() {
                for (column, field) in columns.chunks_exact_mut(rules.len()).zip(rule.fields()) {
                    if let Some(word) = column.get_mut(lane) {
                        *word = field;
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
        self.words.resize(self.words.len() + PADDING, 0);
        self.words.shrink_to_fit();
        self.zones.sort_unstable_by_key(|(ranked, _)| *ranked);
        self.zones.dedup_by_key(|(ranked, _)| *ranked);
        self.zones.shrink_to_fit();
    }

    /// Returns the number of words that the rows take.
    pub(super) fn len(&self) -> usize {
        self.words.len()
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
        query: &RowQuery<'_>,
        other: &[u32; W],
        best: Ranked,
    ) -> Ranked {
        let Some((count, mut words)) = self.words.get(place.word()..).and_then(|w| w.split_first())
        else {
            return best;
        };
        let mut count = *count as usize;
        loop {
            let Some(chunk) = Chunk::<W>::new(words, count) else { return best };
            let mut bits = lanes.match_row(chunk, query, other);
            if !self.zones.is_empty() {
                bits = self.within_zones(chunk, query, bits);
            }
            let first = bits.trailing_zeros() as usize % LANES;
            let ranked = Ranked::of_bits(chunk.field(Chunk::<W>::RANKED, first));
            if (bits != 0) | (count <= LANES) {
                return select_unpredictable(bits != 0, ranked, Ranked::NONE).min(best);
            }
            count -= LANES;
            words = words.get(LANES * Chunk::<W>::COLUMNS..).unwrap_or_default();
            if words.first().is_none_or(|ranked| Ranked::of_bits(*ranked) >= best) {
                return best;
            }
        }
    }

    /// Returns the bits of the rules whose zone ids agree with the flow's, up to the first.
    #[cold]
    fn within_zones(&self, chunk: Chunk<'_, W>, query: &RowQuery<'_>, bits: u32) -> u32 {
        let mut bits = bits;
        while bits != 0 {
            let lane = bits.trailing_zeros() as usize;
            if chunk.field(Chunk::<W>::CASES, lane) & ZONED == 0 {
                break;
            }
            let ranked = Ranked::of_bits(chunk.field(Chunk::<W>::RANKED, lane));
            let own = self.zones.binary_search_by_key(&ranked, |(ranked, _)| *ranked).ok();
            let own = own.and_then(|index| self.zones.get(index));
            if own.is_none_or(|(_, zones)| query.agrees(zones)) {
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
    use crate::matcher::leaf::Ranked;

    #[test]
    fn rows_lists_and_nodes_are_told_apart_up_to_the_most_rules() {
        let mut nodes = Vec::new();
        let node = Place::of_node(Node::EMPTY, &mut nodes);
        assert_eq!(node.node(&nodes), Some(Node::EMPTY));
        for index in [0, 1, Ranked::MAX_RULES] {
            let link = Place::of_link(index);
            assert_eq!((link.link(), link.node(&nodes)), (Some(index), None));
        }
        // Two rows of each of the most rules, of the most words.
        for word in [0, ALIGN, Ranked::MAX_RULES * 2 * 16] {
            let row = Place::of_word(word);
            assert_eq!((row.link(), row.node(&nodes), row.word()), (None, None, word));
        }
    }
}
