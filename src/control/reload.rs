//! Settings read anew while requests run.

use std::mem;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::config::Sources;
use crate::connect::aside;
use crate::telemetry::manager;

use super::desk::{Desk, Intent, Outcome, Refusal};
use super::successor;

/// Between two looks at whether files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Until what was refused is tried again; twice as long each time, but not longer than the other.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
const MOST_PAUSE: Duration = Duration::from_secs(60);

/// Watches for SIGHUP from now on; nothing if the system does not let us.
pub fn hangups() -> Option<Signal> {
    signal(SignalKind::hangup()).ok()
}

/// Reads the settings anew and puts them in force at each SIGHUP, for ever. Bad ones change nothing and are told. Who serves in
/// place of this process gets the signals that it would have got.
pub async fn reload(hangups: Option<Signal>, desk: Rc<Desk>) {
    let Some(mut hangups) = hangups else { return };
    while hangups.recv().await.is_some() {
        match anew(&desk).await {
            Err(Refusal::Replaced(process)) => successor::pass_on(process),
            reloaded => {
                tell(&desk, &reloaded);
                // That it stops was the last word.
                if !desk.is_stopping() {
                    manager::ready();
                }
            }
        }
    }
}

async fn anew(desk: &Desk) -> Result<Outcome, Refusal> {
    // The manager takes no word of a process that was replaced.
    desk.may_change()?;
    manager::reloading();
    let (turn, read) = desk.turn_with_files().await?;
    turn.reload(read, Intent::Force).await
}

async fn follow(desk: &Desk) -> Result<Outcome, Refusal> {
    let (turn, read) = desk.turn_with_files().await?;
    turn.follow(read).await
}

/// Does the same whenever the files have changed, while the settings in force ask for it.
pub async fn watch(desk: Rc<Desk>) {
    let Some(sources) = desk.sources().cloned() else { return };
    let mut settings = desk.settings();
    while settings.wait_for(|settings| settings.config.watch).await.is_ok() {
        info!("the files of settings are watched");
        look_after(&desk, &sources).await;
        info!("the files of settings are no longer watched");
    }
}

/// Until the settings in force no longer ask for it.
async fn look_after(desk: &Desk, sources: &Sources) {
    let look = || {
        let sources = sources.clone();
        aside(move || sources.state())
    };
    // Later they may have been read for a trial, which puts nothing in force.
    let mut used = sources.state_noted();
    let mut before = used;
    let mut refused: Option<Refused> = None;
    let mut complained = false;
    loop {
        sleep(LOOK_EVERY).await;
        if !desk.config().watch {
            return;
        }
        let seen = match look().await {
            Ok(seen) => seen,
            Err(undone) => {
                if !mem::replace(&mut complained, true) {
                    warn!("the files of settings cannot be looked at: {undone}");
                }
                continue;
            }
        };
        complained = false;
        if seen == used {
            desk.forget_refused_files_but(seen);
            refused = match refused {
                Some(refused) if refused.is_due(desk) => try_again(desk, refused).await,
                refused => refused,
            };
        }
        // A file is not written at once: it is read when it has stayed the same for a while.
        if seen != used && seen == before {
            let reloaded = follow(desk).await;
            // Whoever asked for it before us was told of it.
            let was_refused = desk.take_refused_files();
            let is_told = match &reloaded {
                Ok(outcome) => *outcome == Outcome::Unchanged,
                Err(_) => was_refused,
            };
            if !is_told {
                tell(desk, &reloaded);
            }
            refused = Refused::of(desk, &reloaded, AGAIN_AFTER);
            used = seen;
        }
        before = seen;
    }
}

/// What the files say was refused, and may be put in force later as it is: a port may be free then, or a file there.
struct Refused {
    why: String,
    at: Instant,
    pause: Duration,
    /// The settings that were in force.
    revision: u64,
}

impl Refused {
    fn of(desk: &Desk, reloaded: &Result<Outcome, Refusal>, pause: Duration) -> Option<Self> {
        let why = reloaded.as_ref().err().filter(|refusal| refusal.may_pass())?.to_string();
        Some(Self { why, at: Instant::now(), pause, revision: desk.revision() })
    }

    /// Whether it is to be tried again by now. Over settings that came later it never is.
    fn is_due(&self, desk: &Desk) -> bool {
        self.at.elapsed() >= self.pause && self.revision == desk.revision() && desk.may_change().is_ok()
    }
}

/// Tries the same files again. What comes of it is told if it is something else than before.
async fn try_again(desk: &Desk, refused: Refused) -> Option<Refused> {
    let reloaded = follow(desk).await;
    let is_told = match &reloaded {
        Ok(outcome) => *outcome == Outcome::Unchanged,
        Err(refusal) => refusal.to_string() == refused.why,
    };
    if !is_told {
        tell(desk, &reloaded);
    }
    // Where nobody mends them, to read them again and again is to cost next to nothing.
    Refused::of(desk, &reloaded, MOST_PAUSE.min(2 * refused.pause))
}

/// Tells what came of it.
pub(super) fn tell(desk: &Desk, reloaded: &Result<Outcome, Refusal>) {
    match reloaded {
        Ok(Outcome::Unchanged | Outcome::Waiting(_)) if desk.sources().is_some_and(Sources::is_read_once) => {
            info!("reload: nothing has changed: the settings came from standard input, which is read once");
        }
        Ok(Outcome::Unchanged | Outcome::Waiting(_)) => info!("reload: nothing has changed"),
        Ok(Outcome::Changed | Outcome::Later(_)) => info!("reloaded"),
        Err(error) => {
            desk.count_refused();
            warn!("reload refused, the settings stay as they were: {error}");
        }
    }
}
