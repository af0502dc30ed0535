//! [`Cells`]: what each cell of a map holds, and the rectangles that cells make.

use super::coverage::{Coverage, Fate, Stretch, size};
use super::hilbert::{Curve, Node, Rect};
use flowsieve::Action;
use std::collections::HashMap;

/// What a cell holds: one action, or a mixture of them in quarters.
///
/// An action that any flow of the cell gets has at least one of the four quarters, and only where
/// all flows get the same action does it have all. So a mixed cell never looks like a pure one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Content(
    /// In the order of [`Action::ALL`]; INVARIANT: the sum is 4.
    [u8; 3],
);

impl Content {
    /// Every content there is: the pure ones, and the mixtures.
    pub(crate) const ALL: [Content; 15] = [
        Content([4, 0, 0]),
        Content([0, 4, 0]),
        Content([0, 0, 4]),
        Content([3, 1, 0]),
        Content([2, 2, 0]),
        Content([1, 3, 0]),
        Content([3, 0, 1]),
        Content([2, 0, 2]),
        Content([1, 0, 3]),
        Content([0, 3, 1]),
        Content([0, 2, 2]),
        Content([0, 1, 3]),
        Content([2, 1, 1]),
        Content([1, 2, 1]),
        Content([1, 1, 2]),
    ];

    /// Returns what a cell with these shares of flows holds, in the order of [`Action::ALL`].
    fn of(shares: [f64; 3], is_given: [bool; 3]) -> Content {
        let total: f64 = shares.iter().sum();
        let fits = |content: &&Content| {
            content.0.iter().zip(is_given).all(|(quarters, given)| (*quarters > 0) == given)
        };
        let distance = |content: &Content| -> f64 {
            let parts = content.0.iter().zip(shares);
            parts
                .map(|(quarters, share)| (f64::from(*quarters) / 4.0 - share / total).powi(2))
                .sum()
        };
        let candidates = Content::ALL.iter().filter(fits);
        let nearest = candidates.min_by(|a, b| distance(a).total_cmp(&distance(b)));
        nearest.copied().unwrap_or(Content([4, 0, 0]))
    }

    /// Returns the quarters of each action, in the order of [`Action::ALL`].
    pub(crate) fn quarters(self) -> [u8; 3] {
        self.0
    }

    /// Returns the action of all flows, if it is one.
    pub(crate) fn action(self) -> Option<Action> {
        let mut pure = Action::ALL.into_iter().zip(self.0).filter(|(_, quarters)| *quarters == 4);
        pure.next().map(|(action, _)| action)
    }

    /// Returns it in words: `drop`, `mostly allow, some drop`, `half allow, half drop`.
    pub(crate) fn words(self) -> String {
        let mut parts: Vec<(u8, Action)> =
            self.0.into_iter().zip(Action::ALL).filter(|(quarters, _)| *quarters > 0).collect();
        parts.sort_by_key(|(quarters, _)| std::cmp::Reverse(*quarters));
        match parts.as_slice() {
            [(_, action)] => action.to_string(),
            [(3, much), (_, some)] => format!("mostly {much}, some {some}"),
            [(_, one), (_, other)] => format!("half {one}, half {other}"),
            parts => {
                let names = parts.iter().map(|(_, action)| action.to_string());
                format!("{} mixed", names.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn place(self) -> u8 {
        Content::ALL.iter().position(|content| *content == self).unwrap_or(0) as u8
    }
}

/// What each cell holds.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    columns: u32,
    rows: u32,
    /// By rows; places in [`Content::ALL`].
    contents: Vec<u8>,
}

impl Cells {
    /// Finds out what each cell holds.
    ///
    /// # Complexity
    ///
    /// Linear in the number of cells, and in that of stretches for each doubling of rows.
    pub(crate) fn new(coverage: &Coverage, curve: &Curve) -> Cells {
        let (columns, rows) = curve.size();
        let mut cells =
            Cells { columns, rows, contents: vec![0; columns as usize * rows as usize] };
        let mut nodes = curve.roots();
        while let Some(node) = nodes.pop() {
            let (first, last) = (node.first, node.last(curve.window()));
            let inside = coverage.within(first, last);
            match sole_action(inside) {
                Some(action) => {
                    let is_given = Action::ALL.map(|other| other == action);
                    cells.fill(&node, Content::of(is_given.map(f64::from), is_given));
                }
                None => {
                    let quarters = curve.quarters(&node);
                    if quarters.is_empty() {
                        cells.fill(&node, mixture(inside, first, last));
                    }
                    nodes.extend(quarters);
                }
            }
        }
        cells
    }

    /// Returns columns and rows.
    pub(crate) fn size(&self) -> (u32, u32) {
        (self.columns, self.rows)
    }

    /// Returns what a cell holds.
    pub(crate) fn at(&self, x: u32, y: u32) -> Content {
        let place = self.contents.get(y as usize * self.columns as usize + x as usize);
        let content = place.and_then(|place| Content::ALL.get(usize::from(*place)));
        content.copied().unwrap_or(Content([4, 0, 0]))
    }

    /// Returns for each content, in the order of [`Content::ALL`], rectangles that together are
    /// the cells with it, few of them.
    pub(crate) fn rects(&self) -> Vec<(Content, Vec<Rect>)> {
        let mut rects: Vec<(Content, Vec<Rect>)> =
            Content::ALL.into_iter().map(|content| (content, Vec::new())).collect();
        // Rectangles that reach down to the row above, by left end, width and content.
        let mut open: HashMap<(u32, u32, u8), Rect> = HashMap::new();
        for y in 0..self.rows {
            let mut next = HashMap::with_capacity(open.len());
            for (x, width, place) in self.runs(y) {
                let key = (x, width, place);
                let mut rect = open.remove(&key).unwrap_or(Rect { x, y, width, height: 0 });
                rect.height += 1;
                next.insert(key, rect);
            }
            close(&mut rects, open);
            open = next;
        }
        close(&mut rects, open);
        for (_, rects) in &mut rects {
            rects.sort_unstable_by_key(|rect| (rect.y, rect.x));
        }
        rects
    }

    /// The runs of equal cells in a row: left end, width, content.
    fn runs(&self, y: u32) -> Vec<(u32, u32, u8)> {
        let from = y as usize * self.columns as usize;
        let row = self.contents.get(from..from + self.columns as usize).unwrap_or(&[]);
        let mut x = 0;
        let runs = row.chunk_by(|a, b| a == b).filter_map(|run| {
            let (start, width) = (x, run.len() as u32);
            x += width;
            Some((start, width, *run.first()?))
        });
        runs.collect()
    }

    fn fill(&mut self, node: &Node, content: Content) {
        let Rect { x, y, width, height } = node.rect;
        let place = content.place();
        for row in y..y + height {
            let from = row as usize * self.columns as usize + x as usize;
            if let Some(cells) = self.contents.get_mut(from..from + width as usize) {
                cells.fill(place);
            }
        }
    }
}

fn close(rects: &mut [(Content, Vec<Rect>)], open: HashMap<(u32, u32, u8), Rect>) {
    for ((_, _, place), rect) in open {
        if let Some((_, rects)) = rects.get_mut(usize::from(place)) {
            rects.push(rect);
        }
    }
}

/// The action of all flows to some stretches, if it is one.
fn sole_action(stretches: &[Stretch]) -> Option<Action> {
    let (first, rest) = stretches.split_first()?;
    let action = first.fate.action()?;
    let is_same = |stretch: &Stretch| stretch.fate.action() == Some(action);
    rest.iter().all(is_same).then_some(action)
}

/// What the addresses from `first` to `last` hold.
fn mixture(stretches: &[Stretch], first: u128, last: u128) -> Content {
    let (mut shares, mut is_given) = ([0.0; 3], [false; 3]);
    for Stretch { first: from, last: to, fate: Fate { ports, .. } } in stretches {
        let addresses = size((*from).max(first), (*to).min(last));
        for ((share, given), count) in shares.iter_mut().zip(&mut is_given).zip(ports) {
            *share += addresses * f64::from(*count);
            *given |= *count > 0;
        }
    }
    Content::of(shares, is_given)
}
