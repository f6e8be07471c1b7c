//! The least rate at which a client must send or take a body.
//!
//! Only time counts in which we wait for the client: a slow backend is not its fault. For that time it has a grace, and
//! then as long as its bytes would take at the least rate. Bytes that it takes count when the system takes them from us.

use std::cell::Cell;

use crate::config::Config;

use super::deadline::millis;

/// Milliseconds that a client may let us wait before its rate counts, but no more than half of what it may do without
/// any progress.
const GRACE: u64 = 5000;

/// What is asked of clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeastRate {
    bytes_per_second: u64,
    grace: u64,
}

impl LeastRate {
    /// What the settings ask, if anything.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let bytes_per_second = config.access.min_data_rate?.get();
        Some(Self { bytes_per_second, grace: GRACE.min(millis(config.timeouts.body) / 2) })
    }

    /// How long we may have waited for a client that sent or took so many bytes.
    fn allowance(self, bytes: u64) -> u64 {
        let millis = u128::from(bytes) * 1000 / u128::from(self.bytes_per_second);
        self.grace.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

/// The two bodies of one exchange.
#[derive(Debug, Default)]
pub(super) struct Paces {
    /// What is asked in it, if anything still is.
    least: Cell<Option<LeastRate>>,
    pub(super) up: Pace,
    pub(super) down: Pace,
}

/// One of them. Times are in milliseconds of the worker's clock.
#[derive(Debug, Default)]
pub(super) struct Pace {
    bytes: Cell<u64>,
    waited: Cell<u64>,
    /// Since when we have been waiting, if we are.
    since: Cell<Option<u64>>,
}

impl Paces {
    /// Another exchange begins, of which this is asked.
    pub(super) fn begin(&self, least: Option<LeastRate>) {
        self.least.set(least);
        self.up.reset();
        self.down.reset();
    }

    /// How much longer we may wait for the client, if we do.
    pub(super) fn left(&self, now: u64) -> Option<u64> {
        let least = self.least.get()?;
        let left = |pace: &Pace| {
            let waited = pace.waited.get() + now.saturating_sub(pace.since.get()?);
            Some(least.allowance(pace.bytes.get()).saturating_sub(waited))
        };
        left(&self.up).into_iter().chain(left(&self.down)).min()
    }
}

impl Pace {
    /// We wait for the client from now on, or no longer.
    pub(super) fn set_waiting(&self, waiting: bool, now: u64) {
        match (self.since.get(), waiting) {
            (None, true) => self.since.set(Some(now)),
            (Some(since), false) => {
                self.waited.set(self.waited.get() + now.saturating_sub(since));
                self.since.set(None);
            }
            _ => {}
        }
    }

    /// So much of the time that we have been waiting does not count.
    pub(super) fn give(&self, time: u64, now: u64) {
        self.since.set(self.since.get().map(|since| now.min(since + time)));
    }

    pub(super) fn add(&self, bytes: u64) {
        self.bytes.set(self.bytes.get() + bytes);
    }

    pub(super) fn reset(&self) {
        self.bytes.set(0);
        self.waited.set(0);
        self.since.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: LeastRate = LeastRate { bytes_per_second: 100, grace: 1000 };

    fn paces() -> Paces {
        let paces = Paces::default();
        paces.begin(Some(LEAST));
        paces
    }

    #[test]
    fn a_client_has_its_grace_and_the_time_that_its_bytes_would_take() {
        let paces = paces();
        assert_eq!(paces.left(0), None);
        paces.up.set_waiting(true, 500);
        assert_eq!((paces.left(500), paces.left(1400), paces.left(9999)), (Some(1000), Some(100), Some(0)));
        paces.up.set_waiting(false, 1400);
        paces.up.add(50);
        assert_eq!(paces.left(1400), None);
        paces.up.set_waiting(true, 1400);
        assert_eq!(paces.left(1400), Some(600));
    }

    #[test]
    fn time_in_which_somebody_else_is_waited_for_does_not_count() {
        let paces = paces();
        paces.down.set_waiting(true, 0);
        paces.down.set_waiting(false, 900);
        paces.down.set_waiting(true, 1_000_000);
        assert_eq!(paces.left(1_000_000), Some(100));
    }

    #[test]
    fn the_body_that_has_less_time_left_counts_and_each_exchange_begins_anew() {
        let paces = paces();
        paces.down.set_waiting(true, 0);
        paces.up.set_waiting(true, 300);
        assert_eq!(paces.left(400), Some(600));
        paces.begin(Some(LEAST));
        assert_eq!(paces.left(400), None);
        paces.up.add(u64::MAX);
        paces.up.set_waiting(true, 400);
        assert_eq!(paces.left(400), Some(u64::MAX));
        paces.begin(None);
        paces.up.set_waiting(true, 400);
        assert_eq!(paces.left(9999), None, "nothing is asked any more");
    }
}
