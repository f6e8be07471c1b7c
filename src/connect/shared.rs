//! The connections to one backend that requests of one worker share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::http2::{Http2, Http2Stream};

/// HTTP/2 connections to one backend, each of which carries several requests.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Each with how many were made before it.
    connections: RefCell<Vec<(usize, Rc<Http2>)>>,
    made: Cell<usize>,
}

impl Shared {
    /// A stream on the first connection with room for one, of those before which `since` others or more were made. With
    /// `probe` the system is asked whether the backend may have closed it, which costs a system call and leaves a smaller gap.
    pub(super) fn stream<B>(&self, probe: bool, since: usize) -> Option<Http2Stream<B>> {
        let usable = |(made, connection): &&(usize, Rc<Http2>)| {
            let has_room = *made >= since && connection.has_room();
            has_room && !connection.is_gone() && !(probe && connection.may_be_closed())
        };
        self.connections.borrow().iter().find(usable).map(|(_, connection)| connection.stream())
    }

    pub(super) fn add(&self, connection: Rc<Http2>) {
        let made = self.made.get();
        self.connections.borrow_mut().push((made, connection));
        self.made.set(made + 1);
    }

    /// How many were made so far.
    pub(super) fn made(&self) -> usize {
        self.made.get()
    }

    /// Closes what was idle since before `limit`, and forgets what its backend closed. Both are ages of the worker's
    /// clock.
    pub(super) fn sweep(&self, limit: u64, age: u64) {
        let idle = |connection: &Rc<Http2>| connection.is_idle_since_before(limit, age);
        let keep = |(_, connection): &(usize, Rc<Http2>)| !connection.is_gone() && !idle(connection);
        self.connections.borrow_mut().retain(keep);
    }

    /// Whether one carries no request.
    pub(super) fn any_is_idle(&self) -> bool {
        self.connections.borrow().iter().any(|(_, connection)| !connection.is_busy())
    }

    /// Closes those that carry no request, and tells how many they were.
    pub(super) fn give_up_idle(&self) -> usize {
        let mut connections = self.connections.borrow_mut();
        let count = connections.len();
        connections.retain(|(_, connection)| connection.is_busy());
        count - connections.len()
    }

    /// Forgets all of them: each is closed when its last request is through.
    pub(super) fn clear(&self) {
        self.connections.borrow_mut().clear();
    }
}
