//! Idle connections to one backend that carry one request at a time, kept by one worker: no lock, the most recently used
//! first.

use std::cell::RefCell;
use std::collections::VecDeque;

use hyper::body::{Body, Bytes};

use super::http1::Http1;

/// Connections kept for one backend by one worker; more are closed instead.
const MOST_KEPT: usize = 1024;

/// The idle connections to one backend.
#[derive(Debug)]
pub(super) struct Idle<B: Body + 'static>(RefCell<VecDeque<Kept<B>>>);

#[derive(Debug)]
struct Kept<B: Body + 'static> {
    connection: Box<Http1<B>>,
    /// Which age the worker's clock had.
    since: u64,
}

impl<B: Body + 'static> Default for Idle<B> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<B> Idle<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A connection that the backend still keeps; [`Http1::is_alive`] says what `probe` does.
    pub(super) fn take(&self, probe: bool) -> Option<Box<Http1<B>>> {
        loop {
            let mut connection = self.0.borrow_mut().pop_back()?.connection;
            if connection.is_alive(probe) {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request, if it can carry one. `age` is that of the worker's clock.
    pub(super) fn put(&self, mut connection: Box<Http1<B>>, age: u64) {
        if connection.settle()
            && self.0.borrow().len() < MOST_KEPT
            && let Some(connection) = connection.slim()
        {
            self.0.borrow_mut().push_back(Kept { connection, since: age });
        }
    }

    /// Closes what was idle since before `limit` (by the age of the worker's clock), and what its backend closed.
    pub(super) fn sweep(&self, limit: u64) {
        let mut kept = self.0.borrow_mut();
        // The oldest are in front.
        while let Some(oldest) = kept.pop_front_if(|oldest| oldest.since < limit) {
            oldest.connection.part();
        }
        kept.retain_mut(|kept| kept.connection.is_alive(false));
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Closes all of them, and tells how many they were.
    pub(super) fn clear(&self) -> usize {
        let kept = self.0.take();
        let count = kept.len();
        kept.into_iter().for_each(|kept| kept.connection.part());
        count
    }
}
