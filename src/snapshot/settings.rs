//! Settings, and what is compiled from them alone: once, before they are put in force.

use std::sync::Arc;

use crate::config::{Action, Config, Route, Treatment};
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
}

impl Settings {
    /// Compiles settings.
    ///
    /// # Errors
    /// All that is wrong with their routes.
    pub fn compile(config: Arc<Config>) -> Result<Self, Vec<Conflict>> {
        let routes = Routes::compile(&config.routes)?;
        let plain = config.routes.iter().map(plain_pool).collect();
        Ok(Self { config, routes, plain })
    }

    /// The pool of a route, if its requests and their answers pass as they are.
    pub fn plain_pool(&self, route: usize) -> Option<usize> {
        self.plain[route]
    }
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
