//! A histogram of durations.

use std::{
    iter::zip,
    time::{Duration, Instant},
};

use super::counter::Counter;

/// The upper bounds of the buckets, inclusive, microseconds: three in each decade, from the time of a
/// request that is answered from memory to one that a user gives up.
const BOUNDS: [u64; 15] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000,
];

/// One more: durations above all bounds.
const BUCKETS: usize = BOUNDS.len() + 1;

/// A histogram of durations, as of the time of the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    buckets: [u64; BUCKETS],
    sum: Duration,
}

impl Durations {
    /// How many durations were not above a bound, for each of 15 bounds from 100 µs to 10 s.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut count = 0;
        zip(BOUNDS, self.buckets).map(move |(bound, in_bucket)| {
            count += in_bucket;
            (Duration::from_micros(bound), count)
        })
    }

    /// How many durations there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of all durations.
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

/// The live histogram of one worker.
#[derive(Debug, Default)]
pub(crate) struct DurationCounters {
    buckets: [Counter; BUCKETS],
    /// Microseconds.
    sum: Counter,
}

impl DurationCounters {
    /// Counts the time from `started` to `ended`.
    pub(crate) fn add(&self, started: Instant, ended: Instant) {
        let duration = ended.saturating_duration_since(started).as_micros();
        let micros = u64::try_from(duration).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].add();
        self.sum.add_many(micros as usize);
    }

    pub(super) fn read(&self) -> Durations {
        Durations {
            buckets: std::array::from_fn(|bucket| self.buckets[bucket].read()),
            sum: Duration::from_micros(self.sum.read()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_bucket_of_the_next_bound() {
        let counters = DurationCounters::default();
        let started = Instant::now();
        for micros in [0, 100, 101, 1_000, 10_000_000, 10_000_001] {
            counters.add(started, started + Duration::from_micros(micros));
        }
        // The clock went back.
        counters.add(started + Duration::from_secs(1), started);
        let read = counters.read();
        let counts: Vec<_> = read.cumulative().map(|(_, count)| count).collect();
        assert_eq!(counts, [3, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6]);
        assert_eq!(read.count(), 7);
        assert_eq!(read.sum(), Duration::from_micros(20_001_202));
    }
}
