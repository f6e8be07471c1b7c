//! What was counted in the last minute, for whoever wants to know how it was before a change.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::telemetry::Report;

/// Between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How far back it goes.
const KEPT: Duration = Duration::from_secs(60);

/// The last minute's counts.
#[derive(Debug, Default)]
pub(super) struct History(RefCell<VecDeque<(Instant, Report)>>);

impl History {
    /// Notes what has been counted up to now.
    pub(super) fn note(&self, now: Instant, report: Report) {
        let mut all = self.0.borrow_mut();
        all.push_back((now, report));
        // One that is older than all that is asked for is where the minute begins.
        while all.get(1).is_some_and(|(then, _)| now.duration_since(*then) >= KEPT) {
            all.pop_front();
        }
    }

    /// What was counted in the minute that ends with this report, or since the start.
    pub(super) fn minute(&self, report: &Report) -> Report {
        match self.0.borrow().front() {
            Some((_, earlier)) => report.since(earlier),
            None => report.since(&Report::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_and_no_more_is_remembered() {
        let (history, start) = (History::default(), Instant::now());
        let report = |count| {
            let mut report = Report::default();
            report.answers[2] = count;
            report
        };
        assert_eq!(history.minute(&report(7)).total(), 7);
        for seconds in (0..200).step_by(5) {
            history.note(start + Duration::from_secs(seconds), report(seconds * 10));
        }
        let minute = history.minute(&report(1950)).total();
        assert_eq!(minute, 600);
        assert!(history.0.borrow().len() <= 13);
    }
}
