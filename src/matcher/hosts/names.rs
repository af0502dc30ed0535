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
    /// The text of the names.
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
            text: Vec::with_capacity(by_hash.iter().map(|(_, (name, _))| name.len()).sum()),
        };
        for (hash, (name, value)) in by_hash {
            if let Some(bucket) = map.buckets.get_mut((hash >> shift) as usize) {
                bucket.bits |= 1 << bit_of(hash);
                // For now the number of names.
                bucket.start += 1;
            }
            map.names.push(Name::new(hash, map.text.len(), name.len(), value));
            map.text.extend_from_slice(&name);
        }
        let mut start = 0;
        for bucket in &mut map.buckets {
            start += std::mem::replace(&mut bucket.start, start);
        }
        map
    }

    /// Calls `found` with the value of each name that `name` is or, if that has two or more
    /// labels, stands below; `name` has no dot or star at either end.
    #[inline(always)]
    pub(super) fn visit<'a>(&'a self, name: &[u8], mut found: impl FnMut(&'a T)) {
        // What precedes the longest name does not count, save for whether a dot ends it. A tail
        // that is not all of the name has a length that no name has.
        let start = name.len().saturating_sub(self.longest + 1);
        let Some(tail) = name.get(start..) else { return };
        let (head, words) = tail.as_rchunks();
        let mut part = Part { state: self.keys.start, len: 0, is_domain: false };
        for word in words.iter().rev() {
            let word = lower(u64::from_be_bytes(*word));
            self.visit_parts(word, tail, &mut part, &mut found);
            part.state = self.keys.mix(part.state, word);
            part.len += 8;
        }
        let word = lower(first_bytes(tail, head.len()));
        self.visit_parts(word, tail, &mut part, &mut found);
        if self.has_length(tail.len()) {
            let hash = self.keys.finish(part.state, word, tail.len());
            self.find(hash, tail).into_iter().for_each(found);
        }
    }

    /// Looks up the parts that begin after a dot of `word`, from the shortest.
    #[inline(always)]
    fn visit_parts<'a>(
        &'a self,
        word: u64,
        name: &[u8],
        part: &mut Part,
        found: &mut impl FnMut(&'a T),
    ) {
        let mut dots = bytes_that_are(b'.', word);
        while dots != 0 {
            let bits = dots.trailing_zeros() & !7;
            dots &= dots - 1;
            let len = part.len + bits as usize / 8;
            if part.is_domain && self.has_length(len) {
                let hash = self.keys.finish(part.state, word & !(u64::MAX << bits), len);
                let text = name.get(name.len() - len..).unwrap_or(&[]);
                self.find(hash, text).into_iter().for_each(&mut *found);
            }
            part.is_domain = true;
        }
    }

    #[inline(always)]
    fn has_length(&self, len: usize) -> bool {
        self.lengths.get(len / 64).is_some_and(|word| word >> (len % 64) & 1 != 0)
    }

    #[inline(always)]
    fn find(&self, hash: u64, text: &[u8]) -> Option<&T> {
        let index = (hash >> self.shift) as usize;
        let [bucket, next] = self.buckets.get(index..)?.first_chunk()?;
        let bit = 1 << bit_of(hash);
        if bucket.bits & bit == 0 {
            return None;
        }
        let below = (bucket.bits & (bit - 1)).count_ones();
        let names = self.names.get((bucket.start + below) as usize..next.start as usize)?;
        let name = names.iter().find(|name| {
            name.has_tag_of(hash) && name.text(&self.text).is_some_and(|own| is_same(own, text))
        })?;
        Some(&name.value)
    }

    /// Returns the memory held, in bytes on the heap, less what the values hold.
    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.buckets) + memory::of_vec(&self.names) + memory::of_vec(&self.text)
    }
}

/// The part of a name that a pass has gone over.
struct Part {
    state: u64,
    /// In bytes.
    len: usize,
    /// There is a dot in it, so that what begins after the next one has two or more labels.
    is_domain: bool,
}

/// A name and its value, together in half a cache line.
#[derive(Debug)]
struct Name<T> {
    /// Where the text begins, in the low bits, and the tag: the low bits of the hash.
    tag_and_start: u64,
    /// The length of the text, in bytes.
    len: u8,
    value: T,
}

/// The bits of a start: enough for the text of as many names as there can be rules.
const START_BITS: u32 = 38;

impl<T> Name<T> {
    fn new(hash: u64, start: usize, len: usize, value: T) -> Name<T> {
        Name { tag_and_start: hash << START_BITS | start as u64, len: len as u8, value }
    }

    #[inline(always)]
    fn has_tag_of(&self, hash: u64) -> bool {
        (self.tag_and_start ^ hash << START_BITS) >> START_BITS == 0
    }

    #[inline(always)]
    fn text<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        let start = (self.tag_and_start & !(u64::MAX << START_BITS)) as usize;
        text.get(start..start + usize::from(self.len))
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

    /// Returns the hash of a name in lower case.
    fn hash(self, name: &[u8]) -> u64 {
        let (head, words) = name.as_rchunks();
        let words = words.iter().rev().map(|word| u64::from_be_bytes(*word));
        let state = words.fold(self.start, |state, word| self.mix(state, word));
        self.finish(state, first_bytes(name, head.len()), name.len())
    }
}

/// Returns keys, and the hash of each name, with which no bucket is overfull.
fn draw<T>(names: &[(Box<[u8]>, T)], shift: u32) -> (Keys, Vec<u64>) {
    let mut draws_left = NameMap::<T>::DRAWS;
    loop {
        let keys = Keys::random();
        let hashes: Vec<u64> = names.iter().map(|(name, _)| keys.hash(name)).collect();
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

    fn map(names: &BTreeSet<String>) -> NameMap<String> {
        let names = names.iter().map(|name| (name.as_bytes().into(), name.clone()));
        NameMap::new(names.collect())
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
            let len = [1, 2, 3, 4, 7, 8, 9, 16, 17, 25, 70][below(11) as usize];
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
        let rules = below(&short).into_iter().chain(short.clone()).chain([longest.clone()]);
        let rules: Vec<HostName> = rules.map(|name| name.parse().unwrap()).collect();
        let stored = rules.iter().map(|rule| rule.as_str().to_ascii_lowercase()).collect();
        let map = map(&stored);
        let mut found_below = 0;
        let longer = [longest.clone(), format!("x.{longest}"), format!("x{longest}")];
        for name in names(2, 13).into_iter().chain(longer).chain(below(&below(&short))) {
            let expected: BTreeSet<String> = rules
                .iter()
                .filter(|rule| rule.matches(&name))
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
