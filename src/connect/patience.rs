//! How long we wait for others, without the time in which we did not listen ourselves.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::telemetry::LATE;

/// A wait is made of such steps, of which each counts for no more than it was meant to last.
const STEP: Duration = Duration::from_millis(250);
/// How often there is a step more for that: a machine that is always late is to come to an end, too.
const MOST_MORE: u32 = 4;

/// What is left of the time to wait for something that comes in parts.
#[derive(Debug)]
pub struct Patience {
    left: Duration,
    spent: Duration,
    more: u32,
}

impl Patience {
    /// So much in all.
    pub fn of(time: Duration) -> Self {
        Self { left: time, spent: Duration::ZERO, more: MOST_MORE }
    }

    /// What was counted so far.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.left
    }

    /// Waits; nothing if that took all that was left.
    pub async fn wait<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        loop {
            let (began, step) = (Instant::now(), self.left.min(STEP));
            let ended = timeout(step, &mut future).await;
            self.count(began.elapsed(), step);
            match ended {
                Ok(output) => return Some(output),
                Err(_) if self.left.is_zero() => return None,
                Err(_) => {}
            }
        }
    }

    /// A step took so long, which was to last for `meant` at most.
    fn count(&mut self, took: Duration, meant: Duration) {
        let counted = took.min(meant);
        self.spent += counted;
        self.left = self.left.saturating_sub(counted);
        // Whoever is woken late did not listen meanwhile: what was waited for may be there.
        if self.left.is_zero() && took >= meant + LATE && self.more > 0 {
            self.more -= 1;
            self.left = STEP;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn time_in_which_we_did_not_listen_is_not_counted() {
        let mut patience = Patience::of(500 * MILLI);
        patience.count(5000 * MILLI, 250 * MILLI);
        assert_eq!(patience.left(), 250 * MILLI);
        patience.count(100 * MILLI, 250 * MILLI);
        assert_eq!((patience.left(), patience.spent()), (150 * MILLI, 350 * MILLI));
    }

    #[test]
    fn after_the_last_of_it_there_is_time_to_look_but_not_for_ever() {
        let mut patience = Patience::of(100 * MILLI);
        patience.count(101 * MILLI, 100 * MILLI);
        assert!(patience.left().is_zero(), "it was on time");
        let mut patience = Patience::of(100 * MILLI);
        let mut steps = 0;
        while !patience.left().is_zero() {
            let step = patience.left().min(STEP);
            patience.count(step + 5000 * MILLI, step);
            steps += 1;
        }
        assert_eq!(steps, 1 + MOST_MORE);
        assert_eq!(patience.spent(), 100 * MILLI + MOST_MORE * STEP, "more than there was at first");
    }
}
