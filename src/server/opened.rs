//! What all workers know of a listener that is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::{Listener, ListenerId};
use crate::proxy::Demands;

use super::tls::Tls;

/// A listener that is open, as all workers know it.
#[derive(Debug)]
pub struct Opened {
    /// Where it is, with the port that the system chose.
    pub listener: Listener,
    /// What routes know it by.
    pub id: ListenerId,
    /// How TLS is spoken, if it is.
    pub tls: Option<Arc<Tls>>,
    closed: AtomicBool,
    demands: Arc<Demands>,
}

impl Opened {
    /// The same place, where something else is spoken from now on.
    pub fn changed(&self, listener: &Listener, tls: Option<&Arc<Tls>>) -> Self {
        let id = listener.id();
        let listener = Listener { address: self.listener.address.clone(), ..listener.clone() };
        let tls = tls.filter(|_| listener.tls).cloned();
        Self::new(id, listener, tls)
    }

    /// What clients of this listener find. It is open until it is closed.
    pub(super) fn new(id: ListenerId, listener: Listener, tls: Option<Arc<Tls>>) -> Self {
        let demands = tls.as_ref().map(|tls| tls.demands()).unwrap_or_default();
        Self { id, listener, tls, closed: AtomicBool::new(false), demands }
    }

    /// Whether who comes is asked for a certificate.
    pub fn asks(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.asks())
    }

    /// Who came in the clear has not met what is asked from now on. Of who speaks TLS it is known what was asked.
    pub fn outdate(&self) {
        if self.tls.is_none() {
            self.demands.grow();
        }
    }

    /// What is asked of who comes.
    pub(super) fn demands(&self) -> Arc<Demands> {
        Arc::clone(&self.demands)
    }

    /// Nobody is to come there any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}
