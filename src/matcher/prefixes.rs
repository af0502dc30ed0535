//! [`PrefixIndex`]: from an address to the value of the longest network that contains it.
//!
//! Each of a few prefix lengths has a hash table of the networks of that length; networks of other
//! lengths are split into those of the next longer one. A look-up asks all tables at once - the
//! loads do not wait for each other - and takes the longest that answers. What is asked are groups
//! of tags, two bytes a network, which stay in cache; the value is one further load.

use crate::matcher::memory;
use crate::matcher::tags::{Group, TAGS};
use std::fmt::Debug;

/// An address, or the leading bits of one, right-aligned.
pub(super) trait Key: Copy + Eq + Ord + Debug + Default {
    const BITS: u8;

    fn shift_right(self, bits: u8) -> Self;
    fn shift_left(self, bits: u8) -> Self;
    fn or(self, low: u32) -> Self;
    fn hash(self) -> u64;
}

impl Key for u32 {
    const BITS: u8 = 32;

    #[inline(always)]
    fn shift_right(self, bits: u8) -> u32 {
        // A level has at least one bit, so less than the width is shifted out.
        self.wrapping_shr(bits.into())
    }

    fn shift_left(self, bits: u8) -> u32 {
        self.checked_shl(bits.into()).unwrap_or(0)
    }

    fn or(self, low: u32) -> u32 {
        self | low
    }

    #[inline(always)]
    fn hash(self) -> u64 {
        spread(self.into())
    }
}

impl Key for u64 {
    const BITS: u8 = 64;

    #[inline(always)]
    fn shift_right(self, bits: u8) -> u64 {
        self.wrapping_shr(bits.into())
    }

    fn shift_left(self, bits: u8) -> u64 {
        self.checked_shl(bits.into()).unwrap_or(0)
    }

    fn or(self, low: u32) -> u64 {
        self | u64::from(low)
    }

    #[inline(always)]
    fn hash(self) -> u64 {
        let product = u128::from(self) * 0x9e37_79b9_7f4a_7c15;
        (product >> 64) as u64 ^ product as u64
    }
}

impl Key for u128 {
    const BITS: u8 = 128;

    #[inline(always)]
    fn shift_right(self, bits: u8) -> u128 {
        self.wrapping_shr(bits.into())
    }

    fn shift_left(self, bits: u8) -> u128 {
        self.checked_shl(bits.into()).unwrap_or(0)
    }

    fn or(self, low: u32) -> u128 {
        self | u128::from(low)
    }

    #[inline(always)]
    fn hash(self) -> u64 {
        ((self >> 64) as u64).hash() ^ spread((self as u64).hash())
    }
}

/// Multiplies by an odd number: the high bits of the product depend on all bits of the key.
#[inline(always)]
fn spread(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The index.
#[derive(Debug)]
pub(super) struct PrefixIndex<K, T> {
    /// The shorter prefix lengths first, so that a longer one that answers overrules them.
    levels: Vec<Level>,
    /// INVARIANT: the tag in lane `i` of a group is that of slot `base + i`. The highest bit of
    /// the base says that keys of the group are in `spilled`.
    groups: Vec<Group>,
    slots: Vec<Slot<K, T>>,
    /// What did not fit into its group, in ascending order of prefix length and key.
    spilled: Vec<(u8, Slot<K, T>)>,
}

/// A prefix length that has a table.
#[derive(Clone, Copy, Debug)]
struct Level {
    prefix_len: u8,
    /// The bits that are not part of the prefix.
    shift: u8,
    first_group: u32,
    /// What leaves of a hash the number of a group.
    hash_shift: u8,
}

#[derive(Clone, Copy, Debug)]
struct Slot<K, T> {
    key: K,
    value: T,
}

const SPILLED: u32 = 1 << 31;

/// The most networks to a group, on average: the number of groups is rounded up to a power of two,
/// so there are 4.5 to 9, and few groups spill.
const FILL: usize = 9;

impl<K: Key, T: Copy + Debug> PrefixIndex<K, T> {
    /// Makes an index of networks, each with its leading bits, right-aligned, and its prefix length
    /// of at least 1. Of networks that contain each other the longer have the say, so values have
    /// to include what they inherit.
    pub(super) fn new(networks: &[(K, u8, T)]) -> PrefixIndex<K, T> {
        let mut counts = vec![0usize; usize::from(K::BITS) + 1];
        for (_, len, _) in networks {
            if let Some(count) = counts.get_mut(usize::from(*len)) {
                *count += 1;
            }
        }
        let lengths = choose_lengths(&counts);
        let mut by_level = vec![Vec::new(); lengths.len()];
        for (bits, len, value) in networks {
            let number = lengths.partition_point(|length| length < len);
            let (Some(length), Some(level)) = (lengths.get(number), by_level.get_mut(number))
            else {
                continue;
            };
            let split = length - len;
            let keys = (0..1u32 << split).map(|low| bits.shift_left(split).or(low));
            level.extend(keys.map(|key| (key, *len, *value)));
        }
        let mut index = PrefixIndex {
            levels: Vec::new(),
            groups: Vec::new(),
            slots: Vec::new(),
            spilled: Vec::new(),
        };
        for (prefix_len, mut keys) in lengths.into_iter().zip(by_level) {
            // Of equal keys the last is that of the longest network.
            keys.sort_unstable_by_key(|(key, len, _)| (*key, *len));
            let rivals = keys.iter().skip(1).map(|(key, ..)| Some(*key)).chain([None]);
            let slots = keys.iter().zip(rivals).filter(|((key, ..), next)| Some(*key) != *next);
            let slots = slots.map(|((key, _, value), _)| Slot { key: *key, value: *value });
            index.add_level(prefix_len, slots.collect());
        }
        index
    }

    fn add_level(&mut self, prefix_len: u8, slots: Vec<Slot<K, T>>) {
        // At least two, so that a hash is never shifted by its whole width.
        let group_count = slots.len().div_ceil(FILL).next_power_of_two().max(2);
        let level = Level {
            prefix_len,
            shift: K::BITS - prefix_len,
            first_group: self.groups.len() as u32,
            hash_shift: (64 - group_count.trailing_zeros()) as u8,
        };
        let mut placed: Vec<(usize, u16, Slot<K, T>)> = slots
            .into_iter()
            .map(|slot| {
                let (group, tag) = place(level, slot.key.hash());
                (group, tag, slot)
            })
            .collect();
        placed.sort_by_key(|(group, ..)| *group);
        self.levels.push(level);
        self.slots.reserve_exact(placed.len());
        let mut placed = placed.into_iter().peekable();
        for number in 0..group_count {
            let number = level.first_group as usize + number;
            let mut base = self.slots.len() as u32;
            let mut tags = Vec::with_capacity(TAGS);
            while let Some((_, tag, slot)) = placed.next_if(|(own, ..)| *own == number) {
                if tags.len() < TAGS {
                    tags.push(tag);
                    self.slots.push(slot);
                } else {
                    base |= SPILLED;
                    self.spilled.push((prefix_len, slot));
                }
            }
            self.groups.push(Group::new(&tags, base));
        }
        self.spilled.sort_by_key(|(len, slot)| (*len, slot.key));
    }

    /// Returns the value of the longest network that contains `address`.
    #[inline(always)]
    pub(super) fn get(&self, address: K) -> Option<&T> {
        let mut found = u32::MAX;
        let mut wanted = K::default();
        let mut bases = 0;
        for level in &self.levels {
            let key = address.shift_right(level.shift);
            let (number, tag) = place(*level, key.hash());
            let Some(group) = self.groups.get(number) else { continue };
            let lanes = group.find(tag);
            bases |= group.base();
            let slot = (group.base() & !SPILLED) + lanes.trailing_zeros();
            (found, wanted) = if lanes != 0 { (slot, key) } else { (found, wanted) };
        }
        if bases & SPILLED != 0 {
            return self.get_slowly(address);
        }
        match self.slots.get(found as usize) {
            Some(slot) if slot.key != wanted => self.get_slowly(address),
            slot => slot.map(|slot| &slot.value),
        }
    }

    /// The same, level by level, comparing every key: for groups that spilled, and where a tag was
    /// equal by chance.
    #[cold]
    #[inline(never)]
    fn get_slowly(&self, address: K) -> Option<&T> {
        for level in self.levels.iter().rev() {
            let key = address.shift_right(level.shift);
            let (number, tag) = place(*level, key.hash());
            let Some(group) = self.groups.get(number) else { continue };
            let mut lanes = group.find(tag);
            while lanes != 0 {
                let slot = (group.base() & !SPILLED) + lanes.trailing_zeros();
                if let Some(slot) = self.slots.get(slot as usize).filter(|slot| slot.key == key) {
                    return Some(&slot.value);
                }
                lanes &= lanes - 1;
            }
            if group.base() & SPILLED != 0 {
                let wanted = (level.prefix_len, key);
                let spilled = self.spilled.binary_search_by_key(&wanted, |(len, s)| (*len, s.key));
                if let Some((_, slot)) = spilled.ok().and_then(|index| self.spilled.get(index)) {
                    return Some(&slot.value);
                }
            }
        }
        None
    }

    /// Returns the memory held, in bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        memory::of_vec(&self.levels)
            + memory::of_vec(&self.groups)
            + memory::of_vec(&self.slots)
            + memory::of_vec(&self.spilled)
    }
}

/// The home group of a hash in a level, and its tag, which is never 0.
#[inline(always)]
fn place(level: Level, hash: u64) -> (usize, u16) {
    let group = hash >> (level.hash_shift & 63);
    (level.first_group as usize + group as usize, (hash >> 16) as u16 | 1)
}

/// Chooses the prefix lengths that get a table: each costs time, each split costs memory.
fn choose_lengths(counts: &[usize]) -> Vec<u8> {
    let total: usize = counts.iter().sum();
    let level_cost = 1024 + total / 4;
    // best[len]: the least cost with all lengths up to `len` taken care of and a table for `len`,
    // and the table before that.
    let mut best: Vec<Option<(usize, usize)>> = vec![Some((0, 0))];
    for len in 1..counts.len() {
        let mut entries = 0usize;
        let mut choice: Option<(usize, usize)> = None;
        for before in (0..len).rev() {
            let count = counts.get(before + 1).copied().unwrap_or(0);
            let split = len - (before + 1);
            if split > 8 && count > 0 {
                break;
            }
            entries += count.checked_shl(split as u32).unwrap_or(0);
            let so_far = best.get(before).copied().flatten();
            if let Some((cost, _)) = so_far {
                let cost = cost + entries + level_cost;
                if choice.is_none_or(|(least, _)| cost < least) {
                    choice = Some((cost, before));
                }
            }
        }
        best.push(choice);
    }
    let longest = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
    let mut lengths = Vec::new();
    let mut len = longest;
    while len > 0 {
        lengths.push(len as u8);
        len = best.get(len).copied().flatten().map_or(0, |(_, before)| before);
    }
    lengths.reverse();
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of the longest network, one by one.
    fn by_scan(networks: &[(u32, u8, u32)], address: u32) -> Option<u32> {
        let holding = networks.iter().filter(|(bits, len, _)| address >> (32 - len) == *bits);
        holding.max_by_key(|(_, len, _)| *len).map(|(.., value)| *value)
    }

    #[test]
    fn the_longest_network_answers_for_every_address() {
        // All prefixes of 12 bits and fewer that begin with 0 or end in 1, and some hosts.
        let mut networks: Vec<(u32, u8, u32)> = (1..=12u8)
            .flat_map(|len| (0..1u32 << len).map(move |bits| (bits, len)))
            .filter(|(bits, len)| bits >> (len - 1) == 0 || bits & 1 == 1)
            .map(|(bits, len)| (bits, len, bits << 8 | u32::from(len)))
            .collect();
        networks.extend((0..500u32).map(|host| (host.wrapping_mul(0x0108_4201), 32, host)));
        networks.sort_unstable();
        networks.dedup_by_key(|(bits, len, _)| (*bits, *len));
        let index = PrefixIndex::new(&networks);
        let hosts = networks.iter().filter(|(_, len, _)| *len == 32).map(|(bits, ..)| *bits);
        let around = hosts.flat_map(|host| [host.wrapping_sub(1), host, host.wrapping_add(1)]);
        for address in around.chain((0..1 << 13).map(|high| high << 19)) {
            assert_eq!(index.get(address).copied(), by_scan(&networks, address), "{address:x}");
            assert_eq!(index.get_slowly(address), index.get(address), "{address:x}");
        }
    }

    #[test]
    fn an_empty_index_has_no_answer() {
        let index: PrefixIndex<u64, u32> = PrefixIndex::new(&[]);
        assert_eq!(index.get(7), None);
    }

    /// Keys whose hashes begin alike would all be in one group; what does not fit there is found
    /// all the same.
    #[test]
    fn keys_that_crowd_one_group_are_found() {
        let index = PrefixIndex::new(&[(0u32, 32, 0u32), (1, 32, 1)]);
        let level = index.levels[0];
        let home = |key: u32| place(level, key.hash()).0;
        let crowd: Vec<u32> = (0..).filter(|key| home(*key) == home(0)).take(200).collect();
        let mut index = PrefixIndex {
            slots: Vec::new(),
            groups: Vec::new(),
            levels: Vec::new(),
            spilled: Vec::new(),
        };
        let slots = crowd.iter().map(|key| Slot { key: *key, value: !key }).collect();
        index.add_level(32, slots);
        for key in &crowd {
            assert_eq!(index.get(*key).copied(), Some(!key));
        }
        assert_eq!(index.get(crowd[199] + 1).copied(), None);
    }

    #[test]
    fn few_lengths_are_chosen_and_none_is_split_far() {
        for counts in [vec![1; 33], vec![1000; 33], vec![100_000; 33]] {
            let mut counts = counts;
            counts[0] = 0;
            let lengths = choose_lengths(&counts);
            assert_eq!(lengths.last(), Some(&32));
            assert!(lengths.is_sorted());
            let mut before = 0;
            for length in lengths {
                assert!(length - before <= 9, "{before} {length}");
                before = length;
            }
        }
        let mut hosts_only = vec![0; 129];
        hosts_only[128] = 5;
        assert_eq!(choose_lengths(&hosts_only), [128]);
    }
}
