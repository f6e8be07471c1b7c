//! What is asked of this process when another one takes its place.

use rustix::io::Errno;
use rustix::process::{self, Pid, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::signal::unix::Signal;
use tracing::{info, warn};

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
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(id), look)? {
        Some(_) => Err(Errno::SRCH),
        None => Ok(id),
    }
}

fn why(error: Errno) -> String {
    match error {
        Errno::SRCH => "has ended; if another one has taken its place, ask that".to_owned(),
        error => format!("cannot be reached: {error}"),
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
