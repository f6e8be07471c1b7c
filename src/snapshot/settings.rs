//! Settings, and what is compiled from them alone: once, before they are put in force.

use std::sync::Arc;

use crate::config::{
    Action, Changes, Condition, Config, HashKey, Listener, ListenerId, Part, Pool, Route, Treatment,
};
use crate::connect::Provenance;
use crate::route::{Conflict, Routes};

/// Settings with their routes compiled.
#[derive(Debug)]
pub struct Settings {
    /// What they say.
    pub config: Arc<Config>,
    /// Their routes, to be found.
    pub routes: Routes,
    /// For each route, its pool, if that is all that is said of its requests.
    plain: Vec<Option<usize>>,
    use_provenance: bool,
    /// What each listener is called.
    listeners: Vec<(ListenerId, Arc<str>)>,
}

impl Settings {
    /// Compiles settings.
    ///
    /// # Errors
    /// All that is wrong with their routes.
    pub fn compile(config: Arc<Config>) -> Result<Self, Vec<Conflict>> {
        let routes = Routes::compile(&config.routes)?;
        let plain = config.routes.iter().map(plain_pool).collect();
        let use_provenance =
            config.routes.iter().any(uses_provenance) || config.pools.iter().any(is_hashed_by_provenance);
        let named = |listener: &Listener| (listener.id(), Arc::clone(&listener.name));
        let listeners = config.listeners.iter().map(named).collect();
        Ok(Self { config, routes, plain, use_provenance, listeners })
    }

    /// The pool of a route, if its requests and their answers pass as they are.
    pub fn plain_pool(&self, route: usize) -> Option<usize> {
        self.plain[route]
    }

    /// What a listener is called, if it is one of these.
    pub fn name_of(&self, listener: &ListenerId) -> Option<&Arc<str>> {
        self.listeners.iter().find_map(|(id, name)| (id == listener).then_some(name))
    }

    /// Whether a route or a pool looks at the fields that tell of a request's provenance, changes them or copies them.
    pub fn use_provenance(&self) -> bool {
        self.use_provenance
    }
}

fn uses_provenance(route: &Route) -> bool {
    let looks =
        |condition: &Condition| matches!(&condition.part, Part::Header(name) if Provenance::is_told_by(name));
    let Changes { set, add, remove } = &route.treatment.request_headers;
    let mut changed = set.iter().chain(add).map(|(name, _)| name).chain(remove);
    route.when.conditions.iter().any(looks)
        || changed.any(Provenance::is_told_by)
        || route.treatment.mirror.is_some()
}

fn is_hashed_by_provenance(pool: &Pool) -> bool {
    matches!(&pool.balancing.hash_key, HashKey::Header(name) if Provenance::is_told_by(name))
}

fn plain_pool(route: &Route) -> Option<usize> {
    match &route.action {
        Action::Forward(split) if route.treatment == Treatment::default() && split.tags.is_empty() => {
            let [only] = &split.shares[..] else { return None };
            split.cookie.is_none().then_some(only.pool)
        }
        Action::Forward(_) | Action::Redirect { .. } | Action::Answer { .. } => None,
    }
}
