//! Routes.

use indexmap::IndexMap;

use super::action::action;
use super::matching::matching;
use super::treatment::treatment;
use super::{RouteFault, Spot, only_route};
use crate::config::Route;
use crate::config::fault::Fault;
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
    refuse_useless(given, at);
    let matched = matching(given, at);
    let captures = matched.as_ref().map(|(_, captures)| captures.as_slice()).unwrap_or_default();
    let action = action(given, pools, captures, at);
    let treatment = treatment(given, pools, captures, at);
    Some(Route { name: name.into(), when: matched?.0, action: action?, treatment: treatment? })
}

/// Keys that do nothing without another one are mistakes.
fn refuse_useless(given: &file::Route, at: &Spot<'_>) {
    let forwards = given.pool.is_some() || !given.pools.is_empty();
    let answers = given.redirect.is_some() || given.answer.is_some();
    if answers && !forwards {
        let unused = [
            ("tags", !given.tags.is_empty()),
            ("rewrite", given.rewrite.is_some()),
            ("set_host", given.set_host.is_some()),
            ("request_headers", given.request_headers != file::Changes::default()),
            ("response_timeout", given.response_timeout.is_some()),
            ("retry", given.retry != file::Retry::default()),
            ("mirror", given.mirror.is_some()),
        ];
        for (key, _) in unused.iter().filter(|(_, given)| *given) {
            at.key(key).fault(Fault::Needs("pool"));
        }
    }
    if given.split_cookie.is_some() && given.pools.is_empty() {
        at.key("split_cookie").fault(Fault::Needs("pools"));
    }
    if given.redirect_status.is_some() && given.redirect.is_none() {
        at.key("redirect_status").fault(Fault::Needs("redirect"));
    }
}
