//! Where each backend is in the list of all, so that one of many thousand is found at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Backend, BackendId};

/// The place of each backend. Whoever changes which there are, or their order, has them noted anew before the list's lock is let go of.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<HashMap<BackendId, usize, foldhash::fast::RandomState>>);

impl Places {
    /// These are the backends from now on, in this order.
    pub(super) fn note(&self, backends: &[Backend]) {
        *self.lock() = backends.iter().enumerate().map(|(place, backend)| (backend.id, place)).collect();
    }

    /// Where this one is, if it is one still.
    pub(super) fn of(&self, backends: &[Backend], id: BackendId) -> Option<usize> {
        let place = *self.lock().get(&id)?;
        // Whatever was noted, nobody is taken for somebody else.
        backends.get(place).is_some_and(|known| known.id == id).then_some(place)
    }

    /// The backend itself.
    pub(super) fn find<'b>(&self, backends: &'b mut [Backend], id: BackendId) -> Option<&'b mut Backend> {
        let place = self.of(backends, id)?;
        backends.get_mut(place)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BackendId, usize, foldhash::fast::RandomState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
