//! Facts about backends: the registry, their health and their load.
//!
//! Measurements live in atomics ([`Load`]), decisions live in the mutex ([`Registry`]), consequences live in the
//! snapshot. Requests read what was published; they never ask.

pub mod check;
mod health;
mod load;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LockResult, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lazy_static::lazy_static;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::connect::Way;

pub use health::{Evidence, Health, State};
pub use load::Load;

lazy_static! {
    /// Every backend and its health: the control plane's single source of truth.
    static ref BACKENDS: Mutex<Vec<Backend>> = Mutex::new(Vec::new());
    static ref REGISTRY: Registry = Registry::over(&BACKENDS);
}

/// What tells one backend from all others, for as long as it is one: places in lists change, and so may settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BackendId(u32);

impl From<u32> for BackendId {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

/// What the process knows of one backend.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its identity.
    pub id: BackendId,
    /// How it is reached.
    pub way: Arc<Way>,
    /// What is known of its health.
    pub health: Health,
    /// What it is doing for us; shared with the workers, which write it.
    pub load: Arc<Load>,
}

/// The process's facts about backends. The lock is held for a few instructions, never across an await.
#[derive(Debug)]
pub struct Registry {
    backends: &'static Mutex<Vec<Backend>>,
    revision: watch::Sender<u64>,
    ids: AtomicU32,
}

impl Registry {
    /// The one of this process.
    pub fn global() -> &'static Self {
        &REGISTRY
    }

    /// One of its own, for whoever needs several in one process. It is never freed.
    pub fn isolated() -> &'static Self {
        Box::leak(Box::new(Self::over(Box::leak(Box::default()))))
    }

    fn over(backends: &'static Mutex<Vec<Backend>>) -> Self {
        Self { backends, revision: watch::Sender::new(0), ids: AtomicU32::new(0) }
    }

    /// Makes these the backends, in this order. Those that stay keep their identity, health and load.
    pub fn replace(&self, ways: &[Arc<Way>]) {
        let mut backends = self.lock();
        let now = Instant::now();
        let known = |way: &Way| backends.iter().find(|known| known.way.url.is_same(&way.url));
        let backend = |way: &Arc<Way>| match known(way) {
            Some(known) => Backend { way: Arc::clone(way), ..known.clone() },
            None => Backend {
                id: BackendId(self.ids.fetch_add(1, Ordering::Relaxed)),
                way: Arc::clone(way),
                health: Health::unknown(now),
                load: Arc::default(),
            },
        };
        *backends = ways.iter().map(backend).collect();
        drop(backends);
        self.publish();
    }

    /// Takes a piece of evidence into account that was sought since `since`. A backend that was removed meanwhile is
    /// ignored.
    pub fn observe(&self, backend: BackendId, evidence: Evidence, since: Instant) {
        let mut backends = self.lock();
        let Some(backend) = backends.iter_mut().find(|known| known.id == backend) else { return };
        let before = backend.health.state();
        backend.health.learn(evidence, since, Instant::now());
        let (way, health) = (Arc::clone(&backend.way), backend.health.clone());
        drop(backends);
        if health.state() != before {
            tell(&way, &health);
        }
        self.publish();
    }

    /// What is known of all backends, in order of preference.
    pub fn backends(&self) -> Vec<Backend> {
        self.lock().clone()
    }

    /// The health of one backend, if it is still one.
    pub fn health(&self, backend: BackendId) -> Option<Health> {
        self.lock().iter().find(|known| known.id == backend).map(|known| known.health.clone())
    }

    /// A number that grows with each change of a fact.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    fn publish(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Backend>> {
        // No method leaves the list half-changed, so a thread that panicked with the lock did no harm to it.
        let locked: LockResult<_> = self.backends.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(way: &Way, health: &Health) {
    match health.state() {
        State::Up => info!("{} is healthy: {}", way.url, health.evidence()),
        State::Down => warn!("{} is down: {}", way.url, health.evidence()),
        State::Unknown => {}
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use crate::config::BackendUrl;

    use super::*;

    fn way(port: u16) -> Arc<Way> {
        Arc::new(BackendUrl::from(SocketAddr::from(([127, 0, 0, 1], port))).into())
    }

    #[test]
    fn backends_that_stay_keep_their_identity_health_and_load() {
        let registry = Registry::isolated();
        registry.replace(&[way(1), way(2)]);
        let before = registry.backends();
        registry.observe(before[1].id, Evidence::Refused, Instant::now());
        registry.replace(&[way(2), way(3)]);
        let after = registry.backends();
        let names: Vec<_> = after.iter().map(|backend| backend.way.url.to_string()).collect();
        assert_eq!(names, ["127.0.0.1:2", "127.0.0.1:3"]);
        assert_eq!(after[0].id, before[1].id);
        assert_eq!(after[0].health.state(), State::Down);
        assert!(Arc::ptr_eq(&after[0].load, &before[1].load));
        assert!(before.iter().all(|known| known.id != after[1].id));
        assert_eq!(after[1].health.state(), State::Unknown);
    }

    #[test]
    fn each_change_of_a_fact_is_announced() {
        let registry = Registry::isolated();
        let mut revision = registry.subscribe();
        registry.replace(&[way(1)]);
        assert!(revision.has_changed().unwrap());
        revision.mark_unchanged();
        registry.observe(registry.backends()[0].id, Evidence::Refused, Instant::now());
        assert!(revision.has_changed().unwrap());
    }

    #[test]
    fn evidence_about_a_removed_backend_is_ignored() {
        let registry = Registry::isolated();
        registry.replace(&[way(1)]);
        let removed = registry.backends()[0].id;
        registry.replace(&[way(2)]);
        registry.observe(removed, Evidence::Refused, Instant::now());
        assert_eq!(registry.backends()[0].health.state(), State::Unknown);
        assert!(registry.health(removed).is_none());
    }
}
