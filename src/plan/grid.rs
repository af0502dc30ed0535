//! [`Grid`]: the best rules for both families and all cells of a [`Field`] together.
//!
//! A table for each node of the [`Skeleton`] has the least weight of the flows below it that are
//! sent, by what is given from above, one of the [`States`], and by the number of rules that stand
//! in it. The tables of two halves make that of the whole, and a rule of the node leads from one
//! state to another. The root stands for all addresses and for none: its rules have no remote
//! network, those of a prefix of no bits are a wildcard of one family.

use super::address_rule;
use super::cells::{Field, Weights};
use super::skeleton::{Kind, Node, Skeleton, is_sayable, sum};
use super::states::{Bounds, Cells, Part, States, Step};
use super::tree::least_sums;
use crate::endpoint::AddressFamily;
use crate::rule::{Action, FilterRule};

pub(super) struct Grid {
    skeleton: Skeleton,
    states: States,
    parts: Vec<Part>,
    /// By label and state, the cells that are sent; `None` where one is missed.
    sent: Vec<Vec<Option<Cells>>>,
    /// What was chosen for each entry of each node's table.
    choices: Vec<Table<Choice>>,
    root: Table<f64>,
}

/// An entry for each state and each number of rules from 0 up; the last of a state stands for every
/// greater number too.
struct Table<T> {
    entries: Vec<T>,
    len: usize,
}

/// What an entry stands for: a rule of the node and what then is best with one rule less; or, with
/// none, how many rules go to the first half, or what the halves of a chain have.
#[derive(Clone, Copy, Default)]
struct Choice(u32);

/// No half of a chain has a rule.
const NONE: u32 = 0;
/// The heaviest has one.
const HEAVIEST: u32 = 1;
/// Each has one.
const EACH: u32 = 2;

/// What a grid may take.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    /// The most rules that it is for.
    pub(super) limit: usize,
    /// Whether each prefix has a node of its own.
    pub(super) is_whole: bool,
    /// Whether rules may stand behind others of shorter prefixes.
    pub(super) has_shields: bool,
    /// How many states are told apart.
    pub(super) states: usize,
    /// About how many sums are made.
    pub(super) sums: usize,
}

impl Choice {
    const MOST_STEPS: usize = 255;

    fn inner(first: u32) -> Choice {
        Choice(first)
    }

    fn step(place: usize) -> Choice {
        Choice((place as u32 + 1) << 24)
    }

    /// The place of the rule, if there is one.
    fn own(self) -> Option<usize> {
        (self.0 >> 24).checked_sub(1).map(|place| place as usize)
    }

    fn first(self) -> u32 {
        self.0 & 0x00ff_ffff
    }
}

impl<T: Copy> Table<T> {
    fn row(&self, state: usize) -> &[T] {
        self.entries.get(state * self.len..(state + 1) * self.len).unwrap_or(&[])
    }

    fn at(&self, state: usize, count: usize) -> Option<T> {
        self.row(state).get(count.min(self.len.checked_sub(1)?)).copied()
    }
}

impl Grid {
    /// Finds the best choices of up to `limit` rules; `None` if that takes more than it may.
    pub(super) fn new(
        field: &Field,
        defaults: &[Action],
        limit: usize,
        effort: Effort,
    ) -> Option<Grid> {
        let most = effort.sums / 64;
        let skeleton = Skeleton::new(field, effort.is_whole, most)?;
        let count = skeleton.nodes.len();
        let states = (effort.sums / count).min(effort.states);
        let bounds = Bounds { states, has_shields: effort.has_shields, rules: limit };
        let (labels, weightless) = (&field.labels, field.weightless());
        let states = States::new(labels, weightless, &field.parts, defaults, bounds)?;
        // In most nodes, two rules are no better than one.
        let steps = (states.len() + states.step_count()) * count * 2;
        // Tables grow with what is below them, up to the limit.
        let merges = states.len() * count * limit.min(count) / 16;
        if steps + merges > effort.sums {
            return None;
        }
        let sent = field.labels.iter().map(|label| states.sent(label)).collect();
        let mut grid = Grid {
            choices: Vec::with_capacity(count),
            root: Table { entries: Vec::new(), len: 0 },
            parts: field.parts.clone(),
            skeleton,
            states,
            sent,
        };
        grid.fill(field.nameless, limit);
        Some(grid)
    }

    /// Whether no list of rules that name the parts of the field does better.
    pub(super) fn is_exact(&self) -> bool {
        self.skeleton.is_whole && self.states.is_exact()
    }

    /// Returns the least weight for each number of rules; empty where the default cannot be this.
    pub(super) fn weights(&self, default: Action) -> &[f64] {
        self.states.start(default).map_or(&[], |state| self.root.row(state as usize))
    }

    fn fill(&mut self, nameless: (u32, Weights), limit: usize) {
        let mut tables: Vec<Table<f64>> = Vec::with_capacity(self.skeleton.nodes.len());
        for node in &self.skeleton.nodes {
            let take = |tables: &mut Vec<Table<f64>>, place: u32| {
                let empty = Table { entries: Vec::new(), len: 0 };
                let table = tables.get_mut(place as usize);
                table.map_or_else(
                    || Table { entries: Vec::new(), len: 0 },
                    |table| std::mem::replace(table, empty),
                )
            };
            let (mut inner, firsts) = match &node.kind {
                Kind::Leaf { label, weights } => self.leaf(*label, weights),
                Kind::Fork(first, second) => {
                    let (first, second) = (take(&mut tables, *first), take(&mut tables, *second));
                    self.fork(&first, &second, limit)
                }
                Kind::Chain { below, label, halves } => {
                    let below = take(&mut tables, *below);
                    self.chain(node, &below, *label, halves, limit)
                }
            };
            if node.family.is_none() {
                let len = inner.len;
                let states = inner.entries.chunks_mut(len.max(1)).enumerate();
                for (state, row) in states {
                    let cost = self.cost(nameless.0, state, &nameless.1);
                    row.iter_mut().for_each(|weight| *weight += cost);
                }
            }
            let (table, choices) = self.with_own(node, &inner, &firsts, limit);
            tables.push(table);
            self.choices.push(choices);
        }
        if let Some(root) = tables.pop() {
            self.root = root;
        }
    }

    /// What it costs that flows of a label get what is given in a state.
    fn cost(&self, label: u32, state: usize, weights: &Weights) -> f64 {
        let sent = self.sent.get(label as usize).and_then(|sent| sent.get(state));
        let Some(sent) = sent.copied().flatten() else { return f64::INFINITY };
        let sent = weights.iter().enumerate().filter(|(cell, _)| sent >> cell & 1 == 1);
        sent.map(|(_, weight)| weight).sum()
    }

    fn leaf(&self, label: u32, weights: &Weights) -> (Table<f64>, Table<u32>) {
        let states = 0..self.states.len();
        let entries: Vec<f64> = states.map(|state| self.cost(label, state, weights)).collect();
        let firsts = vec![NONE; entries.len()];
        (Table { entries, len: 1 }, Table { entries: firsts, len: 1 })
    }

    fn fork(
        &self,
        first: &Table<f64>,
        second: &Table<f64>,
        limit: usize,
    ) -> (Table<f64>, Table<u32>) {
        let len = (first.len + second.len).saturating_sub(1).min(limit + 1);
        let (mut entries, mut firsts) = (Vec::new(), Vec::new());
        for state in 0..self.states.len() {
            let (sums, chosen) = least_sums(first.row(state), second.row(state), len);
            entries.extend_from_slice(&sums);
            firsts.extend_from_slice(&chosen);
        }
        (Table { entries, len }, Table { entries: firsts, len })
    }

    fn chain(
        &self,
        node: &Node,
        below: &Table<f64>,
        label: u32,
        halves: &[(u128, u8, Weights)],
        limit: usize,
    ) -> (Table<f64>, Table<u32>) {
        let all = sum(halves.iter().map(|(.., weights)| weights));
        let heaviest = heaviest(node, halves);
        let rest = sum(halves
            .iter()
            .filter(|(prefix, len, _)| heaviest.is_none_or(|own| (own.0, own.1) != (*prefix, *len)))
            .map(|(.., weights)| weights));
        let may_have_each = node
            .family
            .is_some_and(|family| halves.iter().all(|half| is_sayable(family, half.0, half.1)));
        let len = (below.len + halves.len()).min(limit + 1);
        let (mut entries, mut firsts) = (Vec::new(), Vec::new());
        for state in 0..self.states.len() {
            let of_half = |weights: &Weights| {
                self.step_of_half(state, label, weights).map_or(f64::INFINITY, |(_, cost)| cost)
            };
            let with_none = self.cost(label, state, &all);
            let with_heaviest = heaviest.map_or(f64::INFINITY, |(.., weights)| {
                of_half(weights) + self.cost(label, state, &rest)
            });
            let with_each = if may_have_each { of_half(&all) } else { f64::INFINITY };
            let options = [
                (NONE, 0, with_none),
                (HEAVIEST, 1, with_heaviest),
                (EACH, halves.len(), with_each),
            ];
            for count in 0..len {
                let mut best = (f64::INFINITY, NONE);
                for (option, taken, cost) in options {
                    let left = count.checked_sub(taken);
                    let weight = left.and_then(|left| below.at(state, left));
                    if let Some(weight) = weight.map(|below| below + cost).filter(|w| *w < best.0) {
                        best = (weight, option);
                    }
                }
                entries.push(best.0);
                firsts.push(best.1);
            }
        }
        (Table { entries, len }, Table { entries: firsts, len })
    }

    /// Returns the best rule of a half of a chain, and what the half then costs.
    fn step_of_half(&self, state: usize, label: u32, weights: &Weights) -> Option<(&Step, f64)> {
        let steps = self.states.steps(state, true).iter();
        let costs = steps.map(|step| (step, self.cost(label, step.to as usize, weights)));
        costs.min_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// Adds the choice of rules of the node itself.
    fn with_own(
        &self,
        node: &Node,
        inner: &Table<f64>,
        firsts: &Table<u32>,
        limit: usize,
    ) -> (Table<f64>, Table<Choice>) {
        let states = self.states.len();
        // By number first: an entry takes from those of one rule less.
        let mut by_count: Vec<Vec<f64>> = Vec::new();
        let mut chosen: Vec<Vec<Choice>> = Vec::new();
        let has_network = node.prefix_len > 0;
        let is_sayable = node.is_sayable();
        for count in 0..=limit {
            let mut weights = Vec::with_capacity(states);
            let mut choices = Vec::with_capacity(states);
            let mut is_better = count < inner.len;
            for state in 0..states {
                let mut weight = inner.at(state, count).unwrap_or(f64::INFINITY);
                let mut choice = Choice::inner(firsts.at(state, count).unwrap_or(NONE));
                if let Some(less) = by_count.last()
                    && is_sayable
                {
                    let steps = self.states.steps(state, has_network).iter().enumerate();
                    for (place, step) in steps.take(Choice::MOST_STEPS) {
                        let found = less.get(step.to as usize).copied();
                        if let Some(found) = found.filter(|found| *found < weight) {
                            weight = found;
                            choice = Choice::step(place);
                        }
                    }
                    is_better |= less.get(state).is_some_and(|less| weight < *less);
                }
                weights.push(weight);
                choices.push(choice);
            }
            // With so many more the weights stay the same.
            if count > 0 && !is_better {
                break;
            }
            by_count.push(weights);
            chosen.push(choices);
        }
        (transposed(&by_count, states), transposed(&chosen, states))
    }

    /// Returns rules that have the least weight for a number of them, in their order.
    pub(super) fn rules(&self, default: Action, count: usize) -> Vec<FilterRule> {
        let Some(state) = self.states.start(default) else { return Vec::new() };
        let mut order = Order { is_kept: self.states.have_shields(), ..Order::default() };
        let root = self.skeleton.nodes.len().saturating_sub(1) as u32;
        let mut open = vec![(root, state, count, Path::new())];
        while let Some((place, mut state, mut count, mut path)) = open.pop() {
            let Some(node) = self.skeleton.nodes.get(place as usize) else { continue };
            let at =
                Place { family: node.family, prefix: node.prefix, prefix_len: node.prefix_len };
            let choice = |state: u32, count: usize| {
                let choices = self.choices.get(place as usize);
                choices.and_then(|choices| choices.at(state as usize, count)).unwrap_or_default()
            };
            let len = self.choices.get(place as usize).map_or(0, |choices| choices.len);
            count = count.min(len.saturating_sub(1));
            while let Some(step) = choice(state, count).own() {
                let steps = self.states.steps(state as usize, node.prefix_len > 0);
                let Some(step) = steps.get(step) else { break };
                order.put(at, step, &self.parts, &mut path);
                state = step.to;
                count = count.saturating_sub(1);
            }
            let first = choice(state, count).first();
            match &node.kind {
                Kind::Leaf { .. } => {}
                Kind::Fork(a, b) => {
                    let of_first = first as usize;
                    open.push((*b, state, count.saturating_sub(of_first), path.clone()));
                    open.push((*a, state, of_first, path));
                }
                Kind::Chain { below, label, halves } => {
                    let all = sum(halves.iter().map(|(.., weights)| weights));
                    let (taken, weights) = match first {
                        EACH => (halves.as_slice(), all),
                        HEAVIEST => match heaviest(node, halves) {
                            Some(half) => (std::slice::from_ref(half), half.2),
                            None => (&[][..], all),
                        },
                        _ => (&[][..], all),
                    };
                    let step = self.step_of_half(state as usize, *label, &weights);
                    for (prefix, prefix_len, _) in taken {
                        if let Some((step, _)) = step {
                            let at = Place { prefix: *prefix, prefix_len: *prefix_len, ..at };
                            order.put(at, step, &self.parts, &mut path.clone());
                        }
                    }
                    open.push((*below, state, count.saturating_sub(taken.len()), path));
                }
            }
        }
        order.into_rules()
    }
}

fn heaviest<'a>(node: &Node, halves: &'a [(u128, u8, Weights)]) -> Option<&'a (u128, u8, Weights)> {
    let family = node.family?;
    let weight = |half: &(u128, u8, Weights)| half.2.iter().sum::<f64>();
    let sayable = halves.iter().filter(|half| is_sayable(family, half.0, half.1));
    sayable.max_by(|a, b| weight(a).total_cmp(&weight(b)))
}

fn transposed<T: Copy>(by_count: &[Vec<T>], states: usize) -> Table<T> {
    let rows = (0..states).flat_map(|state| by_count.iter().filter_map(move |row| row.get(state)));
    Table { entries: rows.copied().collect(), len: by_count.len() }
}

/// A prefix of a family, or every remote endpoint.
#[derive(Clone, Copy)]
struct Place {
    family: Option<AddressFamily>,
    prefix: u128,
    prefix_len: u8,
}

/// The rules of networks around a node, in their order: their places in [`Order::rules`], and their
/// cells.
type Path = Vec<(usize, Cells)>;

/// Rules, put in their order one by one.
#[derive(Default)]
struct Order {
    rules: Vec<(Place, Part, Action)>,
    /// The places of the rules of networks, in the order in which they are asked.
    asked: Vec<usize>,
    /// Those of the others, the last first.
    last: Vec<usize>,
    /// Whether each is put where it belongs; else they are sorted in the end.
    is_kept: bool,
    /// Whether a rule stands behind one of a shorter prefix.
    has_shields: bool,
}

impl Order {
    fn put(&mut self, place: Place, step: &Step, parts: &[Part], path: &mut Path) {
        let Some(part) = parts.get(usize::from(step.part)) else { return };
        let rule = self.rules.len();
        self.rules.push((place, *part, step.action));
        if place.prefix_len == 0 {
            self.last.push(rule);
            return;
        }
        if !self.is_kept {
            self.asked.push(rule);
            return;
        }
        let mut behind = 0;
        let mut at = 0;
        for (_, cells) in path.iter().take_while(|_| step.behind != 0) {
            if behind == step.behind {
                break;
            }
            behind |= cells;
            at += 1;
        }
        self.has_shields |= at > 0;
        let index = |rule: usize| self.asked.iter().position(|other| *other == rule);
        let next = path.get(at).and_then(|(next, _)| index(*next));
        let before = path.last().and_then(|(before, _)| index(*before));
        let index = next.or(before.map(|before| before + 1)).unwrap_or(self.asked.len());
        self.asked.insert(index, rule);
        path.insert(at, (rule, part.cells));
    }

    fn into_rules(mut self) -> Vec<FilterRule> {
        if !self.has_shields {
            // Of the rules of one prefix, each stands before those that were put before it.
            if !self.is_kept {
                self.asked.reverse();
            }
            let rules = &self.rules;
            let key = |rule: &usize| {
                rules.get(*rule).map(|(place, ..)| {
                    (
                        place.family == Some(AddressFamily::V6),
                        u8::MAX - place.prefix_len,
                        place.prefix,
                    )
                })
            };
            self.asked.sort_by_key(key);
        }
        let order = self.asked.iter().chain(self.last.iter().rev());
        let rules = order.filter_map(|rule| self.rules.get(*rule)).filter_map(|rule| {
            let (place, part, action) = rule;
            let remote = place.family.map(|family| (family, place.prefix, place.prefix_len));
            address_rule(remote, None, (part.protocol, part.direction), *action)
        });
        rules.collect()
    }
}
