//! What a service manager is told (`sd_notify(3)`, which systemd and others understand): nothing if there is none.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

/// Clients are served.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The settings are read anew; [`ready`] says that this is over.
pub fn reloading() {
    // In one message, or systemd 253 ends us.
    let since = NotifyState::monotonic_usec_now().into_iter();
    tell(&[NotifyState::Reloading].into_iter().chain(since).collect::<Vec<_>>());
}

/// No new clients are served.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Another process is the service from now on.
pub fn replaced_by(process: u32) {
    // A reload that was under way is over with it.
    tell(&[NotifyState::Ready, NotifyState::MainPid(process)]);
}

/// All that should run does.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`alive`] is to be said, if it is: in a third of the time after which we were taken for dead.
pub fn alive_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|most| most / 3)
}

/// The variable that says which process the manager watches: not one that takes its place.
pub const WATCHED: &str = "WATCHDOG_PID";

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!("the service manager cannot be told anything: {error}; see NOTIFY_SOCKET");
    }
}
