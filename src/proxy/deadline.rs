//! Deadlines that cost a store, not a timer.
//!
//! Each worker has one coarse clock, moved on by a tick. A connection owns one [`Alarm`], and each step of a request
//! sets it anew; the tick looks through all alarms and wakes the tasks of those that are due. So a deadline is never
//! early and at most two ticks late, which is what a proxy's timeouts need, and setting one touches no lock. Workers
//! need no timers at all, which spares each of their sleeps a look at the system's clock. Time in which the process did
//! not run does not pass on this clock: it was nobody's fault. Only its age goes on, for what others do not wait with.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use slab::Slab;

use crate::telemetry::{LATE, stood_still};

/// A point of the worker's clock that never comes.
const NEVER: u64 = u64::MAX;

/// One worker's coarse clock, in milliseconds that it has run, and the alarms set on it.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    /// How long the machine had been up.
    made: Duration,
    ticked: Cell<Instant>,
    /// How long the process had stood still before.
    stood_still: Duration,
    now: Cell<u64>,
    /// What the last step was longer than may count at once.
    over: Cell<u64>,
    /// What was so and no standstill of the process: only this worker did not run, or nobody gave it a tick.
    lost: Cell<u64>,
    age: Cell<u64>,
    tick: Cell<u64>,
    alarms: RefCell<Slab<Entry>>,
}

#[derive(Debug)]
struct Entry {
    due: u64,
    waker: Option<Waker>,
}

/// One connection's deadline.
#[derive(Debug)]
pub struct Alarm {
    clock: Rc<Clock>,
    key: usize,
}

impl Clock {
    /// A clock that is moved on every `tick` milliseconds.
    pub fn with_tick(tick: u64) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            made: uptime(),
            ticked: Cell::new(now),
            stood_still: stood_still(),
            now: Cell::new(0),
            over: Cell::new(0),
            lost: Cell::new(0),
            age: Cell::new(0),
            tick: Cell::new(tick),
            alarms: RefCell::default(),
        }
    }

    /// It is moved on at other intervals from now on.
    pub fn set_tick(&self, tick: u64) {
        self.tick.set(tick);
    }

    /// Waits for so many milliseconds, or a little longer.
    pub async fn sleep(self: &Rc<Self>, millis: u64) {
        let alarm = Alarm::on(self);
        alarm.set(millis);
        poll_fn(|cx| match alarm.is_due() {
            true => Poll::Ready(()),
            false => {
                alarm.wakes(cx.waker());
                Poll::Pending
            }
        })
        .await;
    }

    /// The time of the last tick, in milliseconds.
    pub fn now(&self) -> u64 {
        self.now.get()
    }

    /// When so many milliseconds have passed from now on for certain: the last tick may be a whole one ago.
    pub(super) fn after(&self, millis: u64) -> u64 {
        self.now.get().saturating_add(millis).saturating_add(self.tick.get())
    }

    /// How long there was this clock at its last tick, in milliseconds: for others, time passes while the process does not run or
    /// its machine is suspended.
    pub fn age(&self) -> u64 {
        self.age.get()
    }

    /// The time of the last tick, for what several workers share.
    pub fn instant(&self) -> Instant {
        self.ticked.get()
    }

    /// Whether it was moved on late, or should have been long ago: the process has not run, or was too busy.
    pub fn is_late(&self) -> bool {
        self.over.get() > 0 || millis(self.ticked.get().elapsed()) > self.most()
    }

    /// By how much a step may move it on.
    fn most(&self) -> u64 {
        self.tick.get() + millis(LATE)
    }

    /// Moves the clock on and wakes the tasks whose alarm is due.
    pub fn advance(&self) {
        self.age.set(millis(uptime().saturating_sub(self.made)));
        self.step(Instant::now(), stood_still());
        let now = self.now.get();
        let alarms = self.alarms.borrow();
        let due = alarms.iter().filter(|(_, entry)| entry.due <= now);
        due.filter_map(|(_, entry)| entry.waker.as_ref()).for_each(Waker::wake_by_ref);
    }

    /// Moves it on to this moment, before which the process had stood still for so long in all.
    fn step(&self, at: Instant, stood_still: Duration) {
        let step = millis(at.saturating_duration_since(self.ticked.replace(at)));
        let ran = at.saturating_duration_since(self.started).saturating_sub(stood_still - self.stood_still);
        let ahead = millis(ran).saturating_sub(self.now.get() + self.lost.get());
        // A standstill in the step before is known by now. What is left of it was lost: whoever is waited for has not had that time,
        // and the next steps must not make up for it.
        let lost = ahead.saturating_sub(step).min(self.over.get());
        self.lost.update(|all| all + lost);
        // Of this step it is not known yet, so only a little of it counts.
        let counts = (ahead - lost).min(self.most());
        self.over.set(ahead - lost - counts);
        self.now.update(|now| now + counts);
    }

    /// Wakes all tasks that own an alarm, and tells how many.
    pub fn wake_all(&self) -> usize {
        let alarms = self.alarms.borrow();
        let wakers = alarms.iter().filter_map(|(_, entry)| entry.waker.as_ref());
        wakers.map(Waker::wake_by_ref).count()
    }

    /// Gives memory back after many connections have gone.
    pub fn shrink(&self) {
        self.alarms.borrow_mut().shrink_to_fit();
    }
}

impl Alarm {
    /// An alarm that is not set.
    pub fn on(clock: &Rc<Clock>) -> Self {
        let key = clock.alarms.borrow_mut().insert(Entry { due: NEVER, waker: None });
        Self { clock: Rc::clone(clock), key }
    }

    /// The task to wake when it is due. To be said again by each task that takes the alarm over.
    pub fn wakes(&self, waker: &Waker) {
        if let Some(entry) = self.clock.alarms.borrow_mut().get_mut(self.key) {
            entry.waker = Some(waker.clone());
        }
    }

    /// Makes the running task the one to wake.
    pub async fn wakes_me(&self) {
        poll_fn(|cx| {
            self.wakes(cx.waker());
            Poll::Ready(())
        })
        .await;
    }

    /// It is not to be due any more, until it is set.
    pub fn clear(&self) {
        if let Some(entry) = self.clock.alarms.borrow_mut().get_mut(self.key) {
            entry.due = NEVER;
        }
    }

    /// Sets it to so many milliseconds from now, in place of what it was set to.
    pub fn set(&self, millis: u64) {
        let due = self.clock.after(millis);
        if let Some(entry) = self.clock.alarms.borrow_mut().get_mut(self.key) {
            entry.due = due;
        }
    }

    /// Sets it to so many milliseconds from now, unless it is due before that.
    pub fn tighten(&self, millis: u64) {
        let due = self.clock.after(millis);
        if let Some(entry) = self.clock.alarms.borrow_mut().get_mut(self.key) {
            entry.due = entry.due.min(due);
        }
    }

    /// Whether its time has come.
    pub fn is_due(&self) -> bool {
        self.clock.alarms.borrow().get(self.key).is_some_and(|entry| entry.due <= self.clock.now.get())
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clock.alarms.borrow_mut().try_remove(self.key);
    }
}

/// How long the machine is up, with the time for which it was suspended.
fn uptime() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// What the workers' clocks count.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(clock: &Clock, now: u64) {
        clock.now.set(now);
    }

    #[test]
    fn an_alarm_is_never_early_and_at_most_a_tick_late() {
        let clock = Rc::new(Clock::with_tick(100));
        let alarm = Alarm::on(&clock);
        assert!(!alarm.is_due());
        alarm.set(1000);
        at(&clock, 1000);
        assert!(!alarm.is_due(), "the clock may have been a tick behind when it was set");
        at(&clock, 1100);
        assert!(alarm.is_due());
        alarm.set(1000);
        assert!(!alarm.is_due());
    }

    #[test]
    fn what_has_so_much_time_has_it_though_the_clock_may_be_a_tick_behind() {
        let clock = Rc::new(Clock::with_tick(100));
        at(&clock, 500);
        assert_eq!(clock.after(1000), 1600);
    }

    /// Where a clock is that ticks each 100 ms behind each of these steps: how long it is, and how long the process is known to have
    /// stood still by then, in all.
    fn after(steps: &[(u64, u64)]) -> Vec<u64> {
        let clock = Clock::with_tick(100);
        let (mut at, stood_before) = (clock.started, clock.stood_still);
        let step = |&(step, stood)| {
            at += Duration::from_millis(step);
            clock.step(at, stood_before + Duration::from_millis(stood));
            clock.now()
        };
        steps.iter().map(step).collect()
    }

    #[test]
    fn what_a_worker_was_late_itself_is_not_made_up_for() {
        assert_eq!(after(&[(100, 0), (8000, 0), (100, 0), (100, 0)]), [100, 300, 400, 500]);
        assert_eq!(after(&[(8000, 0), (8000, 0), (150, 0), (100, 0)]), [200, 400, 550, 650]);
    }

    #[test]
    fn a_standstill_does_not_count_whether_it_is_known_at_once_or_a_tick_later() {
        assert_eq!(after(&[(100, 0), (8000, 7900), (100, 7900)]), [100, 200, 300]);
        assert_eq!(after(&[(100, 0), (8000, 0), (100, 7900), (100, 7900)]), [100, 300, 300, 400]);
        // The worker stood still for longer than the process is known to have.
        assert_eq!(after(&[(100, 0), (8000, 0), (100, 5000), (100, 5000)]), [100, 300, 400, 500]);
    }
}
