//! Lists: `lists/step/lines`, from the text of a list to its rules, and to a matcher of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up is of no use"
)]

mod measure;

use criterion::{BatchSize, Criterion, SamplingMode, Throughput};
use flowsieve::formats::lists::{Imported, Importer, Options, merge};
use flowsieve::{Action, AddressFamily, Direction, Flow, IpProtocol, Matcher};
use flowsieve_testkit::random::Random;
use std::fmt::Write;

fn main() {
    let mut criterion = measure::criterion();
    let (name, count) = if measure::is_test() { ("10k", 10_000) } else { ("300k", 300_000) };
    let text = list(count);
    let read = || {
        let mut importer = Importer::new(Options::default());
        importer
            .read("list", &mut text.as_bytes(), &mut |_| panic!("an entry is rejected"))
            .unwrap();
        let imported = importer.finish(&mut |_| {});
        assert_eq!(imported.settings.rules().len(), count);
        imported
    };
    time(&mut criterion, "read", name, &text, || (), |()| read());
    time(
        &mut criterion,
        "read-and-build",
        name,
        &text,
        || (),
        |()| {
            let matcher = Matcher::new(&read().settings).unwrap();
            let flow = Flow::new(IpProtocol::TCP, Direction::Outbound);
            let listed = text.split('/').next().unwrap().parse().unwrap();
            let decision = matcher.decide(&flow.with_remote_address(listed, None, 443));
            assert_eq!(decision.action(), Action::Drop);
            matcher
        },
    );
    let rules = |imported: Imported| imported.settings.into_rules();
    time(
        &mut criterion,
        "merge",
        name,
        &text,
        || rules(read()),
        |rules| {
            let merged = merge(rules);
            assert!(merged.len() < count);
            merged
        },
    );
    criterion.final_summary();
}

/// Networks of /16 to /32, as block lists have them, in no order: half of them hosts.
fn list(count: usize) -> String {
    let mut random = Random(1);
    let mut text = String::new();
    for _ in 0..count {
        let address = random.address(AddressFamily::V4);
        let bits = if random.chance(50) { 32 } else { 16 + random.below(16) as u8 };
        let net = ipnet::IpNet::new(address, bits).unwrap().trunc();
        writeln!(text, "{net}").unwrap();
    }
    text
}

fn time<S, T>(
    criterion: &mut Criterion,
    step: &str,
    name: &str,
    text: &str,
    setup: impl Fn() -> S,
    run: impl Fn(S) -> T,
) {
    let mut group = criterion.benchmark_group(format!("lists/{step}"));
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(text.lines().count() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter_batched(&setup, &run, BatchSize::PerIteration);
    });
}
