//! The connections to one backend that requests of one worker share.

use std::cell::RefCell;
use std::rc::Rc;

use super::http2::{Http2, Http2Stream};

/// HTTP/2 connections to one backend, each of which carries several requests.
#[derive(Debug, Default)]
pub(super) struct Shared(RefCell<Vec<Rc<Http2>>>);

impl Shared {
    /// A stream on the first connection with room for one. With `probe` the system is asked whether the backend has closed
    /// it, which costs a system call and leaves a smaller gap.
    pub(super) fn stream<B>(&self, probe: bool) -> Option<Http2Stream<B>> {
        let mut connections = self.0.borrow_mut();
        connections.retain(|connection| !connection.is_gone());
        let usable = |connection: &&Rc<Http2>| connection.has_room() && !(probe && connection.was_closed());
        connections.iter().find(usable).map(Http2::stream)
    }

    pub(super) fn add(&self, connection: Rc<Http2>) {
        self.0.borrow_mut().push(connection);
    }

    /// Closes what was idle since before `limit`, and forgets what its backend closed. Both times are in milliseconds of
    /// the worker's clock.
    pub(super) fn sweep(&self, limit: u64, now: u64) {
        let idle = |connection: &Rc<Http2>| connection.is_idle_since_before(limit, now);
        self.0.borrow_mut().retain(|connection| !connection.is_gone() && !idle(connection));
    }

    /// Forgets all of them: each is closed when its last request is through.
    pub(super) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}
