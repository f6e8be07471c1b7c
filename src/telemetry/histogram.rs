//! How long things took, in buckets whose width grows with the time: each is within an eighth of what it stands for.

use std::time::Duration;

/// Buckets for each doubling.
const PARTS: usize = 8;
/// The last bucket begins at some 67 s.
const BUCKETS: usize = 24 * PARTS;
/// With fewer values than this beyond it, nothing is said of where a part of all ends: one odd value would move it.
const ENOUGH: u64 = 5;

/// Counts of times, in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    /// Microseconds of all of them together.
    sum: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), sum: 0 }
    }
}

impl Histogram {
    /// Counts one.
    pub fn add(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(micros)] += 1;
        self.sum = self.sum.saturating_add(micros);
    }

    /// Adds the counts of another one.
    pub fn join(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts[..]).for_each(|(own, other)| *own += other);
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// What was counted since an earlier state of the same one.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        let pairs = since.counts.iter_mut().zip(&earlier.counts[..]);
        pairs.for_each(|(own, earlier)| *own = own.saturating_sub(*earlier));
        since.sum = since.sum.saturating_sub(earlier.sum);
        since
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum)
    }

    /// For each doubling the time that those in it are below, and how many they are. The last one takes all that are left.
    pub fn doublings(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.counts.chunks(PARTS).enumerate().map(|(place, counts)| {
            let last = (place + 1) * PARTS - 1;
            let end =
                if last == BUCKETS - 1 { Duration::MAX } else { Duration::from_micros(end_of(last) + 1) };
            (end, counts.iter().sum())
        })
    }

    /// The time that this part of all did not exceed; nothing if there are too few to tell.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let total = self.total();
        let rank = (total as f64 * part).ceil() as u64;
        if total - rank.min(total) < ENOUGH {
            return None;
        }
        let mut counted = 0;
        let last = self.counts.iter().position(|count| {
            counted += count;
            counted >= rank
        });
        last.map(|last| Duration::from_micros(end_of(last)))
    }
}

/// The first doubling has a bucket for each microsecond.
fn bucket(micros: u64) -> usize {
    let micros = usize::try_from(micros).unwrap_or(usize::MAX);
    let doublings = (micros / PARTS).checked_ilog2().map_or(0, |log| log as usize);
    let part = (micros >> doublings) % PARTS;
    let first = if micros < PARTS { 0 } else { doublings + 1 };
    (first * PARTS + part).min(BUCKETS - 1)
}

/// The last microsecond of a bucket.
fn end_of(bucket: usize) -> u64 {
    let (first, part) = (bucket / PARTS, (bucket % PARTS) as u64);
    match first.checked_sub(1) {
        None => part,
        Some(doublings) => ((PARTS as u64 + part + 1) << doublings) - 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_ends_within_an_eighth_above_what_is_in_it(micros in 0..60_000_000_u64) {
            let end = end_of(bucket(micros));
            prop_assert!(end >= micros && end - micros <= micros / 8, "{micros} {end}");
        }
    }

    #[test]
    fn the_tail_is_told_when_there_are_enough() {
        let mut times = Histogram::default();
        (0..499).for_each(|_| times.add(Duration::from_millis(1)));
        assert_eq!(times.quantile(0.99), None);
        (0..5).for_each(|_| times.add(Duration::from_secs(1)));
        let p99 = times.quantile(0.99).expect("enough");
        assert!((1000..1150).contains(&p99.as_micros()), "{p99:?}");
        times.add(Duration::from_secs(1));
        let p99 = times.quantile(0.99).expect("enough");
        assert!((1000..1150).contains(&p99.as_millis()), "{p99:?}");
        assert_eq!(times.since(&times).quantile(0.5), None);
    }
}
