//! Changes that are watched for a while, and taken back by themselves when things get worse.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::config::Loaded;
use crate::telemetry::{Report, long_standstills};

use super::desk::{Confirmation, Desk, Kept, Refusal, Turn, Verdict};
use super::vitals::Vitals;

/// How often it is looked whether things got worse.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How things were before a change.
pub(super) struct Before {
    settings: Loaded,
    /// For them to be able to come back.
    sources: Kept,
    count: Count,
    vitals: Vitals,
}

/// A count that begins at some time, looked at again and again.
struct Count {
    /// What had been counted before.
    before: Report,
    /// What had been when it was last looked at.
    last: Report,
    /// How often the process had stood still for long, at the last look but one and at the last one.
    standstills: [u32; 2],
    /// Of how much time nothing is compared.
    skipped: Duration,
}

impl Before {
    /// How they are now.
    pub(super) async fn now(desk: &Desk) -> Self {
        let standstills = [long_standstills(); 2];
        let (report, vitals) = desk.last_minute().await;
        let count = Count { before: report.clone(), last: report, standstills, skipped: Duration::ZERO };
        Self { settings: Loaded::clone(&desk.written()), sources: desk.keep_sources(), count, vitals }
    }
}

impl Count {
    /// What was counted by this report, a while after the last one, and whether what is seen now says something of the change.
    fn look(&mut self, report: Report, after: Duration) -> (Report, bool) {
        let standstills = long_standstills();
        // What was under way when the process stood still may have come to its end since, and others may have waited in vain.
        let is_skipped = standstills != self.standstills[0];
        if is_skipped {
            self.before.join(&report.since(&self.last));
            self.skipped += after;
        }
        self.standstills = [self.standstills[1], standstills];
        self.last = report;
        (self.last.since(&self.before), !is_skipped)
    }

    /// What is to be told of that time, if there was any.
    fn gap(&self) -> String {
        match self.skipped {
            Duration::ZERO => String::new(),
            skipped => {
                format!("; for {skipped:?} of that nothing was compared, as the process stood still")
            }
        }
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
    let Before { settings, sources, mut count, vitals } = before;
    let mut left = lasts;
    let worse = loop {
        // What it was meant to last counts: while nothing ran, nothing could get worse.
        let pause = left.min(LOOK_EVERY);
        sleep(pause).await;
        left -= pause;
        if desk.revision() != revision {
            break None;
        }
        let (since, says) = count.look(desk.report().await, pause);
        answers = since.total();
        let now = Vitals::of(since, &desk.registry().backends());
        let worse = now.worse_than(&vitals).filter(|_| says || left.is_zero());
        if worse.is_some() || left.is_zero() {
            break worse;
        }
    };
    let worse = worse.map(|worse| worse.to_string());
    let back = loop {
        let turn = desk.turn_to_take_back().await;
        let (verdict, back, may_pass) = match (&worse, turn) {
            _ if desk.revision() != revision => (Verdict::Overtaken, None, false),
            (None, _) => (Verdict::Kept, None, false),
            (Some(reason), turn) => match take_back(turn, &settings).await {
                Ok(back) => (Verdict::RolledBack(reason.clone()), Some(back), false),
                Err(error) => (Verdict::Stuck(reason.clone(), error.to_string()), None, error.may_pass()),
            },
        };
        // Of what stays as it is was told.
        if verdict != confirmation.verdict {
            confirmation.verdict = verdict;
            tell(&confirmation, answers, &count);
            desk.end_confirmation(confirmation.clone());
        }
        if !may_pass {
            break back;
        }
        sleep(LOOK_EVERY).await;
    };
    drop(sources);
    // To look that up may take its time.
    if let Some(back) = back
        && desk.files_say(&back).await
    {
        warn!("the files still say what was taken back: change them before they are read again");
    }
}

async fn take_back(turn: Result<Turn<'_>, Refusal>, settings: &Loaded) -> Result<Arc<Loaded>, Refusal> {
    turn?.take_back(settings.clone()).await
}

fn tell(Confirmation { verdict, lasts, .. }: &Confirmation, answers: u64, count: &Count) {
    match verdict {
        Verdict::Kept => {
            let gap = count.gap();
            info!("the change stays: nothing got worse in {lasts:?} and {answers} answers{gap}");
        }
        Verdict::Overtaken => info!("the change is no longer watched: the settings were changed again"),
        Verdict::Stuck(reason, error) => error!("the change should be taken back ({reason}), but: {error}"),
        Verdict::RolledBack(reason) => warn!("the change was taken back: {reason}"),
        Verdict::Watching => {}
    }
}
