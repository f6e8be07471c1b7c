//! What one worker counts of its requests: plain numbers that nobody else touches. Who wants to know asks the worker.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::histogram::Histogram;
use super::recent::Recent;

/// Requests of each tick of the worker's clock that are timed and kept. So a worker with few looks at all of them, and one
/// with many is not slowed.
const LOOKS: u32 = 8;

/// Where answers with this status are counted, by its first digit: RFC 9110 section 15 has those of 600 and more treated as if they were
/// of 5xx.
pub fn class_of(status: u16) -> usize {
    usize::from(status / 100).min(5)
}

/// One worker's counts since it started.
#[derive(Debug, Default)]
pub struct Tally {
    /// By the first digit of the status.
    answers: [Cell<u64>; 6],
    broken_off: Cell<u64>,
    handshakes_failed: Cell<u64>,
    failures: RefCell<Failures>,
    times: RefCell<Histogram>,
    recent: RefCell<Recent>,
    tick: Cell<u64>,
    looks: Cell<u32>,
}

/// How often requests failed, by the reason: a list that is as long as there are reasons at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures(Vec<(&'static str, u64)>);

/// What a worker says when it is asked, or several of them together.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Answers by the first digit of their status, since the start.
    pub answers: [u64; 6],
    /// Those of them that began well and did not come to their end by the fault of a backend.
    pub broken_off: u64,
    /// Handshakes of TLS with clients that came to nothing.
    pub handshakes_failed: u64,
    /// Requests that did not end as their clients wished, by the reason.
    pub failures: Failures,
    /// How long those that were looked at took, from the end of a request's head to the head of its answer: what comes
    /// after, a client may take as slowly as it likes, and a tunnel lasts for hours.
    pub times: Histogram,
}

impl Tally {
    /// Whether a request that begins at this tick of the clock is looked at.
    pub fn looks(&self, tick: u64) -> bool {
        if self.tick.replace(tick) != tick {
            self.looks.set(0);
        }
        let looks = self.looks.get();
        self.looks.set(looks.saturating_add(1));
        looks < LOOKS
    }

    /// The requests that were looked at.
    pub fn recent(&self) -> &RefCell<Recent> {
        &self.recent
    }

    /// A client got an answer with this status, or was refused without one for what has this status.
    pub fn answered(&self, status: u16) {
        let count = &self.answers[class_of(status)];
        count.set(count.get() + 1);
    }

    /// An answer that began well did not come to its end, and its backend is to blame.
    pub fn broke_off(&self) {
        self.broken_off.set(self.broken_off.get() + 1);
    }

    /// A client did not come to speak TLS with us, or not in time.
    pub fn handshake_failed(&self) {
        self.handshakes_failed.update(|count| count + 1);
    }

    /// A request did not end as its client wished, for this reason, which is one of few.
    pub fn failed(&self, reason: &'static str) {
        self.failures.borrow_mut().add(reason, 1);
    }

    /// A request that was looked at is answered, or nobody waits for its answer any more.
    pub fn took(&self, began: Instant) {
        self.times.borrow_mut().add(began.elapsed());
    }

    /// All that was counted.
    pub fn report(&self) -> Report {
        Report {
            answers: self.answers.each_ref().map(Cell::get),
            broken_off: self.broken_off.get(),
            handshakes_failed: self.handshakes_failed.get(),
            failures: self.failures.borrow().clone(),
            times: self.times.borrow().clone(),
        }
    }
}

impl Failures {
    /// How often it was for this reason.
    pub fn of(&self, reason: &str) -> u64 {
        let known = self.0.iter().find(|(known, _)| *known == reason);
        known.map_or(0, |(_, count)| *count)
    }

    fn add(&mut self, reason: &'static str, count: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, known)) => *known += count,
            None => self.0.push((reason, count)),
        }
    }

    fn since(&self, earlier: &Self) -> Self {
        let since =
            |(reason, count): &(&'static str, u64)| (*reason, count.saturating_sub(earlier.of(reason)));
        Self(self.0.iter().map(since).collect())
    }
}

impl Report {
    /// Adds what another worker says.
    pub fn join(&mut self, other: &Self) {
        for (own, other) in self.answers.iter_mut().zip(other.answers) {
            *own += other;
        }
        self.broken_off += other.broken_off;
        self.handshakes_failed += other.handshakes_failed;
        other.failures.0.iter().for_each(|(reason, count)| self.failures.add(reason, *count));
        self.times.join(&other.times);
    }

    /// What was counted since an earlier report of the same workers.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut answers = self.answers;
        for (own, earlier) in answers.iter_mut().zip(earlier.answers) {
            *own = own.saturating_sub(earlier);
        }
        Self {
            answers,
            broken_off: self.broken_off.saturating_sub(earlier.broken_off),
            handshakes_failed: self.handshakes_failed.saturating_sub(earlier.handshakes_failed),
            failures: self.failures.since(&earlier.failures),
            times: self.times.since(&earlier.times),
        }
    }

    /// How many answers there were.
    pub fn total(&self) -> u64 {
        self.answers.iter().sum()
    }

    /// The part of the answers whose status is 500 or more, or that broke off by the fault of a backend, from 0 to 1.
    pub fn failed(&self) -> f64 {
        let failed = self.answers[5] + self.broken_off;
        match self.total() {
            0 => 0.0,
            // What breaks off may have begun before what is counted here.
            total => failed.min(total) as f64 / total as f64,
        }
    }

    /// The time that 99 of 100 of those that were looked at did not exceed, if there were enough to tell.
    pub fn p99(&self) -> Option<Duration> {
        self.times.quantile(0.99)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_tick_the_first_few_requests_are_looked_at() {
        let tally = Tally::default();
        let looks = |tick| (0..20).filter(|_| tally.looks(tick)).count();
        assert_eq!([looks(1), looks(1), looks(2)], [8, 0, 8]);
    }

    #[test]
    fn what_was_counted_since_an_earlier_report_is_told() {
        let tally = Tally::default();
        tally.answered(200);
        let earlier = tally.report();
        for status in [200, 204, 503, 499] {
            tally.answered(status);
        }
        let since = || tally.report().since(&earlier);
        assert_eq!(since().answers, [0, 0, 2, 0, 1, 1]);
        assert_eq!((since().total(), since().failed()), (4, 0.25));
        for failed in [0.5, 0.75, 1.0, 1.0] {
            tally.broke_off();
            assert_eq!(since().failed(), failed);
        }
        assert_eq!(since().p99(), None);
    }
}
