//! [`NameMap`]: from the name of a flow to the values of the names that it is or stands below.

use crate::matcher::memory;
use std::hash::{BuildHasher, RandomState};

/// Names in lower case without dots and stars at their ends, of at most 255 bytes, each with a
/// value.
///
/// One pass over a flow's name yields a hash of each part that begins after a dot. It goes from
/// the end, in words of eight bytes, so that the words of a part are those of the name, save for
/// its first:
///
/// ```text
/// www.example.com        word 0 is "mple.com", word 1 is "www.exa"
///     example.com        hashed from the state after word 0, the bytes "exa" and the length 11
/// ```
///
/// A hash chooses a bucket and one of its 64 bits, which is set if a name has it. Two to four names
/// share a bucket, on average, so that nearly every part that is no name is dismissed by the bit.
/// Else the number of bits set below it tells where the names begin that may have it; of those, the
/// low bits of the hash have to be the same before the text is compared.
///
/// No bucket holds more than [`FULL`](NameMap::FULL) names: the keys of the hash are drawn at
/// random until it is so. Hence a part costs at most as many comparisons, whoever chose the names
/// of the flows, and a name has at most 128 parts that are no longer than a rule's.
#[derive(Debug)]
pub(super) struct NameMap<T> {
    keys: Keys,
    /// A bit for each length that a name has.
    lengths: [u64; 4],
    longest: usize,
    /// What is left of a hash when it is shifted by this is the index of a bucket.
    shift: u32,
    /// The buckets, and one that ends the last.
    buckets: Vec<Bucket>,
    /// The names by bucket and bit.
    names: Vec<Name<T>>,
    /// What precedes the last [`END`] bytes of the names that are longer.
    text: Vec<u8>,
}

/// Some of the names.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// The bits that the names have.
    bits: u64,
    /// The index of the first name.
    start: u32,
}

impl<T> NameMap<T> {
    /// The most names in a bucket.
    const FULL: usize = 24;

    /// How often keys are drawn at most; the last are kept whatever they do. Of draws for a
    /// billion names, fewer than one in a thousand makes a bucket overfull.
    const DRAWS: usize = 64;

    /// Makes a map of names of which no two are the same.
    pub(super) fn new(names: Vec<(Box<[u8]>, T)>) -> NameMap<T> {
        NameMap::with_keys(names, draw)
    }

    /// Makes a map, given what finds keys and the hashes of the names, for hashes that are shifted so far.
    fn with_keys(
        names: Vec<(Box<[u8]>, T)>,
        draw: impl FnOnce(&[(Box<[u8]>, T)], u32) -> (Keys, Vec<u64>),
    ) -> NameMap<T> {
        let bits = names.len().next_power_of_two().ilog2().saturating_sub(2).max(1);
        let shift = u64::BITS - bits;
        let (keys, hashes) = draw(&names, shift);
        let mut lengths = [0; 4];
        for (name, _) in &names {
            if let Some(word) = lengths.get_mut(name.len() / 64) {
                *word |= 1 << (name.len() % 64);
            }
        }
        let mut by_hash: Vec<_> = hashes.into_iter().zip(names).collect();
        by_hash.sort_unstable_by_key(|(hash, _)| (hash >> shift, bit_of(*hash)));
        let mut map = NameMap {
            keys,
            lengths,
            longest: by_hash.iter().map(|(_, (name, _))| name.len()).max().unwrap_or(0),
            shift,
            buckets: vec![Bucket::default(); (1 << bits) + 1],
            names: Vec::with_capacity(by_hash.len()),
            text: Vec::new(),
        };
        for (hash, (name, value)) in by_hash {
            if let Some(bucket) = map.buckets.get_mut((hash >> shift) as usize) {
                bucket.bits |= 1 << bit_of(hash);
                // For now the number of names.
                bucket.start += 1;
            }
            map.names.push(Name::new(hash, map.text.len(), &name, value));
            map.text.extend_from_slice(before_end(&name));
        }
        map.text.shrink_to_fit();
        let mut start = 0;
        for bucket in &mut map.buckets {
            start += std::mem::replace(&mut bucket.start, start);
        }
        map
    }

    /// Calls `found` with the value of each name that `name` is or, if that has two or more
    /// labels, stands below; `name` has no dot or star at either end.
    // PERF: what no processor can foresee is how many dots a name has and where, so that there is one loop over those
    // in its end, which is all of most names; decide/hosts-10k-addresses-10k/named-hit.
    #[inline(always)]
    pub(super) fn visit<'a>(&'a self, name: &[u8], mut found: impl FnMut(&'a T)) {
        // What precedes the longest name does not count, save for whether a dot ends it. A tail
        // that is not all of the name has a length that no name has.
        let start = name.len().saturating_sub(self.longest + 1);
        let Some(tail) = name.get(start..) else { return };
        let end = End::of(tail);
        let states = self.keys.states(&end);
        let dots = end.dots();
        // All but the part after the last dot, which is one label, and the name itself.
        let parts = dots & dots.wrapping_sub(1) | 1_u64.checked_shl(tail.len() as u32).unwrap_or(0);
        let mut lengths = parts & self.lengths[0] & End::LENGTHS;
        while lengths != 0 {
            let len = lengths.trailing_zeros() as usize;
            lengths &= lengths - 1;
            let hash = self.keys.finish_in_end(&states, &end, len);
            self.find(hash, len, &end, &[]).into_iter().for_each(&mut found);
        }
        if tail.len() > END {
            let [.., state] = states;
            self.visit_longer(tail, &end, state, dots != 0, found);
        }
    }

    /// Looks up the parts that are longer than the end of a name, from the shortest.
    #[inline(never)]
    fn visit_longer<'a>(
        &'a self,
        name: &[u8],
        end: &End,
        state: u64,
        mut is_domain: bool,
        mut found: impl FnMut(&'a T),
    ) {
        let before = before_end(name);
        let (head, words) = before.as_rchunks();
        let (mut state, mut behind) = (state, END);
        let head = lower(first_bytes(before, head.len()));
        let words = words.iter().rev().map(|word| lower(u64::from_be_bytes(*word)));
        for word in words.chain([head]) {
            let mut dots = bytes_that_are(b'.', word);
            while dots != 0 {
                let bits = dots.trailing_zeros() & !7;
                dots &= dots - 1;
                let len = behind + bits as usize / 8;
                if is_domain && self.has_length(len) {
                    let hash = self.keys.finish(state, word & !(u64::MAX << bits), len);
                    let text = before.get(name.len() - len..).unwrap_or(&[]);
                    self.find(hash, len, end, text).into_iter().for_each(&mut found);
                }
                is_domain = true;
            }
            // The last is not all of a word, and what it leads to is not used.
            state = self.keys.mix(state, word);
            behind += 8;
        }
        if self.has_length(name.len()) {
            let hash = self.keys.hash(before, end, name.len());
            self.find(hash, name.len(), end, before).into_iter().for_each(&mut found);
        }
    }

    #[inline(always)]
    fn has_length(&self, len: usize) -> bool {
        self.lengths.get(len / 64).is_some_and(|word| word >> (len % 64) & 1 != 0)
    }

    /// Returns the value of a name of so many bytes, given its hash, the end of one that ends with it, and what
    /// precedes that end.
    #[inline(always)]
    fn find(&self, hash: u64, len: usize, end: &End, before: &[u8]) -> Option<&T> {
        let index = (hash >> self.shift) as usize;
        let [bucket, next] = self.buckets.get(index..)?.first_chunk()?;
        let bit = 1 << bit_of(hash);
        if bucket.bits & bit == 0 {
            return None;
        }
        let end = end.part(len);
        let below = (bucket.bits & (bit - 1)).count_ones();
        let names = self.names.get((bucket.start + below) as usize..next.start as usize)?;
        // A loop, which becomes part of what calls this, as it would not with `find`.
        for name in names {
            if name.has_tag_of(hash) && usize::from(name.len) == len && name.end == end {
                let is_found = before.is_empty()
                    || name.before(&self.text).is_some_and(|own| is_same(own, before));
                if is_found {
                    return Some(&name.value);
                }
            }
        }
        None
    }

    /// Returns the memory held, in bytes on the heap, less what the values hold.
    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.buckets) + memory::of_vec(&self.names) + memory::of_vec(&self.text)
    }
}

/// How many of the last bytes of a name are kept and compared as words.
const END: usize = 32;

/// Returns what precedes the end of a name.
#[inline(always)]
fn before_end(name: &[u8]) -> &[u8] {
    name.get(..name.len().saturating_sub(END)).unwrap_or(&[])
}

/// The last [`END`] bytes of a name in lower case, in words of eight, the last word first, and the last byte of each
/// lowest. What a shorter name does not have is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End([u64; END / 8]);

impl End {
    /// A bit for each length of a part that is in the end.
    const LENGTHS: u64 = (2 << END) - 1;

    #[inline(always)]
    fn of(name: &[u8]) -> End {
        let missing = 8 * END.saturating_sub(name.len()) as u32;
        let (low, high) = match (name.first_chunk::<16>(), name.last_chunk::<16>()) {
            (Some(first), Some(last)) => {
                let end = name.last_chunk::<END>().and_then(|end| end.first_chunk());
                // Of a name that is shorter, the two overlap.
                let high = u128::from_be_bytes(*end.unwrap_or(first)).checked_shr(missing);
                (u128::from_be_bytes(*last), high.unwrap_or(0))
            }
            _ => match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
                (Some(first), Some(last)) => {
                    let first = u64::from_be_bytes(*first).checked_shr(missing - 128).unwrap_or(0);
                    (u128::from(u64::from_be_bytes(*last)) | u128::from(first) << 64, 0)
                }
                _ => (first_bytes(name, name.len()).into(), 0),
            },
        };
        let words = [low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64];
        End(words.map(lower))
    }

    /// Returns a bit for each byte that is a dot, counted from the last.
    #[inline(always)]
    fn dots(&self) -> u64 {
        let bits = |word: u64| {
            // The highest bit of each byte, brought together in the highest byte, the lowest of them lowest.
            (bytes_that_are(b'.', word) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
        };
        let [a, b, c, d] = self.0.map(bits);
        a | b << 8 | c << 16 | d << 24
    }

    /// Returns the last `len` bytes, or all.
    #[inline(always)]
    fn part(&self, len: usize) -> End {
        let masks = MASKS.get(len).copied().unwrap_or([u64::MAX; END / 8]);
        let mut words = self.0;
        words.iter_mut().zip(masks).for_each(|(word, mask)| *word &= mask);
        End(words)
    }
}

/// The bits of the last bytes of an end, for each number of them.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static MASKS: [[u64; END / 8]; END + 1] = {
    let mut masks = [[0; END / 8]; END + 1];
    let mut len = 0;
    while len <= END {
        let mut byte = 0;
        while byte < len {
            masks[len][byte / 8] |= 0xff << (8 * (byte % 8));
            byte += 1;
        }
        len += 1;
    }
    masks
};

/// A name and its value, together in a cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Name<T> {
    end: End,
    /// Where what precedes the end begins, in the low bits, and the tag: the low bits of the hash.
    tag_and_start: u64,
    /// The length of the name, in bytes.
    len: u8,
    value: T,
}

/// The bits of a start: enough for the text of as many names as there can be rules.
const START_BITS: u32 = 38;

impl<T> Name<T> {
    fn new(hash: u64, start: usize, name: &[u8], value: T) -> Name<T> {
        let tag_and_start = hash << START_BITS | start as u64;
        Name { end: End::of(name), tag_and_start, len: name.len() as u8, value }
    }

    #[inline(always)]
    fn has_tag_of(&self, hash: u64) -> bool {
        (self.tag_and_start ^ hash << START_BITS) >> START_BITS == 0
    }

    /// Returns what precedes the end.
    fn before<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        let start = (self.tag_and_start & !(u64::MAX << START_BITS)) as usize;
        text.get(start..start + usize::from(self.len).saturating_sub(END))
    }
}

/// A keyed hash of words.
#[derive(Clone, Copy, Debug)]
struct Keys {
    start: u64,
    factor: u64,
    last_factor: u64,
}

impl Keys {
    fn random() -> Keys {
        let random = RandomState::new();
        let key = |index: u8| random.hash_one(index);
        Keys { start: key(0), factor: key(1) | 1, last_factor: key(2) | 1 }
    }

    #[inline(always)]
    fn mix(self, state: u64, word: u64) -> u64 {
        fold(state ^ word, self.factor)
    }

    /// Returns the hash of a part of `len` bytes, at most 255, of which up to seven are in `word`.
    #[inline(always)]
    fn finish(self, state: u64, word: u64, len: usize) -> u64 {
        fold(state ^ word ^ (len as u64) << 56, self.last_factor)
    }

    /// Returns the states before each word of an end, and after the last.
    #[inline(always)]
    fn states(self, end: &End) -> [u64; END / 8 + 1] {
        let [a, b, c, d] = end.0;
        let after_a = self.mix(self.start, a);
        let after_b = self.mix(after_a, b);
        let after_c = self.mix(after_b, c);
        [self.start, after_a, after_b, after_c, self.mix(after_c, d)]
    }

    /// Returns the hash of the last bytes of an end, so many, given the states there.
    #[inline(always)]
    fn finish_in_end(self, states: &[u64; END / 8 + 1], end: &End, len: usize) -> u64 {
        let state = states.get(len / 8).copied().unwrap_or(0);
        let word = end.0.get(len / 8).copied().unwrap_or(0);
        self.finish(state, word & !(u64::MAX << (len % 8 * 8)), len)
    }

    /// Returns the hash of a name, given its end and what precedes that.
    fn hash(self, before: &[u8], end: &End, len: usize) -> u64 {
        let states = self.states(end);
        if len <= END {
            return self.finish_in_end(&states, end, len);
        }
        let [.., state] = states;
        let (head, words) = before.as_rchunks();
        let words = words.iter().rev().map(|word| lower(u64::from_be_bytes(*word)));
        let state = words.fold(state, |state, word| self.mix(state, word));
        self.finish(state, lower(first_bytes(before, head.len())), len)
    }
}

/// Returns keys, and the hash of each name, with which no bucket is overfull.
fn draw<T>(names: &[(Box<[u8]>, T)], shift: u32) -> (Keys, Vec<u64>) {
    let mut draws_left = NameMap::<T>::DRAWS;
    loop {
        let keys = Keys::random();
        let hashes: Vec<u64> = names
            .iter()
            .map(|(name, _)| keys.hash(before_end(name), &End::of(name), name.len()))
            .collect();
        let mut counts = vec![0; 1 << (u64::BITS - shift)];
        for hash in &hashes {
            if let Some(count) = counts.get_mut((hash >> shift) as usize) {
                *count += 1;
            }
        }
        draws_left -= 1;
        if counts.into_iter().all(|count| count <= NameMap::<T>::FULL) || draws_left == 0 {
            return (keys, hashes);
        }
    }
}

/// Returns which bit of its bucket a hash has; apart from the tag of [`Name`] and the bucket.
#[inline(always)]
fn bit_of(hash: u64) -> u32 {
    (hash >> (u64::BITS - START_BITS)) as u32 % u64::BITS
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = ONES << 7;

/// Returns the highest bit of each byte of `word` that is `byte`, and no other.
#[inline(always)]
fn bytes_that_are(byte: u8, word: u64) -> u64 {
    let others = word ^ (ONES * u64::from(byte));
    !(((others & !HIGH) + !HIGH) | others) & HIGH
}

/// Returns the eight bytes of `word` with ASCII letters in lower case.
#[inline(always)]
fn lower(word: u64) -> u64 {
    let low_bits = word & !HIGH;
    let from_a = low_bits + ONES * u64::from(0x80 - b'A');
    let after_z = low_bits + ONES * u64::from(0x7f - b'Z');
    word | (from_a & !after_z & !word & HIGH) >> 2
}

/// Returns the first `count` bytes of `text`, at most seven, the last of them lowest.
#[inline(always)]
fn first_bytes(text: &[u8], count: usize) -> u64 {
    match text.first_chunk() {
        Some(word) => {
            let after = u64::BITS - 8 * count as u32;
            u64::from_be_bytes(*word).checked_shr(after).unwrap_or(0)
        }
        None => text.iter().take(count).fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Whether `text` is `own`, which is in lower case.
#[inline(always)]
fn is_same(own: &[u8], text: &[u8]) -> bool {
    let ((own_head, own_words), (head, words)) = (own.as_rchunks(), text.as_rchunks());
    let are_same = |(own, word): (&[u8; 8], &[u8; 8])| {
        own == word || u64::from_be_bytes(*own) == lower(u64::from_be_bytes(*word))
    };
    own.len() == text.len()
        && own_words.iter().zip(words).all(are_same)
        && first_bytes(own, own_head.len()) == lower(first_bytes(text, head.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostname::{HostName, trim};
    use std::collections::BTreeSet;

    fn values(names: &BTreeSet<String>) -> Vec<(Box<[u8]>, String)> {
        names.iter().map(|name| (name.as_bytes().into(), name.clone())).collect()
    }

    fn map(names: &BTreeSet<String>) -> NameMap<String> {
        NameMap::new(values(names))
    }

    /// Names of a few letters, dots and others, of lengths around those of words; `kinds`, up to
    /// 13, tells how many characters there are, of which the last two cannot stand in rules.
    fn names(seed: u64, kinds: u64) -> Vec<String> {
        let mut state = seed;
        let mut below = |bound: u64| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 33) % bound
        };
        let characters = ['a', 'a', 'A', 'b', '.', '.', '.', 'z', 'Z', '*', '\u{dc}', '@', '['];
        let mut name = |_| {
            let len = [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 23, 25, 31, 32, 33, 70][below(16) as usize];
            (0..len).map(|_| characters[below(kinds) as usize]).collect()
        };
        let names = (0..1000).map(&mut name).map(|name: String| trim(&name).to_owned());
        names.filter(|name| !name.is_empty()).collect()
    }

    #[test]
    fn a_name_finds_itself_and_the_domains_above_it_once_each() {
        let below = |names: &[String]| -> Vec<String> {
            names.windows(2).map(|pair| format!("{}.{}", pair[0], pair[1])).collect()
        };
        let short = names(1, 11);
        let longest = "L".repeat(HostName::MAX_LEN - 4) + ".a.b";
        let label = "l".repeat(40);
        let long = [longest.clone(), label.clone(), format!("a.{label}")];
        let rules = below(&short).into_iter().chain(short.clone()).chain(long.clone());
        let rules: Vec<HostName> = rules.map(|name| name.parse().unwrap()).collect();
        let stored = rules.iter().map(|rule| rule.as_str().to_ascii_lowercase()).collect();
        let longer = long.iter().flat_map(|n| [n.clone(), format!("x.{n}"), format!("x{n}")]);
        let flows = names(2, 13).into_iter().chain(longer).chain(below(&below(&short)));
        let flows: Vec<String> = flows.chain(short.clone()).collect();
        // As they come, and so that nothing but the text tells names apart.
        let alike = |names: &[(Box<[u8]>, String)], _| {
            (Keys { start: 0, factor: 0, last_factor: 0 }, vec![0; names.len()])
        };
        for map in [map(&stored), NameMap::with_keys(values(&stored), alike)] {
            let mut found_below = 0;
            for name in &flows {
                let expected: BTreeSet<String> = rules
                    .iter()
                    .filter(|rule| rule.matches(name))
                    .map(|rule| rule.as_str().to_ascii_lowercase())
                    .collect();
                let mut found = Vec::new();
                map.visit(name.as_bytes(), |value| found.push(value.clone()));
                found.sort_unstable();
                assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{name}");
                found_below += usize::from(found.len() > 1);
            }
            assert!(found_below > 100, "{found_below}");
        }
    }

    #[test]
    fn no_bucket_is_overfull_and_few_parts_that_are_no_name_pass_it() {
        let names: BTreeSet<String> = (0..1 << 14).map(|n| format!("{n}.example.com")).collect();
        let map = map(&names);
        let counts = map.buckets.windows(2).map(|pair| pair[1].start - pair[0].start);
        let counts: Vec<u32> = counts.collect();
        assert_eq!(counts.len() * 4, names.len());
        assert_eq!(counts.iter().sum::<u32>() as usize, names.len());
        assert!(counts.iter().all(|count| *count as usize <= NameMap::<String>::FULL));
        let bits = map.buckets.iter().map(|bucket| bucket.bits.count_ones());
        let bits = bits.sum::<u32>() as usize;
        assert!((names.len() * 9 / 10..names.len()).contains(&bits), "{bits}");
    }

    #[test]
    fn a_map_of_no_names_finds_none() {
        map(&BTreeSet::new()).visit(b"www.example.com", |value| panic!("{value}"));
    }

    #[test]
    fn each_byte_is_put_in_lower_case_and_compared_by_itself() {
        for byte in 0..=u8::MAX {
            for other in [0, b'-', b'.', b'/', b'@', b'A', b'Z', b'[', 0x7f, 0x80, 0xae, u8::MAX] {
                let bytes = [other, byte, other, byte, byte, other, other, byte];
                let word = u64::from_be_bytes(bytes);
                assert_eq!(lower(word).to_be_bytes(), bytes.map(|b| b.to_ascii_lowercase()));
                let dots = bytes.map(|byte| if byte == b'.' { 0x80 } else { 0 });
                assert_eq!(bytes_that_are(b'.', word).to_be_bytes(), dots);
            }
        }
    }
}
