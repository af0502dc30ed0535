//! [`diff`]: the flows to which two settings give different actions.

use crate::flow::Flow;
use crate::rule::{Action, NetworkRule};
use crate::settings::{FilterSettings, Precedence};
use crate::space::{
    Axis, Cover, Decider, Item, Piece, Pieces, Region, Shape, Sides, Space, Splitter, size,
};
use std::collections::HashMap;

/// The regions in which two settings differ, the biggest first; no two share a flow.
pub struct Diff {
    space: Space,
    pieces: Pieces,
}

/// A region in which two settings give different actions, and what gives them.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    region: Region,
    witness: Flow<'static>,
    old: (Decider, Action),
    new: (Decider, Action),
}

/// Finds every flow to which `old` and `new` give different actions.
///
/// The answer is exact: the two are the same if and only if there is no region. The space is that
/// of all flows as they stand. What is not yet known of a flow needs no case of its own: a flow of
/// which more is known is in the space too.
///
/// # Examples
///
/// ```
/// use flowsieve::*;
///
/// let settings = |prefix| -> Result<FilterSettings, Error> {
///     let host = "192.0.2.0:443".parse()?;
///     let network = NetworkRule::destination_network(host, prefix, Protocol::Tcp)?;
///     Ok(FilterSettings::new(vec![FilterRule::new(network, Action::Drop)], Action::Allow))
/// };
/// let diff = diff(&settings(24)?, &settings(25)?, Precedence::FirstMatch);
/// let difference = diff.regions().next().ok_or("no difference")?;
/// let text = "TCP outbound, remote 192.0.2.128/25 port 443, local any but loopback";
/// assert_eq!(difference.region().to_string(), text);
/// assert_eq!(difference.before(), (Decider::Rule(0), Action::Drop));
/// assert_eq!(difference.after(), (Decider::Default, Action::Allow));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Complexity
///
/// O(n log n) in the number of rules where lists are equal, and for each rule that is in one list
/// only, that of the rules that it meets, and of the regions found.
pub fn diff(old: &FilterSettings, new: &FilterSettings, precedence: Precedence) -> Diff {
    let differ = |old, new| old != new;
    search((old, precedence), (new, precedence), differ, usize::MAX)
}

/// Finds a flow to which `old` and `new` give different actions, without looking for all; `None` if
/// there is none, for which the proof is the same as that of [`diff`].
///
/// # Complexity
///
/// At worst that of [`diff`].
pub fn first_difference(
    old: &FilterSettings,
    new: &FilterSettings,
    precedence: Precedence,
) -> Option<Difference> {
    search((old, precedence), (new, precedence), |old, new| old != new, 1).regions().next()
}

/// Finds the regions with answers of a kind, of which equal ones are never, and stops after so
/// many.
pub(crate) fn search(
    old: (&FilterSettings, Precedence),
    new: (&FilterSettings, Precedence),
    is_wanted: fn(Action, Action) -> bool,
    max_pieces: usize,
) -> Diff {
    let rules = old.0.rules().iter().chain(new.0.rules());
    let rules: Vec<&NetworkRule> = rules.map(|rule| rule.network_rule()).collect();
    let (space, shapes) = Space::new(&rules);
    let (of_old, of_new) = shapes.split_at(old.0.rules().len());
    let old = space.items(old.0, old.1, of_old);
    let new = space.items(new.0, new.1, of_new);
    let mut sides = merge(&old, &new);
    let count = sides.len();
    // Behind each item stands, for those that come later, that its flows have been looked at.
    sides.extend_from_within(..);
    for side in sides.iter_mut().skip(count) {
        side.old = Some((Decider::Default, Action::Allow));
        side.new = side.old;
    }
    let cover = Cover::new(&space, sides.iter().take(count).map(|item| item.shape).collect());
    let splitter = Splitter::new(&space, &sides, is_wanted, max_pieces);
    let mut pieces = Pieces::default();
    for (place, item) in sides.iter().take(count).enumerate() {
        // A flow that no item of one side only holds has the same decider on both.
        if item.old.is_some() == item.new.is_some() {
            continue;
        }
        let region = space.region(&item.shape);
        let meeting = cover.meeting(&region);
        let is_done = |other: &&u32| {
            let item = sides.get(**other as usize);
            (**other as usize) < place
                && item.is_some_and(|item| item.old.is_some() != item.new.is_some())
        };
        let done = meeting.iter().filter(is_done).map(|other| *other + count as u32);
        let list: Vec<u32> = done.chain(meeting.iter().copied()).collect();
        splitter.split(&region, &list, &mut pieces);
        if pieces.pieces.len() >= max_pieces {
            break;
        }
    }
    pieces.join(space.axes());
    let size = |piece: &Piece| size(space.axes(), &pieces.region(piece));
    let mut sized: Vec<(f64, Piece)> = pieces.pieces.iter().map(|p| (size(p), *p)).collect();
    sized.sort_by(|(a, x), (b, y)| {
        b.total_cmp(a).then_with(|| (x.old.0, x.new.0).cmp(&(y.old.0, y.new.0)))
    });
    pieces.pieces = sized.into_iter().map(|(_, piece)| piece).collect();
    Diff { space, pieces }
}

impl Diff {
    /// Returns whether the settings give every flow the same action.
    pub fn is_same(&self) -> bool {
        self.pieces.pieces.is_empty()
    }

    /// Returns the number of regions.
    pub fn region_count(&self) -> usize {
        self.pieces.pieces.len()
    }

    /// Returns the regions, the biggest first; see [`Region::size`].
    pub fn regions(&self) -> impl Iterator<Item = Difference> {
        self.pieces.pieces.iter().map(|piece| self.difference(piece))
    }

    /// Returns the region that holds `flow`, if there is one.
    ///
    /// # Complexity
    ///
    /// Linear in the number of regions.
    pub fn region_of(&self, flow: &Flow<'_>) -> Option<Difference> {
        let classes = self.space.axes().classes_of(flow);
        let holds = |piece: &&Piece| {
            let mut axes = Axis::ALL.into_iter();
            axes.all(|axis| self.pieces.set(axis, piece.sets[axis]).contains(classes[axis]))
        };
        self.pieces.pieces.iter().find(holds).map(|piece| self.difference(piece))
    }

    fn difference(&self, piece: &Piece) -> Difference {
        let sets = self.pieces.region(piece);
        Difference {
            region: Region::new(&self.space, &sets),
            witness: self.space.witness(&sets),
            old: piece.old,
            new: piece.new,
        }
    }
}

impl std::fmt::Debug for Diff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Diff").field("region_count", &self.region_count()).finish_non_exhaustive()
    }
}

impl Difference {
    /// Returns the flows.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Returns one of the flows.
    pub fn witness(&self) -> &Flow<'static> {
        &self.witness
    }

    /// Returns what decides by the old settings, and how.
    pub fn before(&self) -> (Decider, Action) {
        self.old
    }

    /// Returns what decides by the new settings, and how.
    pub fn after(&self) -> (Decider, Action) {
        self.new
    }
}

/// Puts two lists together: what is the same in both, in an order that both have, is one item.
fn merge(old: &[Item], new: &[Item]) -> Vec<Sides> {
    let answer = |item: &Item| Some((item.decider, item.action));
    let only_old = |item: &Item| Sides { shape: item.shape, old: answer(item), new: None };
    let only_new = |item: &Item| Sides { shape: item.shape, old: None, new: answer(item) };
    let mut merged = Vec::with_capacity(old.len() + new.len());
    let (mut olds, mut news) = (old.iter().enumerate(), new.iter().enumerate());
    for (i, j) in align(old, new) {
        merged.extend(olds.by_ref().take_while(|(at, _)| *at < i).map(|(_, item)| only_old(item)));
        merged.extend(news.by_ref().take_while(|(at, _)| *at < j).map(|(_, item)| only_new(item)));
        if let (Some(old), Some(new)) = (old.get(i), new.get(j)) {
            merged.push(Sides { shape: old.shape, old: answer(old), new: answer(new) });
        }
    }
    merged.extend(olds.map(|(_, item)| only_old(item)));
    merged.extend(news.map(|(_, item)| only_new(item)));
    merged
}

/// Pairs the places of equal items, ascending in both lists. Any such pairs will do; these are
/// items that stand once in each list, and what is equal around them.
fn align(old: &[Item], new: &[Item]) -> Vec<(usize, usize)> {
    let key = |item: &Item| (item.shape, item.action);
    let is_equal = |i: usize, j: usize| match (old.get(i), new.get(j)) {
        (Some(old), Some(new)) => key(old) == key(new),
        _ => false,
    };
    let mut pairs = Vec::new();
    let mut ranges = vec![(0..old.len(), 0..new.len())];
    while let Some((mut i, mut j)) = ranges.pop() {
        while !i.is_empty() && !j.is_empty() && is_equal(i.start, j.start) {
            pairs.push((i.start, j.start));
            (i.start, j.start) = (i.start + 1, j.start + 1);
        }
        while !i.is_empty() && !j.is_empty() && is_equal(i.end - 1, j.end - 1) {
            (i.end, j.end) = (i.end - 1, j.end - 1);
            pairs.push((i.end, j.end));
        }
        // The places of an item that stands once on either side.
        let mut places: HashMap<(Shape, Action), [(u32, usize); 2]> = HashMap::new();
        let lists = [(old.get(i.clone()), i.start), (new.get(j.clone()), j.start)];
        for (side, (list, start)) in lists.into_iter().enumerate() {
            for (place, item) in list.unwrap_or(&[]).iter().enumerate() {
                let place_of = places.entry(key(item)).or_default();
                if let Some(found) = place_of.get_mut(side) {
                    *found = (found.0 + 1, start + place);
                }
            }
        }
        let mut once: Vec<(usize, usize)> = places
            .into_values()
            .filter(|[(in_old, _), (in_new, _)]| (*in_old, *in_new) == (1, 1))
            .map(|[(_, i), (_, j)]| (i, j))
            .collect();
        once.sort_unstable();
        let anchors = longest_ascent(&once);
        let mut from = (i.start, j.start);
        for anchor in &anchors {
            pairs.push(*anchor);
            ranges.push((from.0..anchor.0, from.1..anchor.1));
            from = (anchor.0 + 1, anchor.1 + 1);
        }
        if !anchors.is_empty() {
            ranges.push((from.0..i.end, from.1..j.end));
        }
    }
    pairs.sort_unstable();
    pairs
}

/// Returns the most pairs, which ascend by the first, that ascend by the second too.
fn longest_ascent(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // The pair that ends the ascent of each length and has the least second, and for each pair the
    // one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    let second = |index: usize| pairs.get(index).map(|pair| pair.1);
    for (index, pair) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| second(*end) < Some(pair.1));
        before.push(length.checked_sub(1).and_then(|length| ends.get(length).copied()));
        match ends.get_mut(length) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut ascent = Vec::with_capacity(ends.len());
    let mut last = ends.last().copied();
    while let Some(index) = last {
        ascent.extend(pairs.get(index));
        last = before.get(index).copied().flatten();
    }
    ascent.reverse();
    ascent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_ascent_ascends_and_is_longest() {
        // Every order of six.
        let mut orders = vec![vec![]];
        for number in 0..6 {
            orders = orders
                .into_iter()
                .flat_map(|order: Vec<usize>| {
                    (0..=order.len()).map(move |place| {
                        let mut order = order.clone();
                        order.insert(place, number);
                        order
                    })
                })
                .collect();
        }
        assert_eq!(orders.len(), 720);
        for order in orders {
            let pairs: Vec<_> = order.into_iter().enumerate().collect();
            let found = longest_ascent(&pairs);
            assert!(found.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
            let longest = (0_u32..64)
                .filter(|bits| {
                    let chosen = pairs.iter().filter(|(i, _)| bits >> i & 1 == 1);
                    chosen.is_sorted_by(|a, b| a.1 < b.1)
                })
                .map(u32::count_ones)
                .max();
            assert_eq!(Some(found.len() as u32), longest);
        }
    }
}
