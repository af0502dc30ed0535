//! Editing rules and deciding meanwhile: `edit/workload/operation`, from the call until a decision
//! sees it, and `decide/workload-live/edits`. Every answer is compared with that of a matcher of the
//! edited rules before it is timed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up is of no use"
)]

mod workload;

use criterion::{BatchSize, Criterion, Throughput};
use flowsieve::{FilterRule, FilterSettings, Flow, LiveMatcher, Matcher};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use workload::Workload;

fn main() {
    let criterion = Criterion::default().measurement_time(Duration::from_secs(1));
    let mut criterion = criterion.warm_up_time(Duration::from_millis(300)).configure_from_args();
    let workload = workload::all().into_iter().find(|w| w.name == "ipv4-100k").unwrap();
    edit(&mut criterion, &workload);
    decide(&mut criterion, &workload);
    criterion.final_summary();
}

/// One edit at a time, up to 32 after a rebuild, and the next decision, while another thread does
/// nothing but decide; until that one sees it; and the rebuild, which no reader waits for.
fn edit(criterion: &mut Criterion, workload: &Workload) {
    let live = LiveMatcher::builder().rebuild_in_background(false);
    let live = live.build(workload.settings.clone()).unwrap();
    let rules = workload.settings.rules();
    let mut random = workload::Random(9);
    let seen = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let mut group = criterion.benchmark_group(format!("edit/{}", workload.name));
    group.sample_size(10);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut flows = workload.flows.iter().cycle();
            while let (false, Some(flow)) = (is_over.load(Ordering::Relaxed), flows.next()) {
                seen.store(live.decide(flow).generation(), Ordering::Release);
            }
        });
        let mut time = |name: &str, edit: &mut dyn FnMut(usize, FilterRule) -> u64| {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|count| {
                    let mut total = Duration::ZERO;
                    for index in 0..count {
                        if index % 32 == 0 {
                            live.rebuild().unwrap();
                        }
                        // Or this thread has used up its turn just when it is timed.
                        thread::sleep(Duration::from_micros(500));
                        let at = random.below(rules.len() - 1000);
                        let rule = rules[random.below(rules.len())].clone();
                        let start = Instant::now();
                        let generation = edit(at, rule);
                        match name.ends_with("other-thread") {
                            // Yields, or where cores are few the reader waits for this thread.
                            true => {
                                while seen.load(Ordering::Acquire) < generation {
                                    thread::yield_now();
                                }
                            }
                            false => {
                                let decided = live.decide(&workload.flows[0]);
                                assert_eq!(decided.generation(), generation);
                            }
                        }
                        total += start.elapsed();
                    }
                    total
                });
            });
        };
        time("insert-other-thread", &mut |at, rule| live.insert(at, rule).unwrap());
        time("insert", &mut |at, rule| live.insert(at, rule).unwrap());
        time("replace", &mut |at, rule| live.replace_rule(at, rule).unwrap());
        time("remove", &mut |at, _| live.remove(at).unwrap());
        is_over.store(true, Ordering::Relaxed);
    });
    group.bench_function("rebuild", |bencher| {
        bencher.iter_batched(
            || live.insert(0, rules[0].clone()).unwrap(),
            |_| live.rebuild().unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Deciding with edits that are not compiled yet.
fn decide(criterion: &mut Criterion, workload: &Workload) {
    let flows = &workload.flows;
    let mut group = criterion.benchmark_group(format!("decide/{}-live", workload.name));
    group.sample_size(20);
    group.throughput(Throughput::Elements(flows.len() as u64));
    let matcher = Matcher::new(&workload.settings).unwrap();
    group.bench_function("matcher", |bencher| {
        let rule = |flow| matcher.decide(black_box(flow)).rule();
        bencher.iter(|| flows.iter().filter_map(rule).sum::<usize>());
    });
    for (name, count) in [("no-edits", 0), ("1-edit", 1), ("64-edits", 64)] {
        let builder = LiveMatcher::builder().rebuild_in_background(false);
        let live = builder.build(workload.settings.clone()).unwrap();
        let mut random = workload::Random(10);
        for edit in 0..count {
            let rules = workload.settings.rules();
            let at = random.below(rules.len() - count);
            let rule = rules[random.below(rules.len())].clone();
            match edit % 3 {
                0 => live.insert(at, rule).unwrap(),
                1 => live.replace_rule(at, rule).unwrap(),
                _ => live.remove(at).unwrap(),
            };
        }
        assert_agrees(&live, &live.snapshot().to_settings(), flows);
        group.bench_function(name, |bencher| {
            let rule = |flow| live.decide(black_box(flow)).decision().rule();
            bencher.iter(|| flows.iter().filter_map(rule).sum::<usize>());
        });
    }
    group.finish();
}

fn assert_agrees(live: &LiveMatcher, settings: &FilterSettings, flows: &[Flow<'_>]) {
    let matcher = Matcher::new(settings).unwrap();
    let decided = flows.iter().map(|flow| live.decide(flow).decision());
    assert!(decided.eq(flows.iter().map(|flow| matcher.decide(flow))));
}
