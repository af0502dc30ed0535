//! Deciding a flow: `decide/workload/engine` for calls that do not wait for each other,
//! `decide-dependent` for those that do, `decide-batch` for many in one call. The engines are the
//! matcher as it is built unless a strategy is forced, each strategy, the reference, and what it is
//! compared with in `engines`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up is of no use"
)]

mod engines;
mod measure;
mod workload;

use criterion::{Criterion, Throughput};
use engines::{Bits, CoverWalk, Key, LinearScan};
use flowsieve::{
    AddressFamily, Crossing, Decision, FilterSettings, Flow, Matcher, Precedence, Strategy,
    reference,
};
use measure::answer;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;
use workload::Workload;

/// The number of flows in a batch.
const BATCH: usize = 256;

/// The number of rule tests that checking against the reference may cost.
const REFERENCE_TESTS: usize = 4_000_000;

/// The most rules for which engines that go through all of them are timed.
const SCANNED_RULES: usize = 1000;

fn main() {
    let mut criterion = measure::criterion();
    for workload in workload::all() {
        decide(&mut criterion, &workload);
        if workload.name == "ipv4-10k" {
            threads(&mut criterion, &workload);
        }
    }
    if !measure::is_test() {
        workload::large().for_each(|workload| decide(&mut criterion, &workload));
    }
    criterion.final_summary();
}

fn decide(criterion: &mut Criterion, workload: &Workload) {
    let Workload { name, family, settings, flows } = workload;
    let rule_count = settings.rules().len();
    let matcher = Matcher::new(settings).unwrap();
    check(&matcher, settings, flows);
    let expected: Vec<u32> = flows.iter().map(|flow| answer(matcher.decide(flow).rule())).collect();
    assert!(expected.iter().any(|answer| *answer > 0), "{name}: no flow is decided by a rule");
    assert!(expected.contains(&0), "{name}: every flow is decided by a rule");

    let asked = (flows.as_slice(), expected.as_slice());
    let id = |engine| ["decide", name, engine];
    measure::independent(criterion, id("matcher"), asked, |f| answer(matcher.decide(f).rule()));
    measure::dependent(criterion, id("matcher"), asked, |f| answer(matcher.decide(f).rule()));
    decide_batch(criterion, ["decide-batch", name, "matcher"], &matcher, asked);

    if rule_count > 100_000 {
        return;
    }
    for crossing in Crossing::ALL {
        let other = Matcher::builder().crossing(crossing).build(settings).unwrap();
        // As it is by default, or where the rules are not many of two sides.
        if other.size_bytes() == matcher.size_bytes() {
            continue;
        }
        check(&other, settings, flows);
        let engine = format!("crossing-{crossing:?}").to_lowercase();
        let id = ["decide", name, &engine];
        measure::independent(criterion, id, asked, |f| answer(other.decide(f).rule()));
        decide_batch(criterion, ["decide-batch", name, &engine], &other, asked);
    }
    for strategy in Strategy::ALL {
        let goes_through_all = matches!(strategy, Strategy::Scan | Strategy::Blocks);
        let is_not_for_so_many = strategy == Strategy::Buckets && rule_count > 10_000;
        let is_the_same = strategy == matcher.strategy();
        if goes_through_all && rule_count > SCANNED_RULES || is_not_for_so_many || is_the_same {
            continue;
        }
        let matcher = Matcher::builder().strategy(strategy).build(settings).unwrap();
        check(&matcher, settings, flows);
        let engine = format!("{strategy:?}").to_lowercase();
        let id = ["decide", name, &engine];
        measure::independent(criterion, id, asked, |f| answer(matcher.decide(f).rule()));
    }
    match family {
        AddressFamily::V4 => compare::<u32>(criterion, name, settings, asked),
        AddressFamily::V6 => compare::<u128>(criterion, name, settings, asked),
    }
}

/// Times what the matcher is compared with.
fn compare<B: Bits>(
    criterion: &mut Criterion,
    name: &str,
    settings: &FilterSettings,
    asked: (&[Flow<'_>], &[u32]),
) {
    let (flows, expected) = asked;
    let keys: Vec<Key<B>> = flows.iter().map(Key::new).collect();
    let trie = CoverWalk::new(settings);
    let count = affordable(flows, trie.longest_list());
    let asked = (&keys[..count], &expected[..count]);
    let id = |engine| ["decide", name, engine];
    measure::independent(criterion, id("cover-walk"), asked, |key| answer(trie.first_match(key)));
    measure::dependent(criterion, id("cover-walk"), asked, |key| answer(trie.first_match(key)));

    if settings.rules().len() > SCANNED_RULES {
        return;
    }
    let count = affordable(flows, settings.rules().len());
    let asked = (&keys[..count], &expected[..count]);
    let scan = LinearScan::new(settings);
    measure::independent(criterion, id("linear-scan"), asked, |key| answer(scan.first_match(key)));
    measure::dependent(criterion, id("linear-scan"), asked, |key| answer(scan.first_match(key)));

    let count = affordable(flows, settings.rules().len() * 64);
    let asked = (&flows[..count], &expected[..count]);
    let decide = |flow: &Flow<'_>| reference::decide(settings, Precedence::FirstMatch, flow);
    measure::independent(criterion, id("reference"), asked, |flow| answer(decide(flow).rule()));
}

/// As many of the flows as can be decided in a pass of some milliseconds, if each takes so many rule
/// tests.
fn affordable(flows: &[Flow<'_>], tests: usize) -> usize {
    (4_000_000 / tests.max(1)).clamp(64, 65_536).min(flows.len())
}

fn decide_batch(
    criterion: &mut Criterion,
    [operation, name, engine]: [&str; 3],
    matcher: &Matcher,
    (flows, expected): (&[Flow<'_>], &[u32]),
) {
    let mut decisions = vec![matcher.decide(&flows[0]); BATCH];
    let sum = measure::sum(expected);
    let mut group = criterion.benchmark_group(format!("{operation}/{name}"));
    group.throughput(Throughput::Elements(flows.len() as u64));
    group.bench_function(engine, |bencher| {
        bencher.iter(|| {
            let mut total = 0;
            for flows in flows.chunks(BATCH) {
                let count = matcher.decide_batch(black_box(flows), &mut decisions);
                let answers = decisions[..count].iter().map(|decision| answer(decision.rule()));
                total += answers.map(u64::from).sum::<u64>();
            }
            assert_eq!(total, sum);
        });
    });
}

/// One matcher asked by several threads at once, from when the first begins until the last one is done. They say when
/// that was: whoever waits for them may be waked late, where there are as many processors.
fn threads(criterion: &mut Criterion, workload: &Workload) {
    let matcher = Matcher::new(&workload.settings).unwrap();
    let flows = &workload.flows;
    let pass = || {
        let answers = flows.iter().map(|flow| answer(matcher.decide(black_box(flow)).rule()));
        answers.map(u64::from).sum::<u64>()
    };
    let sum = pass();
    let mut group = criterion.benchmark_group(format!("decide/{}", workload.name));
    for thread_count in [1, 2] {
        group.throughput(Throughput::Elements((thread_count * flows.len()) as u64));
        group.bench_function(format!("threads-{thread_count}"), |bencher| {
            bencher.iter_custom(|count| {
                let barrier = Barrier::new(thread_count);
                thread::scope(|scope| {
                    let threads: Vec<_> = (0..thread_count)
                        .map(|_| {
                            scope.spawn(|| {
                                barrier.wait();
                                let start = Instant::now();
                                (0..count).for_each(|_| assert_eq!(pass(), sum));
                                (start, Instant::now())
                            })
                        })
                        .collect();
                    let times = threads.into_iter().map(|thread| thread.join().unwrap());
                    let (starts, ends): (Vec<_>, Vec<_>) = times.unzip();
                    *ends.iter().max().unwrap() - *starts.iter().min().unwrap()
                })
            });
        });
    }
}

/// Compares whole decisions with those of the reference, for as many flows as it can do.
fn check(matcher: &Matcher, settings: &FilterSettings, flows: &[Flow<'_>]) {
    let count = (REFERENCE_TESTS / settings.rules().len().max(1)).clamp(16, 1024);
    for flow in flows.iter().take(count) {
        let expected: Decision = reference::decide(settings, Precedence::FirstMatch, flow);
        assert_eq!(matcher.decide(flow), expected, "{flow}");
    }
}
