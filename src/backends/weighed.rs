//! What backends weigh by other settings, or when sources tell otherwise.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{self, Address, Scheme};

use super::{Backend, Registry, key};

/// The weights that operators gave: they stay, whatever settings and sources say, also of those that left.
#[derive(Debug, Default)]
pub struct Weighed(HashMap<(Arc<str>, Scheme, Address), u32>);

impl Weighed {
    /// What this backend of a pool weighs if its settings, or its source, come to say this of it.
    pub fn weight(&self, pool: &Arc<str>, backend: &config::Backend) -> u32 {
        // Of most nothing was said.
        let said = if self.0.is_empty() { None } else { self.0.get(&key(pool, &backend.url)) };
        said.copied().unwrap_or(backend.weight)
    }
}

impl Registry {
    /// The weights that operators gave.
    pub fn weighed(&self) -> Weighed {
        let said = |backend: &Backend| Some((backend.terms.key(), backend.weight?));
        Weighed(self.lock().iter().filter_map(said).collect())
    }
}
