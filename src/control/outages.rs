//! Outages: pools of which no backend may be sent requests. The log says when one begins and when it ends, whatever the cause.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use tracing::{error, info};

use crate::backends::Backend;
use crate::config::Config;

/// The pools that have one.
#[derive(Debug, Default)]
pub(super) struct Outages(HashSet<Arc<str>>);

impl Outages {
    /// Tells which pools have one now and had none, and the other way round. One that is no pool any more is forgotten.
    pub(super) fn look(&mut self, config: &Config, backends: &[Backend]) {
        let before = mem::take(&mut self.0);
        for (pool, usable) in usable_of_each(config, backends) {
            match (usable, before.contains(&pool)) {
                (0, had_one) => {
                    if !had_one {
                        error!("pool {pool} has no backend that may be sent requests: its requests get 503");
                    }
                    self.0.insert(pool);
                }
                (usable, true) => info!("pool {pool} has backends again that may be sent requests: {usable}"),
                (_, false) => {}
            }
        }
    }
}

/// How many backends of each pool may be sent requests, be there any or none.
pub(super) fn usable_of_each(config: &Config, backends: &[Backend]) -> Vec<(Arc<str>, u64)> {
    let mut usable = HashMap::<&str, u64>::new();
    for backend in backends.iter().filter(|backend| backend.gets_requests()) {
        *usable.entry(&backend.terms.pool).or_default() += 1;
    }
    let of = |name: &Arc<str>| usable.get(&**name).copied().unwrap_or_default();
    config.pools.iter().map(|pool| (Arc::clone(&pool.name), of(&pool.name))).collect()
}
