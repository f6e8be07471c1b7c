//! Which reasons for that a backend is down were said.

use std::time::{Duration, Instant};

use super::Evidence;

/// So many are said as soon as they are found.
const MOST_AT_ONCE: usize = 8;
/// One that was said before, or is one too many, is said after so long, if the last one said was another.
const PAUSE: Duration = Duration::from_mins(10);

/// The reasons that were said since a backend is down, so that the log has the one that holds, however they come and go.
#[derive(Clone, Debug, Default)]
pub(super) struct Reasons {
    /// Each once, the last one last.
    said: Vec<String>,
    last: Option<Instant>,
}

impl Reasons {
    /// Whether this is to be said now.
    pub(super) fn is_news(&mut self, found: &Evidence, now: Instant) -> bool {
        let finding = found.finding();
        if self.said.last() == Some(&finding) {
            return false;
        }
        let place = self.said.iter().position(|said| *said == finding);
        let is_one_more = place.is_none() && self.said.len() < MOST_AT_ONCE;
        if !is_one_more && self.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            return false;
        }
        if !is_one_more {
            self.said.remove(place.unwrap_or(0));
        }
        self.said.push(finding);
        self.last = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    fn answered(status: u16, milliseconds: u64) -> Evidence {
        let status = StatusCode::from_u16(status).expect("a status");
        Evidence::Unwanted(status, Duration::from_millis(milliseconds), "2xx".into())
    }

    #[test]
    fn a_reason_is_said_once_however_long_the_answer_takes() {
        let (mut reasons, now) = (Reasons::default(), Instant::now());
        assert!(reasons.is_news(&Evidence::Refused, now));
        assert!(reasons.is_news(&answered(302, 1), now));
        for milliseconds in [1, 2, 30] {
            assert!(!reasons.is_news(&answered(302, milliseconds), now + 2 * PAUSE));
        }
        assert!(reasons.is_news(&answered(503, 1), now));
    }

    #[test]
    fn what_the_process_before_found_is_not_said_again() {
        for found in [answered(302, 20), Evidence::Refused] {
            let (mut reasons, now) = (Reasons::default(), Instant::now());
            let before = Evidence::Before(answered(302, 1).finding().into());
            assert!(reasons.is_news(&before, now));
            assert_eq!(reasons.is_news(&found, now), found == Evidence::Refused);
        }
    }

    #[test]
    fn one_that_comes_and_goes_is_said_now_and_then_and_the_log_has_the_one_that_holds() {
        let (mut reasons, now) = (Reasons::default(), Instant::now());
        let mut said = 0;
        for second in 0..3600 {
            let found = if second % 2 == 0 { Evidence::Refused } else { answered(302, second) };
            said += u32::from(reasons.is_news(&found, now + Duration::from_secs(second)));
        }
        assert_eq!(said, 7);
        let mut at = |found, seconds| reasons.is_news(&found, now + Duration::from_secs(seconds));
        assert!(!at(answered(302, 1), 3600), "the other one was said at 3006");
        assert!(at(answered(302, 1), 3700));
    }

    #[test]
    fn many_reasons_are_not_all_said_at_once_and_not_all_kept() {
        let (mut reasons, now) = (Reasons::default(), Instant::now());
        let said = (400..500).filter(|status| reasons.is_news(&answered(*status, 1), now)).count();
        assert_eq!((said, reasons.said.len()), (MOST_AT_ONCE, MOST_AT_ONCE));
        assert!(reasons.is_news(&answered(500, 1), now + PAUSE));
        assert_eq!(reasons.said.len(), MOST_AT_ONCE);
    }
}
