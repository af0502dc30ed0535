//! [`Latency`]: a histogram of how long decisions took.

/// Counts durations in buckets whose bounds grow by a factor, eight to a doubling, so that each
/// stands for its durations within about 12 %.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latency {
    /// Grows up to the longest duration that was seen.
    counts: Vec<u64>,
}

/// Buckets to each doubling.
const STEPS: u64 = 8;

impl Latency {
    /// Counts a decision that took so many nanoseconds.
    pub(crate) fn add(&mut self, nanoseconds: u64) {
        self.add_many(nanoseconds, 1);
    }

    /// Counts `count` decisions that took so many nanoseconds each.
    pub(crate) fn add_many(&mut self, nanoseconds: u64, count: u64) {
        let bucket = bucket_of(nanoseconds);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        if let Some(found) = self.counts.get_mut(bucket) {
            *found += count;
        }
    }

    /// Adds what another has counted.
    pub(crate) fn merge(&mut self, other: &Latency) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (own, others) in self.counts.iter_mut().zip(&other.counts) {
            *own += others;
        }
    }

    /// Returns the number of decisions.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the durations within which the given share of decisions, 0 to 1, was made, in
    /// nanoseconds: the upper bound of the bucket. 0 where nothing was counted.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let wanted = ((self.total() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return first_of(bucket + 1) - 1;
            }
        }
        0
    }

    /// Returns, for each bucket from the first to the last that is not empty, its least duration,
    /// the least of the next one, both in nanoseconds, and its count.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let buckets = self.counts.iter().enumerate().skip_while(|(_, count)| **count == 0);
        buckets.map(|(bucket, count)| (first_of(bucket), first_of(bucket + 1), *count))
    }
}

/// Durations below [`STEPS`] have a bucket each; above, the bits behind the leading one choose
/// among [`STEPS`] buckets.
fn bucket_of(nanoseconds: u64) -> usize {
    if nanoseconds < STEPS {
        return nanoseconds as usize;
    }
    let shift = nanoseconds.ilog2() - STEPS.ilog2();
    (u64::from(shift) * STEPS + (nanoseconds >> shift)) as usize
}

/// The least duration of a bucket; saturates behind the last one.
fn first_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let (shift, step) = (bucket / STEPS - 1, bucket % STEPS + STEPS);
    u64::try_from(u128::from(step) << shift.min(64)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_in_the_bucket_of_its_bounds() {
        let edges = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for nanoseconds in (0..5000).chain(edges).chain([u64::MAX - 1, u64::MAX]) {
            let bucket = bucket_of(nanoseconds);
            assert!(first_of(bucket) <= nanoseconds, "{nanoseconds}");
            assert!(nanoseconds <= first_of(bucket + 1) - u64::from(nanoseconds < u64::MAX));
            let width = first_of(bucket + 1) - first_of(bucket);
            assert!(width == 1 || width <= nanoseconds / STEPS + 1, "{nanoseconds}");
        }
    }

    #[test]
    fn quantiles_are_upper_bounds_of_what_was_counted() {
        let mut latency = Latency::default();
        assert_eq!((latency.total(), latency.quantile(0.5), latency.buckets().count()), (0, 0, 0));
        latency.add_many(5, 99);
        latency.add(1000);
        assert_eq!((latency.quantile(0.5), latency.quantile(0.99)), (5, 5));
        assert_eq!(latency.quantile(1.0), 1023);
        assert_eq!(latency.buckets().next(), Some((5, 6, 99)));
        let mut twice = latency.clone();
        twice.merge(&latency);
        assert_eq!(twice.total(), 200);
        assert_eq!(twice.buckets().last(), Some((960, 1024, 2)));
    }
}
