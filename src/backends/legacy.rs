//! What a process leaves to the one that takes its place of what it knows of backends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Backend, Hold, Terms};

/// What is left of what was known of one backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Legacy {
    /// Which one, as the command line takes it.
    pub backend: String,
    /// What an operator said of it.
    pub hold: Option<Hold>,
    /// What an operator gave it in place of the weight that the settings say.
    pub weight: Option<u32>,
    /// How often in succession it was found dead; never, unless it is down.
    pub failures: u32,
    /// How it was found dead.
    pub finding: String,
}

impl Legacy {
    /// That of a backend, unless there is nothing that another process could not know of it.
    pub(super) fn of(backend: &Backend) -> Option<Self> {
        let legacy = Self {
            backend: backend.to_string(),
            hold: backend.hold,
            weight: backend.weight,
            failures: backend.health.failures(),
            finding: backend.health.evidence().finding(),
        };
        (legacy.failures > 0 || backend.is_overridden()).then_some(legacy)
    }
}

/// Legacies of backends that nobody has named yet.
#[derive(Debug, Default)]
pub(super) struct Unclaimed(Mutex<HashMap<String, Legacy>>);

impl Unclaimed {
    pub(super) fn add(&self, legacies: Vec<Legacy>) {
        self.lock().extend(legacies.into_iter().map(|legacy| (legacy.backend.clone(), legacy)));
    }

    /// That of this backend. It is given once.
    pub(super) fn claim(&self, terms: &Terms) -> Option<Legacy> {
        let mut all = self.lock();
        if all.is_empty() { None } else { all.remove(&terms.to_string()) }
    }

    /// What operators said of those that may be named yet. How they were is no news by now.
    pub(super) fn overrides(&self) -> Vec<Legacy> {
        let is_override = |legacy: &&Legacy| legacy.hold.is_some() || legacy.weight.is_some();
        let without_failures = |legacy: &Legacy| Legacy { failures: 0, ..legacy.clone() };
        self.lock().values().filter(is_override).map(without_failures).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Legacy>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
