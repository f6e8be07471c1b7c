//! The waker that drives a connection to a backend.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Remember wake-ups for whoever uses the connection next.
const REMEMBER: u8 = 0;
/// Ignore wake-ups: we cause them, and drive the connection anyway before we wait.
const IGNORE: u8 = 1;
/// Pass wake-ups on to the task that waits.
const PASS_ON: u8 = 2;

/// Passes wake-ups on to the task that uses a connection, but only while that task waits. Without it, taking an
/// answer's body would schedule the task that takes it once more for nothing, at each request.
///
/// All calls come from one worker's thread; the atomics and the uncontended lock are what [`Wake`] asks for.
#[derive(Debug, Default)]
pub(super) struct Relay {
    mode: AtomicU8,
    called: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Relay {
    /// From now on wake-ups go to this task.
    pub(super) fn pass_on_to(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            *task = Some(waker.clone());
        }
        self.pass_on();
    }

    /// From now on wake-ups go to the task that was told last.
    pub(super) fn pass_on(&self) {
        self.mode.store(PASS_ON, Ordering::Relaxed);
    }

    /// From now on wake-ups are remembered.
    pub(super) fn remember(&self) {
        self.mode.store(REMEMBER, Ordering::Relaxed);
    }

    /// From now on wake-ups are ignored.
    pub(super) fn ignore(&self) {
        self.mode.store(IGNORE, Ordering::Relaxed);
    }

    /// Wakes the task that was told last.
    pub(super) fn call(&self) {
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.wake_by_ref();
        }
    }

    /// Whether a wake-up was remembered since last asked.
    pub(super) fn was_called(&self) -> bool {
        self.called.load(Ordering::Relaxed) && self.called.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match self.mode.load(Ordering::Relaxed) {
            IGNORE => {}
            PASS_ON => self.call(),
            _ => self.called.store(true, Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Task(AtomicBool);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_task_is_woken_only_while_it_waits_and_what_happens_meanwhile_is_remembered() {
        let (relay, task) = (Arc::new(Relay::default()), Arc::new(Task::default()));
        let waker = Waker::from(Arc::clone(&relay));
        relay.pass_on_to(&Waker::from(Arc::clone(&task)));
        relay.ignore();
        waker.wake_by_ref();
        assert!(!relay.was_called() && !task.0.load(Ordering::Relaxed));
        relay.remember();
        waker.wake_by_ref();
        assert!(relay.was_called() && !relay.was_called() && !task.0.load(Ordering::Relaxed));
        relay.pass_on_to(&Waker::from(Arc::clone(&task)));
        waker.wake_by_ref();
        assert!(task.0.load(Ordering::Relaxed));
    }
}
