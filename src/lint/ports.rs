//! Ports and local networks: L-11, and L-12 for runs of rules.

use super::draft::{Draft, Side};
use super::{Entry, Lint, LintCode, RuleList, Rules, SuggestedRule, Suggestion};
use crate::endpoint::Ports;
use crate::flow::Direction;
use crate::network::Network;
use crate::rule::{Action, NetworkRule, Protocol};

/// The number of rules from which on a run of rules that differ in their port is reported.
const RUN: usize = 32;

/// The number of ports up to which a range is better written as one rule a port.
const FEW_PORTS: u16 = 8;

/// L-11. Not for proxies, which refuse local networks (L-10).
pub(super) fn local_of_outbound_tcp(entry: &Entry<'_>) -> Option<Lint> {
    let rule = entry.rule;
    let direction = rule.match_direction();
    let is_tcp = matches!(rule.match_protocol(), Protocol::Tcp | Protocol::Any);
    let asks = rule.local().compared_bits() > 0 || !rule.local().ports().is_any();
    if entry.action.is_none() || !is_tcp || !asks || direction == Direction::Inbound {
        return None;
    }
    let what = match (rule.match_protocol(), direction) {
        (Protocol::Tcp, Direction::Outbound) => "so the rule does not match",
        _ => "so the rule does not match those",
    };
    let message = format!(
        "outbound TCP is judged before it has a local address and port, unless the program bound \
         the socket, {what}: {}",
        match direction {
            Direction::Any => "make the direction inbound if that is what is meant",
            _ => "leave the local network out and let the provider look at it",
        }
    );
    let lint =
        entry.lint(LintCode::LocalNetworkOutbound, Some(Side::Local.network_key(rule)), message);
    let draft = Draft::of(rule);
    Some(lint.suggesting(match direction {
        Direction::Any => {
            let inbound = draft.with_direction(Direction::Inbound).build();
            inbound.map(|rule| entry.replaced_by([rule]))
        }
        _ => {
            let wider = draft.without(Side::Local).build();
            wider.map(|rule| entry.replaced_with([rule], Some(Action::FilterData)))
        }
    }))
}

/// L-12 for rules one after the other that are equal but for their port.
pub(super) fn runs(rules: &Rules<'_>) -> Vec<Lint> {
    let same = |a: &Entry<'_>, b: &Entry<'_>| {
        a.list == b.list && a.action == b.action && differ_in_port(a.rule, b.rule)
    };
    let runs = rules.entries.chunk_by(same).filter(|run| run.len() >= RUN);
    runs.filter_map(|run| run.first().map(|first| run_lint(first, run.len()))).collect()
}

fn run_lint(first: &Entry<'_>, len: usize) -> Lint {
    let message = format!(
        "{len} rules one after the other differ in their port only: thousands of such rules have \
         kept the system at full load; one rule for any port and a provider that looks at the port \
         does the same",
    );
    let side = match first.rule.remote().ports().is_any() {
        true => Side::Local,
        false => Side::Remote,
    };
    let lint = first.lint(LintCode::Ports, Some(side.network_key(first.rule)), message);
    lint.suggesting(any_port(first, len))
}

/// Whether rules are equal but for the port of one side, and both have one there.
fn differ_in_port(a: &NetworkRule, b: &NetworkRule) -> bool {
    let (remotes, locals) =
        ((a.remote().ports(), b.remote().ports()), (a.local().ports(), b.local().ports()));
    let one = |(a, b): (Ports, Ports)| a != b && a.as_one().is_some() && b.as_one().is_some();
    let alike = a.match_protocol() == b.match_protocol()
        && a.match_direction() == b.match_direction()
        && a.initializer() == b.initializer();
    let same_host = |a: &NetworkRule, b: &NetworkRule| {
        let host = |rule: &NetworkRule| rule.match_remote_endpoint().map(|e| e.host().clone());
        a.match_remote_prefix() == b.match_remote_prefix() && host(a) == host(b)
    };
    let same_local = |a: &NetworkRule, b: &NetworkRule| {
        let host = |rule: &NetworkRule| rule.match_local_network().map(|e| e.host().clone());
        a.match_local_prefix() == b.match_local_prefix() && host(a) == host(b)
    };
    alike
        && ((one(remotes) && locals.0 == locals.1) || (one(locals) && remotes.0 == remotes.1))
        && same_host(a, b)
        && same_local(a, b)
}

/// L-12 for a range of ports, which the framework does not take.
pub(super) fn of_range(entry: &Entry<'_>, ports: Ports, message: String) -> Lint {
    let side = match entry.rule.remote().ports() == ports {
        true => Side::Remote,
        false => Side::Local,
    };
    let lint = entry.lint(LintCode::Ports, Some(side.network_key(entry.rule)), message);
    let size = |side| ports_of(entry.rule, side).map_or(0, |ports| ports.last() - ports.first());
    let is_few = Side::BOTH.into_iter().all(|side| size(side) < FEW_PORTS);
    lint.suggesting(match is_few {
        true => one_rule_a_port(entry),
        false => any_port(entry, 1),
    })
}

/// The ports of a side that are neither any nor one.
fn ports_of(rule: &NetworkRule, side: Side) -> Option<Ports> {
    let ports = match side {
        Side::Remote => rule.remote().ports(),
        Side::Local => rule.local().ports(),
    };
    (!ports.is_any() && ports.as_one().is_none()).then_some(ports)
}

fn one_rule_a_port(entry: &Entry<'_>) -> Option<Suggestion> {
    let mut drafts = vec![Draft::of(entry.rule)];
    for side in Side::BOTH {
        let Some(ports) = ports_of(entry.rule, side) else { continue };
        let each = drafts.into_iter().flat_map(|draft| {
            let ports = ports.first()..=ports.last();
            ports.map(move |port| draft.clone().with_ports(side, Ports::one(port)))
        });
        drafts = each.collect();
    }
    let rules: Option<Vec<_>> = drafts.into_iter().map(Draft::build).collect();
    Some(entry.replaced_by(rules?))
}

/// Suggests one rule in place of `len` ones, that takes any port and leaves the port to the
/// provider: for a filter, with the action filterData; for a proxy as an included rule, while an
/// excluded rule is left out, as the provider can decline what it is offered (S-98).
fn any_port(entry: &Entry<'_>, len: usize) -> Option<Suggestion> {
    let splice = |rules| Some(Suggestion::splice(entry.list, entry.index, len, rules));
    if entry.list == RuleList::Excluded {
        return splice(Vec::new());
    }
    let mut draft = Draft::of(entry.rule);
    for side in Side::BOTH {
        let is_wildcard = matches!(side.of(entry.rule), Some(Network::Wildcard { .. }));
        draft = match (entry.action, is_wildcard) {
            // A proxy takes no wildcard with any port (S-91).
            (None, true) => draft.without(side),
            _ => draft.with_ports(side, Ports::ANY),
        };
    }
    let action = entry.action.map(|_| Action::FilterData);
    splice(vec![SuggestedRule::new(draft.build()?, action, entry.label)])
}
