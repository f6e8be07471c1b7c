//! Routes.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::HeaderValue;

use super::action::action;
use super::listen::Listeners;
use super::matching::matching;
use super::shared::Pools;
use super::treatment::treatment;
use super::{Spot, useless};
use crate::config::fault::RouteFault;
use crate::config::file::{self, File};
use crate::config::route::{Action, Match, Route, Treatment};

/// Keys of a route that do not say which requests it is for.
const ASIDE: [&str; 19] = [
    "pool",
    "pools",
    "split_cookie",
    "tags",
    "redirect",
    "redirect_status",
    "answer",
    "rewrite",
    "set_host",
    "request_headers",
    "answer_headers",
    "response_timeout",
    "body_timeout",
    "body_size",
    "retry",
    "rate",
    "rate_burst",
    "mirror",
    "error_pages",
];

/// A route as far as it makes sense.
pub(super) struct RouteDraft {
    name: Arc<str>,
    when: Match,
    /// Whether all was read that says which requests it is for.
    is_sure: bool,
    action: Option<Action>,
    treatment: Option<Treatment>,
}

impl RouteDraft {
    /// The route, if all of it makes sense.
    pub(super) fn whole(&self) -> Option<Route> {
        let (name, when) = (Arc::clone(&self.name), self.when.clone());
        Some(Route { name, when, action: self.action.clone()?, treatment: self.treatment.clone()? })
    }

    /// The route for the sake of its requests, if those are known. What it does may be left out.
    pub(super) fn matching(self) -> Option<Route> {
        let nothing = || Action::Answer {
            status: StatusCode::OK,
            content_type: HeaderValue::from_static("text/plain"),
            body: Default::default(),
        };
        let (action, treatment) = (self.action.unwrap_or_else(nothing), self.treatment.unwrap_or_default());
        self.is_sure.then_some(Route { name: self.name, when: self.when, action, treatment })
    }
}

/// Each route as far as it makes sense; nothing of those of which is not known which requests they are for.
pub(super) fn routes(
    file: &File,
    pools: &Pools,
    listeners: &Listeners<'_>,
    root: &Spot<'_>,
) -> Vec<Option<RouteDraft>> {
    if file.routes.is_empty() && pools.len() > 1 {
        root.key("pools").fault(RouteFault::NoRoutes);
    }
    let at = root.key("routes");
    // How they stand to each other is seen when they are compiled.
    file.routes.iter().map(|(name, given)| route(name, given, (pools, listeners), &at.key(name))).collect()
}

fn route(
    name: &str,
    given: &file::Route,
    (pools, listeners): (&Pools, &Listeners<'_>),
    at: &Spot<'_>,
) -> Option<RouteDraft> {
    useless::of_route(given, at);
    let (matched, captures) = matching(given, listeners, at);
    let captures = captures.as_deref();
    let action = action(given, pools, captures, at);
    let treatment = treatment(given, pools, captures, at);
    let is_sure = !at.is_unsure(&ASIDE);
    Some(RouteDraft { name: name.into(), when: matched?, is_sure, action, treatment })
}
