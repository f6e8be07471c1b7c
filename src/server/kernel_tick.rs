//! The kernel's timer tick, which goes on while a worker sleeps for a moment only.
//!
//! A core with nothing to do has no tick: Linux stops it, and starts it again with the next work. Both set a timer, which a
//! virtual machine must ask its host for, and with few clients a worker sleeps twice for each request. But Linux stops no tick
//! on a core whose RCU has memory to free, such as that of a closed socket, which takes it a few ticks.

use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicI64, Ordering};

use nix::sys::resource::{UsageWho, getrusage};
use rustix::time::{ClockId, clock_gettime};

/// Who slept so many times since it last was asked, in an earlier tick, will sleep again soon, and not for long.
const OFTEN: i64 = 4;

/// What a worker's runtime is to do whenever it has nothing more to do: once in each tick, if it sleeps often, give the core
/// memory to free.
pub fn keep_kernel_tick() -> impl Fn() + Send + Sync + 'static {
    let worker = Sleeper::default();
    move || {
        if worker.sleeps_often(now(), slept) {
            // If there is no room for it, the tick stops, as it would have.
            drop(UnixDatagram::unbound());
        }
    }
}

/// When a thread was last asked how often it had slept, and what it said.
#[derive(Debug, Default)]
struct Sleeper {
    asked: AtomicI64,
    slept: AtomicI64,
}

impl Sleeper {
    /// Whether it has slept often since it was last asked. It is asked but once in each tick.
    fn sleeps_often(&self, now: i64, slept: impl FnOnce() -> i64) -> bool {
        // Nobody else asks, so nothing comes between.
        if self.asked.load(Ordering::Relaxed) == now {
            return false;
        }
        self.asked.store(now, Ordering::Relaxed);
        let slept = slept();
        slept - self.slept.swap(slept, Ordering::Relaxed) >= OFTEN
    }
}

/// Nanoseconds by a clock that moves on with the tick, and is read without calling the system.
fn now() -> i64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// How often this thread has slept so far. Who waits and finds more to do at once does not sleep.
fn slept() -> i64 {
    getrusage(UsageWho::RUSAGE_THREAD).map_or(0, |usage| usage.voluntary_context_switches())
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_sleeps_often_is_known_once_in_each_tick() {
        let (worker, tick) = (Sleeper::default(), 4_000_000);
        assert!(!worker.sleeps_often(tick, || 0));
        assert!(!worker.sleeps_often(tick, || 80));
        assert!(worker.sleeps_often(2 * tick, || 80));
        assert!(!worker.sleeps_often(2 * tick, || 160), "it was asked in this tick");
        assert!(!worker.sleeps_often(14 * tick, || 81), "an idle worker leaves the core alone");
        assert!(worker.sleeps_often(15 * tick, || 85));
    }

    #[test]
    fn the_system_counts_how_often_a_thread_sleeps() {
        let before = slept();
        (0..OFTEN).for_each(|_| sleep(Duration::from_millis(1)));
        assert!(slept() - before >= OFTEN);
    }
}
