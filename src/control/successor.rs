//! What is asked of this process when another one takes its place.

use rustix::io::Errno;
use rustix::process::{self, Pid, kill_process};
use tokio::signal::unix::Signal;
use tracing::{info, warn};

/// Passes SIGHUP on to the process that serves in place of this one.
pub(super) fn pass_on(process: u32) {
    // It is our child, and nobody waits for its end: while we are here, the number is no other's.
    let process_id = Pid::from_raw(process.cast_signed()).ok_or(Errno::SRCH);
    match process_id.and_then(|id| kill_process(id, process::Signal::HUP)) {
        Ok(()) => info!("SIGHUP is passed on to process {process}, which serves now"),
        Err(error) => warn!("SIGHUP cannot be passed on to process {process}, which serves now: {error}"),
    }
}

/// Says at each SIGUSR2 who serves in place of this process, for ever.
pub async fn refer(mut signal: Signal, process: u32) {
    while signal.recv().await.is_some() {
        warn!("SIGUSR2 does nothing here any more: process {process} serves now");
    }
}
