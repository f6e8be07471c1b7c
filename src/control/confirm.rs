//! Changes that are watched for a while, and taken back by themselves when things get worse.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::config::Loaded;
use crate::telemetry::{Report, has_stood_since, stood_still};

use super::desk::{Confirmation, Desk, Verdict};
use super::guard::Vitals;

/// How often it is looked whether things got worse.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How things were before a change.
pub(super) struct Before {
    settings: Loaded,
    report: Report,
    vitals: Vitals,
}

impl Before {
    /// How they are now.
    pub(super) async fn now(desk: &Desk) -> Self {
        let (report, vitals) = desk.last_minute().await;
        Self { settings: Loaded::clone(&desk.written()), report, vitals }
    }
}

/// Watches a change that was just made, and takes it back when things get worse than they were before.
pub(super) fn watch(desk: Rc<Desk>, before: Before, lasts: Duration) -> impl Future<Output = ()> {
    let revision = desk.revision();
    let confirmation = Confirmation { revision, began: Instant::now(), lasts, verdict: Verdict::Watching };
    desk.begin_confirmation(confirmation.clone());
    info!("the change is watched for {lasts:?}: it is taken back if things get worse");
    look_after(desk, before, confirmation)
}

async fn look_after(desk: Rc<Desk>, before: Before, mut confirmation: Confirmation) {
    let Confirmation { revision, lasts, .. } = confirmation;
    let mut answers = 0;
    let Before { settings, report, vitals } = before;
    let (mut left, stood) = (lasts, stood_still());
    let worse = loop {
        // What it was meant to last counts: while nothing ran, nothing could get worse.
        let pause = left.min(LOOK_EVERY);
        sleep(pause).await;
        left -= pause;
        if desk.revision() != revision {
            break None;
        }
        let mut since = desk.report().await.since(&report);
        if has_stood_since(stood) {
            since.forget_times();
        }
        answers = since.total();
        let worse = Vitals::of(since, &desk.registry().backends()).worse_than(&vitals);
        if worse.is_some() || left.is_zero() {
            break worse;
        }
    };
    let turn = desk.turn().await;
    let mut back = None;
    confirmation.verdict = match (worse.map(|worse| worse.to_string()), turn) {
        _ if desk.revision() != revision => Verdict::Overtaken,
        (None, _) => Verdict::Kept,
        (Some(reason), Ok(turn)) => match turn.take_back(settings).await {
            Ok(taken) => {
                back = Some(taken);
                Verdict::RolledBack(reason)
            }
            Err(error) => Verdict::Stuck(reason, error.to_string()),
        },
        (Some(reason), Err(refusal)) => Verdict::Stuck(reason, refusal.to_string()),
    };
    match &confirmation.verdict {
        Verdict::Kept => info!("the change stays: nothing got worse in {lasts:?} and {answers} answers"),
        Verdict::Overtaken => info!("the change is no longer watched: the settings were changed again"),
        Verdict::Stuck(reason, error) => error!("the change should be taken back ({reason}), but: {error}"),
        Verdict::RolledBack(reason) => warn!("the change was taken back: {reason}"),
        Verdict::Watching => {}
    }
    desk.end_confirmation(confirmation);
    // To look that up may take its time.
    if let Some(back) = back
        && desk.files_say(&back).await
    {
        warn!("the files still say what was taken back: change them before they are read again");
    }
}
