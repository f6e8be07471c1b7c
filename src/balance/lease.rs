//! What a pick gives, and what later picks of the same request know of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::backends::{BackendId, Load, Score};

use super::Member;

/// One request's hold on one backend. Dropped when the answer is through, however it ended.
#[derive(Debug)]
pub struct Lease {
    place: u32,
    backend: BackendId,
    load: Arc<Load>,
    /// What else counts it, if anything.
    total: Option<Arc<AtomicUsize>>,
}

/// The backends that a request was sent to without success. They are known by their identity, for others may have taken
/// their places since.
#[derive(Debug, Default)]
pub struct Tried(Vec<BackendId>);

impl Lease {
    /// Nothing if it has as many requests as it may have.
    pub(super) fn on(member: &Member, total: Option<&Arc<AtomicUsize>>) -> Option<Self> {
        match member.max_requests {
            Some(most) if !member.load.begin_within(most) => None,
            Some(_) => Some(Self::begun(member, total)),
            None => Some(Self::unlimited(member, total)),
        }
    }

    /// On one that may have any number.
    #[inline]
    pub(super) fn unlimited(member: &Member, total: Option<&Arc<AtomicUsize>>) -> Self {
        member.load.begin();
        Self::begun(member, total)
    }

    #[inline]
    fn begun(member: &Member, total: Option<&Arc<AtomicUsize>>) -> Self {
        if let Some(total) = total {
            total.fetch_add(1, Ordering::Relaxed);
        }
        let place = u32::try_from(member.place).expect("backends are far fewer");
        Self { place, backend: member.id, load: Arc::clone(&member.load), total: total.cloned() }
    }

    /// Which backend it is a hold on, whatever becomes of the pool.
    pub fn backend(&self) -> BackendId {
        self.backend
    }

    /// The place of that backend among those of all pools, in the snapshot that it was picked from.
    pub fn place(&self) -> usize {
        self.place as usize
    }

    /// How often that backend answered, and how often it did not.
    pub fn score(&self) -> &Score {
        self.load.score()
    }

    /// An answer broke off, and that backend is to blame. Its head counted as an answer; if it was a good one, what was learned
    /// of it is taken back.
    pub fn broke_off(&self, began_well: bool) {
        self.score().failed();
        if began_well {
            self.load.broke_off();
        }
    }

    pub(super) fn load(&self) -> &Load {
        &self.load
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.load.end();
        if let Some(total) = &self.total {
            total.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Tried {
    /// Remembers a backend.
    pub fn add(&mut self, lease: &Lease) {
        self.0.push(lease.backend);
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, backend: BackendId) -> bool {
        self.0.contains(&backend)
    }

    #[cfg(test)]
    pub(super) fn of(backends: impl IntoIterator<Item = BackendId>) -> Self {
        Self(backends.into_iter().collect())
    }
}
