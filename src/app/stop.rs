//! Why the process stops, and how.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::config::Timeouts;
use crate::control::Desk;
use crate::server::Workers;
use crate::telemetry::manager;

use super::live::Live;
use super::succession::Succession;

/// Why the process stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// An operator wants it to.
    Asked,
    /// Another process serves in its place.
    Succeeded,
    /// This worker has ended unasked.
    Fallen(usize),
}

/// Waits until there is a reason to stop.
pub(super) async fn cause(
    shutdown: Pin<&mut impl Future<Output = ()>>,
    workers: &mut Workers,
    (succession, live, desk): (Succession, &Live, &Desk),
) -> Cause {
    tokio::select! {
        () = shutdown => Cause::Asked,
        () = succession.happens(live, desk) => Cause::Succeeded,
        worker = workers.fallen() => {
            error!("worker {worker} has ended unasked: the others are stopped");
            Cause::Fallen(worker)
        }
    }
}

/// Stops, and waits until the workers have ended.
pub(super) async fn stop(
    (cause, shutdown): (Cause, Pin<&mut impl Future<Output = ()>>),
    workers: Workers,
    timeouts: &Timeouts,
    (stop, cut): (watch::Sender<Option<Duration>>, &watch::Receiver<bool>),
) {
    let begin = |time: Duration| {
        info!("stopping: no new clients; running requests have {time:?} to finish");
        stop.send_replace(Some(time));
    };
    if cause != Cause::Succeeded {
        manager::stopping();
    }
    // Nobody waits for the end of a process that another one has replaced.
    begin(if cause == Cause::Succeeded { timeouts.succession } else { timeouts.drain });
    let mut ended = pin!(workers.ended());
    let left = match cause {
        Cause::Asked => ended.await,
        // A signal is still waited for: the next one is to cut.
        Cause::Succeeded | Cause::Fallen(_) => tokio::select! {
            left = &mut ended => left,
            () = shutdown => {
                if cause == Cause::Succeeded {
                    begin(timeouts.drain);
                }
                ended.await
            }
        },
    };
    if left > 0 {
        let at = if *cut.borrow() { "a second signal" } else { "the end of the drain time" };
        warn!("cut at {at}: {left} connection{}", if left == 1 { "" } else { "s" });
    }
}
