//! Why the process stops, and how.

use std::future::Future;
use std::pin::{Pin, pin};

use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::control::{self, Desk};
use crate::proxy::{Leaving, Stop};
use crate::server::Workers;
use crate::telemetry::manager;

use super::live::Live;
use super::succession::Succession;

/// Why the process stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// An operator wants it to.
    Asked,
    /// This other process serves in its place.
    Succeeded(u32),
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
        successor = succession.happens(live, desk) => Cause::Succeeded(successor),
        worker = workers.fallen() => {
            error!("worker {worker} has ended unasked: the others are stopped");
            Cause::Fallen(worker)
        }
    }
}

/// Stops, and waits until the workers have ended.
pub(super) async fn stop(
    (cause, mut shutdown): (Cause, Pin<&mut impl Future<Output = ()>>),
    workers: Workers,
    live: &Live,
    (stop, cut): (watch::Sender<Option<Stop>>, &watch::Receiver<bool>),
) {
    let timeouts = &live.config().timeouts;
    let begin = |leaving| {
        let time = match leaving {
            Leaving::Succeeded => timeouts.succession,
            Leaving::Stopped => timeouts.drain,
        };
        info!("stopping: no new clients; running requests have {time:?} to finish");
        stop.send_replace(Some(Stop { leaving, time }));
    };
    match cause {
        Cause::Succeeded(_) => begin(Leaving::Succeeded),
        Cause::Asked | Cause::Fallen(_) => {
            manager::stopping();
            live.remove_files();
            begin(Leaving::Stopped);
        }
    }
    let mut ended = pin!(workers.ended());
    let hurried = async {
        if let Cause::Succeeded(successor) = cause {
            tokio::select! {
                () = shutdown.as_mut() => return begin(Leaving::Stopped),
                () = control::dies(successor) => {
                    // It is our child, so only our end tells whoever starts the next one.
                    error!("process {successor}, which took over, has ended");
                    begin(Leaving::Stopped);
                }
            }
        }
        // A signal is still waited for: the next one is to cut.
        shutdown.await;
    };
    let left = match cause {
        Cause::Asked => ended.await,
        Cause::Succeeded(_) | Cause::Fallen(_) => tokio::select! {
            left = &mut ended => left,
            () = hurried => ended.await,
        },
    };
    if matches!(cause, Cause::Succeeded(_)) {
        manager::settle().await;
    }
    if left > 0 {
        let at = if *cut.borrow() { "a second signal" } else { "the end of the drain time" };
        warn!("cut at {at}: {left} connection{}", if left == 1 { "" } else { "s" });
    }
}
