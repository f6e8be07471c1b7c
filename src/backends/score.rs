//! How often a backend answered, and how often it did not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::telemetry::class_of;

use super::{Backend, BackendId};

/// Counts since the backend is known, or since its name leads to it, written by all workers with relaxed atomics: they stand
/// beside the number of requests under way, which all of them write, too.
#[derive(Debug, Default)]
pub struct Score {
    /// By the first digit of the status.
    answers: [AtomicU64; 6],
    failures: AtomicU64,
    /// Answers that were timed, and their microseconds.
    timed: AtomicU64,
    took: AtomicU64,
}

impl Score {
    /// It answered with this status.
    pub fn answered(&self, status: u16) {
        self.answers[class_of(status)].fetch_add(1, Ordering::Relaxed);
    }

    /// An answer of it took this long.
    #[cold]
    pub fn took(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.took.fetch_add(micros, Ordering::Relaxed);
        self.timed.fetch_add(1, Ordering::Relaxed);
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

    /// How many of its answers were timed.
    pub fn timed(&self) -> u64 {
        self.timed.load(Ordering::Relaxed)
    }

    /// What those took together.
    pub fn time(&self) -> Duration {
        Duration::from_micros(self.took.load(Ordering::Relaxed))
    }

    /// How often it did either.
    pub(super) fn all(&self) -> u64 {
        self.answers().iter().sum::<u64>() + self.failures()
    }

    fn begin_anew(&self) {
        let others = [&self.failures, &self.timed, &self.took];
        self.answers.iter().chain(others).for_each(|count| count.store(0, Ordering::Relaxed));
    }
}

/// What is counted is told by names, of the first that has one. Who is not that, before a change or after it, begins anew: all
/// that it ever did would seem to be done in the moment in which its name leads to it again.
pub(super) fn begin_anew(before: &[Backend], after: &[Backend]) {
    let (first_before, first_after) = (first_of_each_name(before), first_of_each_name(after));
    for backend in after {
        let is_first = |of: &HashMap<_, _>| of.get(&name(backend)) == Some(&backend.id);
        if !is_first(&first_before) || !is_first(&first_after) {
            backend.load.score().begin_anew();
        }
    }
}

fn first_of_each_name(backends: &[Backend]) -> HashMap<(&str, &str), BackendId> {
    // The last that is put in stays.
    backends.iter().rev().map(|backend| (name(backend), backend.id)).collect()
}

fn name(backend: &Backend) -> (&str, &str) {
    (&backend.terms.pool, backend.terms.backend.url.name())
}
