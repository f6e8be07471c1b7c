//! How often a backend answered, and how often it did not.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the backend is known, written by all workers with relaxed atomics: they stand beside the number of requests
/// under way, which all of them write, too.
#[derive(Debug, Default)]
pub struct Score {
    /// By the first digit of the status.
    answers: [AtomicU64; 6],
    failures: AtomicU64,
}

impl Score {
    /// It answered with this status.
    pub fn answered(&self, status: u16) {
        if let Some(count) = self.answers.get(usize::from(status / 100)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It was sent a request, or should have been, and is to blame that there is no answer.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Its answers, by the first digit of their status.
    pub fn answers(&self) -> [u64; 6] {
        self.answers.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// How often it did not answer.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}
