//! Facts about backends: the registry, their health and their load.
//!
//! Measurements live in atomics ([`Load`]), decisions live in the mutex ([`Registry`]), consequences live in the
//! snapshot. Requests read what was published; they never ask.

pub mod check;
mod health;
mod load;

use std::net::SocketAddr;
use std::sync::{Arc, LockResult, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lazy_static::lazy_static;
use tokio::sync::watch;
use tracing::{info, warn};

pub use health::{Evidence, Health, State};
pub use load::Load;

lazy_static! {
    /// Every backend and its health: the control plane's single source of truth.
    static ref BACKENDS: Mutex<Vec<Backend>> = Mutex::new(Vec::new());
    static ref REGISTRY: Registry = Registry::over(&BACKENDS);
}

/// What the process knows of one backend.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Where it answers: its identity.
    pub address: SocketAddr,
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
        Self { backends, revision: watch::Sender::new(0) }
    }

    /// Makes these the backends, in this order. Those that stay keep their health and load.
    pub fn replace(&self, addresses: &[SocketAddr]) {
        let mut backends = self.lock();
        let now = Instant::now();
        *backends = addresses
            .iter()
            .map(|address| match backends.iter().find(|known| known.address == *address) {
                Some(known) => known.clone(),
                None => Backend { address: *address, health: Health::unknown(now), load: Arc::default() },
            })
            .collect();
        drop(backends);
        self.publish();
    }

    /// Takes a piece of evidence into account that was sought since `since`. A backend that was removed meanwhile is
    /// ignored.
    pub fn observe(&self, address: SocketAddr, evidence: Evidence, since: Instant) {
        let mut backends = self.lock();
        let Some(backend) = backends.iter_mut().find(|backend| backend.address == address) else { return };
        let before = backend.health.state();
        backend.health.learn(evidence, since, Instant::now());
        let health = backend.health.clone();
        drop(backends);
        if health.state() != before {
            tell(address, &health);
        }
        self.publish();
    }

    /// What is known of all backends, in order of preference.
    pub fn backends(&self) -> Vec<Backend> {
        self.lock().clone()
    }

    /// The health of one backend, if it is still one.
    pub fn health(&self, address: SocketAddr) -> Option<Health> {
        self.lock().iter().find(|backend| backend.address == address).map(|backend| backend.health.clone())
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

fn tell(address: SocketAddr, health: &Health) {
    match health.state() {
        State::Up => info!("{address} is healthy: {}", health.evidence()),
        State::Down => warn!("{address} is down: {}", health.evidence()),
        State::Unknown => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn backends_that_stay_keep_their_health_and_load() {
        let registry = Registry::isolated();
        registry.replace(&[address(1), address(2)]);
        registry.observe(address(2), Evidence::Refused, Instant::now());
        let load = Arc::clone(&registry.backends()[1].load);
        registry.replace(&[address(2), address(3)]);
        let backends = registry.backends();
        assert_eq!(backends.iter().map(|backend| backend.address.port()).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(backends[0].health.state(), State::Down);
        assert!(Arc::ptr_eq(&backends[0].load, &load));
        assert_eq!(backends[1].health.state(), State::Unknown);
    }

    #[test]
    fn each_change_of_a_fact_is_announced() {
        let registry = Registry::isolated();
        let mut revision = registry.subscribe();
        registry.replace(&[address(1)]);
        assert!(revision.has_changed().unwrap());
        revision.mark_unchanged();
        registry.observe(address(1), Evidence::Refused, Instant::now());
        assert!(revision.has_changed().unwrap());
    }

    #[test]
    fn evidence_about_a_removed_backend_is_ignored() {
        let registry = Registry::isolated();
        registry.replace(&[address(1)]);
        registry.observe(address(9), Evidence::Refused, Instant::now());
        assert_eq!(registry.backends().len(), 1);
        assert!(registry.health(address(9)).is_none());
    }
}
