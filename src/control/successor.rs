//! What is asked of this process when another one takes its place.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{self, Pid, WaitId, WaitIdOptions, WaitIdStatus, kill_process, waitid};
use tokio::signal::unix::Signal;
use tokio::time::sleep;
use tracing::{info, warn};

/// Between two looks at whether it has ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Passes SIGHUP on to the process that serves in place of this one.
pub(super) fn pass_on(process: u32) {
    match running(process).and_then(|id| kill_process(id, process::Signal::HUP)) {
        Ok(()) => info!("SIGHUP is passed on to process {process}, which serves now"),
        Err(error) => {
            warn!("SIGHUP is passed on to nobody: process {process}, which took over, {}", why(error));
        }
    }
}

/// It is our child, and nobody waits for its end: while we are here, the number is no other's, but it may have ended.
fn running(process: u32) -> Result<Pid, Errno> {
    let id = Pid::from_raw(process.cast_signed()).ok_or(Errno::SRCH)?;
    end_of(id)?.map_or(Ok(id), |_| Err(Errno::SRCH))
}

fn end_of(child: Pid) -> Result<Option<WaitIdStatus>, Errno> {
    waitid(WaitId::Pid(child), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)
}

fn why(error: Errno) -> String {
    match error {
        Errno::SRCH => "has ended; if another one has taken its place, ask that".to_owned(),
        error => format!("cannot be reached: {error}"),
    }
}

/// Ready when the process that serves in place of this one has died. If it ends because it was told to or was itself replaced, that
/// is all in order.
pub async fn dies(process: u32) {
    while !has_died(process) {
        sleep(LOOK_EVERY).await;
    }
}

fn has_died(process: u32) -> bool {
    match Pid::from_raw(process.cast_signed()).map(end_of) {
        Some(Ok(Some(status))) => status.exit_status() != Some(0),
        // How it ended, nobody can say.
        Some(Err(Errno::CHILD)) => true,
        _ => false,
    }
}

/// Says at each SIGUSR2 who serves in place of this process, for ever.
pub async fn refer(mut signal: Signal, process: u32) {
    while signal.recv().await.is_some() {
        match running(process) {
            Ok(_) => warn!("SIGUSR2 does nothing here any more: process {process} serves now"),
            Err(error) => {
                warn!("SIGUSR2 does nothing here any more: process {process} took over, and {}", why(error));
            }
        }
    }
}
