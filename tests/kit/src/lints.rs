//! What holds of the lints of any settings.

use crate::agreement::Shown;
use flowsieve::{
    Direction, Edit, FilterSettings, Flow, FlowEndpoint, Lint, LintCode, Network, NetworkRule,
    Ports, Protocol, Remote, RuleList, TransparentProxySettings, lint, lint_proxy,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Checks the lints of `settings`: that L-15 is where a rule by rule comparison finds it and true
/// of the flows, that what never matches does not match them, and that the suggestion mends.
///
/// # Panics
///
/// If one of them is wrong.
pub fn check_lints(settings: &FilterSettings, flows: &[Flow<'_>]) {
    let lints = lint(settings);
    check_shadowed(settings, &lints, flows);
    for lint in &lints {
        let rule = lint.rule_index().and_then(|index| settings.rules().get(index));
        if let Some(rule) = rule.filter(|_| never_matches(lint)) {
            for flow in flows {
                let matches = rule.network_rule().matches(flow);
                assert!(!matches, "{lint}\n{}", Shown(settings, flow));
            }
        }
        check_mended(settings, lint);
    }
    check_proxy(settings);
}

/// The rules as included and excluded ones: nothing but that it can be linted and mended.
fn check_proxy(settings: &FilterSettings) {
    let rules: Vec<_> = settings.rules().iter().map(|rule| rule.network_rule().clone()).collect();
    let (included, excluded) = rules.split_at(rules.len() / 2);
    let settings = TransparentProxySettings::new(included.to_vec(), excluded.to_vec());
    for lint in lint_proxy(&settings) {
        if let Some(suggestion) = lint.suggestion() {
            assert_ne!(suggestion.apply_to_proxy(&settings), settings, "{lint}");
        }
    }
}

fn check_shadowed(settings: &FilterSettings, lints: &[Lint], flows: &[Flow<'_>]) {
    let found: BTreeMap<usize, usize> = lints
        .iter()
        .filter(|lint| lint.code() == LintCode::Shadowed)
        .map(|lint| (lint.rule_index().unwrap(), lint.related().unwrap().1))
        .collect();
    let rules: Vec<_> = settings.rules().iter().map(|rule| rule.network_rule()).collect();
    for (later, rule) in rules.iter().enumerate() {
        let earlier = rules.iter().take(later).position(|earlier| covers(earlier, rule));
        assert_eq!(found.get(&later).copied(), earlier, "rule {later} of {rules:#?}");
        let Some(earlier) = earlier else { continue };
        for flow in flows {
            if rule.matches(flow) && !is_left_out(rules[earlier], rule, flow) {
                let matches = rules[earlier].matches(flow);
                assert!(matches, "{earlier} covers {later}: {}", Shown(settings, flow));
            }
        }
    }
}

/// Whether the lint says nothing of a flow that the later of two rules matches: a loopback flow with a name, or
/// between a loopback address and another.
fn is_left_out(earlier: &NetworkRule, later: &NetworkRule, flow: &Flow<'_>) -> bool {
    let is_loopback = |end: &FlowEndpoint| {
        end.address().is_some_and(|address| LOOPBACK.contains(&address.to_canonical()))
    };
    let loopback_ends = [flow.remote(), flow.local()].into_iter().flatten().filter(is_loopback);
    let is_between = loopback_ends.count() == 1;
    let is_named = matches!(later.remote(), Remote::Host { .. });
    flow.is_loopback() && !is_explicit(earlier) && (is_between || is_named)
}

/// Whether `rule` covers `other`, part by part.
fn covers(rule: &NetworkRule, other: &NetworkRule) -> bool {
    let protocol = match rule.match_protocol() {
        Protocol::Any => {
            matches!(other.match_protocol(), Protocol::Any | Protocol::Tcp | Protocol::Udp)
        }
        protocol => protocol == other.match_protocol(),
    };
    let direction = rule.match_direction();
    let remote = match (rule.remote(), other.remote()) {
        (Remote::Network(own), Remote::Network(other)) => network_covers(own, other),
        (Remote::Network(own), Remote::Host { .. }) => *own == Network::Nil,
        (Remote::Host { name, ports }, Remote::Host { name: other, ports: other_ports }) => {
            name.matches(other.as_str()) && ports_cover(*ports, *other_ports)
        }
        (Remote::Host { .. }, Remote::Network(_)) => false,
    };
    protocol
        && (direction == Direction::Any || direction == other.match_direction())
        && remote
        && network_covers(rule.local(), other.local())
        && (is_explicit(rule) || !is_loopback(other))
}

fn is_explicit(rule: &NetworkRule) -> bool {
    match rule.remote() {
        Remote::Network(network) => network.is_explicit() || rule.local().is_explicit(),
        Remote::Host { .. } => true,
    }
}

fn network_covers(own: &Network, other: &Network) -> bool {
    let zone = own.zone().is_none() || own.zone() == other.zone();
    match (own.net(), other.net()) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(net), Some(inner)) => {
            net.contains(&inner) && zone && ports_cover(own.ports(), other.ports())
        }
    }
}

fn ports_cover(own: Ports, other: Ports) -> bool {
    own.is_any() || (other.first() >= own.first() && other.last() <= own.last())
}

/// Whether the rule holds a loopback address, or names the host `localhost`.
fn is_loopback(rule: &NetworkRule) -> bool {
    let names = |network: &Network| {
        network.is_explicit() && LOOPBACK.iter().any(|address| network.contains(*address, None))
    };
    let remote = match rule.remote() {
        Remote::Network(network) => names(network),
        Remote::Host { name, .. } => name.trimmed().eq_ignore_ascii_case("localhost"),
    };
    remote || names(rule.local())
}

/// Whether a lint says that its rule matches nothing, whatever the flow.
fn never_matches(lint: &Lint) -> bool {
    lint.code() == LintCode::MappedAddress && lint.message().contains("never matches")
}

/// Lints that see one rule are gone from what is put in its place.
fn check_mended(settings: &FilterSettings, lint: &Lint) {
    use LintCode::*;
    let Some(suggestion) = lint.suggestion() else { return };
    let mended = suggestion.apply_to_filter(settings);
    assert_ne!(mended, *settings, "{lint}");
    let is_of_one_rule = matches!(
        lint.code(),
        PrefixZero
            | NameInNetwork
            | LoopbackNetworkAsHost
            | WildcardWithPrefix
            | LocalNetworkOutbound
            | StarInName
            | SingleLabel
            | MappedAddress
            | NonAsciiName
            | LoopbackAction
    );
    let [Edit::Splice { list: RuleList::Rules, at, insert, .. }] = suggestion.edits() else {
        return;
    };
    if is_of_one_rule {
        let after = flowsieve::lint(&mended);
        let place = *at..*at + insert.len();
        let is_still = |found: &&Lint| {
            found.code() == lint.code() && found.rule_index().is_some_and(|i| place.contains(&i))
        };
        assert_eq!(after.iter().find(is_still), None, "mended {lint}");
    }
}
