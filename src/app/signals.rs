//! Signals that ask for something else than a stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::control;

/// They are caught from the moment that there is this, and what came before anybody waits for it is not lost. Each is none if the
/// system does not let us.
#[derive(Debug)]
pub struct Signals {
    /// Settings are to be read anew.
    pub(super) hangups: Option<Signal>,
    /// This means something to other servers.
    pub(super) stray: Option<Signal>,
    /// Another process is to take our place.
    pub(super) succession: Option<Signal>,
}

impl Signals {
    /// Catches them. To be called within a runtime.
    pub fn catch() -> Self {
        let succession = signal(SignalKind::user_defined2()).ok();
        Self { hangups: control::hangups(), stray: control::stray(), succession }
    }
}
