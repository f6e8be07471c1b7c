//! What the clients of one listener have in common at one worker.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::config::{Listener, ListenerId};

/// What requests may know of a listener through which their clients came to one worker: the door itself is the server's.
#[derive(Debug)]
pub struct Entrance {
    /// What it is.
    pub listener: Listener,
    /// What routes know it by.
    pub id: ListenerId,
    closed: Cell<bool>,
    demands: Arc<Demands>,
}

impl Entrance {
    /// Through which clients come.
    pub fn open(listener: Listener, id: ListenerId, demands: Arc<Demands>) -> Self {
        Self { listener, id, closed: Cell::new(false), demands }
    }

    /// Whether it is no longer a listener: who came through it is to go when it has its answer.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Nobody comes through it any more.
    pub fn close(&self) {
        self.closed.set(true);
    }

    /// Whether more is asked than who came through it was asked, by this number.
    pub fn asks_more_than(&self, met: u32) -> bool {
        self.demands.now() != met
    }
}

/// What is asked of who connects: how often that has grown, for all workers. It grows before requests go by settings that rely on it,
/// and is handed on with those, so who goes by them knows.
#[derive(Debug, Default)]
pub struct Demands(AtomicU32);

impl Demands {
    /// The number that who meets them now is known by.
    pub fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// More is asked from now on: who came before has not met that.
    pub fn grow(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
