//! What all workers know of a listener that is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::{Listener, ListenerId};

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
        Self { id, listener, tls, closed: AtomicBool::new(false) }
    }

    /// Nobody is to come there any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}
