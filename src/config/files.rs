//! How many files a process has open beside those of its clients.

use std::fs;
use std::num::NonZeroUsize;

use super::facts::{Config, Limits};

/// The connections that we accept when the limit on open files allows more.
const MOST_CONNECTIONS: u64 = 65_536;
/// Fewer than that are few, unless somebody chose the number.
const FEW_CONNECTIONS: usize = 256;
/// Clients at one time that are refused and told why, with no file to spare and with many.
const LEAST_REFUSALS: u64 = 32;
const MOST_REFUSALS: u64 = 4096;

/// Of a worker beside its listening sockets: an event queue, and what wakes it.
const OF_A_WORKER: usize = 4;
/// Of the control thread, logs and the admin API, with a few to spare, beside those that are open before settings are read.
const LEAST: usize = 19;
/// The same in comfort: with clients that are refused, checks and sources.
const COMFORT: u64 = 64;

impl Config {
    /// Files without which nothing can be started, beside those that are open before settings are read.
    pub fn least_files(&self) -> usize {
        LEAST + of_workers(self.workers.get(), self.listeners.len())
    }

    /// Stays with the workers that there are, and with what is left beside their files.
    pub fn keep_workers(&mut self, workers: NonZeroUsize) {
        if self.workers == workers {
            return;
        }
        self.workers = workers;
        let affordable = self.affordable(workers);
        let connections = match self.limits.is_chosen {
            true => affordable.min(self.limits.connections as u64),
            false => connections(affordable),
        };
        // Both are no more than there can be open files.
        self.limits.connections = usize::try_from(connections).unwrap_or(usize::MAX);
        self.limits.refusals = usize::try_from(refusals(affordable, connections)).unwrap_or(usize::MAX);
    }

    /// Whether so many workers leave files for the connections that somebody chose.
    pub(super) fn affords_connections(&self, workers: NonZeroUsize) -> bool {
        !self.limits.is_chosen || self.limits.connections as u64 <= self.affordable(workers)
    }

    fn affordable(&self, workers: NonZeroUsize) -> u64 {
        affordable(self.limits.open_files, reserved(workers.get(), self.listeners.len()))
    }
}

impl Limits {
    /// The limit on open files, if that is why so few connections fit.
    pub fn few_files(&self) -> Option<u64> {
        (!self.is_chosen && self.connections < FEW_CONNECTIONS).then_some(self.open_files)
    }
}

/// The most connections for which there are files: a proxied one takes two, the client's and the backend's.
pub(super) fn affordable(open_files: u64, reserved: u64) -> u64 {
    (open_files.saturating_sub(reserved) / 2).max(1)
}

/// Of so many open files those that neither clients nor backends take, for a client over HTTP/2 may be worth many backends: refusals,
/// checks and callers of the admin API have them. Of few none are kept.
pub fn kept_files(open_files: u64) -> u64 {
    if open_files < 4 * COMFORT { 0 } else { COMFORT }
}

/// As many open files as the system lets anybody ask for.
pub(super) fn most_open() -> u64 {
    let most = fs::read_to_string("/proc/sys/fs/nr_open").ok();
    most.and_then(|most| most.trim().parse().ok()).unwrap_or(1 << 20)
}

/// As many connections as there are if nobody chose the number.
pub(super) fn connections(affordable: u64) -> u64 {
    affordable.min(MOST_CONNECTIONS)
}

/// How many clients are refused and told why: files that nobody else may need are theirs, too.
pub(super) fn refusals(affordable: u64, connections: u64) -> u64 {
    LEAST_REFUSALS + (affordable - connections).min(MOST_REFUSALS)
}

/// Files that are kept from clients.
pub(super) fn reserved(workers: usize, listeners: usize) -> u64 {
    COMFORT + of_workers(workers, listeners) as u64
}

fn of_workers(workers: usize, listeners: usize) -> usize {
    workers * (OF_A_WORKER + listeners)
}
