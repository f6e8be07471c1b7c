//! What comes of a change that is watched, for who waits for it.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::control::api::{Confirmation, Verdict};

use super::RemoteError;
use super::caller::Caller;
use crate::cli::exit::{FAILED, INTERRUPTED, OTHERWISE};

/// Between two questions.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// Beyond the time for which a change is watched: for it to be looked at once more, and to be taken back, be it at another try.
const GRACE: Duration = Duration::from_secs(30);

/// What came of a change, as far as it is known.
pub(super) enum Fate {
    /// It stays.
    Kept,
    /// It was taken back, for this reason.
    TakenBack(String),
    /// It is to be taken back, and could not be yet.
    Stuck(String),
    /// It is another one's turn.
    Overtaken,
    /// Nobody waits for it any more.
    Left,
    /// It is not known, so long after it was made.
    Unknown(Duration),
    /// Whoever watches it cannot be asked any more.
    Lost(String),
}

impl Fate {
    /// The exit status, unless all is well.
    pub(super) fn code(&self) -> Option<u8> {
        match self {
            Self::Kept => None,
            Self::TakenBack(_) => Some(OTHERWISE),
            Self::Stuck(_) | Self::Overtaken | Self::Unknown(_) | Self::Lost(_) => Some(FAILED),
            Self::Left => Some(INTERRUPTED),
        }
    }

    /// What a verdict on the settings of this revision says, if it is final.
    fn of(confirmation: &Confirmation, revision: u64) -> Option<Self> {
        let reason = || confirmation.reason.clone().unwrap_or_default();
        match confirmation.verdict {
            _ if confirmation.revision != Some(revision) => Some(Self::Overtaken),
            Verdict::Watching => None,
            Verdict::Kept => Some(Self::Kept),
            Verdict::RolledBack => Some(Self::TakenBack(reason())),
            Verdict::Stuck => Some(Self::Stuck(reason())),
            Verdict::None | Verdict::Overtaken => Some(Self::Overtaken),
        }
    }
}

impl Display for Fate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("the change stays: nothing got worse"),
            Self::TakenBack(reason) => {
                write!(f, "the change was taken back: {reason}; mend the files before they are read again")
            }
            Self::Stuck(reason) => write!(f, "the change should be taken back, and cannot be yet: {reason}"),
            Self::Overtaken => f.write_str(
                "the change is no longer watched: the settings were changed again, or the balancer was restarted",
            ),
            Self::Left => {
                f.write_str("no longer waiting; the balancer goes on watching the change (see `status`)")
            }
            Self::Lost(why) => f.write_str(why),
            Self::Unknown(time) => {
                write!(f, "the change is still watched after {time:?}; see `status` for what comes of it")
            }
        }
    }
}

/// Ctrl+C and SIGTERM, which end a wait and nothing else from when this is there.
pub(super) struct Leave {
    interrupt: Signal,
    terminate: Signal,
}

impl Leave {
    pub(super) fn new() -> Result<Self, RemoteError> {
        let of = |kind| signal(kind).map_err(RemoteError::System);
        Ok(Self { interrupt: of(SignalKind::interrupt())?, terminate: of(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! { _ = self.interrupt.recv() => {}, _ = self.terminate.recv() => {} }
    }
}

/// Waits for what comes of the settings of this revision, which are watched for `lasts`, and gives the last that was heard of
/// it.
pub(super) async fn wait(
    caller: &Caller,
    mut leave: Leave,
    revision: u64,
    lasts: Duration,
) -> (Fate, Option<Confirmation>) {
    let most = lasts.saturating_add(GRACE);
    let began = Instant::now();
    let (mut last, mut stuck) = (None, None);
    let mut step = async || {
        let heard = caller.get("/api/v1/confirmation").await;
        let heard: Confirmation = match heard {
            Ok(heard) => heard,
            // It may have been paused: what comes of the change is known there.
            Err(RemoteError::Slow { .. }) if began.elapsed() <= most => return None,
            Err(error) => return Some(Fate::Lost(RemoteError::LostSight(Box::new(error)).to_string())),
        };
        let fate = Fate::of(&heard, revision);
        last = Some(heard);
        let may_change = match fate {
            None => began.elapsed() <= most,
            Some(Fate::Stuck(_)) => stuck.get_or_insert_with(Instant::now).elapsed() <= GRACE,
            Some(_) => false,
        };
        if may_change {
            sleep(ASK_EVERY).await;
            return None;
        }
        Some(fate.unwrap_or(Fate::Unknown(most)))
    };
    loop {
        // Whoever is asked may not answer for long.
        let fate = tokio::select! {
            fate = step() => fate,
            () = leave.asked() => Some(Fate::Left),
        };
        if let Some(fate) = fate {
            return (fate, last);
        }
    }
}
