//! Protocols other than TCP and UDP: L-19.

use super::prefixes::is_everything;
use super::{Edit, Entry, Lint, LintCode, Rules, Suggestion};
use crate::endpoint::AddressFamily;
use crate::flow::Direction;
use crate::network::Network;
use crate::rule::Action;

/// L-19, once: the last rules allow or drop everything that rules can match, and the default action
/// does the opposite with the rest.
pub(super) fn other(rules: &Rules<'_>) -> Vec<Lint> {
    let Some(default) = rules.default_action else { return Vec::new() };
    let opposite = match default {
        Action::Allow => Action::Drop,
        Action::Drop => Action::Allow,
        Action::FilterData => return Vec::new(),
    };
    let everything = |family: Option<AddressFamily>| {
        rules.entries.iter().find(|entry| {
            entry.action == Some(opposite)
                && entry.rule.match_direction() == Direction::Any
                && is_everything(entry.rule, family)
                && (family.is_none() || entry.rule.remote_side() != Some(&Network::Nil))
        })
    };
    let (v4, v6) = (everything(Some(AddressFamily::V4)), everything(Some(AddressFamily::V6)));
    let Some(entry) = everything(None).or(v4.zip(v6).map(|(v4, v6)| later(v4, v6))) else {
        return Vec::new();
    };
    let message = format!(
        "the protocol any is TCP and UDP: ICMP (ping) and every other protocol get the default \
         action {default}, not {opposite}; make {opposite} the default action if all is meant"
    );
    let lint = entry.lint(LintCode::OtherProtocols, Some("protocol"), message);
    vec![lint.suggesting(Some(Suggestion::of(vec![Edit::DefaultAction(opposite)])))]
}

fn later<'a, 'b>(a: &'b Entry<'a>, b: &'b Entry<'a>) -> &'b Entry<'a> {
    if a.index > b.index { a } else { b }
}
