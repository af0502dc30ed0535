//! [`States`]: what the rules around a node can give to the cells of the flows there.
//!
//! A cell is some of the protocols and directions; a [`Part`] is what one rule names of them. Each
//! cell has been given something from above, and a rule of the node gives its action to the cells
//! of its part. It may stand before the rules around it, and then it does so to all of them; or
//! behind some, which shield the cells that they have decided already: so an `any` rule may be
//! left with cells that no rule names by itself. What has been given, and which sets of cells can
//! be shields, is all that matters to the rules below.

use super::tree::{GIVEN, Label, cost_of, default_place, place_of};
use crate::flow::Direction;
use crate::rule::{Action, Protocol};
use std::collections::HashMap;

/// A set of cells, a bit for each.
pub(super) type Cells = u8;

/// There are no more cells: two protocols; outbound, inbound and an unknown direction.
pub(super) const MOST_CELLS: usize = 6;

/// The cells that rules of a protocol and a direction match.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) protocol: Protocol,
    pub(super) direction: Direction,
    pub(super) cells: Cells,
}

/// What is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    /// By cell, the place in [`GIVEN`] of what is given.
    given: [u8; MOST_CELLS],
    /// What the first rules around, in their order, have decided: each set holds those before it,
    /// and so is a greater number.
    shields: CellSets,
}

/// Sets of cells, a bit for each.
type CellSets = u64;

/// One rule of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The place of its part.
    pub(super) part: u8,
    pub(super) action: Action,
    /// It stands behind the rules that have decided these cells, and before all others.
    pub(super) behind: Cells,
    /// The state that it makes.
    pub(super) to: u32,
}

pub(super) struct States {
    /// By state and cell, the place in [`GIVEN`].
    given: Vec<[u8; MOST_CELLS]>,
    /// By state, the rules that may be of use in it: those of a network, and those of none.
    of_network: Vec<Vec<Step>>,
    of_wildcard: Vec<Vec<Step>>,
    /// The states before any rule, by default action.
    starts: Vec<(Action, u32)>,
    is_exact: bool,
    have_shields: bool,
}

/// How far states are told apart.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// More states than this are too many.
    pub(super) states: usize,
    /// Whether rules may stand behind others of shorter prefixes.
    pub(super) has_shields: bool,
    /// A flow meets no more rules than this.
    pub(super) rules: usize,
}

impl States {
    /// Finds the states that rules lead to; `None` if they are too many.
    ///
    /// `labels` are the different ones, each with one for each cell; the cells of `weightless` may
    /// all be sent.
    pub(super) fn new(
        labels: &[Vec<Label>],
        weightless: Cells,
        parts: &[Part],
        defaults: &[Action],
        bounds: Bounds,
    ) -> Option<States> {
        let cells = labels.first().map_or(0, Vec::len);
        let weight = |cell: usize| if weightless >> cell & 1 == 1 { 0.0 } else { 1.0 };
        let costs = (0..cells).map(|cell| Costs::new(labels, cell, weight(cell))).collect();
        let mut search = Search {
            parts,
            costs,
            bounds,
            found: Vec::new(),
            depths: Vec::new(),
            places: HashMap::new(),
            can_shield: 0,
        };
        if bounds.has_shields {
            search.can_shield = search.sets_that_can_shield();
        }
        let mut starts = Vec::new();
        for default in defaults {
            let mut given = [0; MOST_CELLS];
            for (given, costs) in given.iter_mut().zip(&search.costs) {
                *given = costs.same(default_place(*default));
            }
            starts.push((*default, search.place(State { given, shields: 0 }, 0)));
        }
        // Rules without a network are asked last: they do not shield flows from or to loopback.
        let of_wildcard = search.close(false)?;
        let of_network = search.close(true)?;
        Some(States {
            given: search.found.iter().map(|state| state.given).collect(),
            of_network,
            of_wildcard,
            starts,
            is_exact: bounds.has_shields || search.sets_that_can_shield() == 0,
            have_shields: search.found.iter().any(|state| state.shields != 0),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.given.len()
    }

    /// Whether nothing was left out, so that no list of rules does better.
    pub(super) fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// Whether rules may stand behind others of shorter prefixes.
    pub(super) fn have_shields(&self) -> bool {
        self.have_shields
    }

    /// Returns how many rules are looked at in all states together.
    pub(super) fn step_count(&self) -> usize {
        self.of_network.iter().map(Vec::len).sum()
    }

    /// Returns the state before any rule, if the default may be this action.
    pub(super) fn start(&self, default: Action) -> Option<u32> {
        self.starts.iter().find(|(action, _)| *action == default).map(|(_, state)| *state)
    }

    /// Returns what may be given next in a state, by a rule with a network or without.
    pub(super) fn steps(&self, state: usize, has_network: bool) -> &[Step] {
        let steps = if has_network { &self.of_network } else { &self.of_wildcard };
        steps.get(state).map_or(&[], Vec::as_slice)
    }

    /// Returns for each state which cells of a label are sent; `None` where one is missed.
    pub(super) fn sent(&self, label: &[Label]) -> Vec<Option<Cells>> {
        let sent = |given: &[u8; MOST_CELLS]| {
            let mut sent = 0;
            for (cell, (given, label)) in given.iter().zip(label).enumerate() {
                let cost = cost_of((*given).into(), *label, 1.0);
                if cost.is_infinite() {
                    return None;
                }
                sent |= Cells::from(cost > 0.0) << cell;
            }
            Some(sent)
        };
        self.given.iter().map(sent).collect()
    }
}

/// What can be given to a cell, by its places in [`GIVEN`].
struct Costs {
    /// The first that costs the same, whatever the label.
    same: [u8; GIVEN.len()],
    /// Whether it is missed, whatever the label.
    is_never: [bool; GIVEN.len()],
    /// Whether it costs no more than another, whatever the label.
    is_no_more: [[bool; GIVEN.len()]; GIVEN.len()],
}

impl Costs {
    fn new(labels: &[Vec<Label>], cell: usize, weight: f64) -> Costs {
        let places: [usize; GIVEN.len()] = std::array::from_fn(|place| place);
        let costs = places.map(|given| -> Vec<f64> {
            let own = labels.iter().filter_map(|labels| labels.get(cell));
            own.map(|label| cost_of(given, *label, weight)).collect()
        });
        let of = |costs: &Vec<f64>, other: &Vec<f64>| costs.iter().zip(other).all(|(a, b)| a <= b);
        Costs {
            same: costs
                .each_ref()
                .map(|own| costs.iter().position(|other| other == own).unwrap_or_default() as u8),
            is_never: costs.each_ref().map(|own| own.iter().all(|cost| cost.is_infinite())),
            is_no_more: costs.each_ref().map(|own| costs.each_ref().map(|other| of(own, other))),
        }
    }

    fn same(&self, place: usize) -> u8 {
        self.same.get(place).copied().unwrap_or_default()
    }

    fn is_never(&self, place: u8) -> bool {
        self.is_never.get(usize::from(place)).copied().unwrap_or_default()
    }

    fn is_no_more(&self, place: u8, other: u8) -> bool {
        let row = self.is_no_more.get(usize::from(place));
        row.and_then(|row| row.get(usize::from(other))).copied().unwrap_or_default()
    }
}

struct Search<'a> {
    parts: &'a [Part],
    costs: Vec<Costs>,
    bounds: Bounds,
    found: Vec<State>,
    /// By state, the fewest rules that lead to it.
    depths: Vec<usize>,
    places: HashMap<State, u32>,
    /// The sets of cells that are worth being told apart as shields.
    can_shield: CellSets,
}

impl Search<'_> {
    fn place(&mut self, state: State, depth: usize) -> u32 {
        let next = self.found.len() as u32;
        *self.places.entry(state).or_insert_with_key(|state| {
            self.found.push(*state);
            self.depths.push(depth);
            next
        })
    }

    /// Returns the steps of every state found, and finds all states they lead to.
    fn close(&mut self, has_network: bool) -> Option<Vec<Vec<Step>>> {
        let mut steps: Vec<Vec<Step>> = Vec::new();
        let mut depth = 0;
        // Those of fewest rules first, so that none is found again with fewer.
        while depth < self.bounds.rules {
            let of_depth = |(state, own): (usize, &usize)| (*own == depth).then_some(state);
            let level: Vec<usize> = self.depths.iter().enumerate().filter_map(of_depth).collect();
            for state in level {
                let own = self.steps(state, depth + 1, has_network)?;
                steps.resize_with(self.found.len(), Vec::new);
                if let Some(steps) = steps.get_mut(state) {
                    *steps = own;
                }
            }
            depth += 1;
            if self.depths.iter().all(|own| *own < depth) {
                break;
            }
        }
        Some(steps)
    }

    fn steps(&mut self, state: usize, depth: usize, has_network: bool) -> Option<Vec<Step>> {
        let state = *self.found.get(state)?;
        let is_last = depth == self.bounds.rules;
        let mut next: Vec<(Step, State)> = Vec::new();
        for (place, part) in (0..).zip(self.parts) {
            for action in Action::ALL {
                for behind in [0].into_iter().chain(sets_in(state.shields)) {
                    if part.cells & !behind == 0 {
                        continue;
                    }
                    let mut after = self.after(&state, action, part.cells, behind, has_network);
                    if is_last {
                        after.shields = 0;
                        let mut given = after.given.iter().zip(&self.costs);
                        if given.any(|(given, costs)| costs.is_never(*given)) {
                            continue;
                        }
                    }
                    let step = Step { part: place, action, behind, to: 0 };
                    // Of what is as good as each other the first stays.
                    let is_needless = self.is_as_good(&state, &after)
                        || next.iter().any(|(_, other)| self.is_as_good(other, &after));
                    if !is_needless {
                        next.retain(|(_, other)| !self.is_as_good(&after, other));
                        next.push((step, after));
                    }
                }
            }
        }
        let mut own = Vec::with_capacity(next.len());
        for (step, after) in next {
            own.push(Step { to: self.place(after, depth), ..step });
        }
        (self.found.len() <= self.bounds.states).then_some(own)
    }

    /// Returns what is given once a rule stands behind some others.
    fn after(
        &self,
        state: &State,
        action: Action,
        part: Cells,
        behind: Cells,
        has_network: bool,
    ) -> State {
        let mut after = *state;
        let place = if has_network { place_of(action) } else { default_place(action) };
        for (cell, (given, costs)) in after.given.iter_mut().zip(&self.costs).enumerate() {
            if (part & !behind) >> cell & 1 == 1 {
                *given = costs.same(place);
            }
        }
        if !has_network {
            return after;
        }
        after.shields = 0;
        for set in [behind].into_iter().chain(sets_in(state.shields)) {
            let set = if set & !behind == 0 && set != behind { set } else { set | part };
            after.shields |= 1 << set;
        }
        after.shields |= state.shields & 1 << behind;
        after.shields &= self.can_shield;
        after
    }

    /// Returns the sets of cells behind which some rule is left with others than one could name.
    fn sets_that_can_shield(&self) -> CellSets {
        let is_named = |left: Cells| self.parts.iter().any(|part| part.cells == left);
        let mut sets = 0;
        for set in 1..1 << self.costs.len().min(MOST_CELLS) {
            let mut left = self.parts.iter().map(|part| part.cells & !set);
            if left.any(|left| left != 0 && !is_named(left)) {
                sets |= 1 << set;
            }
        }
        sets
    }

    /// Returns whether whatever can follow on `other` can follow on `one`, and costs no more.
    fn is_as_good(&self, one: &State, other: &State) -> bool {
        let given = one.given.iter().zip(&other.given).zip(&self.costs);
        given.into_iter().all(|((one, other), costs)| costs.is_no_more(*one, *other))
            && other.shields & !one.shields == 0
    }
}

/// Returns sets of cells in ascending order.
fn sets_in(mut sets: CellSets) -> impl Iterator<Item = Cells> {
    std::iter::from_fn(move || {
        let set = sets.trailing_zeros();
        sets &= sets.checked_sub(1)?;
        Some(set as Cells)
    })
}
