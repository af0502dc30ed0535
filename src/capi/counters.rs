//! Counters of decisions, spread so that threads which decide do not wait for each other.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// As many sets of counters. Threads take them by turns, in the order in which they count for the first time.
const SHARDS: usize = 8;
const LINE: usize = 16;

/// As many counters as the longest cache line has room for, which Apple's processors have.
#[repr(align(128))]
struct Line([AtomicU64; LINE]);

/// How often each rule decided, and what else came out.
pub(super) struct Counters {
    /// The sets one after the other, each beginning on a line of its own.
    lines: Vec<Line>,
    rule_count: usize,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) by_rule: u64,
    pub(super) by_default: u64,
    pub(super) by_loopback: u64,
    pub(super) failed: u64,
}

/// The first counters of a set; those of the rules follow.
const DEFAULT: usize = 0;
const LOOPBACK: usize = 1;
const FAILED: usize = 2;
const RULES: usize = 3;

impl Counters {
    pub(super) fn new(rule_count: usize) -> Counters {
        let lines = SHARDS * Counters::lines_of_set(rule_count);
        let line = || Line([const { AtomicU64::new(0) }; LINE]);
        Counters { lines: std::iter::repeat_with(line).take(lines).collect(), rule_count }
    }

    /// Returns the memory of the counters of so many rules, in bytes.
    pub(super) fn size_bytes(rule_count: usize) -> usize {
        size_of::<Counters>() + SHARDS * Counters::lines_of_set(rule_count) * size_of::<Line>()
    }

    fn lines_of_set(rule_count: usize) -> usize {
        (RULES + rule_count).div_ceil(LINE)
    }

    /// Counts a decision: by a rule, or, of a flow that none matched, by what applies then.
    // PERF: apart, as decisions that are not counted would keep registers for it; decide/capi-ipv6-1k.
    #[inline(never)]
    pub(super) fn count(&self, rule: Option<usize>, is_loopback: bool) {
        self.add_one(match rule {
            Some(rule) => RULES + rule,
            None if is_loopback => LOOPBACK,
            None => DEFAULT,
        });
    }

    /// Counts a flow that was not decided.
    #[cold]
    pub(super) fn count_failure(&self) {
        self.add_one(FAILED);
    }

    #[inline]
    fn add_one(&self, index: usize) {
        let set = self.lines.len() / SHARDS;
        let line = self.lines.get(set * shard() + index / LINE);
        if let Some(counter) = line.and_then(|line| line.0.get(index % LINE)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Adds up what was counted of one thing in all sets.
    fn sum(&self, index: usize) -> u64 {
        let set = self.lines.len() / SHARDS;
        let lines = self.lines.iter().skip(index / LINE).step_by(set.max(1));
        let counters = lines.filter_map(|line| line.0.get(index % LINE));
        counters.fold(0, |sum, counter| sum.wrapping_add(counter.load(Ordering::Relaxed)))
    }

    /// Returns how often each rule decided.
    pub(super) fn of_rules(&self) -> Vec<u64> {
        (0..self.rule_count).map(|rule| self.sum(RULES + rule)).collect()
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            by_rule: self.of_rules().iter().sum(),
            by_default: self.sum(DEFAULT),
            by_loopback: self.sum(LOOPBACK),
            failed: self.sum(FAILED),
        }
    }
}

/// Returns the set that the thread took.
#[inline]
fn shard() -> usize {
    thread_local! {
        /// The set; none of them before the thread took one.
        static OWN: Cell<usize> = const { Cell::new(SHARDS) };
    }
    OWN.with(|own| match own.get() {
        SHARDS => {
            own.set(take_shard());
            own.get()
        }
        taken => taken,
    })
}

// It is not given back: what does that at the end of a thread allocates.
#[cold]
#[inline(never)]
fn take_shard() -> usize {
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    TAKEN.fetch_add(1, Ordering::Relaxed) % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Barrier, Mutex};
    use std::thread;

    /// Held by each test whose threads count, or they would take sets between those of another.
    static ALONE: Mutex<()> = Mutex::new(());

    #[test]
    fn what_threads_count_adds_up() {
        let _alone = ALONE.lock();
        let counters = Counters::new(40);
        thread::scope(|scope| {
            for thread in 0..9 {
                let counters = &counters;
                scope.spawn(move || {
                    for rule in 0..40 {
                        counters.count(Some(rule), rule % 2 == 0);
                    }
                    counters.count(Some(thread), false);
                    counters.count(None, false);
                    counters.count(None, true);
                    counters.count_failure();
                });
            }
        });
        let expected: Vec<u64> = (0..40).map(|rule| 9 + u64::from(rule < 9)).collect();
        assert_eq!(counters.of_rules(), expected);
        let totals = Totals { by_rule: 369, by_default: 9, by_loopback: 9, failed: 9 };
        assert_eq!(counters.totals(), totals);
    }

    #[test]
    fn counters_of_threads_are_on_lines_of_their_own() {
        let _alone = ALONE.lock();
        let counters = Counters::new(14);
        assert_eq!(counters.lines.len(), SHARDS * 2);
        assert_eq!(Counters::size_bytes(14), size_of::<Counters>() + SHARDS * 2 * 128);
        for count in 1..=SHARDS {
            let all_took = Barrier::new(count);
            let took = || {
                let shard = shard();
                all_took.wait();
                assert_eq!(shard, super::shard(), "a thread keeps its set");
                shard
            };
            let mut shards: Vec<usize> = thread::scope(|scope| {
                let threads: Vec<_> = (0..count).map(|_| scope.spawn(took)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            shards.sort_unstable();
            shards.dedup();
            assert_eq!(shards.len(), count, "sets of {count} threads alive at once: {shards:?}");
            assert!(shards.iter().all(|shard| *shard < SHARDS));
        }
    }
}
