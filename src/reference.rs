//! The executable definition: one loop over the rules, to be read rather than to be fast.
//!
//! [`Matcher`](crate::Matcher) is held to it by tests; the two share only
//! [`NetworkRule::test`](crate::NetworkRule::test) and the types.

use crate::decision::Decision;
use crate::flow::Flow;
use crate::network::Answer;
use crate::settings::{FilterSettings, Precedence};
use std::cmp::Reverse;

/// Decides `flow`: the action of the first rule that matches (S-60), else the default action
/// (S-62), or allow for a loopback flow (S-64).
///
/// # Complexity
///
/// Linear in the number of rules.
pub fn decide(settings: &FilterSettings, precedence: Precedence, flow: &Flow<'_>) -> Decision {
    let winner = winner(settings, precedence, flow);
    let decision = match winner.and_then(|index| Some((index, settings.rules().get(index)?))) {
        Some((index, rule)) => Decision::of_rule(index as u32, rule.action()),
        None => Decision::of_no_rule(settings.default_action(), flow.is_loopback()),
    };
    let pending = pending_rules(settings, precedence, flow);
    let rules_of = |index: &usize| settings.rules().get(*index);
    let agree = pending.iter().filter_map(rules_of).all(|rule| rule.action() == decision.action());
    let winner = winner.as_ref().and_then(rules_of);
    let leans = winner.is_some_and(|rule| rule.network_rule().leans_on_unbound(flow));
    decision.with_pending(!pending.is_empty(), agree && !leans)
}

/// Returns the rules that go before the deciding one (all rules, where none decides) and could
/// still match once the local endpoint or the host name is known, in list order.
///
/// # Complexity
///
/// Linear in the number of rules.
pub fn pending_rules(
    settings: &FilterSettings,
    precedence: Precedence,
    flow: &Flow<'_>,
) -> Vec<usize> {
    let rank = |index: usize| {
        let rule = settings.rules().get(index);
        (Reverse(rule.map_or(0, |rule| precedence.specificity(rule))), index)
    };
    let winner = winner(settings, precedence, flow).map(rank);
    let answers = settings.rules().iter().map(|rule| rule.network_rule().test(flow).answer());
    let not_yet = answers.enumerate().filter(|(_, answer)| *answer == Answer::NotYet);
    let before = |index: &usize| winner.is_none_or(|winner| rank(*index) < winner);
    not_yet.map(|(index, _)| index).filter(before).collect()
}

fn winner(settings: &FilterSettings, precedence: Precedence, flow: &Flow<'_>) -> Option<usize> {
    let rules = settings.rules().iter().enumerate();
    let matching = rules.filter(|(_, rule)| rule.network_rule().matches(flow));
    let best = matching.min_by_key(|(index, rule)| (Reverse(precedence.specificity(rule)), *index));
    best.map(|(index, _)| index)
}
