//! What the clients of one listener have in common at one worker.

use std::cell::Cell;

use crate::config::Listener;

/// A listener, as the clients see it who came through it to one worker.
#[derive(Debug)]
pub struct Entrance {
    /// What it is.
    pub listener: Listener,
    closed: Cell<bool>,
}

impl Entrance {
    /// Through which clients come.
    pub fn open(listener: Listener) -> Self {
        Self { listener, closed: Cell::new(false) }
    }

    /// Whether it is no longer a listener: who came through it is to go when it has its answer.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Nobody comes through it any more.
    pub fn close(&self) {
        self.closed.set(true);
    }
}
