//! [`Runs`]: a set of classes of one axis.

use smallvec::{SmallVec, smallvec};

/// A set of classes, as the runs that it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Runs(
    /// INVARIANT: first and last class of each run, ascending; no two runs touch.
    SmallVec<[(u32, u32); 2]>,
);

impl Runs {
    /// The empty set.
    pub(crate) const EMPTY: &'static Runs = &Runs(SmallVec::new_const());

    /// Returns the classes from `first` to `last`, both included.
    pub(crate) fn one(first: u32, last: u32) -> Runs {
        Runs(smallvec![(first, last)])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns first and last class of each run.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().copied()
    }

    /// Returns each class.
    pub(crate) fn classes(&self) -> impl Iterator<Item = u32> + '_ {
        self.iter().flat_map(|(first, last)| first..=last)
    }

    /// Returns the first class.
    pub(crate) fn first(&self) -> Option<u32> {
        self.0.first().map(|(first, _)| *first)
    }

    /// Returns the last class.
    pub(crate) fn last(&self) -> Option<u32> {
        self.0.last().map(|(_, last)| *last)
    }

    pub(crate) fn contains(&self, class: u32) -> bool {
        self.iter().any(|(first, last)| (first..=last).contains(&class))
    }

    /// Returns whether `other` is a part of this set.
    pub(crate) fn covers(&self, other: &Runs) -> bool {
        // Runs do not touch, so each of the other's lies within one of these.
        let mut own = self.iter();
        let mut current = own.next();
        other.iter().all(|(first, last)| {
            while current.is_some_and(|(_, end)| end < first) {
                current = own.next();
            }
            current.is_some_and(|(start, end)| start <= first && last <= end)
        })
    }

    /// Returns whether the sets have a class in common.
    pub(crate) fn meets(&self, other: &Runs) -> bool {
        let (mut a, mut b) = (self.iter().peekable(), other.iter().peekable());
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            if x.1 < y.0 {
                a.next();
            } else if y.1 < x.0 {
                b.next();
            } else {
                return true;
            }
        }
        false
    }

    /// Returns what both sets hold.
    pub(crate) fn and(&self, other: &Runs) -> Runs {
        let mut both = SmallVec::new();
        let (mut a, mut b) = (self.iter().peekable(), other.iter().peekable());
        while let (Some(x), Some(y)) = (a.peek().copied(), b.peek().copied()) {
            let (first, last) = (x.0.max(y.0), x.1.min(y.1));
            if first <= last {
                both.push((first, last));
            }
            if x.1 <= y.1 {
                a.next();
            } else {
                b.next();
            }
        }
        Runs(both)
    }

    /// Returns what this set holds and `other` does not.
    pub(crate) fn minus(&self, other: &Runs) -> Runs {
        let mut left = Runs(SmallVec::new());
        for (first, last) in self.iter() {
            let mut from = Some(first);
            for (start, end) in other.iter().filter(|(start, end)| *end >= first && *start <= last)
            {
                if let Some(first) = from.filter(|first| *first < start) {
                    left.push(first, start - 1);
                }
                from = end.checked_add(1);
            }
            if let Some(first) = from.filter(|first| *first <= last) {
                left.push(first, last);
            }
        }
        left
    }

    /// Adds a run that does not begin before the last one.
    pub(crate) fn push(&mut self, first: u32, last: u32) {
        match self.0.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => self.0.push((first, last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = (u8, Runs)> {
        (0..=u8::MAX).map(|bits| {
            let mut runs = Runs::EMPTY.clone();
            (0..8).filter(|bit| bits >> bit & 1 == 1).for_each(|bit| runs.push(bit, bit));
            (bits, runs)
        })
    }

    #[test]
    fn every_operation_is_that_of_sets() {
        for (a, x) in all() {
            assert!((0..8).all(|bit| x.contains(bit) == (a >> bit & 1 == 1)));
            assert!(x.classes().eq((0..8).filter(|bit| a >> bit & 1 == 1)));
            for (b, y) in all() {
                let is = |runs: Runs, bits: u8| assert_eq!(runs, all().nth(bits.into()).unwrap().1);
                is(x.and(&y), a & b);
                is(x.minus(&y), a & !b);
                assert_eq!(x.meets(&y), a & b != 0);
                assert_eq!(x.covers(&y), b & !a == 0);
            }
        }
    }
}
