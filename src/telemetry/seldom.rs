//! What happens often and is said seldom.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines about the same.
const EVERY: Duration = Duration::from_secs(10);

/// Counts what happens, in any thread, until it is said.
#[derive(Debug, Default)]
pub struct Seldom {
    count: AtomicU64,
    said: Mutex<Option<Instant>>,
}

impl Seldom {
    /// What has not happened yet.
    pub const fn new() -> Self {
        Self { count: AtomicU64::new(0), said: Mutex::new(None) }
    }

    /// It happened so many times more.
    pub fn add(&self, times: u64) {
        self.count.fetch_add(times, Ordering::Relaxed);
    }

    /// How often it happened since it was said, if it did: for who will not ask again.
    pub fn rest(&self) -> Option<u64> {
        Some(self.count.swap(0, Ordering::Relaxed)).filter(|count| *count > 0)
    }

    /// The same, if it is time to say so.
    pub fn to_say(&self, now: Instant) -> Option<u64> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_some_and(|said| now.duration_since(said) < EVERY) {
            return None;
        }
        // Another thread may have said it since.
        let count = self.rest();
        *said = count.map(|_| now).or(*said);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_often_is_said_at_once_and_then_once_in_a_while() {
        let (seldom, begin) = (Seldom::default(), Instant::now());
        let said = |after: u64| seldom.to_say(begin + Duration::from_secs(after));
        assert_eq!(said(0), None);
        seldom.add(1);
        assert_eq!(said(0), Some(1));
        (0..6).for_each(|_| seldom.add(1));
        assert_eq!([said(9), said(10), said(30)], [None, Some(6), None]);
        seldom.add(1);
        assert_eq!([said(11), seldom.rest(), seldom.rest()], [None, Some(1), None]);
    }
}
