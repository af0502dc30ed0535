//! Host rules: L-16, L-17, L-18, L-24.

use super::draft::{Draft, Side};
use super::punycode;
use super::{Entry, Lint, LintCode, RuleList, Rules, SuggestedRule, Suggestion};
use crate::endpoint::{AddressFamily, Host, Ports};
use crate::flow::Direction;
use crate::hostname::HostName;
use crate::rule::{Action, Protocol, Remote};
use std::collections::HashSet;

/// The name of a host rule.
fn name<'a>(entry: &Entry<'a>) -> Option<&'a HostName> {
    match entry.rule.remote() {
        Remote::Host { name, .. } => Some(name),
        Remote::Network(_) => None,
    }
}

fn key(entry: &Entry<'_>) -> Option<&'static str> {
    Some(Side::Remote.network_key(entry.rule))
}

/// The rule with another name, and with this action.
fn renamed(entry: &Entry<'_>, name: &str, action: Option<Action>) -> Option<Suggestion> {
    let host = Host::Name(HostName::new(name).ok()?);
    let rule = Draft::of(entry.rule).with_remote_host(host).build()?;
    Some(entry.replaced_with([rule], action))
}

/// L-16. A star before a single label is L-17, since there is no name below it that matches.
pub(super) fn star(entry: &Entry<'_>) -> Option<Lint> {
    let name = name(entry).filter(|name| name.as_str().contains('*'))?;
    let trimmed = name.trimmed();
    if let Some((_, after)) = trimmed.rsplit_once('*') {
        let message = format!(
            "a star inside `{name}` is an ordinary character, so the rule matches no real name; a \
             rule for what comes after it matches all names below that, and the provider can tell \
             them apart"
        );
        let after = after.trim_start_matches('.');
        let wider = after
            .contains('.')
            .then(|| renamed(entry, after, entry.action.map(|_| Action::FilterData)));
        let lint = entry.lint(LintCode::StarInName, key(entry), message);
        return Some(lint.suggesting(wider.flatten()));
    }
    if name.is_single_label() {
        return None;
    }
    let message = format!(
        "`{name}` matches {trimmed} too, not only the names below it: stars and dots at the ends \
         are trimmed; no host rule spares the name itself"
    );
    let lint = entry.lint(LintCode::StarInName, key(entry), message);
    Some(lint.suggesting(renamed(entry, trimmed, entry.action)))
}

/// L-17. `localhost` is one host, and so is a name that is written as a full one, with a dot at
/// its end.
pub(super) fn single_label(entry: &Entry<'_>) -> Option<Lint> {
    let name = name(entry).filter(|name| name.is_single_label())?;
    let label = name.trimmed();
    if label.eq_ignore_ascii_case("localhost") || name.as_str().ends_with('.') {
        return None;
    }
    let message = format!(
        "`{name}` is a single label and matches the host of exactly that name, none below it: write \
         `{label}.` if that is meant; a rule for all names below needs two labels or more"
    );
    let lint = entry.lint(LintCode::SingleLabel, key(entry), message);
    // With a star it cannot be the host that is meant, and no host rule says what is.
    let is_host = !name.as_str().contains('*');
    let full = is_host.then(|| renamed(entry, &format!("{label}."), entry.action));
    Some(lint.suggesting(full.flatten()))
}

/// L-24.
pub(super) fn non_ascii(entry: &Entry<'_>) -> Option<Lint> {
    let name = name(entry).filter(|name| !name.as_str().is_ascii())?;
    let message = format!(
        "`{name}` is compared byte by byte with the name of the flow, which is in ASCII, so the \
         rule never matches: write the labels in their `xn--` form",
    );
    let lint = entry.lint(LintCode::NonAsciiName, key(entry), message);
    let ascii = punycode::name_to_ascii(name.as_str());
    Some(lint.suggesting(ascii.and_then(|ascii| renamed(entry, &ascii, entry.action))))
}

/// L-18, once: host rules whose flows, where they carry no name, are left to a default action that
/// is another.
pub(super) fn alone(rules: &Rules<'_>) -> Vec<Lint> {
    let Some(default) = rules.default_action.filter(|action| *action != Action::FilterData) else {
        return Vec::new();
    };
    let mut companions: HashSet<(Ports, Protocol, Action)> = HashSet::new();
    for entry in &rules.entries {
        if entry.rule.remote_side().is_some()
            && entry.rule.match_direction() != Direction::Inbound
            && let Some(action) = entry.action
        {
            companions.insert((entry.rule.remote().ports(), entry.rule.match_protocol(), action));
        }
    }
    let is_alone = |entry: &&Entry<'_>| {
        let Some(action) = entry.action.filter(|action| *action != default) else { return false };
        let ports = [entry.rule.remote().ports(), Ports::ANY];
        let protocols = [entry.rule.match_protocol(), Protocol::Any];
        let mut companion = ports.into_iter().flat_map(|ports| {
            let actions = [action, Action::FilterData];
            protocols.into_iter().flat_map(move |protocol| {
                actions.into_iter().map(move |action| (ports, protocol, action))
            })
        });
        name(entry).is_some() && !companion.any(|companion| companions.contains(&companion))
    };
    let mut lonely = rules.entries.iter().filter(is_alone);
    let Some(first) = lonely.next() else { return Vec::new() };
    let others = match lonely.count() {
        0 => String::new(),
        1 => "; so does 1 more host rule".to_owned(),
        count => format!("; so do {count} more host rules"),
    };
    let message = format!(
        "the rule sees only flows that carry a name, which those of programs with BSD sockets, such \
         as Chrome and curl, do not: they get the default action {default} if no address rule \
         catches them{others}"
    );
    let lint = first.lint(LintCode::HostRuleAlone, key(first), message);
    vec![lint.suggesting(nameless(first, rules.entries.len()))]
}

/// Sends what the host rule would be about, had it a name, to the provider: behind all other rules.
fn nameless(entry: &Entry<'_>, end: usize) -> Option<Suggestion> {
    let draft = Draft::of(entry.rule).without(Side::Local).with_direction(Direction::Outbound);
    let rules = match entry.rule.remote().ports().is_any() {
        true => vec![draft.without(Side::Remote).build()],
        false => [AddressFamily::V4, AddressFamily::V6]
            .map(|family| draft.clone().with_network(Side::Remote, family.unspecified(), 0).build())
            .to_vec(),
    };
    let rules = rules
        .into_iter()
        .map(|rule| Some(SuggestedRule::new(rule?, Some(Action::FilterData), None)));
    let rules: Option<Vec<_>> = rules.collect();
    Some(Suggestion::splice(RuleList::Rules, end, 0, rules?))
}
