//! [`Cover`]: whether shapes together cover a region, by looking for a part that they do not.

use super::{Axis, PerAxis, Runs, Shape, Space};
use std::ops::Range;

/// The shapes of what decides, found by what they meet.
pub(crate) struct Cover<'a> {
    space: &'a Space,
    /// In the order in which they are asked.
    shapes: Vec<Shape>,
    /// By remote host, local host and host name: on these sets are nested or apart.
    nests: [(Axis, Nest); 3],
}

impl<'a> Cover<'a> {
    pub(crate) fn new(space: &'a Space, shapes: Vec<Shape>) -> Cover<'a> {
        let nests = [Axis::Remote, Axis::Local, Axis::Hostname];
        let nests = nests.map(|axis| (axis, Nest::new(space, axis, &shapes)));
        Cover { space, shapes, nests }
    }

    /// Returns the places of the items that meet `region`, in the order in which they are asked.
    pub(crate) fn meeting(&self, region: &PerAxis<Runs>) -> Vec<u32> {
        let bounds = |axis: Axis| Some((region[axis].first()?, region[axis].last()?));
        let [first, rest @ ..] = &self.nests;
        let count = |nest: &(Axis, Nest)| bounds(nest.0).map_or(0, |range| nest.1.count(range));
        let mut best = (count(first), first);
        for nest in rest {
            let count = count(nest);
            if count < best.0 {
                best = (count, nest);
            }
        }
        let (axis, nest) = best.1;
        let Some(range) = bounds(*axis) else { return Vec::new() };
        let mut found = Vec::new();
        nest.visit(range, |items| found.extend_from_slice(items));
        found.retain(|item| {
            let shape = self.shapes.get(*item as usize);
            shape.is_some_and(|shape| self.meets(shape, region))
        });
        found.sort_unstable();
        found
    }

    fn meets(&self, shape: &Shape, region: &PerAxis<Runs>) -> bool {
        // What tells rules apart stands last.
        Axis::ALL
            .iter()
            .rev()
            .all(|axis| shape.0[*axis] == 0 || self.space.set(*axis, shape).meets(&region[*axis]))
    }

    /// Returns a part of `region` that none of `list` holds any of; if there is none, as the error,
    /// those of the list that together hold all of it.
    pub(crate) fn uncovered(
        &self,
        region: &PerAxis<Runs>,
        list: &[u32],
    ) -> Result<PerAxis<Runs>, Vec<u32>> {
        let entries = list.iter().filter_map(|place| {
            let shape = self.shapes.get(*place as usize)?;
            let is_part = |axis: &Axis| {
                shape.0[*axis] != 0 && !self.space.set(*axis, shape).covers(&region[*axis])
            };
            let parts =
                Axis::ALL.into_iter().filter(is_part).fold(0, |bits, axis| bits | axis.bit());
            Some(Entry { place: *place, parts })
        });
        let entries: Vec<Entry> = entries.collect();
        let search = Search { cover: self, region };
        search.run(&entries, (1 << Axis::COUNT) - 1).map(|mut found| {
            for axis in Axis::ALL {
                if found[axis].is_empty() {
                    found[axis] = region[axis].clone();
                }
            }
            found
        })
    }

    /// As [`Cover::uncovered`], less those of the covering ones that can be spared, as long as
    /// there are not too many of them to try.
    pub(crate) fn uncovered_by_few(
        &self,
        region: &PerAxis<Runs>,
        list: &[u32],
    ) -> Result<PerAxis<Runs>, Vec<u32>> {
        let mut covering = match self.uncovered(region, list) {
            Ok(found) => return Ok(found),
            Err(covering) => covering,
        };
        if covering.len() > MAX_TRIED {
            return Err(covering);
        }
        let mut index = 0;
        while index < covering.len() {
            let mut fewer = covering.clone();
            fewer.remove(index);
            match self.uncovered(region, &fewer) {
                Ok(_) => index += 1,
                Err(_) => covering = fewer,
            }
        }
        Err(covering)
    }
}

/// As many covering items are tried one by one whether they can be spared.
const MAX_TRIED: usize = 256;

/// An item, and the axes on which it holds only a part of the region.
#[derive(Clone, Copy)]
struct Entry {
    place: u32,
    parts: u16,
}

struct Search<'a> {
    cover: &'a Cover<'a>,
    region: &'a PerAxis<Runs>,
}

impl Search<'_> {
    /// Looks for what none of `list` holds; on the axes not in `left`, each holds what is looked
    /// at. The sets of the axes that no item divides are left empty.
    fn run(&self, list: &[Entry], left: u16) -> Result<PerAxis<Runs>, Vec<u32>> {
        if let Some(whole) = list.iter().find(|entry| entry.parts & left == 0) {
            return Err(vec![whole.place]);
        }
        if list.is_empty() {
            return Ok(PerAxis::from_fn(|_| Runs::EMPTY.clone()));
        }
        // The axis on which some stretch is held by the fewest.
        let divided = list.iter().fold(0, |bits, entry| bits | entry.parts) & left;
        let axes = Axis::ALL.into_iter().filter(|axis| axis.bit() & divided != 0);
        let sweeps = axes.map(|axis| (axis, self.sweep(axis, list)));
        let rank =
            |(_, sweep): &(Axis, Vec<Stretch>)| (sweep.first().map(|s| s.count), sweep.len());
        let Some((axis, sweep)) = sweeps.min_by_key(rank) else {
            return Err(Vec::new());
        };
        let (mut proofs, mut used): (Vec<Vec<u32>>, Vec<u32>) = (Vec::new(), Vec::new());
        for stretch in sweep {
            let holds = |entry: &&Entry| {
                let shape = self.cover.shapes.get(entry.place as usize);
                entry.parts & axis.bit() == 0
                    || shape.is_some_and(|shape| {
                        self.cover.space.set(axis, shape).contains(stretch.first)
                    })
            };
            let held: Vec<Entry> = list.iter().filter(holds).copied().collect();
            // Places ascend, and what was covered by some is covered by more.
            let is_held =
                |place: &u32| held.binary_search_by_key(place, |entry| entry.place).is_ok();
            if let Some(index) = proofs.iter().position(|proof| proof.iter().all(is_held)) {
                proofs.swap(0, index);
                continue;
            }
            match self.run(&held, left & !axis.bit()) {
                Ok(mut found) => {
                    found[axis] = Runs::one(stretch.first, stretch.last);
                    return Ok(found);
                }
                Err(proof) => {
                    used.extend_from_slice(&proof);
                    proofs.push(proof);
                }
            }
        }
        used.sort_unstable();
        used.dedup();
        Err(used)
    }

    /// Returns the stretches of an axis between the bounds of the items, those held by the fewest
    /// first.
    fn sweep(&self, axis: Axis, list: &[Entry]) -> Vec<Stretch> {
        let bounds = self.region[axis].iter().flat_map(|(first, last)| [(first, 0), (last + 1, 0)]);
        let mut bounds: Vec<(u32, i32)> = bounds.collect();
        let mut whole = 0;
        for entry in list {
            if entry.parts & axis.bit() == 0 {
                whole += 1;
                continue;
            }
            let Some(shape) = self.cover.shapes.get(entry.place as usize) else { continue };
            for (first, last) in self.cover.space.set(axis, shape).iter() {
                bounds.extend([(first, 1), (last + 1, -1)]);
            }
        }
        bounds.sort_unstable();
        let mut stretches = Vec::new();
        let mut count = whole;
        let mut regions = self.region[axis].iter().peekable();
        for (index, (class, step)) in bounds.iter().enumerate() {
            count += step;
            let Some((next, _)) = bounds.get(index + 1).filter(|(next, _)| next > class) else {
                continue;
            };
            while regions.peek().is_some_and(|(_, last)| last < class) {
                regions.next();
            }
            if regions.peek().is_some_and(|(first, _)| first <= class) {
                stretches.push(Stretch { count, first: *class, last: next - 1 });
            }
        }
        stretches.sort_by_key(|stretch| (stretch.count, stretch.first));
        stretches
    }
}

/// Classes between two bounds, and how many items hold them.
struct Stretch {
    count: i32,
    first: u32,
    last: u32,
}

/// The sets of an axis on which any two are nested or apart, with the items that have them.
struct Nest {
    /// By first class, the wider first.
    sets: Vec<Nested>,
    /// The items of all sets, one set after the other.
    items: Vec<u32>,
}

struct Nested {
    first: u32,
    last: u32,
    /// The innermost set around this one, before which it stands.
    outer: Option<u32>,
    /// Where its items are.
    items: Range<usize>,
}

impl Nest {
    fn new(space: &Space, axis: Axis, shapes: &[Shape]) -> Nest {
        let mut by_set: Vec<(u32, u32, u32)> = Vec::with_capacity(shapes.len());
        for (place, shape) in shapes.iter().enumerate() {
            let set = space.set(axis, shape);
            if let (Some(first), Some(last)) = (set.first(), set.last()) {
                by_set.push((first, u32::MAX - last, place as u32));
            }
        }
        by_set.sort_unstable();
        let mut nest = Nest { sets: Vec::new(), items: Vec::with_capacity(shapes.len()) };
        let mut open: Vec<(u32, u32)> = Vec::new();
        for (first, last, place) in by_set {
            let last = u32::MAX - last;
            nest.items.push(place);
            let end = nest.items.len();
            match nest.sets.last_mut().filter(|set| set.first == first && set.last == last) {
                Some(set) => set.items.end = end,
                None => {
                    while open.last().is_some_and(|(_, outer_last)| *outer_last < first) {
                        open.pop();
                    }
                    let outer = open.last().map(|(outer, _)| *outer);
                    open.push((nest.sets.len() as u32, last));
                    nest.sets.push(Nested { first, last, outer, items: end - 1..end });
                }
            }
        }
        nest
    }

    /// Visits the items of every set that meets the classes from `first` to `last`.
    fn visit(&self, (first, last): (u32, u32), mut visit: impl FnMut(&[u32])) {
        let from = self.sets.partition_point(|set| set.first < first);
        let to = self.sets.partition_point(|set| set.first <= last);
        let range =
            |from: Option<&Nested>, to: Option<&Nested>| Some(from?.items.start..to?.items.end);
        if from < to
            && let Some(range) = range(self.sets.get(from), self.sets.get(to - 1))
        {
            visit(self.items.get(range).unwrap_or(&[]));
        }
        // Those that begin before hold whatever begins last before, or end before.
        let mut around = from.checked_sub(1).and_then(|place| self.sets.get(place));
        while let Some(set) = around {
            if set.last >= first {
                visit(self.items.get(set.items.clone()).unwrap_or(&[]));
            }
            around = set.outer.and_then(|outer| self.sets.get(outer as usize));
        }
    }

    /// Returns the number of items that [`Nest::visit`] visits.
    fn count(&self, range: (u32, u32)) -> usize {
        let mut count = 0;
        self.visit(range, |items| count += items.len());
        count
    }
}
