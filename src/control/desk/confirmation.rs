//! What is known of the last change that was to be confirmed.

use std::time::{Duration, Instant};

/// A change that is watched, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Which settings it brought.
    pub revision: u64,
    /// Since when they are in force.
    pub began: Instant,
    /// For how long they are watched.
    pub lasts: Duration,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a change that was watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet.
    Watching,
    /// Nothing got worse: it stays.
    Kept,
    /// Others changed the settings meanwhile.
    Overtaken,
    /// It was taken back, for this reason.
    RolledBack(String),
    /// It is to be taken back for the first reason, and could not be yet for the second.
    Stuck(String, String),
}
