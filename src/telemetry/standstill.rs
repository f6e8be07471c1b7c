//! Time in which this process did not run: its machine was paused, moved to another host, or out of CPU.
//!
//! Nobody else stood still then. What we waited for may be there all along, but all timers are due before it is read; whoever
//! goes by them blames others for our own absence.

use std::mem;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tracing::warn;

/// To be woken less late than this is usual; who is woken later may not have run meanwhile.
pub const LATE: Duration = Duration::from_millis(100);
/// From here on it is worth a line, and what was timed meanwhile tells nothing.
const LONG: Duration = Duration::from_secs(1);

static STOOD_STILL: AtomicU64 = AtomicU64::new(0);
static LONG_STANDSTILLS: AtomicU32 = AtomicU32::new(0);

/// How long the process has not run so far, all in all, as far as that was noticed.
pub fn stood_still() -> Duration {
    Duration::from_micros(STOOD_STILL.load(Ordering::Relaxed))
}

/// How often it has not for so long that what was timed meanwhile tells nothing. Short standstills add up to nothing: each makes a
/// few answers a little later.
pub fn long_standstills() -> u32 {
    LONG_STANDSTILLS.load(Ordering::Relaxed)
}

/// Notices when the thread that has it comes to it too late without having computed anything meanwhile. It looks on without a gap:
/// a thread stands still wherever it is just then, and may have been put off its core when it woke another.
#[derive(Debug)]
pub struct Watchman {
    seen: Instant,
    computed: Duration,
}

impl Watchman {
    /// Looks on from here.
    pub fn begin() -> Self {
        Self { seen: Instant::now(), computed: computed() }
    }

    /// Since the last time it was to sleep for so long, once.
    pub fn look(&mut self, meant: Duration) {
        let Self { seen, computed } = mem::replace(self, Self::begin());
        let stood = stood(self.seen - seen, meant, self.computed.saturating_sub(computed));
        if stood.is_zero() {
            return;
        }
        STOOD_STILL.fetch_add(u64::try_from(stood.as_micros()).unwrap_or_default(), Ordering::Relaxed);
        if stood >= LONG {
            LONG_STANDSTILLS.fetch_add(1, Ordering::Relaxed);
            let seconds = stood.as_secs_f64();
            warn!(
                "did not run for {seconds:.1} s: paused, or out of CPU; no timeout or check counts that time"
            );
        }
    }
}

/// How long a thread did not run that came after so long, was to sleep for less, and computed so long before it came to this.
fn stood(passed: Duration, meant: Duration, computed: Duration) -> Duration {
    // Whoever was busy did run.
    let stood = passed.saturating_sub(meant).saturating_sub(computed);
    if stood < LATE { Duration::ZERO } else { stood }
}

/// How long this thread has computed.
fn computed() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_was_busy_or_woken_a_little_late_did_not_stand_still() {
        let [millis, tick] = [1, 100].map(Duration::from_millis);
        assert_eq!(stood(tick + 99 * millis, tick, Duration::ZERO), Duration::ZERO);
        assert_eq!(stood(30 * tick, tick, 29 * tick), Duration::ZERO);
        assert_eq!(stood(30 * tick, tick, 9 * tick), 20 * tick);
        assert_eq!(stood(tick / 2, tick, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn a_thread_that_slept_on_did() {
        let before = stood_still();
        let mut watchman = Watchman::begin();
        for _ in 0..2 {
            std::thread::sleep(LATE * 3);
            watchman.look(Duration::ZERO);
        }
        assert!(stood_still() - before >= LATE * 4);
    }
}
