//! The thread that moves the workers' clocks on.

use std::io;
use std::thread::{self, sleep};
use std::time::Duration;

use tokio::sync::watch;

/// Starts it. It ends when the last receiver is gone.
///
/// # Errors
/// The system gives no thread.
pub fn start_ticks(tick: Duration) -> io::Result<watch::Receiver<()>> {
    let (ticks, receiver) = watch::channel(());
    let beat = move || {
        while ticks.send(()).is_ok() {
            sleep(tick);
        }
    };
    thread::Builder::new().name("ticks".to_owned()).spawn(beat)?;
    Ok(receiver)
}
