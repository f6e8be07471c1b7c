//! What sources told a process of, for the one that takes its place: they may say nothing just then.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{Backend, Source};

/// Backends of which one text tells, so that it is not too long to be sent.
const AT_ONCE: usize = 32;

/// What a source told one pool, or a part of it.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::app) struct Told {
    pool: Arc<str>,
    source: Source,
    backends: Vec<Backend>,
}

impl Told {
    /// All that it told, in parts.
    pub(super) fn parts(pool: &Arc<str>, source: &Source, found: &[Backend]) -> Vec<Self> {
        let part = |part: &[Backend]| {
            let (pool, source) = (Arc::clone(pool), source.clone());
            Self { pool, source, backends: part.to_vec() }
        };
        found.chunks(AT_ONCE).map(part).collect()
    }
}

/// What the process before was told, by pools and sources.
#[derive(Debug, Default)]
pub(super) struct Inherited(HashMap<(Arc<str>, Source), Vec<Backend>>);

impl Inherited {
    pub(super) fn of(told: Vec<Told>) -> Self {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for Told { pool, source, backends } in told {
            all.entry((pool, source)).or_default().extend(backends);
        }
        Self(all)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What each source told each pool.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Source, &Vec<Backend>)> {
        self.0.iter().map(|((pool, source), backends)| (pool, source, backends))
    }
}
