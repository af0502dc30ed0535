//! [`Tree`]: the fewest mistakes that so many prefixes can make.
//!
//! The addresses of a family are a binary tree; stretches of it have an action each, and prefixes
//! that are asked the longest first give each address an action: its own, or `filterData`. A table
//! for each node has the least weight of addresses that get `filterData` below it, by the action
//! that prefixes above it give and the number of prefixes that stand in it. The tables of two
//! halves make that of the whole, so that the least is found exactly, for every number at once.
//!
//! What applies where no prefix does is one more thing that can be given from above, and not the
//! same as a prefix with that action: a prefix also holds for flows with a local loopback address,
//! which otherwise are allowed (S-17, S-64).
//!
//! Where one half of a node has one [`Label`], and so on down to a node whose halves both have
//! several, the nodes between are taken as one [`Kind::Chain`]. Of the halves that hang on it, all
//! of one label, no more than one is worth a prefix by itself, the heaviest: with two prefixes, one
//! around the chain and one around what follows it, all get their action. Only where what follows
//! is to be left to a default of `drop`, for which no prefix can stand in, may each half need its
//! own.

use crate::rule::Action;

/// A stretch of addresses of one family: first, last, and what may be given to flows to them.
/// Stretches that touch have different labels.
pub(crate) type Stretch = (u128, u128, Label);

/// What may be given to the flows to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Label {
    /// By a prefix: this action, or `filterData`.
    pub(crate) by_prefix: Action,
    /// Where no prefix is: this action, or `filterData`; `None` if there has to be a prefix.
    pub(crate) by_default: Option<Action>,
    /// Whether the address is a loopback address, to which no default applies.
    pub(crate) is_loopback: bool,
}

/// What is given to a node from above: an action, by a prefix or, in the second half, by default.
pub(super) const GIVEN: [(Action, bool); 6] = [
    (Action::Allow, true),
    (Action::Drop, true),
    (Action::FilterData, true),
    (Action::Allow, false),
    (Action::Drop, false),
    (Action::FilterData, false),
];
const BY_PREFIX: [usize; 3] = [0, 1, 2];
const DROP_BY_DEFAULT: usize = 4;
const FILTER_DATA: usize = 2;

/// What is given that makes a difference in a tree.
#[derive(Clone)]
struct States {
    /// The places in [`GIVEN`] of those that are told apart.
    told: Vec<usize>,
    /// For each place in [`GIVEN`], where in `told` what is the same stands; `None` for what is of
    /// no use.
    of: [Option<usize>; GIVEN.len()],
}

/// The least weights, from 0 up, for a number of prefixes, from 0 up; by what is given from above,
/// as [`States::told`] has it.
///
/// INVARIANT: none grows; they have one length; the last stands for every greater number too.
type Table = Vec<Vec<f64>>;

/// For each that is given, the weights inside a node, and what was chosen for them.
type Inner = Vec<(Vec<f64>, Vec<u32>)>;

/// The best choices of prefixes for the addresses of one family.
pub(crate) struct Tree {
    width: u8,
    nodes: Vec<Node>,
    /// What was chosen for each entry of each table, one table after the other.
    choices: Vec<Choice>,
    root: Table,
    states: States,
}

struct Node {
    prefix: u128,
    prefix_len: u8,
    kind: Kind,
    /// Where its choices begin, and how many there are for each given action.
    choices: usize,
    len: usize,
}

enum Kind {
    /// One action.
    Leaf,
    /// Two halves.
    Fork(u32, u32),
    /// Stretches of one action, of which the heaviest is this prefix, and what follows.
    Chain { below: u32, heaviest: (u128, u8), action: Action },
}

/// What an entry of a table stands for: the action that is in force in the node (by a prefix of its
/// own, if it is not the given one), and how many prefixes go to its first half, or, for a chain,
/// [`NONE`], [`HEAVIEST`] or [`EACH`].
#[derive(Clone, Copy, Default)]
struct Choice(u32);

impl Choice {
    fn new(in_force: usize, first: usize) -> Choice {
        Choice((in_force as u32) << 28 | first as u32)
    }

    fn in_force(self) -> usize {
        (self.0 >> 28) as usize
    }

    fn first(self) -> usize {
        (self.0 & (u32::MAX >> 4)) as usize
    }
}

/// No half that hangs on a chain has a prefix of its own.
const NONE: u32 = 0;
/// The heaviest has.
const HEAVIEST: u32 = 1;
/// Each has.
const EACH: u32 = 2;

impl Tree {
    /// Finds the best choices of up to `limit` prefixes.
    ///
    /// `stretches` ascend and leave no gap from 0 to the last address of `width` bits; `weight` is
    /// that of the addresses from the first to the last. `has_filter_default` says that
    /// `filterData` by default is of use.
    pub(crate) fn new(
        width: u8,
        stretches: &[Stretch],
        limit: usize,
        has_filter_default: bool,
        weight: &dyn Fn(u128, u128) -> f64,
    ) -> Tree {
        let states = States::new(stretches, has_filter_default);
        let (nodes, choices) = (Vec::new(), Vec::new());
        let mut build = Build { width, stretches, limit, weight, states, nodes, choices };
        let (_, root) = build.node(0, 0, 0, stretches.len());
        Tree { width, nodes: build.nodes, choices: build.choices, root, states: build.states }
    }

    /// Returns the least weight for each number of prefixes, given what applies where no prefix
    /// does; infinite where so many prefixes cannot do.
    pub(crate) fn weights(&self, default: Action) -> &[f64] {
        let state = self.states.of.get(default_place(default)).copied().flatten();
        state.and_then(|state| self.root.get(state)).map_or(NEVER, Vec::as_slice)
    }

    /// Returns the prefixes, with their actions, that have the least weight for a number, longest
    /// first.
    pub(crate) fn prefixes(&self, given: Action, count: usize) -> Vec<(u128, u8, Action)> {
        let mut found = Vec::new();
        let root = self.nodes.len().saturating_sub(1) as u32;
        let mut open = vec![(root, default_place(given), count)];
        while let Some((node, given, count)) = open.pop() {
            let Some(node) = self.nodes.get(node as usize) else { continue };
            let count = count.min(node.len.saturating_sub(1));
            let state_of = |given: usize| self.states.of.get(given).copied().flatten().unwrap_or(0);
            let state = state_of(given);
            let choice = self.choices.get(node.choices + state * node.len + count);
            let choice = choice.copied().unwrap_or_default();
            let in_force = choice.in_force();
            let mut left = count;
            if state_of(in_force) != state {
                let action = GIVEN.get(in_force).map_or(Action::FilterData, |given| given.0);
                found.push((node.prefix, node.prefix_len, action));
                left = left.saturating_sub(1);
            }
            match node.kind {
                Kind::Leaf => {}
                Kind::Fork(first, second) => {
                    open.push((first, in_force, choice.first()));
                    open.push((second, in_force, left.saturating_sub(choice.first())));
                }
                Kind::Chain { below, heaviest, action } => {
                    match choice.first() as u32 {
                        HEAVIEST => {
                            found.push((heaviest.0, heaviest.1, action));
                            left = left.saturating_sub(1);
                        }
                        EACH => {
                            let end = self.nodes.get(below as usize);
                            let end = end.map_or((0, 0), |end| (end.prefix, end.prefix_len));
                            for half in halves(self.width, node.prefix_len, end) {
                                found.push((half.0, half.1, action));
                                left = left.saturating_sub(1);
                            }
                        }
                        _ => {}
                    }
                    open.push((below, in_force, left));
                }
            }
        }
        found.sort_by_key(|(prefix, prefix_len, _)| (self.width - prefix_len, *prefix));
        found
    }
}

/// The weights of what cannot be.
const NEVER: &[f64] = &[f64::INFINITY];

impl States {
    fn new(stretches: &[Stretch], has_filter_default: bool) -> States {
        let labels = labels_of(stretches);
        let cost = |given: usize| -> Vec<f64> {
            labels.iter().map(|label| cost_of(given, *label, 1.0)).collect()
        };
        let (mut told, mut of): (Vec<usize>, _) = (Vec::new(), [None; GIVEN.len()]);
        for (given, state) in of.iter_mut().enumerate() {
            let is_use =
                |label: &&Label| !label.is_loopback && cost_of(given, **label, 1.0) < f64::INFINITY;
            let is_left_out = given == default_place(Action::FilterData) && !has_filter_default;
            if is_left_out || !labels.iter().any(|label| is_use(&label)) {
                continue;
            }
            *state = told.iter().position(|told| cost(*told) == cost(given)).or_else(|| {
                told.push(given);
                Some(told.len() - 1)
            });
        }
        States { told, of }
    }

    /// Returns which prefixes of its own a node may have, with what is then given.
    fn own(&self, prefix_len: u8) -> impl Iterator<Item = (usize, usize)> {
        // A prefix for everything is a wildcard, and no more than a default.
        let offset = if prefix_len == 0 { BY_PREFIX.len() } else { 0 };
        let of = self.of;
        let own = BY_PREFIX.into_iter().map(move |own| own + offset);
        own.filter_map(move |own| Some((own, of.get(own).copied().flatten()?)))
    }
}

/// Returns the different labels.
fn labels_of(stretches: &[Stretch]) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    for (_, _, label) in stretches {
        if !labels.contains(label) {
            labels.push(*label);
        }
    }
    labels
}

/// Returns whether, wherever `filterData` may be given by default, `action` may be too.
pub(crate) fn is_as_good_by_default(action: Action, stretches: &[Stretch]) -> bool {
    let cost = |action: Action, label| cost_of(default_place(action), label, 1.0);
    let labels = labels_of(stretches);
    labels.iter().all(|label| cost(action, *label) <= cost(Action::FilterData, *label))
}

/// The place of an action that is given by a prefix.
pub(super) fn place_of(action: Action) -> usize {
    GIVEN.iter().position(|given| *given == (action, true)).unwrap_or(FILTER_DATA)
}

/// The place of an action that is given by default.
pub(super) fn default_place(action: Action) -> usize {
    place_of(action) + BY_PREFIX.len()
}

/// The halves that hang on the chain from a prefix of a length to the prefix `end`, from above.
fn halves(width: u8, from: u8, end: (u128, u8)) -> impl Iterator<Item = (u128, u8)> {
    (from + 1..=end.1).map(move |prefix_len| {
        let bit = 1_u128 << (width - prefix_len);
        let above = end.0 & !(bit - 1);
        (above ^ bit, prefix_len)
    })
}

struct Build<'a> {
    width: u8,
    stretches: &'a [Stretch],
    limit: usize,
    weight: &'a dyn Fn(u128, u128) -> f64,
    states: States,
    nodes: Vec<Node>,
    choices: Vec<Choice>,
}

impl Build<'_> {
    /// Adds the node of a prefix, whose addresses are in the stretches from `from` up to `to`.
    fn node(&mut self, prefix: u128, prefix_len: u8, from: usize, to: usize) -> (u32, Table) {
        if let Some(label) = self.one_label(from, to) {
            return self.leaf(prefix, prefix_len, label);
        }
        // Down, as long as one half has one action, and the same as those before.
        let (mut at, mut at_len, mut range) = (prefix, prefix_len, (from, to));
        let mut hanging: Vec<(u128, u8)> = Vec::new();
        let mut label = None;
        loop {
            let half_len = at_len + 1;
            let second = at | 1_u128 << (self.width - half_len);
            let split = self.split(second, range);
            let first_range = (range.0, split.0);
            let second_range = (split.1, range.1);
            let first_label = self.one_label(first_range.0, first_range.1);
            let second_label = self.one_label(second_range.0, second_range.1);
            let hangs = match (first_label, second_label) {
                (Some(one), None) => Some((one, at, second, second_range)),
                (None, Some(one)) => Some((one, second, at, first_range)),
                _ => None,
            };
            let is_next = |one: &Label| match label {
                None => one.by_default.is_some() && !one.is_loopback,
                label => label == Some(*one),
            };
            match hangs.filter(|(one, ..)| is_next(one)) {
                Some((one, half, rest, rest_range)) => {
                    label = Some(one);
                    hanging.push((half, half_len));
                    (at, at_len, range) = (rest, half_len, rest_range);
                }
                None if label.is_none() => {
                    let first = self.node(at, half_len, first_range.0, first_range.1);
                    let second = self.node(second, half_len, second_range.0, second_range.1);
                    return self.fork(prefix, prefix_len, first, second);
                }
                None => {
                    let below = self.node(at, at_len, range.0, range.1);
                    let Some(label) = label else { return below };
                    return self.chain((prefix, prefix_len), below, &hanging, label);
                }
            }
        }
    }

    /// The label that the stretches have in common, if it is one.
    fn one_label(&self, from: usize, to: usize) -> Option<Label> {
        // Stretches that touch differ.
        match self.stretches.get(from..to)? {
            [(_, _, label)] => Some(*label),
            _ => None,
        }
    }

    /// Where the stretches end that have addresses before `second`, and where those begin that
    /// have some from it on.
    fn split(&self, second: u128, (from, to): (usize, usize)) -> (usize, usize) {
        let stretches = self.stretches.get(from..to).unwrap_or(&[]);
        let before = stretches.partition_point(|(first, _, _)| *first < second);
        let wholly_before = stretches.partition_point(|(_, last, _)| *last < second);
        (from + before, from + wholly_before)
    }

    fn leaf(&mut self, prefix: u128, prefix_len: u8, label: Label) -> (u32, Table) {
        let weight = self.weight_of(prefix, prefix_len);
        let cost = |given: &usize| (vec![cost_of(*given, label, weight)], vec![0]);
        let inner: Inner = self.states.told.iter().map(cost).collect();
        // The address of zeros alone cannot be said: it would be a wildcard (S-16).
        match prefix_len == 0 || self.is_sayable((prefix, prefix_len)) {
            true => self.with_own((prefix, prefix_len), Kind::Leaf, inner),
            false => {
                let choices = self.choices.len();
                for given in &self.states.told {
                    self.choices.push(Choice::new(*given, 0));
                }
                let table = inner.into_iter().map(|(weights, _)| weights).collect();
                (self.add(prefix, prefix_len, Kind::Leaf, choices, 1), table)
            }
        }
    }

    fn is_sayable(&self, (prefix, prefix_len): (u128, u8)) -> bool {
        prefix != 0 || prefix_len < self.width
    }

    fn fork(
        &mut self,
        prefix: u128,
        prefix_len: u8,
        (first, of_first): (u32, Table),
        (second, of_second): (u32, Table),
    ) -> (u32, Table) {
        let tables = of_first.iter().zip(&of_second);
        let sums = tables.map(|(of_first, of_second)| {
            let len = (of_first.len() + of_second.len() - 1).min(self.limit + 1);
            least_sums(of_first, of_second, len)
        });
        let inner = sums.collect();
        let kind = Kind::Fork(first, second);
        self.with_own((prefix, prefix_len), kind, inner)
    }

    fn chain(
        &mut self,
        node: (u128, u8),
        (below, of_below): (u32, Table),
        hanging: &[(u128, u8)],
        label: Label,
    ) -> (u32, Table) {
        let weights: Vec<f64> =
            hanging.iter().map(|(prefix, len)| self.weight_of(*prefix, *len)).collect();
        let heaviest = hanging
            .iter()
            .zip(&weights)
            .filter(|(half, _)| self.is_sayable(**half))
            .max_by(|(_, a), (_, b)| a.total_cmp(b));
        let own_cost = |weight| cost_of(place_of(label.by_prefix), label, weight);
        let all: f64 = weights.iter().sum();
        let may_have_each = hanging.iter().all(|half| self.is_sayable(*half));
        let mut inner = Inner::new();
        for (given, of_below) in self.states.told.iter().copied().zip(&of_below) {
            let (mut sums, mut chosen) = (Vec::new(), Vec::new());
            let with_none = cost_of(given, label, all);
            let with_heaviest = heaviest.map_or(f64::INFINITY, |(_, weight)| {
                let is_only = hanging.len() == 1;
                own_cost(*weight) + if is_only { 0.0 } else { cost_of(given, label, all - weight) }
            });
            let with_each = match given == DROP_BY_DEFAULT && may_have_each {
                true => own_cost(all),
                false => f64::INFINITY,
            };
            let options = [
                (NONE, 0, with_none),
                (HEAVIEST, 1, with_heaviest),
                (EACH, hanging.len(), with_each),
            ];
            let options = options.into_iter().filter(|(.., cost)| *cost < f64::INFINITY);
            let options: Vec<(u32, usize, f64)> = options.collect();
            let longest = options.iter().map(|(_, taken, _)| *taken).max().unwrap_or(0);
            let len = (of_below.len() + longest).min(self.limit + 1);
            for count in 0..len {
                let mut best = (f64::INFINITY, NONE);
                for (option, taken, cost) in &options {
                    let left = count.checked_sub(*taken).map(|left| left.min(of_below.len() - 1));
                    let weight = left.and_then(|left| of_below.get(left)).map(|below| below + cost);
                    if let Some(weight) = weight.filter(|weight| *weight < best.0) {
                        best = (weight, *option);
                    }
                }
                sums.push(best.0);
                chosen.push(best.1);
            }
            inner.push((sums, chosen));
        }
        let heaviest = heaviest.map_or((0, 0), |(half, _)| *half);
        let kind = Kind::Chain { below, heaviest, action: label.by_prefix };
        self.with_own(node, kind, inner)
    }

    /// Adds the choice of a prefix on the node itself.
    fn with_own(
        &mut self,
        (prefix, prefix_len): (u128, u8),
        kind: Kind,
        inner: Inner,
    ) -> (u32, Table) {
        let inner_len = inner.iter().map(|(weights, _)| weights.len()).max().unwrap_or(0);
        let len = (inner_len + 1).min(self.limit + 1);
        let mut table = Table::with_capacity(inner.len());
        let mut chosen: Vec<Vec<Choice>> = Vec::with_capacity(inner.len());
        let at = |state: usize, count: usize| {
            let (weights, firsts) = inner.get(state)?;
            let count = count.min(weights.len().checked_sub(1)?);
            Some((*weights.get(count)?, *firsts.get(count)?))
        };
        let own: Vec<(usize, usize)> = self.states.own(prefix_len).collect();
        // With so many more the weights stay the same.
        let mut last = 0;
        for (state, given) in self.states.told.iter().copied().enumerate() {
            let (mut weights, mut choices) = (Vec::with_capacity(len), Vec::with_capacity(len));
            let mut before = f64::INFINITY;
            for count in 0..len {
                let (mut weight, first) = at(state, count).unwrap_or((f64::INFINITY, 0));
                let mut choice = Choice::new(given, first as usize);
                for (in_force, own) in &own {
                    let found = count.checked_sub(1).and_then(|count| at(*own, count));
                    if let Some((less, first)) = found.filter(|(found, _)| *found < weight) {
                        weight = less;
                        choice = Choice::new(*in_force, first as usize);
                    }
                }
                if weight < before {
                    (before, last) = (weight, last.max(count));
                }
                weights.push(weight);
                choices.push(choice);
            }
            table.push(weights);
            chosen.push(choices);
        }
        let choices = self.choices.len();
        for (weights, chosen) in table.iter_mut().zip(&mut chosen) {
            weights.truncate(last + 1);
            chosen.truncate(last + 1);
            self.choices.extend_from_slice(chosen);
        }
        (self.add(prefix, prefix_len, kind, choices, last + 1), table)
    }

    fn add(&mut self, prefix: u128, prefix_len: u8, kind: Kind, choices: usize, len: usize) -> u32 {
        self.nodes.push(Node { prefix, prefix_len, kind, choices, len });
        (self.nodes.len() - 1) as u32
    }

    fn weight_of(&self, prefix: u128, prefix_len: u8) -> f64 {
        let host_bits = self.width - prefix_len;
        let hosts = 1_u128.checked_shl(host_bits.into()).map_or(u128::MAX, |count| count - 1);
        (self.weight)(prefix, prefix | hosts)
    }
}

/// What it costs that addresses of a label and a weight are given something.
pub(super) fn cost_of(given: usize, label: Label, weight: f64) -> f64 {
    let Some((action, by_prefix)) = GIVEN.get(given).copied() else { return f64::INFINITY };
    let right = if by_prefix { Some(label.by_prefix) } else { label.by_default };
    match right {
        None => f64::INFINITY,
        // No default applies to it, and it is as it should be.
        Some(_) if !by_prefix && label.is_loopback => 0.0,
        Some(_) if action == Action::FilterData => weight,
        Some(right) if right == action => 0.0,
        Some(_) => f64::INFINITY,
    }
}

/// Returns for each count below `len` the least sum of two entries whose places add up to no more,
/// and the place of the first of them.
pub(super) fn least_sums(a: &[f64], b: &[f64], len: usize) -> (Vec<f64>, Vec<u32>) {
    let is_swapped = a.len() > b.len();
    let (few, many) = if is_swapped { (b, a) } else { (a, b) };
    let mut sums = vec![f64::INFINITY; len];
    // PERF: of the width of the sums, so that several are chosen at once (plan/blocklist).
    let mut places = vec![0.0; len];
    let mut before = f64::INFINITY;
    for (place, x) in few.iter().enumerate().take(len) {
        // What is no less than with fewer is of no use.
        if *x >= before {
            continue;
        }
        before = *x;
        let (Some(sums), Some(places)) = (sums.get_mut(place..), places.get_mut(place..)) else {
            break;
        };
        let place = place as f64;
        for ((sum, chosen), y) in sums.iter_mut().zip(places).zip(many) {
            let total = x + y;
            let is_less = total < *sum;
            *sum = if is_less { total } else { *sum };
            *chosen = if is_less { place } else { *chosen };
        }
    }
    // Entries do not grow with their place, nor may sums.
    let mut best = (f64::INFINITY, 0);
    let firsts = (0..).zip(&mut sums).zip(places).map(|((count, sum), place)| {
        let place = place as u32;
        match *sum < best.0 {
            true if is_swapped => best = (*sum, count - place),
            true => best = (*sum, place),
            false => *sum = best.0,
        }
        best.1
    });
    let firsts = firsts.collect();
    (sums, firsts)
}
