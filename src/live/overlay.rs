//! [`Overlay`]: what was edited since the rules were compiled.

use crate::flow::Flow;
use crate::network::Answer;
use crate::rule::{Action, FilterRule};
use crate::settings::{FilterSettings, Precedence};
use std::cmp::Reverse;
use std::sync::Arc;

/// An edit, by the index in the list that it changes.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Insert(usize, Arc<FilterRule>),
    Remove(usize),
    Replace(usize, Arc<FilterRule>),
    Default(Action),
}

/// Edits of the base rules: those that were compiled.
///
/// ```text
/// base      a   b   c   d        removed   [1]
/// edited    a   x   c   y   d    inserted  [x before 1, y before 3]
/// ```
#[derive(Clone, Debug)]
pub(super) struct Overlay {
    /// The base rules that are no more. INVARIANT: in ascending order.
    removed: Vec<u32>,
    /// The rules that were added. INVARIANT: in list order, and so in ascending order of `before`.
    inserted: Vec<Inserted>,
    default_action: Action,
}

/// A rule that was added.
#[derive(Clone, Debug)]
struct Inserted {
    /// The base rule that it stands before; the number of base rules where it stands after all.
    before: u32,
    rule: Arc<FilterRule>,
}

/// Where a rule stands in the order of precedence, the lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    specificity: Reverse<u8>,
    /// The base rule, or the one that an inserted rule stands before.
    pub(super) base: u32,
    /// Which of the inserted rules it is; `BASE`, above all of them, for a base rule.
    slot: u32,
}

/// The slot of base rules.
const BASE: u32 = u32::MAX;

impl Rank {
    pub(super) fn of_base(precedence: Precedence, index: u32, rule: &FilterRule) -> Rank {
        Rank { specificity: Reverse(precedence.specificity(rule)), base: index, slot: BASE }
    }

    /// Returns whether it goes before `other`: any rule does before none.
    pub(super) fn is_before(self, other: Option<Rank>) -> bool {
        other.is_none_or(|other| self < other)
    }
}

impl Overlay {
    /// Returns the overlay that changes nothing of `base`.
    pub(super) fn new(base: &FilterSettings) -> Overlay {
        let default_action = base.default_action();
        Overlay { removed: Vec::new(), inserted: Vec::new(), default_action }
    }

    /// Returns whether it changes anything of `base`.
    pub(super) fn is_edit_of(&self, base: &FilterSettings) -> bool {
        !self.removed.is_empty()
            || !self.inserted.is_empty()
            || self.default_action != base.default_action()
    }

    pub(super) fn default_action(&self) -> Action {
        self.default_action
    }

    /// Returns the number of rules on top of `base_count` base rules.
    pub(super) fn rule_count(&self, base_count: usize) -> usize {
        base_count - self.removed.len() + self.inserted.len()
    }

    /// Makes an edit. An index must be in range.
    pub(super) fn apply(&mut self, edit: Edit) {
        match edit {
            Edit::Insert(index, rule) => {
                let (slot, base) = self.locate(index);
                let before = base.or(self.inserted.get(slot).map(|inserted| inserted.before));
                let before = before.unwrap_or_default();
                self.inserted.insert(slot, Inserted { before, rule });
            }
            Edit::Remove(index) => match self.locate(index) {
                (_, Some(base)) => self.remove_base(base),
                (slot, None) => drop(self.inserted.remove(slot)),
            },
            Edit::Replace(index, rule) => match self.locate(index) {
                (slot, Some(before)) => {
                    self.remove_base(before);
                    self.inserted.insert(slot, Inserted { before, rule });
                }
                (slot, None) => {
                    if let Some(inserted) = self.inserted.get_mut(slot) {
                        inserted.rule = rule;
                    }
                }
            },
            Edit::Default(action) => self.default_action = action,
        }
    }

    fn remove_base(&mut self, base: u32) {
        let at = self.removed.partition_point(|removed| *removed < base);
        self.removed.insert(at, base);
    }

    /// Returns how many inserted rules stand before `index`, and which base rule has it; `None`
    /// where the next inserted rule has it. The index after the last is that of the base rule after
    /// the last.
    fn locate(&self, index: usize) -> (usize, Option<u32>) {
        let position =
            |slot: usize, inserted: &Inserted| self.surviving_before(inserted.before) + slot;
        let mut slots = (0..).zip(&self.inserted);
        let found = slots.find(|(slot, inserted)| position(*slot, inserted) >= index);
        let slot = match found {
            Some((slot, inserted)) if position(slot, inserted) == index => return (slot, None),
            Some((slot, _)) => slot,
            None => self.inserted.len(),
        };
        let mut base = (index - slot) as u32;
        for removed in &self.removed {
            base += u32::from(*removed <= base);
        }
        (slot, Some(base))
    }

    /// Returns how many base rules before `base` are left.
    fn surviving_before(&self, base: u32) -> usize {
        base as usize - self.removed.partition_point(|removed| *removed < base)
    }

    /// Returns the index in the edited list.
    pub(super) fn index_of(&self, rank: Rank) -> usize {
        let inserted = match rank.slot {
            BASE => self.inserted.partition_point(|inserted| inserted.before <= rank.base),
            slot => slot as usize,
        };
        self.surviving_before(rank.base) + inserted
    }

    /// Returns the rule of `rank`.
    pub(super) fn rule_of<'a>(
        &'a self,
        rank: Rank,
        base: &'a [FilterRule],
    ) -> Option<&'a FilterRule> {
        match rank.slot {
            BASE => base.get(rank.base as usize),
            slot => self.inserted.get(slot as usize).map(|inserted| &*inserted.rule),
        }
    }

    /// Returns the rule of this index in the edited list. The index must be in range.
    pub(super) fn rule<'a>(
        &'a self,
        index: usize,
        base: &'a [FilterRule],
    ) -> Option<&'a FilterRule> {
        match self.locate(index) {
            (_, Some(index)) => base.get(index as usize),
            (slot, None) => self.inserted.get(slot).map(|inserted| &*inserted.rule),
        }
    }

    /// Returns the edited list.
    pub(super) fn rules<'a>(
        &'a self,
        base: &'a [FilterRule],
    ) -> impl Iterator<Item = &'a FilterRule> {
        let mut removed = self.removed.iter().peekable();
        let mut inserted = self.inserted.iter().peekable();
        let mut base = (0..).zip(base).peekable();
        std::iter::from_fn(move || {
            loop {
                let next = base.peek().map(|(index, _)| *index);
                let is_first =
                    |inserted: &&Inserted| next.is_none_or(|next| inserted.before <= next);
                if let Some(inserted) = inserted.next_if(is_first) {
                    return Some(&*inserted.rule);
                }
                let (index, rule) = base.next()?;
                if removed.next_if(|removed| **removed == index).is_none() {
                    return Some(rule);
                }
            }
        })
    }

    pub(super) fn has_removed(&self, base: u32) -> bool {
        self.removed.binary_search(&base).is_ok()
    }

    /// Returns whether a removed rule could still match `flow`.
    pub(super) fn has_removed_waiting(&self, flow: &Flow<'_>, base: &[FilterRule]) -> bool {
        let mut removed = self.removed.iter().filter_map(|index| base.get(*index as usize));
        removed.any(|rule| rule.network_rule().test(flow).answer() == Answer::NotYet)
    }

    /// Returns the first inserted rule that matches `flow` and goes before `bound`, else `bound`;
    /// and whether any inserted rule before that one could still match.
    pub(super) fn best(
        &self,
        precedence: Precedence,
        flow: &Flow<'_>,
        bound: Option<Rank>,
    ) -> (Option<Rank>, bool) {
        let (mut best, mut is_waiting) = (bound, false);
        for (rank, rule) in self.ranked(precedence) {
            if rank.is_before(best) {
                match rule.network_rule().test(flow).answer() {
                    Answer::Yes => best = Some(rank),
                    Answer::NotYet => is_waiting = true,
                    Answer::No => {}
                }
            }
        }
        (best, is_waiting)
    }

    /// Returns the inserted rules that go before `bound` and could still match `flow`.
    pub(super) fn waiting(
        &self,
        precedence: Precedence,
        flow: &Flow<'_>,
        bound: Option<Rank>,
    ) -> impl Iterator<Item = &FilterRule> {
        let before = self.ranked(precedence).filter(move |(rank, _)| rank.is_before(bound));
        let rules = before.map(|(_, rule)| rule);
        rules.filter(|rule| rule.network_rule().test(flow).answer() == Answer::NotYet)
    }

    fn ranked(&self, precedence: Precedence) -> impl Iterator<Item = (Rank, &FilterRule)> {
        (0..).zip(&self.inserted).map(move |(slot, inserted)| {
            let specificity = Reverse(precedence.specificity(&inserted.rule));
            (Rank { specificity, base: inserted.before, slot }, &*inserted.rule)
        })
    }
}
