//! [`Splitter`]: cuts a region by who decides in either of two settings, and keeps the pieces in
//! which the answers are of a kind that is looked for.

use super::{Axes, Axis, Decider, PerAxis, Runs, Shape, Space};
use crate::rule::Action;
use std::collections::{BTreeMap, HashMap, hash_map};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// What decides flows by the old settings, by the new ones, or by both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sides {
    pub(crate) shape: Shape,
    pub(crate) old: Option<(Decider, Action)>,
    pub(crate) new: Option<(Decider, Action)>,
}

/// A region in which one item decides by the old settings and one by the new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Piece {
    /// The places of its sets in [`Pieces`].
    pub(crate) sets: PerAxis<u32>,
    pub(crate) old: (Decider, Action),
    pub(crate) new: (Decider, Action),
}

/// Pieces, no two of which share a flow.
#[derive(Default)]
pub(crate) struct Pieces {
    pub(crate) pieces: Vec<Piece>,
    sets: PerAxis<Vec<Runs>>,
    interned: PerAxis<HashMap<Runs, u32>>,
}

/// Cuts regions.
pub(crate) struct Splitter<'a> {
    space: &'a Space,
    /// In the order in which they are asked; an item of both sides is asked by both.
    items: &'a [Sides],
    /// The answers, by the old settings and by the new, that are looked for. Equal answers are
    /// not.
    is_wanted: fn(Action, Action) -> bool,
    /// When to stop.
    max_pieces: usize,
}

/// An item, by whom it is asked, and the axes on which it holds only a part of the region.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Entry {
    place: u32,
    asked: u8,
    parts: u16,
}

const OLD: u8 = 1;
const NEW: u8 = 2;
const BOTH: u8 = OLD | NEW;

impl<'a> Splitter<'a> {
    pub(crate) fn new(
        space: &'a Space,
        items: &'a [Sides],
        is_wanted: fn(Action, Action) -> bool,
        max_pieces: usize,
    ) -> Splitter<'a> {
        Splitter { space, items, is_wanted, max_pieces }
    }

    /// Adds the wanted pieces of `region` to `pieces`. `list` has at least the places of the items
    /// that meet it, ascending.
    pub(crate) fn split(&self, region: &PerAxis<Runs>, list: &[u32], pieces: &mut Pieces) {
        let entries = list.iter().filter_map(|place| {
            let item = self.items.get(*place as usize)?;
            let is_part = |axis: &Axis| {
                item.shape.0[*axis] != 0
                    && !self.space.set(*axis, &item.shape).covers(&region[*axis])
            };
            let parts =
                Axis::ALL.into_iter().filter(is_part).fold(0, |bits, axis| bits | axis.bit());
            let asked = item.old.map_or(0, |_| OLD) | item.new.map_or(0, |_| NEW);
            Some(Entry { place: *place, asked, parts })
        });
        let entries: Vec<Entry> = entries.collect();
        let mut sets = PerAxis::from_fn(|axis| pieces.intern(axis, &region[axis]));
        let left = (1 << Axis::COUNT) - 1;
        if let Some(list) = self.reduced(entries.into_iter(), left) {
            self.run(region, &list, left, &mut sets, pieces);
        }
    }

    /// Leaves out what no wanted answer hangs on: what is asked after an item that holds
    /// everything, or all of it, which is `None`.
    fn reduced(&self, list: impl Iterator<Item = Entry>, left: u16) -> Option<Vec<Entry>> {
        let mut open = BOTH;
        let mut kept = Vec::new();
        let mut differ = false;
        let (mut old, mut new) = ([false; 3], [false; 3]);
        for entry in list {
            let asked = entry.asked & open;
            let Some(item) = self.items.get(entry.place as usize).filter(|_| asked != 0) else {
                continue;
            };
            differ |= asked != BOTH;
            let seen = |side: &mut [bool; 3], answer: Option<(Decider, Action)>| {
                for (seen, action) in side.iter_mut().zip(Action::ALL) {
                    *seen |= answer.is_some_and(|(_, answer)| answer == action);
                }
            };
            if asked & OLD != 0 {
                seen(&mut old, item.old);
            }
            if asked & NEW != 0 {
                seen(&mut new, item.new);
            }
            let parts = entry.parts & left;
            kept.push(Entry { asked, parts, ..entry });
            if parts == 0 {
                open &= !asked;
            }
            if open == 0 {
                break;
            }
        }
        let all = || Action::ALL.into_iter();
        let of =
            |seen: [bool; 3]| all().zip(seen).filter(|(_, seen)| *seen).map(|(action, _)| action);
        let possible = of(old).any(|old| of(new).any(|new| (self.is_wanted)(old, new)));
        (differ && possible).then_some(kept)
    }

    fn run(
        &self,
        region: &PerAxis<Runs>,
        list: &[Entry],
        left: u16,
        sets: &mut PerAxis<u32>,
        pieces: &mut Pieces,
    ) {
        if pieces.pieces.len() >= self.max_pieces {
            return;
        }
        let Some(axis) = self.best_axis(list) else {
            let item = |entry: &Entry| self.items.get(entry.place as usize);
            let old = list.iter().find(|entry| entry.asked & OLD != 0).and_then(item);
            let new = list.iter().find(|entry| entry.asked & NEW != 0).and_then(item);
            if let (Some(old), Some(new)) = (old.and_then(|i| i.old), new.and_then(|i| i.new))
                && (self.is_wanted)(old.1, new.1)
            {
                let piece = Piece { sets: *sets, old, new };
                if self.space.axes().trim(&mut pieces.region(&piece)) {
                    pieces.pieces.push(piece);
                }
            }
            return;
        };
        let left = left & !axis.bit();
        let whole = sets[axis];
        for (runs, list) in self.sweep(axis, &region[axis], list, left) {
            sets[axis] = pieces.intern(axis, &runs);
            self.run(region, &list, left, sets, pieces);
        }
        sets[axis] = whole;
    }

    /// Returns the axis to be cut, the one that leaves the least in all lists, as a guess: sets have
    /// two bounds each, and do not share much.
    fn best_axis(&self, list: &[Entry]) -> Option<Axis> {
        let divided = list.iter().fold(0, |bits, entry| bits | entry.parts);
        let axes = Axis::ALL.into_iter().filter(|axis| axis.bit() & divided != 0);
        let left = |axis: &Axis| {
            let of_axis = list.iter().filter(|entry| entry.parts & axis.bit() != 0);
            let items = of_axis.filter_map(|entry| self.items.get(entry.place as usize));
            let mut sets: Vec<u32> = items.map(|item| item.shape.0[*axis]).collect();
            let parts = sets.len();
            sets.sort_unstable();
            sets.dedup();
            (2 * sets.len() + 1) * (list.len() - parts + parts / sets.len().max(1) + 1)
        };
        axes.min_by_key(left)
    }

    /// Cuts an axis at the bounds of the items, and returns with each list of items, reduced, all
    /// stretches that have it.
    fn sweep(
        &self,
        axis: Axis,
        region: &Runs,
        list: &[Entry],
        left: u16,
    ) -> Vec<(Runs, Vec<Entry>)> {
        // Where items begin and end, by their places in `list`.
        let mut bounds: Vec<(u32, u32)> = Vec::new();
        let mut is_active: Vec<bool> = Vec::with_capacity(list.len());
        for (index, entry) in list.iter().enumerate() {
            let is_part = entry.parts & axis.bit() != 0;
            is_active.push(!is_part);
            if let Some(item) = self.items.get(entry.place as usize).filter(|_| is_part) {
                for (first, last) in self.space.set(axis, &item.shape).iter() {
                    bounds.extend([(first, index as u32), (last + 1, index as u32)]);
                }
            }
        }
        bounds.sort_unstable();
        let mut active: Vec<u32> =
            (0..).zip(&is_active).filter(|(_, active)| **active).map(|(index, _)| index).collect();
        let mut found: Vec<(Runs, Vec<Entry>)> = Vec::new();
        let mut known: HashMap<Vec<Entry>, usize> = HashMap::new();
        let mut next = bounds.iter().peekable();
        for (first, last) in region.iter() {
            let mut class = first;
            while class <= last {
                // A set ends and begins again at its own bound no more than others do.
                while let Some((_, index)) = next.next_if(|(bound, _)| *bound <= class) {
                    match active.binary_search(index) {
                        Ok(place) => {
                            active.remove(place);
                        }
                        Err(place) => active.insert(place, *index),
                    }
                }
                let end = next.peek().map_or(last, |(bound, _)| last.min(bound - 1));
                let entries = active.iter().filter_map(|index| list.get(*index as usize).copied());
                if let Some(reduced) = self.reduced(entries, left) {
                    let place = *known.entry(reduced).or_insert_with_key(|reduced| {
                        found.push((Runs::EMPTY.clone(), reduced.clone()));
                        found.len() - 1
                    });
                    if let Some((runs, _)) = found.get_mut(place) {
                        runs.push(class, end);
                    }
                }
                class = end + 1;
            }
        }
        found
    }
}

impl Pieces {
    /// Returns the sets of a piece.
    pub(crate) fn region(&self, piece: &Piece) -> PerAxis<Runs> {
        PerAxis::from_fn(|axis| self.set(axis, piece.sets[axis]).clone())
    }

    pub(crate) fn set(&self, axis: Axis, id: u32) -> &Runs {
        self.sets[axis].get(id as usize).unwrap_or(Runs::EMPTY)
    }

    fn intern(&mut self, axis: Axis, runs: &Runs) -> u32 {
        if let Some(id) = self.interned[axis].get(runs) {
            return *id;
        }
        let id = self.sets[axis].len() as u32;
        self.sets[axis].push(runs.clone());
        self.interned[axis].insert(runs.clone(), id);
        id
    }

    /// Joins pieces that differ on one axis only, and takes out what no flow can be.
    pub(crate) fn join(&mut self, axes: &Axes) {
        self.join_axes();
        let mut pieces = std::mem::take(&mut self.pieces);
        for piece in &mut pieces {
            let mut region = self.region(piece);
            axes.trim(&mut region);
            piece.sets = PerAxis::from_fn(|axis| self.intern(axis, &region[axis]));
        }
        self.pieces = pieces;
    }

    fn join_axes(&mut self) {
        loop {
            let before = self.pieces.len();
            for axis in Axis::ALL {
                let count = self.pieces.len();
                let mut places = Places::with_capacity_and_hasher(count, RandomState::new());
                let mut pieces: Vec<Piece> = Vec::with_capacity(self.pieces.len());
                // The sets of those that are joined; few are.
                let mut joined: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
                for piece in &self.pieces {
                    let id = piece.sets[axis];
                    match places.place(&pieces, piece, axis) {
                        Some(place) => joined.entry(place).or_default().push(id),
                        None => pieces.push(*piece),
                    }
                }
                for (place, ids) in joined {
                    let Some(piece) = pieces.get_mut(place) else { continue };
                    let ids = ids.iter().chain([&piece.sets[axis]]);
                    let mut runs: Vec<_> = ids.flat_map(|id| self.set(axis, *id).iter()).collect();
                    runs.sort_unstable();
                    let mut union = Runs::EMPTY.clone();
                    runs.into_iter().for_each(|(first, last)| union.push(first, last));
                    piece.sets[axis] = self.intern(axis, &union);
                }
                self.pieces = pieces;
            }
            if self.pieces.len() == before {
                return;
            }
        }
    }
}

/// Where the pieces of a list stand, by all but one axis.
// PERF: of each piece its hash only, since millions of them would not stay in any cache;
// diff/firewall-10k.
struct Places<S> {
    hasher: S,
    of_hashes: HashMap<u64, usize, BuildHasherDefault<Hashed>>,
}

impl<S: BuildHasher> Places<S> {
    fn with_capacity_and_hasher(count: usize, hasher: S) -> Places<S> {
        let of_hashes = HashMap::with_capacity_and_hasher(count, BuildHasherDefault::default());
        Places { hasher, of_hashes }
    }

    /// Returns where in `pieces` the one stands that differs from `piece` on this axis only. If there is
    /// none, `piece` is taken to be added to them.
    fn place(&mut self, pieces: &[Piece], piece: &Piece, axis: Axis) -> Option<usize> {
        let key = |piece: &Piece| {
            let mut key = *piece;
            key.sets[axis] = 0;
            key
        };
        let wanted = key(piece);
        let mut hash = self.hasher.hash_one(wanted);
        loop {
            match self.of_hashes.entry(hash) {
                hash_map::Entry::Vacant(entry) => {
                    entry.insert(pieces.len());
                    return None;
                }
                hash_map::Entry::Occupied(entry)
                    if pieces.get(*entry.get()).map(key) == Some(wanted) =>
                {
                    return Some(*entry.get());
                }
                // Another piece of the same hash.
                hash_map::Entry::Occupied(_) => hash = hash.wrapping_add(1),
            }
        }
    }
}

/// What is hashed already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives everything the same hash: the last one, so that the next begins at 0 again.
    #[derive(Default)]
    struct Alike;

    impl Hasher for Alike {
        fn finish(&self) -> u64 {
            u64::MAX
        }

        fn write(&mut self, _: &[u8]) {}
    }

    #[test]
    fn pieces_of_equal_hashes_are_told_apart() {
        let [axis, other, ..] = Axis::ALL;
        let drop = (Decider::Default, Action::Drop);
        let first = Piece {
            sets: PerAxis::from_fn(|_| 0),
            old: (Decider::Default, Action::Allow),
            new: drop,
        };
        let mut second = first;
        second.sets[other] = 1;
        let third = Piece { old: drop, ..first };
        let hasher = BuildHasherDefault::<Alike>::default();
        let mut places = Places::with_capacity_and_hasher(3, hasher);
        let mut pieces = Vec::new();
        for piece in [first, second, third] {
            assert_eq!(places.place(&pieces, &piece, axis), None, "{piece:?}");
            pieces.push(piece);
        }
        for (place, piece) in pieces.iter().enumerate() {
            let mut beside = *piece;
            beside.sets[axis] = 1;
            assert_eq!(places.place(&pieces, &beside, axis), Some(place), "{piece:?}");
        }
    }
}
