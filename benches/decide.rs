//! Deciding a flow: `decide/workload/engine`. Every answer is compared with the reference's before
//! it is timed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up is of no use"
)]

mod workload;

use criterion::{Criterion, Throughput};
use flowsieve::{Decision, Matcher, Precedence, RuleTable, Strategy, reference};
use std::hint::black_box;
use std::time::Duration;

fn main() {
    let criterion = Criterion::default().measurement_time(Duration::from_secs(2));
    let mut criterion = criterion.warm_up_time(Duration::from_secs(1)).configure_from_args();
    decide(&mut criterion);
    longest_match(&mut criterion);
    criterion.final_summary();
}

fn decide(criterion: &mut Criterion) {
    for workload in workload::all() {
        let flows = &workload.flows;
        let expected: Vec<Decision> = flows
            .iter()
            .take(256)
            .map(|flow| reference::decide(&workload.settings, Precedence::FirstMatch, flow))
            .collect();
        assert!(expected.iter().any(|decision| decision.rule().is_some()));
        assert!(expected.iter().any(|decision| decision.rule().is_none()));

        let mut group = criterion.benchmark_group(format!("decide/{}", workload.name));
        group.throughput(Throughput::Elements(flows.len() as u64));
        for strategy in Strategy::ALL {
            if strategy == Strategy::Scan && workload.settings.rules().len() > 1000 {
                continue;
            }
            let matcher = Matcher::builder().strategy(strategy).build(&workload.settings).unwrap();
            let decided: Vec<Decision> =
                flows.iter().take(256).map(|f| matcher.decide(f)).collect();
            assert_eq!(decided, expected);
            group.bench_function(format!("{strategy:?}").to_lowercase(), |bencher| {
                bencher.iter(|| flows.iter().map(|f| matcher.decide(black_box(f))).fold(0, tally));
            });
        }
        if workload.settings.rules().len() <= 1000 {
            group.bench_function("reference", |bencher| {
                bencher.iter(|| {
                    let decide =
                        |f| reference::decide(&workload.settings, Precedence::FirstMatch, f);
                    flows.iter().map(decide).fold(0, tally)
                });
            });
        }
        group.finish();
    }
}

fn longest_match(criterion: &mut Criterion) {
    let networks = workload::networks(100_000);
    let table: RuleTable<u32> = networks.iter().copied().zip(0..).collect();
    let addresses = workload::addresses(&networks, 4096);
    let hits = addresses.iter().filter(|address| table.longest_match(**address).is_some()).count();
    assert!((addresses.len() / 4..addresses.len()).contains(&hits));

    let mut group = criterion.benchmark_group("longest-match/networks-100k");
    group.throughput(Throughput::Elements(addresses.len() as u64));
    group.bench_function("rule-table", |bencher| {
        bencher.iter(|| addresses.iter().filter(|a| table.longest_match(**a).is_some()).count());
    });
    group.finish();
}

fn tally(sum: usize, decision: Decision) -> usize {
    sum + decision.rule().unwrap_or(0)
}
