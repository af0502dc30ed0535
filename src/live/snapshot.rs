//! [`Snapshot`]: one generation, the compiled rules with the edits laid over them.

use crate::decision::Decision;
use crate::error::Error;
use crate::flow::Flow;
use crate::live::overlay::{Overlay, Rank};
use crate::matcher::{Matcher, MatcherBuilder};
use crate::network::Answer;
use crate::rule::{Action, FilterRule};
use crate::settings::{FilterSettings, Precedence};
use std::sync::Arc;

/// One generation of the settings of a [`LiveMatcher`](crate::LiveMatcher), which never changes.
#[derive(Debug)]
pub struct Snapshot {
    generation: u64,
    base: Arc<Base>,
    overlay: Overlay,
    /// Whether the overlay changes anything.
    is_edited: bool,
}

/// Compiled settings.
#[derive(Debug)]
pub(super) struct Base {
    settings: FilterSettings,
    matcher: Matcher,
}

impl Base {
    pub(super) fn new(settings: FilterSettings, builder: MatcherBuilder) -> Result<Base, Error> {
        let matcher = builder.build(&settings)?;
        Ok(Base { settings, matcher })
    }

    pub(super) fn settings(&self) -> &FilterSettings {
        &self.settings
    }
}

/// A [`Decision`] and the generation that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveDecision {
    decision: Decision,
    generation: u64,
}

impl LiveDecision {
    /// Returns the decision.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Returns the generation of the settings that decided.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl Snapshot {
    /// Decides `flow`. The index of the rule is that of [`rule`](Snapshot::rule).
    ///
    /// # Complexity
    ///
    /// See [`LiveMatcher`](crate::LiveMatcher#complexity).
    #[inline]
    pub fn decide(&self, flow: &Flow<'_>) -> Decision {
        let decision = self.base.matcher.decide(flow);
        match self.is_edited {
            false => decision,
            true => self.decide_edited(flow, decision),
        }
    }

    /// Decides each of `flows` into the decision of the same index, and returns how many were
    /// decided: the length of the shorter slice.
    #[must_use = "only as many flows are decided as there is room for decisions"]
    pub fn decide_batch(&self, flows: &[Flow<'_>], decisions: &mut [Decision]) -> usize {
        let pairs = flows.iter().zip(decisions);
        pairs.map(|(flow, decision)| *decision = self.decide(flow)).count()
    }

    /// Returns the number of edits made up to this generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the precedence it decides with.
    pub fn precedence(&self) -> Precedence {
        self.base.matcher.precedence()
    }

    /// Returns the number of rules.
    pub fn rule_count(&self) -> usize {
        self.overlay.rule_count(self.base_rules().len())
    }

    /// Returns the rule of this index.
    ///
    /// # Complexity
    ///
    /// O(k log k) in the number of edits since the rules were compiled.
    pub fn rule(&self, index: usize) -> Option<&FilterRule> {
        let index = Some(index).filter(|index| *index < self.rule_count())?;
        self.overlay.rule(index, self.base_rules())
    }

    /// Returns the rules, in order.
    pub fn rules(&self) -> impl Iterator<Item = &FilterRule> {
        self.overlay.rules(self.base_rules())
    }

    /// Returns the default action.
    pub fn default_action(&self) -> Action {
        self.overlay.default_action()
    }

    /// Returns a copy of the settings.
    ///
    /// # Complexity
    ///
    /// Linear in the number of rules.
    pub fn to_settings(&self) -> FilterSettings {
        let mut rules = Vec::with_capacity(self.rule_count());
        rules.extend(self.rules().cloned());
        FilterSettings::new(rules, self.default_action())
    }

    /// Returns whether the rules are compiled as they are, with no edit laid over them.
    pub fn is_compiled(&self) -> bool {
        !self.is_edited
    }

    /// Returns a generation of `base` as it was compiled.
    pub(super) fn new(generation: u64, base: Arc<Base>) -> Snapshot {
        let overlay = Overlay::new(&base.settings);
        Snapshot { generation, base, overlay, is_edited: false }
    }

    pub(super) fn with_overlay(self, overlay: Overlay) -> Snapshot {
        let is_edited = overlay.is_edit_of(&self.base.settings);
        Snapshot { overlay, is_edited, ..self }
    }

    /// Returns the next generation.
    pub(super) fn edited(&self, overlay: Overlay) -> Snapshot {
        Snapshot::new(self.generation + 1, Arc::clone(&self.base)).with_overlay(overlay)
    }

    pub(super) fn base(&self) -> &Arc<Base> {
        &self.base
    }

    pub(super) fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    #[inline]
    pub(super) fn decide_live(&self, flow: &Flow<'_>) -> LiveDecision {
        LiveDecision { decision: self.decide(flow), generation: self.generation }
    }

    /// Turns the decision of the base rules into that of the edited ones.
    #[inline(never)]
    fn decide_edited(&self, flow: &Flow<'_>, base: Decision) -> Decision {
        let (overlay, rules, precedence) = (&self.overlay, self.base_rules(), self.precedence());
        let rank = |index: usize| Some(Rank::of_base(precedence, index as u32, rules.get(index)?));
        let decided = base.rule().and_then(rank);
        let gone = decided.filter(|rank| overlay.has_removed(rank.base));
        let left = decided.filter(|_| gone.is_none());
        let (mut winner, is_waiting) = overlay.best(precedence, flow, left);
        if gone.is_some() {
            winner = self.first_match(flow, gone, winner).or(winner);
        }

        let rule = || winner.and_then(|rank| overlay.rule_of(rank, rules));
        let decision = match winner {
            Some(rank) => {
                // PERF: decide/ipv4-100k-live/1-edit; most often the rule need not be read again.
                let action = if winner == decided { None } else { rule().map(FilterRule::action) };
                let index = overlay.index_of(rank) as u32;
                Decision::of_rule(index, action.unwrap_or(base.action()))
            }
            None => Decision::of_no_rule(overlay.default_action(), flow.is_loopback()),
        };

        // Of the base rules, those that could still match are the same as before, with the same
        // consequence, if the winner and its action are, and none of them was removed. There are
        // none if there were none, and the winner goes no later than the base rule that decided.
        let action = decision.action();
        let is_same = winner == decided && action == base.action();
        let is_none_before = gone.is_none_or(|gone| winner.is_some_and(|winner| winner < gone));
        let leans = || rule().is_some_and(|rule| rule.network_rule().leans_on_unbound(flow));
        let is_waiting_gone = || base.pending() && overlay.has_removed_waiting(flow, rules);
        let (mut pending, mut is_final) = if is_same && !is_waiting_gone() {
            (base.pending(), base.is_final())
        } else if !base.pending() && is_none_before {
            (false, !leans())
        } else {
            let after = if base.pending() { None } else { gone };
            let (pending, agree) = self.pending_base_rules(flow, action, after, winner);
            (pending, agree && !leans())
        };
        if is_waiting {
            for rule in overlay.waiting(precedence, flow, winner) {
                pending = true;
                is_final &= rule.action() == action;
            }
        }
        decision.with_pending(pending, is_final)
    }

    /// Returns the first base rule between `after` and `before` that is left and matches `flow`.
    fn first_match(
        &self,
        flow: &Flow<'_>,
        after: Option<Rank>,
        before: Option<Rank>,
    ) -> Option<Rank> {
        let mut ranks = self.answering(Answer::Yes, flow, after, before).map(|(rank, _)| rank);
        match self.precedence() {
            Precedence::FirstMatch => ranks.next(),
            Precedence::LongestPrefix => ranks.min(),
        }
    }

    /// Returns whether a base rule between `after` and `before` that is left could still match
    /// `flow`, and whether all such rules have the given action, as far as one is found that has
    /// not.
    fn pending_base_rules(
        &self,
        flow: &Flow<'_>,
        action: Action,
        after: Option<Rank>,
        before: Option<Rank>,
    ) -> (bool, bool) {
        let mut pending = false;
        for (_, rule) in self.answering(Answer::NotYet, flow, after, before) {
            pending = true;
            if rule.action() != action {
                return (true, false);
            }
        }
        (pending, true)
    }

    /// Goes through the base rules between two ranks for those that are left and answer as is
    /// wanted.
    fn answering(
        &self,
        answer: Answer,
        flow: &Flow<'_>,
        after: Option<Rank>,
        before: Option<Rank>,
    ) -> impl Iterator<Item = (Rank, &FilterRule)> {
        let (rules, precedence) = (self.base_rules(), self.precedence());
        let (start, end) = match precedence {
            Precedence::FirstMatch => (
                after.map_or(0, |rank| rank.base as usize + 1),
                before.map_or(rules.len(), |rank| rank.base as usize),
            ),
            Precedence::LongestPrefix => (0, rules.len()),
        };
        let between = (start as u32..).zip(rules.get(start..end).unwrap_or_default());
        let ranked =
            between.map(move |(index, rule)| (Rank::of_base(precedence, index, rule), rule));
        ranked.filter(move |(rank, rule)| {
            after.is_none_or(|after| after < *rank)
                && rank.is_before(before)
                && rule.network_rule().test(flow).answer() == answer
                && !self.overlay.has_removed(rank.base)
        })
    }

    fn base_rules(&self) -> &[FilterRule] {
        self.base.settings.rules()
    }
}
