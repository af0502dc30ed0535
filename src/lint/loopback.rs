//! Loopback, which only a rule that names it matches: L-04, L-05, L-27.

use super::draft::{Draft, Side};
use super::prefixes::{holds_loopback, is_everything, loopback, names_loopback};
use super::{Entry, Lint, LintCode, Rules, SuggestedRule, Suggestion};
use crate::endpoint::AddressFamily;
use crate::flow::Direction;
use crate::network::Network;
use crate::rule::{Action, NetworkRule};

const FAMILIES: [AddressFamily; 2] = [AddressFamily::V4, AddressFamily::V6];

/// L-04, once. Not for proxies, where loopback is usually not wanted (S-94).
pub(super) fn unnamed(rules: &Rules<'_>) -> Vec<Lint> {
    let sees_all = |entry: &&Entry<'_>| {
        let mut families = FAMILIES.map(Some).into_iter();
        entry.rule.match_direction() != Direction::Inbound
            && matches!(entry.action, Some(Action::Drop | Action::FilterData))
            && families.any(|family| is_everything(entry.rule, family))
    };
    let Some(entry) = rules.entries.iter().find(sees_all) else { return Vec::new() };
    let holds = |entry: &Entry<'_>| {
        let sides = Side::BOTH.into_iter().filter_map(|side| side.of(entry.rule));
        FAMILIES.iter().any(|family| sides.clone().any(|side| holds_loopback(side, *family)))
    };
    if rules.entries.iter().any(holds) {
        return Vec::new();
    }
    let kind = match entry.rule.remote_side() {
        Some(Network::Wildcard { .. }) => "a wildcard",
        _ => "a nil network",
    };
    let message = format!(
        "{kind} matches no loopback flow, and no rule names 127.0.0.1 or ::1: loopback flows are \
         allowed unseen, whatever the default action; to see them, add rules for both"
    );
    let lint = entry.lint(LintCode::LoopbackUnnamed, None, message);
    let named = FAMILIES.map(|family| {
        let rule =
            Draft::of(entry.rule).with_network(Side::Remote, loopback(family), family.bits());
        Some(SuggestedRule::new(rule.build()?, Some(Action::FilterData), None))
    });
    let named: Option<Vec<_>> = named.into_iter().collect();
    vec![lint.suggesting(named.map(|named| Suggestion::splice(entry.list, entry.index, 0, named)))]
}

/// L-05, once a list.
pub(super) fn one_family(rules: &Rules<'_>) -> Vec<Lint> {
    let of_list = |entries: Vec<&Entry<'_>>| {
        let mut of_family =
            FAMILIES.into_iter().filter_map(|family| {
                let twin = family.other();
                let (entry, side) = entries.iter().find_map(|entry| {
                    let names = |side: &Side| {
                        side.of(entry.rule).is_some_and(|network| names_loopback(network, family))
                    };
                    Some((*entry, Side::BOTH.into_iter().find(names)?))
                })?;
                let holds_twin = |entry: &&Entry<'_>| {
                    let mut sides = Side::BOTH.into_iter().filter_map(|side| side.of(entry.rule));
                    sides.any(|side| holds_loopback(side, twin))
                };
                if entries.iter().any(holds_twin) {
                    return None;
                }
                let (named, escapes) = (loopback(family), loopback(twin));
                let message = format!(
                    "the rule names loopback of {family} only, by a network that holds {named}: no \
                 rule names {escapes}, and {twin} loopback flows escape"
                );
                let lint = entry.lint(
                    LintCode::OneLoopbackFamily,
                    Some(side.network_key(entry.rule)),
                    message,
                );
                Some(lint.suggesting(
                    twin_of(entry.rule, side, twin).map(|rule| entry.followed_by([rule])),
                ))
            });
        of_family.next()
    };
    rules.lists().filter_map(of_list).collect()
}

/// The same rule for the loopback address of the other family.
fn twin_of(rule: &NetworkRule, side: Side, family: AddressFamily) -> Option<NetworkRule> {
    let opposite = if side == Side::Remote { Side::Local } else { Side::Remote };
    let draft = Draft::of(rule).with_network(side, loopback(family), family.bits());
    let draft = match opposite.of(rule)? {
        Network::Nil => draft,
        Network::Wildcard { .. } => draft.with_network(opposite, family.unspecified(), 0),
        Network::Prefix { .. } if names_loopback(opposite.of(rule)?, family.other()) => {
            draft.with_network(opposite, loopback(family), family.bits())
        }
        Network::Prefix { .. } => return None,
    };
    draft.build()
}

/// L-27.
pub(super) fn other_action(entry: &Entry<'_>) -> Option<Lint> {
    let action = entry.action.filter(|action| *action != Action::FilterData)?;
    let names = |side: &Side| {
        let network = side.of(entry.rule);
        network.is_some_and(|net| FAMILIES.iter().any(|family| names_loopback(net, *family)))
    };
    let side = Side::BOTH.into_iter().find(names)?;
    let message = format!(
        "the {side} side names loopback, and for loopback Apple documents the action filterData \
         only: that `{action}` is done is not documented; let the provider decide",
        side = side.as_str(),
    );
    let lint = entry.lint(LintCode::LoopbackAction, Some("action"), message);
    let same = [entry.rule.clone()];
    Some(lint.suggesting(Some(entry.replaced_with(same, Some(Action::FilterData)))))
}
