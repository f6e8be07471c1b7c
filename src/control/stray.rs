//! Signals that ask other servers for something, or tell of what is no reason to end: here they do nothing, and end nothing.

use rustix::process;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

/// Watches for SIGUSR1 from now on; nothing if the system does not let us.
pub fn stray() -> Option<Signal> {
    signal(SignalKind::user_defined1()).ok()
}

/// From now on a file that may not grow any more (`ulimit -f`) only costs what was to be written to it: the write fails. To be
/// called within a runtime.
pub fn outlive_full_files() {
    // What is caught once stays caught. If it cannot be, we go on without.
    drop(signal(SignalKind::from_raw(process::Signal::XFSZ.as_raw())));
}

/// Says, when it first comes, what it does not do.
pub async fn explain(stray: Option<Signal>) {
    let Some(mut stray) = stray else { return };
    if stray.recv().await.is_some() {
        warn!("SIGUSR1 does nothing here: logs that were renamed are opened anew without a signal");
    }
}
