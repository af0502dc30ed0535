//! What host rules cost beside address rules: `decide/hosts-10k-addresses-10k/flows`, where
//! `address-only` is the settings without host rules, and the host rules of `unnamed-drop` all drop, those of
//! `unnamed-ports` are all for port 80 or 443. Every answer is compared with the
//! reference's before it is timed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up is of no use"
)]

mod workload;

use criterion::{Criterion, Throughput};
use flowsieve::{Decision, FilterSettings, Flow, Matcher, Precedence, reference};
use std::hint::black_box;
use std::time::Duration;

fn main() {
    let criterion = Criterion::default().measurement_time(Duration::from_secs(1));
    let mut criterion = criterion.warm_up_time(Duration::from_millis(300)).configure_from_args();
    let workload = workload::hosts::hosts(10_000);
    let (without, with) = (&workload.address_only, &workload.with_hosts);
    let host_rules = |decisions: &[Decision]| {
        let rules = decisions.iter().filter_map(Decision::rule);
        rules.filter(|rule| !rule.is_multiple_of(2)).count()
    };

    let mut group = criterion.benchmark_group("decide/hosts-10k-addresses-10k");
    group.throughput(Throughput::Elements(workload.unnamed.len() as u64));
    let mut bench = |name: &str, settings: &FilterSettings, flows: &[Flow<'_>]| {
        let matcher = Matcher::new(settings).unwrap();
        let expected =
            answers(flows, |flow| reference::decide(settings, Precedence::FirstMatch, flow));
        assert_eq!(answers(flows, |flow| matcher.decide(flow)), expected);
        group.bench_function(name, |bencher| {
            bencher.iter(|| flows.iter().map(|f| matcher.decide(black_box(f))).fold(0, tally));
        });
        expected
    };
    bench("address-only", without, &workload.unnamed);
    let unnamed = bench("unnamed", with, &workload.unnamed);
    bench("unnamed-drop", &workload.with_drops, &workload.unnamed);
    bench("unnamed-ports", &workload.with_ports, &workload.unnamed);
    let hit = bench("named-hit", with, &workload.hit);
    let miss = bench("named-miss", with, &workload.miss);
    assert!(unnamed.iter().any(Decision::pending));
    assert_eq!(host_rules(&unnamed), 0);
    assert!(host_rules(&hit) > hit.len() / 8);
    assert_eq!(host_rules(&miss), 0);
    group.finish();
    criterion.final_summary();
}

/// The decisions on as many flows as the reference decides in a moment.
fn answers(flows: &[Flow<'_>], decide: impl FnMut(&Flow<'_>) -> Decision) -> Vec<Decision> {
    flows.iter().take(256).map(decide).collect()
}

fn tally(sum: usize, decision: Decision) -> usize {
    sum + decision.rule().unwrap_or(0)
}
