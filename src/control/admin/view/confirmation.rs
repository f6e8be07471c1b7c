//! What came of a change that was watched.

use crate::control::api;
use crate::control::desk::{Desk, Verdict};

/// What came of the last change that was to be confirmed.
pub(in crate::control::admin) fn confirmation(desk: &Desk) -> api::Confirmation {
    let Some(confirmation) = desk.confirmation() else {
        return api::Confirmation { verdict: api::Verdict::None, revision: None, left: 0, reason: None };
    };
    let left = confirmation.lasts.saturating_sub(confirmation.began.elapsed()).as_secs();
    let (verdict, left, reason) = match confirmation.verdict {
        Verdict::Watching => (api::Verdict::Watching, left, None),
        Verdict::Kept => (api::Verdict::Kept, 0, None),
        Verdict::Overtaken => (api::Verdict::Overtaken, 0, None),
        Verdict::RolledBack(reason) => (api::Verdict::RolledBack, 0, Some(reason)),
        Verdict::Stuck(reason, error) => (api::Verdict::Stuck, 0, Some(format!("{reason}; but: {error}"))),
    };
    api::Confirmation { verdict, revision: Some(confirmation.revision), left, reason }
}
