//! What happens often and is said seldom.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Between two lines about the same.
const EVERY: Duration = Duration::from_secs(10);

/// Counts what happens until it is said.
#[derive(Debug, Default)]
pub struct Seldom {
    count: Cell<u64>,
    said: Cell<Option<Instant>>,
}

impl Seldom {
    /// It happened once more.
    pub fn add(&self) {
        self.count.set(self.count.get() + 1);
    }

    /// How often it happened since it was said, if it did and it is time to say so.
    pub fn to_say(&self, now: Instant) -> Option<u64> {
        let is_soon = self.said.get().is_some_and(|said| now.duration_since(said) < EVERY);
        if self.count.get() == 0 || is_soon {
            return None;
        }
        self.said.set(Some(now));
        Some(self.count.take())
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
        seldom.add();
        assert_eq!(said(0), Some(1));
        (0..6).for_each(|_| seldom.add());
        assert_eq!([said(9), said(10), said(30)], [None, Some(6), None]);
    }
}
