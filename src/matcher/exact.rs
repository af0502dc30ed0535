//! [`Exact`]: a perfect hash of single addresses, or of first halves of IPv6 addresses.

use crate::matcher::columns::Column;
use crate::matcher::intervals::GROUP;
use crate::matcher::lanes::{Lanes, prefetch};
use crate::matcher::memory;

/// Some keys, each at a place of its own. By default there are none.
///
/// The hash of a key says which of a fourth as many buckets as there are keys it is in, and, times the factor of the
/// bucket, its slot. Factors are chosen when the table is made, those of the buckets with most keys first, so that no two
/// keys have the same slot.
#[derive(Debug, Default)]
pub(super) struct Exact<K> {
    seed: u64,
    factors: Vec<u32>,
    /// The key of each slot; of one that no key has, the key of another.
    keys: Vec<K>,
    /// The place of the first slot, among what belongs to other keys.
    pub(super) first: usize,
}

/// What can be looked for.
pub(super) trait Key: Copy + PartialEq + Default {
    /// Returns it in 128 bits, by halves.
    fn halves(self) -> [u64; 2];
}

impl Key for u32 {
    #[inline(always)]
    fn halves(self) -> [u64; 2] {
        [0, self.into()]
    }
}

impl Key for u64 {
    #[inline(always)]
    fn halves(self) -> [u64; 2] {
        [0, self]
    }
}

impl Key for [u64; 2] {
    #[inline(always)]
    fn halves(self) -> [u64; 2] {
        self
    }
}

/// 2 to the power of 64, divided by the golden ratio.
const WEYL: u64 = 0x9e37_79b9_7f4a_7c15;
/// Odd numbers whose bits have no order.
const HIGH: u64 = 0xd1b5_4a32_d192_ed03;
const LAST: u64 = 0xbf58_476d_1ce4_e5b9;

/// Returns the hash of a key.
#[inline(always)]
fn hash([high, low]: [u64; 2], seed: u64) -> u64 {
    let sum = low.wrapping_mul(seed).wrapping_add(high.wrapping_mul(HIGH));
    (sum ^ sum >> 32).wrapping_mul(LAST)
}

/// Returns a number below `count`, the greater the greater `of` is.
#[inline(always)]
fn below(count: u32, of: u32) -> u32 {
    ((u64::from(of) * u64::from(count)) >> 32) as u32
}

/// Returns the bucket of a hash.
#[inline(always)]
fn bucket(hash: u64, buckets: u32) -> u32 {
    below(buckets, (hash >> 32) as u32)
}

/// Returns the slot of a hash by the factor of its bucket.
#[inline(always)]
fn slot(hash: u64, factor: u32, slots: u32) -> u32 {
    let mixed = (hash ^ hash >> 32) as u32;
    below(slots, mixed.wrapping_mul(factor))
}

/// Returns one of the factors that are tried.
fn factor(number: u32) -> u32 {
    let mixed = u64::from(number).wrapping_mul(WEYL);
    (mixed >> 32) as u32 | 1
}

impl<K: Key> Exact<K> {
    /// The most keys: slots have numbers of 32 bits.
    const MAX_KEYS: usize = 1 << 28;
    /// How often it is tried, with another seed and more slots each time.
    const ATTEMPTS: u64 = 8;
    /// About so many keys have a factor in common.
    const IN_BUCKET: usize = 4;

    /// Makes a table of distinct keys, the first slot of which has the place `first`. `None` if there are no factors for
    /// them, or too many keys.
    ///
    /// # Complexity
    ///
    /// O(n log n) in their number, as expected of keys that were not chosen to be hashed alike.
    pub(super) fn new(keys: &[K], first: usize) -> Option<Exact<K>> {
        let filler = *keys.first()?;
        if keys.len() > Self::MAX_KEYS {
            return None;
        }
        (1..=Self::ATTEMPTS).find_map(|attempt| {
            let seed = attempt.wrapping_mul(WEYL) | 1;
            let slots = keys.len() + keys.len() * (1 + attempt as usize) / 16 + 1;
            let hashes: Vec<u64> = keys.iter().map(|key| hash(key.halves(), seed)).collect();
            let factors = factors(&hashes, keys.len().div_ceil(Self::IN_BUCKET), slots)?;
            let mut table = Exact { seed, factors, keys: vec![filler; slots], first };
            for key in keys {
                let slot = table.place(*key) - first;
                *table.keys.get_mut(slot)? = *key;
            }
            Some(table)
        })
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the number of places.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns the place that a key has if it is one of those of the table.
    #[inline(always)]
    pub(super) fn place(&self, key: K) -> usize {
        let hash = hash(key.halves(), self.seed);
        let bucket = bucket(hash, self.factors.len() as u32);
        let factor = self.factors.get(bucket as usize).copied().unwrap_or(0);
        self.first + slot(hash, factor, self.keys.len() as u32) as usize
    }

    /// Whether a key is the one that has its [`place`](Exact::place).
    #[inline(always)]
    pub(super) fn has(&self, key: K, place: usize) -> bool {
        self.key(place) == Some(&key)
    }

    /// Returns the key of a place.
    #[inline(always)]
    pub(super) fn key(&self, place: usize) -> Option<&K> {
        self.keys.get(place.wrapping_sub(self.first))
    }

    /// Returns the places of a group of keys, given by their halves, and begins to load the keys that are there.
    #[inline(always)]
    pub(super) fn places(&self, lanes: impl Lanes, halves: impl Fn(usize) -> [u64; 2]) -> Column {
        let hashes: [u64; GROUP] = std::array::from_fn(|lane| hash(halves(lane), self.seed));
        let buckets = hashes.map(|hash| bucket(hash, self.factors.len() as u32));
        let [factors] = lanes.gather(&self.factors, &buckets);
        let mut places = [0; GROUP];
        for ((place, hash), factor) in places.iter_mut().zip(hashes).zip(factors) {
            let slot = slot(hash, factor, self.keys.len() as u32);
            *place = self.first as u32 + slot;
        }
        for place in places {
            prefetch(self.key(place as usize));
        }
        places
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.factors) + memory::of_vec(&self.keys)
    }
}

impl Exact<u32> {
    /// Puts a key's place in place of another, where the key is one of the table.
    #[inline(always)]
    pub(super) fn choose(
        &self,
        lanes: impl Lanes,
        keys: &Column,
        own: &Column,
        places: &mut Column,
    ) {
        let slots = own.map(|place| place.wrapping_sub(self.first as u32));
        let [found] = lanes.gather(&self.keys, &slots);
        let mut differ = [0; GROUP];
        for ((differ, found), key) in differ.iter_mut().zip(found).zip(keys) {
            *differ = found ^ key;
        }
        *places = lanes.choose(&differ, u32::MAX, places, own);
    }
}

/// Returns a factor for each bucket, by which no two hashes have the same slot; `None` if none was found.
fn factors(hashes: &[u64], buckets: usize, slots: usize) -> Option<Vec<u32>> {
    /// How many are tried for a bucket.
    const MAX_TRIED: u32 = 1 << 12;
    /// Of keys that were not chosen to be hashed alike, no bucket ever has so many.
    const MAX_IN_BUCKET: usize = 64;
    // The hashes by bucket.
    let mut of_buckets: Vec<(u32, u64)> =
        hashes.iter().map(|hash| (bucket(*hash, buckets as u32), *hash)).collect();
    of_buckets.sort_unstable();
    let mut of_buckets: Vec<&[(u32, u64)]> = of_buckets.chunk_by(|a, b| a.0 == b.0).collect();
    of_buckets.sort_by_key(|own| std::cmp::Reverse(own.len()));
    if of_buckets.first().is_some_and(|own| own.len() > MAX_IN_BUCKET) {
        return None;
    }
    let mut factors = vec![0; buckets];
    let mut taken = vec![false; slots];
    let mut own_slots = Vec::new();
    for own in of_buckets {
        let found = (0..MAX_TRIED).map(factor).find(|factor| {
            own_slots.clear();
            own.iter().all(|(_, hash)| {
                let slot = slot(*hash, *factor, slots as u32) as usize;
                let is_free = taken.get(slot) == Some(&false) && !own_slots.contains(&slot);
                own_slots.push(slot);
                is_free
            })
        })?;
        for slot in &own_slots {
            *taken.get_mut(*slot)? = true;
        }
        let (bucket, _) = own.first()?;
        *factors.get_mut(*bucket as usize)? = found;
    }
    Some(factors)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where something is missing")]
mod tests {
    use super::*;

    fn assert_exact<K: Key + std::fmt::Debug>(keys: &[K], others: impl Iterator<Item = K>) {
        let table = Exact::new(keys, 7).unwrap();
        let mut taken = vec![false; table.len()];
        for key in keys {
            let place = table.place(*key);
            assert!(table.has(*key, place), "{key:?}");
            let slot = taken.get_mut(place - 7).unwrap();
            assert!(!*slot, "{key:?}");
            *slot = true;
        }
        for key in others {
            assert!(!table.has(key, table.place(key)), "{key:?}");
        }
        assert!(table.len() <= keys.len() * 3 / 2 + 1);
    }

    #[test]
    fn each_key_has_a_place_of_its_own_and_no_other_has_one() {
        for count in [1, 2, 3, 10, 1000, 70_000] {
            // In a row, far from each other, and alike in their low bits.
            let in_a_row: Vec<u32> = (0..count).map(|n| 0x0a00_0000 + n).collect();
            assert_exact(&in_a_row, (0..count).map(|n| 0x0b00_0000 + n).chain([0, u32::MAX]));
            let apart = |n: u32| u64::from(n).wrapping_mul(0x2545_f491_4f6c_dd1d);
            let far: Vec<u64> = (1..=count).map(apart).collect();
            assert_exact(&far, (1..=count).map(|n| apart(n) + 1).chain([0, u64::MAX]));
            let high: Vec<u64> = (1..=count).map(|n| u64::from(n) << 40).collect();
            assert_exact(&high, (1..=count).map(|n| u64::from(n) << 40 | 1));
            let of_one: Vec<[u64; 2]> = (0..count).map(|n| [0x2001 << 48, u64::from(n)]).collect();
            assert_exact(&of_one, (0..count).map(|n| [0x2002 << 48, u64::from(n)]));
            let firsts: Vec<[u64; 2]> = (0..count).map(|n| [u64::from(n) << 16, 1]).collect();
            assert_exact(&firsts, (0..count).map(|n| [u64::from(n) << 16, 2]).chain([[0; 2]]));
        }
    }

    #[test]
    fn keys_that_no_factor_tells_apart_have_no_table() {
        assert!(Exact::new(&[3u32, 3], 0).is_none());
        assert!(Exact::<u64>::new(&[], 0).is_none());
        assert!(Exact::<u64>::default().is_empty());
        // Of one bucket, which no other hash is in: as many as there may be, and more.
        let of_one = |count: u64| -> Vec<u64> { (0..count).map(|n| n << 10 | 1 << 63).collect() };
        assert!(factors(&of_one(60), 1000, 4000).is_some());
        assert!(factors(&of_one(65), 1000, 4000).is_none());
    }
}
