//! [`Sets`] of rules, and numbers for them.

use crate::matcher::classes::Classes;
use crate::matcher::interner::{Interner, mixed};
use crate::matcher::sided::SidedRule;

/// Sets of rules, numbered from 0, a bit for each rule.
pub(super) struct Sets {
    /// The number of words of each.
    pub(super) words: usize,
    bits: Vec<u64>,
}

impl Sets {
    pub(super) fn new(rules: usize) -> Sets {
        Sets { words: words_of(rules), bits: Vec::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.bits.len() / self.words
    }

    pub(super) fn iter(&self) -> std::slice::ChunksExact<'_, u64> {
        self.bits.chunks_exact(self.words)
    }

    /// Returns the first word of each set, the second of each, and so on.
    pub(super) fn columns(&self) -> Vec<Vec<u64>> {
        let column = |place| self.bits.iter().skip(place).step_by(self.words).copied().collect();
        (0..self.words).map(column).collect()
    }

    pub(super) fn get(&self, number: usize) -> Option<&[u64]> {
        self.bits.get(number * self.words..)?.get(..self.words)
    }
}

/// Returns the numbers of the rules that are in a set and not in another.
pub(super) fn rules_beyond(set: &[u64], other: &[u64]) -> Vec<usize> {
    let mut rules = Vec::new();
    let words = set.iter().zip(other).map(|(word, other)| word & !other);
    for_each_rule(words, |rule| rules.push(rule));
    rules
}

/// Calls a function with the number of each rule of a set.
#[inline(always)]
pub(super) fn for_each_rule(words: impl Iterator<Item = u64>, mut call: impl FnMut(usize)) {
    for (first, word) in (0..).step_by(64).zip(words) {
        let mut rest = word;
        while rest != 0 {
            call(first + rest.trailing_zeros() as usize);
            rest &= rest - 1;
        }
    }
}

/// Returns the rules of which `is_in` says so.
pub(super) fn set_of(rules: &[SidedRule], is_in: impl Fn(&SidedRule) -> bool) -> Vec<u64> {
    let bits = |rules: &[SidedRule]| {
        (0..).zip(rules).fold(0, |bits, (place, rule)| bits | u64::from(is_in(rule)) << place)
    };
    let mut set: Vec<u64> = rules.chunks(64).map(bits).collect();
    set.resize(words_of(rules.len()), 0);
    set
}

/// Returns the number of words that a set of so many rules has, one at least.
pub(super) fn words_of(rules: usize) -> usize {
    rules.div_ceil(64).max(1)
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
        let Some((before, own)) = sets.bits.split_at_mut_checked(number * sets.words) else {
            break;
        };
        let of_parent = before.iter().skip(*parent as usize * sets.words).take(sets.words);
        for (word, of_parent) in own.iter_mut().zip(of_parent) {
            *word |= of_parent;
        }
    }
    sets
}

/// Sets, each once.
pub(super) struct UniqueSets {
    pub(super) sets: Sets,
    /// The most sets that there may be.
    max: usize,
    interner: Interner,
}

impl UniqueSets {
    pub(super) fn new(rules: usize, max: usize) -> UniqueSets {
        let max = max.min(u16::MAX.into());
        UniqueSets { sets: Sets::new(rules), max, interner: Interner::new() }
    }

    /// Returns the number of a set; none where there is no room.
    pub(super) fn number(&mut self, set: &[u64]) -> Option<u16> {
        let hash = (0..).zip(set).fold(0, |hash, (place, word)| mixed(hash, place, *word));
        self.number_of(hash, set)
    }

    /// Does the same, given the hash, to which words of 0 add nothing.
    pub(super) fn number_of(&mut self, hash: u64, set: &[u64]) -> Option<u16> {
        let (sets, count) = (&self.sets, self.sets.count());
        let is_same = |number| sets.get(number as usize) == Some(set);
        let number = self.interner.number(hash, count as u32, is_same)? as usize;
        if number == count {
            if count >= self.max {
                return None;
            }
            self.sets.bits.extend(set);
        }
        Some(number as u16)
    }
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
