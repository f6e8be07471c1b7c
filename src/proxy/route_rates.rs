//! How many requests of a client each route takes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::{Config, Rate};

use super::Error;
use super::rates::Rates;

/// The rates of routes that have one, by their names. All workers share them.
#[derive(Clone, Debug, Default)]
pub struct RouteRates(HashMap<Arc<str>, (Rate, Arc<Rates>)>);

impl RouteRates {
    /// Those of the settings. What was counted `before` still counts while a route's rate is the same.
    pub(super) fn of(config: &Config, before: Option<&Self>) -> Self {
        let rates = config.routes.iter().filter_map(|route| {
            let rate = route.treatment.rate?;
            let known =
                before.and_then(|before| before.0.get(&route.name)).filter(|(known, _)| *known == rate);
            let fresh = || (rate, Arc::new(Rates::of_each(rate)));
            Some((Arc::clone(&route.name), known.cloned().unwrap_or_else(fresh)))
        });
        Self(rates.collect())
    }

    /// Counts a request on a route, unless it is one too many.
    pub(super) fn check(&self, route: &str, client: IpAddr) -> Result<(), Error> {
        let Some((_, rates)) = self.0.get(route) else { return Ok(()) };
        rates.check(client).map_err(|error| match error {
            Error::ClientRate(seconds) => Error::RouteRate(seconds),
            error => error,
        })
    }

    /// Forgets who has not asked for a while.
    pub(super) fn sweep(&self) {
        self.0.values().for_each(|(_, rates)| rates.sweep());
    }
}
