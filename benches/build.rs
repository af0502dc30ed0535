//! Building: `build/workload/engine`, from settings to the first decision.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up is of no use"
)]

mod engines;
mod measure;
mod workload;

use criterion::{BatchSize, Criterion, SamplingMode};
use engines::{CoverWalk, Key};
use flowsieve::{AddressFamily, FilterSettings, Matcher};
use measure::answer;
use workload::Workload;

fn main() {
    let mut criterion = measure::criterion();
    workload::all().for_each(|workload| build(&mut criterion, &workload));
    if !measure::is_test() {
        // One family: each of ten builds takes a second or more.
        workload::large().take(1).for_each(|workload| build(&mut criterion, &workload));
    }
    criterion.final_summary();
}

fn build(criterion: &mut Criterion, workload: &Workload) {
    let Workload { name, family, settings, flows } = workload;
    let flow = &flows[0];
    let expected = Matcher::new(settings).unwrap().decide(flow).rule();
    let decide = |settings: &FilterSettings| {
        let matcher = Matcher::new(settings).unwrap();
        assert_eq!(matcher.decide(flow).rule(), expected);
        matcher
    };
    time(criterion, name, "matcher", settings, decide);
    if *family == AddressFamily::V4 && settings.rules().len() <= 100_000 {
        let key = Key::<u32>::new(flow);
        let walk = |settings: &FilterSettings| {
            let trie = CoverWalk::<u32>::new(settings);
            assert_eq!(answer(trie.first_match(&key)), answer(expected));
            trie
        };
        time(criterion, name, "cover-walk", settings, walk);
    }
}

fn time<T>(
    criterion: &mut Criterion,
    name: &str,
    engine: &str,
    settings: &FilterSettings,
    build: impl Fn(&FilterSettings) -> T,
) {
    let mut group = criterion.benchmark_group(format!("build/{name}"));
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.bench_function(engine, |bencher| {
        bencher.iter_batched(|| (), |()| build(settings), BatchSize::PerIteration);
    });
}
