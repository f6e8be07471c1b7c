//! Routes.

use indexmap::IndexMap;

use super::action::action;
use super::matching::matching;
use super::treatment::treatment;
use super::{RouteFault, Spot, only_route, useless};
use crate::config::Route;
use crate::config::file::{self, File};

/// The pools that routes can name.
pub(super) type Pools = IndexMap<String, file::Pool>;

pub(super) fn routes(file: &File, pools: &Pools, root: &Spot<'_>) -> Option<Vec<Route>> {
    if file.routes.is_empty() {
        if pools.len() > 1 {
            root.key("pools").fault(RouteFault::NoRoutes);
        }
        return Some(only_route());
    }
    let at = root.key("routes");
    let routes = file.routes.iter().map(|(name, given)| route(name, given, pools, &at.key(name)));
    let routes: Vec<_> = routes.collect();
    // How they stand to each other is seen when they are compiled.
    routes.into_iter().collect()
}

fn route(name: &str, given: &file::Route, pools: &Pools, at: &Spot<'_>) -> Option<Route> {
    useless::of_route(given, at);
    let matched = matching(given, at);
    let captures = matched.as_ref().map(|(_, captures)| captures.as_slice()).unwrap_or_default();
    let action = action(given, pools, captures, at);
    let treatment = treatment(given, pools, captures, at);
    Some(Route { name: name.into(), when: matched?.0, action: action?, treatment: treatment? })
}
