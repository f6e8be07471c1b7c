//! A signal that asks other servers for something: here it does nothing, and ends nothing.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

/// Watches for SIGUSR1 from now on; nothing if the system does not let us.
pub fn stray() -> Option<Signal> {
    signal(SignalKind::user_defined1()).ok()
}

/// Says, when it first comes, what it does not do.
pub async fn explain(stray: Option<Signal>) {
    let Some(mut stray) = stray else { return };
    if stray.recv().await.is_some() {
        warn!("SIGUSR1 does nothing here: logs that were renamed are opened anew without a signal");
    }
}
