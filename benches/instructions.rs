//! Twelve lookups whose instructions `scripts/instructions` counts: those of the one call of [`lookup`]
//! that there is in a run with the name of a lookup. A run without checks all answers and prints the
//! names.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up is of no use"
)]

mod workload;

use flowsieve::{
    Action, AddressFamily, Decision, Endpoint, FilterRule, FilterSettings, Flow, Matcher,
    NetworkRule, Precedence, Protocol, Remote, reference,
};
use std::hint::black_box;
use workload::{Workload, list, networks};

fn main() {
    let (v4, v6) = (AddressFamily::V4, AddressFamily::V6);
    let (small, medium, large) = (10, 1000, 100_000);
    count("ipv4-10", || list("", v4, small), is_hit);
    count("ipv4-1k-hit", || list("", v4, medium), is_hit);
    count("ipv4-1k-miss", || list("", v4, medium), |_, decision| decision.rule().is_none());
    count("ipv4-100k", || list("", v4, large), is_hit);
    count("ipv6-1k", || list("", v6, medium), is_hit);
    count("ipv6-100k", || list("", v6, large), is_hit);
    count("networks-10k", || networks("", v4, 10_000), is_hit);
    count("local-side", || workload::five_tuple::all().next().unwrap(), is_hit);
    let of_any_host = |settings: &FilterSettings, decision: &Decision| {
        let rule = decision.rule().map(|rule| settings.rules()[rule].network_rule());
        let remote = rule.and_then(NetworkRule::remote_side);
        remote.is_some_and(|remote| !remote.is_explicit() && !remote.ports().is_any())
    };
    count("port-of-any-host", || list("", v4, large), of_any_host);
    let of_a_name = |settings: &FilterSettings, decision: &Decision| {
        let rule = decision.rule().map(|rule| settings.rules()[rule].network_rule());
        rule.is_some_and(|rule| matches!(rule.remote(), Remote::Host { .. }))
    };
    count("host-name", || hosts(true), of_a_name);
    count(
        "no-name",
        || hosts(false),
        |_, decision| decision.pending() && decision.rule().is_some(),
    );
    count("unbound", unbound, |_, decision| decision.pending());
}

/// What is counted.
#[inline(never)]
fn lookup(matcher: &Matcher, flow: &Flow<'_>) -> Decision {
    matcher.decide(flow)
}

/// Looks up the first flow whose decision is as wanted, if this is the lookup that was asked for.
fn count(
    name: &str,
    workload: impl FnOnce() -> Workload,
    is_wanted: impl Fn(&FilterSettings, &Decision) -> bool,
) {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if wanted.is_some_and(|wanted| wanted != name) {
        return;
    }
    let Workload { settings, flows, .. } = &workload();
    let matcher = Matcher::new(settings).unwrap();
    let flow = flows.iter().find(|flow| is_wanted(settings, &matcher.decide(flow)));
    let Some(flow) = flow else { panic!("{name}: no flow is decided as wanted") };
    let expected = reference::decide(settings, Precedence::FirstMatch, flow);
    assert_eq!(lookup(black_box(&matcher), black_box(flow)), expected, "{name}");
    println!("{name}");
}

fn is_hit(_: &FilterSettings, decision: &Decision) -> bool {
    decision.rule().is_some()
}

/// Flows before they have a local address.
fn unbound() -> Workload {
    let mut workload = list("", AddressFamily::V4, 1000);
    for flow in &mut workload.flows {
        *flow = flow.clone().with_local_address(workload.family.unspecified(), None, 0);
    }
    workload
}

/// 1000 rules for addresses and 1000 for host names, and flows to hosts below one of the names, or to hosts without one.
fn hosts(are_named: bool) -> Workload {
    let mut workload = list("", AddressFamily::V4, 1000);
    let host = |index: usize| {
        let host = Endpoint::new(&format!("host-{index}.example.com"), "0").unwrap();
        let rule = NetworkRule::destination_host(host, Protocol::Any).unwrap();
        FilterRule::new(rule, Action::Drop)
    };
    let rules = workload.settings.rules().iter().cloned();
    let rules = rules.enumerate().flat_map(|(index, rule)| [rule, host(index)]).collect();
    workload.settings = FilterSettings::new(rules, Action::Allow);
    let flows = workload.flows.iter_mut().enumerate();
    for (index, flow) in flows.filter(|_| are_named) {
        let name = format!("www.host-{}.example.com", index % 1000);
        *flow = flow.clone().with_remote_hostname(name);
    }
    workload
}
