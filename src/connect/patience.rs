//! How long we wait for others, without the time in which we did not run ourselves.
//!
//! A machine that is paused, moved to another host or out of CPU stops us and the clock of nobody else. What we waited for
//! may be there all along, but all timers are due first; whoever goes by them takes healthy backends for dead.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::timeout;

/// Whoever is woken so much too late has not run meanwhile.
const STALL: Duration = Duration::from_secs(1);
/// A wait is made of such steps, for each of which a stall is looked for.
const STEP: Duration = Duration::from_millis(250);

/// What is left of the time to wait for something that comes in parts.
pub struct Patience {
    left: Duration,
}

impl Patience {
    /// So much in all.
    pub fn of(time: Duration) -> Self {
        Self { left: time }
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
            self.left -= charged(began.elapsed(), step).min(self.left);
            match ended {
                Ok(output) => return Some(output),
                Err(_) if self.left.is_zero() => return None,
                Err(_) => {}
            }
        }
    }
}

/// How much is laid to others' charge of a wait that was meant to last so long, and took so long.
pub fn charged(took: Duration, meant: Duration) -> Duration {
    match took.saturating_sub(meant) >= STALL {
        true => Duration::ZERO,
        false => took,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_we_did_not_run_counts_for_nothing() {
        let millis = Duration::from_millis;
        assert_eq!(charged(millis(251), millis(250)), millis(251));
        assert_eq!(charged(millis(1249), millis(250)), millis(1249));
        assert_eq!(charged(millis(1250), millis(250)), Duration::ZERO);
        assert_eq!(charged(millis(90), millis(250)), millis(90));
    }
}
