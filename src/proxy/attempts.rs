//! How far one request is tried: its client waits for all attempts.

use super::Error;
use super::course::Forward;
use super::forward::{Asked, Failure};

/// Backends that may take all of the time for a connection; nobody saw the request meanwhile.
const MOST_TIMEOUTS: u32 = 3;
/// Backends that may say over HTTP/2 that they have not begun to act upon it: they have too much to do, or it ends their connections.
const MOST_REFUSALS: u32 = 3;

/// What came of a request's attempts.
pub(super) struct Attempts {
    left: u32,
    timeouts: u32,
    refusals: u32,
}

impl Attempts {
    /// None yet.
    pub(super) fn of(course: &Forward<'_>) -> Self {
        Self { left: course.most_sends, timeouts: 0, refusals: 0 }
    }

    /// A backend saw it. Tells whether another one may.
    pub(super) fn seen(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    /// One failed. Tells whether another backend may be tried, with what is asked from now on.
    pub(super) fn failed(&mut self, failure: &Failure, asked: &mut Asked) -> bool {
        self.timeouts += u32::from(matches!(failure.error, Error::ConnectTimeout));
        self.refusals += u32::from(failure.is_refusal());
        asked.connects &= !failure.error.is_want_of_files();
        let may_be_tried = self.timeouts < MOST_TIMEOUTS && self.refusals < MOST_REFUSALS;
        (!failure.seen || self.seen()) && may_be_tried
    }
}
