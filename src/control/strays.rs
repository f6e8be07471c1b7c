//! Signals that ask other servers for something: here they do nothing, and end nothing.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

/// Those, caught.
#[derive(Debug)]
pub struct Strays {
    first: Signal,
    second: Signal,
}

/// Watches for SIGUSR1 and SIGUSR2 from now on; nothing if the system does not let us.
pub fn strays() -> Option<Strays> {
    let [first, second] = [SignalKind::user_defined1(), SignalKind::user_defined2()].map(signal);
    Some(Strays { first: first.ok()?, second: second.ok()? })
}

/// Says of each, when it first comes, what it does not do.
pub async fn explain(strays: Option<Strays>) {
    let Some(Strays { mut first, mut second }) = strays else { return };
    tokio::join!(
        say_once(
            &mut first,
            "SIGUSR1 does nothing here: logs that were renamed are opened anew without a signal"
        ),
        say_once(&mut second, "SIGUSR2 does nothing here: SIGHUP reads the settings anew, SIGTERM stops"),
    );
}

async fn say_once(stray: &mut Signal, words: &str) {
    if stray.recv().await.is_some() {
        warn!("{words}");
    }
}
