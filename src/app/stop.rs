//! Why the process stops, and how.

use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::connect::{Chores, Patience};
use crate::control::{self, Desk, Verdict};
use crate::proxy::{Leaving, Stop};
use crate::server::Workers;
use crate::telemetry::manager;

use super::error::Fallen;
use super::live::Live;
use super::succession::Succession;

/// Why the process stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// An operator wants it to.
    Asked,
    /// This other process serves in its place.
    Succeeded(u32),
    /// This has ended unasked.
    Fallen(Fallen),
}

/// Waits until there is a reason to stop, and until those who are to hear of it before have had their time.
pub(super) async fn cause(
    (shutdown, cut): (Pin<&mut impl Future<Output = ()>>, &watch::Receiver<bool>),
    (workers, chores): (&mut Workers, &Chores),
    (succession, live, desk): (&mut Succession, &Live, &Desk),
) -> Cause {
    let cause = tokio::select! {
        () = shutdown => Cause::Asked,
        successor = succession.happens(live, desk) => return Cause::Succeeded(successor),
        fallen = fallen(workers, chores) => Cause::Fallen(fallen),
    };
    manager::stopping();
    if desk.confirmation().is_some_and(|last| matches!(last.verdict, Verdict::Watching | Verdict::Stuck(..)))
    {
        warn!(
            "the change that is watched is not confirmed, and nobody will watch what the files say at the next start"
        );
    }
    let cause = match (cause, live.config().timeouts.notice) {
        (Cause::Asked, Some(time)) => {
            notice(time, (live, desk), cut.clone(), (workers, chores, succession)).await
        }
        _ => cause,
    };
    if let Cause::Fallen(fallen) = cause {
        error!("{fallen} has ended unasked: the others are stopped");
    }
    cause
}

/// Lets whoever sends clients here hear that a stop will begin, while all is served as ever: who looks now and then would send them to
/// a closed port. What else there is to stop for cuts it short.
async fn notice(
    time: Duration,
    (live, desk): (&Live, &Desk),
    mut cut: watch::Receiver<bool>,
    (workers, chores, succession): (&mut Workers, &Chores, &mut Succession),
) -> Cause {
    desk.give_notice();
    let told = if live.config().admin.is_some() { ", and /readyz says 503" } else { "" };
    info!("stopping in {time:?}: until then clients are served as ever{told}");
    let hurried = async {
        tokio::select! {
            Ok(_) = cut.wait_for(|cut| *cut) => Cause::Asked,
            fallen = fallen(workers, chores) => Cause::Fallen(fallen),
            never = succession.is_refused() => match never {},
        }
    };
    Patience::of(time).wait(hurried).await.unwrap_or(Cause::Asked)
}

/// Waits until something has ended unasked.
async fn fallen(workers: &mut Workers, chores: &Chores) -> Fallen {
    tokio::select! {
        worker = workers.fallen() => Fallen::Worker(worker),
        () = chores.fallen() => Fallen::Control,
    }
}

/// Stops, and waits until the workers have ended. Gives why it stopped in the end.
pub(super) async fn stop(
    (mut cause, mut shutdown): (Cause, Pin<&mut impl Future<Output = ()>>),
    (mut workers, chores, mut succession): (Workers, &Chores, Succession),
    live: &Live,
    (stop, cut): (watch::Sender<Option<Stop>>, &watch::Receiver<bool>),
) -> Cause {
    let timeouts = &live.config().timeouts;
    let begin = |leaving| {
        let time = match leaving {
            Leaving::Succeeded => timeouts.succession,
            Leaving::Stopped => timeouts.drain,
        };
        match *cut.borrow() {
            false => info!("stopping: no new clients; running requests have {time:?} to finish"),
            true => info!("stopping at a second signal: no request has time to finish"),
        }
        stop.send_replace(Some(Stop { leaving, time }));
    };
    match cause {
        Cause::Succeeded(_) => {
            live.renew_no_certificates();
            begin(Leaving::Succeeded);
        }
        Cause::Asked | Cause::Fallen(_) => {
            live.remove_files();
            begin(Leaving::Stopped);
        }
    }
    // It serves on in what time it has, unless it cannot, or nobody does in its place.
    let mut successor = match cause {
        Cause::Succeeded(successor) => Some(successor),
        Cause::Asked | Cause::Fallen(_) => None,
    };
    let is_succeeded = successor.is_some();
    let left = loop {
        let fallen = tokio::select! {
            ended = workers.ended() => match ended {
                Ok(left) => break left,
                Err(worker) => Fallen::Worker(worker),
            },
            () = chores.fallen() => Fallen::Control,
            // Also where it stops already: the next signal is to cut.
            () = shutdown.as_mut() => {
                if successor.take().is_some() {
                    begin(Leaving::Stopped);
                }
                continue;
            }
            () = end_of(successor) => {
                successor = None;
                begin(Leaving::Stopped);
                continue;
            }
            never = succession.is_refused() => match never {},
        };
        error!("{fallen} has ended unasked: the others are stopped");
        if successor.take().is_some() {
            begin(Leaving::Stopped);
        }
        cause = Cause::Fallen(fallen);
    };
    if is_succeeded {
        manager::settle().await;
    }
    tell_of_cut(left, *cut.borrow());
    cause
}

fn tell_of_cut(left: usize, by_a_signal: bool) {
    if left > 0 {
        let at = if by_a_signal { "a second signal" } else { "the end of the drain time" };
        warn!("cut at {at}: {left} connection{}", if left == 1 { "" } else { "s" });
    }
}

/// Waits until who took over has ended, if somebody did.
async fn end_of(successor: Option<u32>) {
    match successor {
        Some(successor) => control::dies(successor).await,
        None => pending().await,
    }
    // It is our child, so only our end tells whoever starts the next one.
    error!("process {}, which took over, has ended", successor.unwrap_or_default());
}
