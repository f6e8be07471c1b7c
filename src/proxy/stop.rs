//! How a process comes to its end.

use std::time::Duration;

/// How the process is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Why.
    pub leaving: Leaving,
    /// How long running requests have.
    pub time: Duration,
}

/// Why a process stops, which tells how long clients that are idle may keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Another one serves in its place: nobody waits for its end.
    Succeeded,
    /// Somebody waits for its end.
    Stopped,
}
