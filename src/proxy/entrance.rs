//! What the clients of one listener have in common at one worker.

use std::cell::Cell;

use crate::config::{Listener, ListenerId};

/// What requests may know of a listener through which their clients came to one worker: the door itself is the server's.
#[derive(Debug)]
pub struct Entrance {
    /// What it is.
    pub listener: Listener,
    /// What routes know it by.
    pub id: ListenerId,
    closed: Cell<bool>,
}

impl Entrance {
    /// Through which clients come.
    pub fn open(listener: Listener, id: ListenerId) -> Self {
        Self { listener, id, closed: Cell::new(false) }
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
