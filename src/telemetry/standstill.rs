//! Time in which this process did not run: its machine was paused, moved to another host, or out of CPU.
//!
//! Nobody else stood still then. What we waited for may be there all along, but all timers are due before it is read; whoever
//! goes by them blames others for our own absence.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tracing::warn;

/// To be woken less late than this is usual.
const LATE: Duration = Duration::from_millis(100);
/// From here on it is worth a line.
const LONG: Duration = Duration::from_secs(1);

static STOOD_STILL: AtomicU64 = AtomicU64::new(0);

/// How long the process has not run so far, all in all, as far as that was noticed.
pub fn stood_still() -> Duration {
    Duration::from_micros(STOOD_STILL.load(Ordering::Relaxed))
}

/// Whether so much of it has come since then that what was timed meanwhile tells nothing.
pub fn has_stood_since(then: Duration) -> bool {
    stood_still().saturating_sub(then) >= LONG
}

/// Notices when the thread that has it is woken too late without having computed anything meanwhile.
#[derive(Debug)]
pub struct Watchman {
    slept: Instant,
    computed: Duration,
}

impl Watchman {
    /// To be called just before the thread sleeps.
    pub fn begin() -> Self {
        Self { slept: Instant::now(), computed: computed() }
    }

    /// It was to be woken after this time, and is.
    pub fn end(self, meant: Duration) {
        let late = self.slept.elapsed().saturating_sub(meant);
        if late < LATE {
            return;
        }
        // Whoever was busy did run.
        let stood = late.saturating_sub(computed().saturating_sub(self.computed));
        if stood < LATE {
            return;
        }
        STOOD_STILL.fetch_add(u64::try_from(stood.as_micros()).unwrap_or_default(), Ordering::Relaxed);
        if stood >= LONG {
            let seconds = stood.as_secs_f64();
            warn!(
                "did not run for {seconds:.1} s: paused, or out of CPU; no timeout or check counts that time"
            );
        }
    }
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
    fn a_thread_that_was_busy_did_not_stand_still() {
        let before = stood_still();
        let watchman = Watchman::begin();
        let began = computed();
        while computed() - began < LATE * 3 {
            std::hint::black_box(0);
        }
        // All but the time that others had the CPU.
        watchman.end(Duration::ZERO);
        assert!(!has_stood_since(before));
    }

    #[test]
    fn a_thread_that_slept_on_did() {
        let before = stood_still();
        let watchman = Watchman::begin();
        std::thread::sleep(LATE * 2);
        watchman.end(Duration::ZERO);
        assert!(stood_still() - before >= LATE);
    }
}
