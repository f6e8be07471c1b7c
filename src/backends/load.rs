//! What a backend is doing for us right now.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Written by all workers with relaxed atomics, shared by pointer: a new snapshot forgets nothing.
#[derive(Debug, Default)]
pub struct Load {
    in_flight: AtomicUsize,
}

impl Load {
    /// Requests that were sent and are not yet answered to their end.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A request begins.
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A request ended, in whatever way.
    pub fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
