//! How answers are timed. Every pass over the questions adds up the answers and compares the sum.

#![allow(dead_code, reason = "each benchmark uses a part")]

use criterion::{Criterion, Throughput};
use std::hint::black_box;
use std::time::Duration;

/// Short measurements: there are many.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .nresamples(2000)
        .warm_up_time(Duration::from_millis(40))
        .measurement_time(Duration::from_millis(150))
        .configure_from_args()
}

/// Whether each benchmark is only to be run once, and large ones can be left out.
pub(crate) fn is_test() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// An answer that fits the sums: one more than the index, 0 for none.
pub(crate) fn answer(index: Option<usize>) -> u32 {
    index.map_or(0, |index| index as u32 + 1)
}

/// Times calls that do not wait for each other: `decide` and `longest-match`.
pub(crate) fn independent<T>(
    criterion: &mut Criterion,
    [operation, workload, engine]: [&str; 3],
    (questions, expected): (&[T], &[u32]),
    answer: impl Fn(&T) -> u32,
) {
    assert!(questions.iter().map(&answer).eq(expected.iter().copied()), "{workload} {engine}");
    let sum = sum(expected);
    let mut group = criterion.benchmark_group(format!("{operation}/{workload}"));
    group.throughput(Throughput::Elements(questions.len() as u64));
    group.bench_function(engine, |bencher| {
        bencher.iter(|| {
            let answers = questions.iter().map(|question| answer(black_box(question)));
            assert_eq!(answers.fold(0, |sum, answer| sum + u64::from(answer)), sum);
        });
    });
}

/// Times the same in another order at each pass, which no branch predictor can learn: what comes next on a
/// machine was not asked a moment ago. The questions have to be as many as a power of two.
pub(crate) fn shuffled<T>(
    criterion: &mut Criterion,
    [operation, workload, engine]: [&str; 3],
    (questions, expected): (&[T], &[u32]),
    answer: impl Fn(&T) -> u32,
) {
    assert!(questions.len().is_power_of_two());
    let (sum, last) = (sum(expected), questions.len() - 1);
    let mut state = 1u64;
    let mut group = criterion.benchmark_group(format!("{operation}-shuffled/{workload}"));
    group.throughput(Throughput::Elements(questions.len() as u64));
    group.bench_function(engine, |bencher| {
        bencher.iter(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // An odd step comes by all of them.
            let (step, first) = ((state >> 32) as usize | 1, (state >> 48) as usize);
            let places =
                (0..questions.len()).map(|index| (index.wrapping_mul(step) + first) & last);
            let answers = places.map(|place| answer(black_box(&questions[place])));
            assert_eq!(answers.fold(0, |sum, answer| sum + u64::from(answer)), sum);
        });
    });
}

/// Times calls each of which waits for the answer before: what a caller with one question sees.
pub(crate) fn dependent<T>(
    criterion: &mut Criterion,
    [operation, workload, engine]: [&str; 3],
    (questions, expected): (&[T], &[u32]),
    answer: impl Fn(&T) -> u32,
) {
    let sum = sum(expected);
    let mut group = criterion.benchmark_group(format!("{operation}-dependent/{workload}"));
    group.throughput(Throughput::Elements(questions.len() as u64));
    group.bench_function(engine, |bencher| {
        bencher.iter(|| {
            let (mut total, mut wait) = (0, 0);
            for index in 0..questions.len() {
                let answer = answer(&questions[index + wait]);
                // The highest bit of an answer is never set, which only we know.
                wait = answer as usize >> 31;
                total += u64::from(answer);
            }
            assert_eq!(total, sum);
        });
    });
}

pub(crate) fn sum(answers: &[u32]) -> u64 {
    answers.iter().map(|answer| u64::from(*answer)).sum()
}
