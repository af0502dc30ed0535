//! [`Sets`] of rules, and numbers for them.

use crate::matcher::classes::Classes;
use crate::matcher::sided::SidedRule;

/// Sets of rules, numbered from 0, a bit for each rule.
pub(super) struct Sets {
    /// The number of words of each.
    pub(super) words: usize,
    bits: Vec<u64>,
}

impl Sets {
    pub(super) fn new(rules: usize) -> Sets {
        Sets { words: rules.div_ceil(64).max(1), bits: Vec::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.bits.len() / self.words
    }

    pub(super) fn iter(&self) -> std::slice::ChunksExact<'_, u64> {
        self.bits.chunks_exact(self.words)
    }

    pub(super) fn get(&self, number: usize) -> Option<&[u64]> {
        self.bits.get(number * self.words..)?.get(..self.words)
    }
}

/// Returns the rules of which `is_in` says so.
pub(super) fn set_of(rules: &[SidedRule], is_in: impl Fn(&SidedRule) -> bool) -> Vec<u64> {
    let bits = |rules: &[SidedRule]| {
        (0..).zip(rules).fold(0, |bits, (place, rule)| bits | u64::from(is_in(rule)) << place)
    };
    rules.chunks(64).map(bits).collect()
}

/// Returns the rules that hold each class of addresses.
pub(super) fn sets_of_classes(
    classes: &Classes,
    rules: &[SidedRule],
    class: impl Fn(&SidedRule) -> u32,
) -> Sets {
    let mut sets = Sets::new(rules.len());
    sets.bits.resize(classes.count() * sets.words, 0);
    for (number, rule) in rules.iter().enumerate() {
        let place = class(rule) as usize * sets.words + number / 64;
        if let Some(word) = sets.bits.get_mut(place) {
            *word |= 1 << (number % 64);
        }
    }
    // Networks stand behind those that contain them.
    for (number, parent) in (1..).zip(&classes.parents) {
        for word in 0..sets.words {
            let of_parent = sets.bits.get(*parent as usize * sets.words + word).copied();
            if let Some(own) = sets.bits.get_mut(number * sets.words + word) {
                *own |= of_parent.unwrap_or(0);
            }
        }
    }
    sets
}

/// Gives each set a number, the same to the same.
pub(super) struct Interner {
    pub(super) sets: Sets,
    /// The most sets that there may be.
    max: usize,
    /// One more than the number of a set, in the first free slot from that of its hash; 0 where there is none.
    /// At most half full.
    slots: Vec<u32>,
}

impl Interner {
    /// The most slots that are looked at for a set. Rules that were made for many sets to have the same hash
    /// make that there is no table, and not that it takes long.
    pub(super) const MAX_STEPS: usize = 64;

    pub(super) fn new(rules: usize, max: usize) -> Interner {
        let max = max.min(u16::MAX.into());
        Interner { sets: Sets::new(rules), max, slots: vec![0; 64] }
    }

    /// Returns the number of a set; none where there is no room.
    pub(super) fn number(&mut self, set: &[u64]) -> Option<u16> {
        let hash = (0..).zip(set).fold(0, |hash, (place, word)| mixed(hash, place, *word));
        self.number_of(hash, set)
    }

    /// Does the same, given the hash, to which words of 0 add nothing.
    pub(super) fn number_of(&mut self, hash: u64, set: &[u64]) -> Option<u16> {
        let mask = self.slots.len() - 1;
        let start = spread(hash, mask);
        for step in 0..Interner::MAX_STEPS {
            let slot = self.slots.get_mut((start + step) & mask)?;
            match *slot as usize {
                0 => {
                    let number = self.sets.count();
                    if number >= self.max {
                        return None;
                    }
                    *slot = number as u32 + 1;
                    self.sets.bits.extend(set);
                    if 2 * self.sets.count() > mask {
                        self.grow()?;
                    }
                    return Some(number as u16);
                }
                found => {
                    if self.sets.get(found - 1)? == set {
                        return Some((found - 1) as u16);
                    }
                }
            }
        }
        None
    }

    fn grow(&mut self) -> Option<()> {
        let mask = 2 * self.slots.len() - 1;
        let mut slots = vec![0; mask + 1];
        for (number, set) in (1..).zip(self.sets.iter()) {
            let hash = (0..).zip(set).fold(0, |hash, (place, word)| mixed(hash, place, *word));
            let start = spread(hash, mask);
            let free = (0..Interner::MAX_STEPS)
                .map(|step| (start + step) & mask)
                .find(|slot| slots.get(*slot) == Some(&0))?;
            *slots.get_mut(free)? = number;
        }
        self.slots = slots;
        Some(())
    }
}

/// Adds a word to the hash of a set; one of 0 adds nothing.
#[inline(always)]
pub(super) fn mixed(hash: u64, place: u64, word: u64) -> u64 {
    if word == 0 {
        return hash;
    }
    let product = u128::from(word ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        * u128::from(0xd6e8_feb8_6659_fd93_u64);
    hash.rotate_left(5) ^ (product as u64) ^ (product >> 64) as u64
}

#[inline(always)]
fn spread(hash: u64, mask: usize) -> usize {
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask
}

/// Sets of which some contain others.
pub(super) struct Tree<'a> {
    pub(super) sets: Sets,
    /// For each set but the first, one that it contains and that comes before it; empty, where none is
    /// known to.
    pub(super) parents: &'a [u32],
}

impl Tree<'_> {
    pub(super) fn flat(sets: Sets) -> Tree<'static> {
        Tree { sets, parents: &[] }
    }

    /// Returns the number of a set that this one contains.
    pub(super) fn parent(&self, number: usize) -> Option<usize> {
        let parent = self.parents.get(number.checked_sub(1)?)?;
        Some(*parent as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_one_hash_are_given_up_and_not_gone_through() {
        // Wide enough not to grow, which would take the hashes anew.
        let mut interner = Interner { slots: vec![0; 1024], ..Interner::new(64, usize::MAX) };
        for number in 0..Interner::MAX_STEPS as u64 {
            assert_eq!(interner.number_of(7, &[number]), Some(number as u16));
            assert_eq!(interner.number_of(7, &[number]), Some(number as u16));
        }
        assert_eq!(interner.number_of(7, &[u64::MAX]), None);
    }
}
