//! How many files a process has open beside those of its clients.

use super::Config;

/// Of a worker beside its listening sockets: an event queue, and what wakes it.
const OF_A_WORKER: usize = 4;
/// Of the control thread, signals, logs and the admin API, with a few to spare, beside the three that each process begins with.
const LEAST: usize = 21;
/// The same in comfort: with clients that are refused, checks and sources.
const COMFORT: u64 = 64;

impl Config {
    /// Files without which nothing can be started.
    pub fn least_files(&self) -> usize {
        LEAST + of_workers(self.workers.get(), self.listeners.len())
    }
}

/// Files that are kept from clients.
pub(super) fn reserved(workers: usize, listeners: usize) -> u64 {
    COMFORT + of_workers(workers, listeners) as u64
}

fn of_workers(workers: usize, listeners: usize) -> usize {
    workers * (OF_A_WORKER + listeners)
}
