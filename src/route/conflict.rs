//! What is wrong with a set of routes: who reads it sees at load time what would puzzle at night.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hyper::Method;

use crate::config::{self, Action, Draft, Part, Test};

use super::expand::TemplateError;
use super::path::Path;
use super::relation::{
    are_apart, asks_for_another_value, asks_no_more, cover_together, covers, is_impossible, lacks_only, meet,
};
use super::rule::Rule;
use super::search::Entry;
use super::{Case, Routes};

/// A mistake in a set of routes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Others are looked at first and hold for all that it holds for.
    #[error(
        "route {route}: never reached, for all its requests go to {} before; remove it, {}raise its priority",
        names(.by),
        if *.is_outranked { "or " } else { "make it more specific, or " }
    )]
    Shadowed {
        /// The one that is never reached.
        route: Arc<str>,
        /// Those that stand before it; never empty.
        by: Vec<Arc<str>>,
        /// Whether one of them has a higher priority, before which nothing more specific counts.
        is_outranked: bool,
    },
    /// Two hold for exactly the same requests.
    #[error(
        "routes {first} and {second}: hold for exactly the same requests; remove one of them, or change what it is for"
    )]
    Same {
        /// One of them.
        first: Arc<str>,
        /// The other.
        second: Arc<str>,
    },
    /// Some requests could go to either of two, and neither is more specific.
    #[error(
        "routes {first} and {second}: some requests could go to either, and neither is more specific; give one of them a higher priority, or a condition that the other lacks"
    )]
    Ambiguous {
        /// One of them.
        first: Arc<str>,
        /// The other.
        second: Arc<str>,
    },
    /// No request can be one of its own.
    #[error("route {route}: never reached, for {why}")]
    Impossible {
        /// The route.
        route: Arc<str>,
        /// Why, and what to do.
        why: &'static str,
    },
    /// No request can have one of its paths, while it can have others.
    #[error("route {route}: no request can have the path {path}, for {why}")]
    DeadPath {
        /// The route.
        route: Arc<str>,
        /// The path, as it is written.
        path: String,
        /// Why, and what to do.
        why: &'static str,
    },
    /// One of its methods comes to no route, while others do.
    #[error("route {route}: {ONLY_CONNECT}")]
    DeadMethod {
        /// The route.
        route: Arc<str>,
    },
    /// All its requests to a pool would be refused.
    #[error(
        "route {route}: no backend of pool {pool} has {}; give one of them these tags, or mend those of the route",
        in_words(.tags)
    )]
    Tags {
        /// The route.
        route: Arc<str>,
        /// The pool.
        pool: Arc<str>,
        /// The tags and their values.
        tags: Vec<(Arc<str>, Arc<str>)>,
    },
    /// Clients of both are kept by one cookie, which each sets as the other does not take it.
    #[error(
        "routes {first} and {second}: keep clients {} by one cookie, {cookie}, so that each undoes what the other did; name another split_cookie in one of them",
        if *.is_of_backends { "at a pool and at a backend" } else { "at different pools" }
    )]
    Cookie {
        /// One of them.
        first: Arc<str>,
        /// The other.
        second: Arc<str>,
        /// The cookie's name.
        cookie: Box<str>,
        /// Whether one of them keeps clients at backends.
        is_of_backends: bool,
    },
    /// With its cases there are more of them than can be looked at.
    #[error(
        "route {route}: {hosts} hosts, each with {paths} paths: with those of the routes before it these are {cases} pairs of a host \
         and a path, of which there may be {MOST_CASES}; write one `*.example.com` for many hosts, or one `/api/*` or `/{{name}}` \
         for many paths"
    )]
    TooMany {
        /// The first route that is too much.
        route: Arc<str>,
        /// How many hosts it has; any is one.
        hosts: usize,
        /// The same of its paths.
        paths: usize,
        /// How many cases there are with its own.
        cases: usize,
    },
    /// A text with placeholders makes no sense.
    #[error("route {route}: {error}")]
    Template {
        /// The route.
        route: Arc<str>,
        /// What is wrong.
        error: TemplateError,
    },
}

impl Conflict {
    /// The route that is in the way, or of two the later one.
    pub fn route(&self) -> &str {
        match self {
            Self::Shadowed { route, .. }
            | Self::Impossible { route, .. }
            | Self::DeadPath { route, .. }
            | Self::DeadMethod { route }
            | Self::Tags { route, .. }
            | Self::TooMany { route, .. }
            | Self::Template { route, .. } => route,
            Self::Same { second, .. } | Self::Ambiguous { second, .. } | Self::Cookie { second, .. } => {
                second
            }
        }
    }
}

/// Cases that all routes may have together. Each takes some hundred bytes while they are compiled, and a short text can have as many
/// as its lists are long, times each other.
const MOST_CASES: usize = 500_000;
/// Routes of which it is looked whether they cover another one together.
const MOST_PARTS: usize = 32;
const CONTRADICTION: &str =
    "something must be both there and absent, or no client is in its networks; remove one of its conditions";
const ONLY_CONNECT: &str = "CONNECT is answered with 405 before routes are looked at; take CONNECT out of its methods (a WebSocket comes as a GET)";

/// The route with which there are more cases than there may be, if there is one. They are counted before any is made.
pub(super) fn find_excess(routes: &[config::Route]) -> Option<Conflict> {
    let mut cases = 0_usize;
    routes.iter().find_map(|route| {
        let [hosts, paths] = [route.when.hosts.len(), route.when.paths.len()].map(|count| count.max(1));
        cases = cases.saturating_add(hosts.saturating_mul(paths));
        let route = Arc::clone(&route.name);
        (cases > MOST_CASES).then_some(Conflict::TooMany { route, hosts, paths, cases })
    })
}

/// Routes that ask for tags which no backend has that they could go to, nor will have: what sources tell of has none.
pub(super) fn find_tagless(draft: &Draft) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for route in &draft.routes {
        let Action::Forward(split) = &route.action else { continue };
        for share in split.shares.iter().filter(|share| share.weight > 0) {
            let Some(pool) = &draft.pools[share.pool] else { continue };
            let has_all = |backend: &config::Backend| {
                split.tags.iter().all(|(name, value)| backend.tags.get(name) == Some(value))
            };
            // One without backends and sources is refused for that.
            let has_some = !pool.backends.is_empty() || !pool.sources.is_empty();
            let asks = !split.tags.is_empty();
            if asks && has_some && !pool.backends.iter().any(has_all) {
                let (route, pool) = (Arc::clone(&route.name), Arc::clone(&pool.name));
                conflicts.push(Conflict::Tags { route, pool, tags: split.tags.clone() });
            }
        }
    }
    conflicts
}

/// All that is wrong with how these routes stand to each other.
pub(super) fn find(routes: &[config::Route], compiled: &Routes) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    let mut fates = vec![Fate::default(); routes.len()];
    for (place, case) in (0..).zip(&compiled.cases) {
        let before = Before::of(place, case, compiled);
        let fate = &mut fates[case.route as usize];
        let dead_path = case.path.why_impossible();
        fate.has_path |= dead_path.is_none();
        fate.dead_path = fate.dead_path.or(dead_path);
        if let (Some((other, conflict)), false) = (before.rival, fate.has_rival) {
            fate.has_rival = true;
            let [first, second] = [other, case.route].map(|route| name(routes, route));
            conflicts.push(conflict(first, second));
        }
        fate.is_reached |= before.covered_by.is_empty();
        fate.covered_by.extend(before.covered_by);
    }
    for (route, fate) in (0_u32..).zip(fates) {
        if let Some(why) = why_impossible(&compiled.rules[route as usize], &fate) {
            conflicts.push(Conflict::Impossible { route: name(routes, route), why });
            continue;
        }
        conflicts.extend(dead_parts(&routes[route as usize]));
        if !fate.is_reached && !fate.has_rival {
            let by: Vec<_> = fate.covered_by.into_iter().filter(|other| *other != route).collect();
            let priority = |route: u32| routes[route as usize].when.priority;
            let is_outranked = by.iter().any(|other| priority(*other) > priority(route));
            let by = by.into_iter().map(|other| name(routes, other)).collect();
            conflicts.push(Conflict::Shadowed { route: name(routes, route), by, is_outranked });
        }
    }
    conflicts
}

/// What is known of a route once all its cases have been looked at.
#[derive(Clone, Debug, Default)]
struct Fate {
    /// Whether there are paths that it is for.
    has_path: bool,
    /// Why one of its paths is none.
    dead_path: Option<&'static str>,
    /// Whether one of its cases may be reached.
    is_reached: bool,
    /// Whether one was told of that cannot be told from it.
    has_rival: bool,
    /// Those whose cases stand before its own.
    covered_by: BTreeSet<u32>,
}

/// Makes a conflict of two routes.
type Make = fn(Arc<str>, Arc<str>) -> Conflict;

/// What is looked at before a case.
struct Before {
    /// A route that holds for all its requests, or several that do together.
    covered_by: Vec<u32>,
    /// Another route that is as specific, and what is wrong with the two.
    rival: Option<(u32, Make)>,
}

impl Before {
    fn of(place: u32, case: &Case, compiled: &Routes) -> Self {
        let own = &compiled.rules[case.route as usize];
        let mut before = Self { covered_by: Vec::new(), rival: None };
        let mut parts = Vec::new();
        // Those that hold if something is there, or absent.
        let mut halves: HashMap<(&Part, bool), u32> = HashMap::new();
        let mut visit = |leaf: &Vec<Entry>| {
            for entry in leaf.iter().take_while(|entry| entry.case < place) {
                // Of thousands that are alike the first tells all.
                if !before.covered_by.is_empty() && before.rival.is_some() {
                    return;
                }
                let other = &compiled.rules[entry.route as usize];
                if are_apart(other, own) || asks_for_another_value(other, own) {
                    continue;
                }
                let covers = covers(other, own);
                if covers && before.covered_by.is_empty() {
                    before.covered_by.push(entry.route);
                } else if !covers && parts.len() <= MOST_PARTS && asks_no_more(other, own) && meet(other, own)
                {
                    parts.push(entry.route);
                }
                if let Some(half) = lacks_only(other, own).filter(|_| before.covered_by.is_empty()) {
                    let is_there = half.test == Test::Present;
                    if let Some(rest) = halves.get(&(&half.part, !is_there)) {
                        before.covered_by.extend([*rest, entry.route]);
                    }
                    halves.entry((&half.part, is_there)).or_insert(entry.route);
                }
                let is_equal = entry.route != case.route
                    && compiled.cases[entry.case as usize].class == case.class
                    && meet(other, own);
                if is_equal && before.rival.is_none() {
                    let is_same = covers && self::covers(own, other);
                    before.rival = Some((entry.route, if is_same { same } else { ambiguous }));
                }
            }
        };
        for paths in compiled.hosts.covering(case.host.as_ref()) {
            paths.covering(&case.path, &mut visit);
        }
        if before.covered_by.is_empty() && (2..=MOST_PARTS).contains(&parts.len()) {
            let rules: Vec<_> = parts.iter().map(|route| &compiled.rules[*route as usize]).collect();
            if cover_together(&rules, own) {
                before.covered_by = parts;
            }
        }
        before
    }
}

fn same(first: Arc<str>, second: Arc<str>) -> Conflict {
    Conflict::Same { first, second }
}

fn ambiguous(first: Arc<str>, second: Arc<str>) -> Conflict {
    Conflict::Ambiguous { first, second }
}

/// Why no request can be one of a route's own, if so.
fn why_impossible(rule: &Rule, fate: &Fate) -> Option<&'static str> {
    let is_only_connect =
        !rule.methods.is_empty() && rule.methods.iter().all(|method| method == Method::CONNECT);
    match (is_impossible(rule), fate.has_path) {
        (true, _) => Some(CONTRADICTION),
        (false, false) => fate.dead_path,
        (false, true) => is_only_connect.then_some(ONLY_CONNECT),
    }
}

/// What a route says beside other paths and methods, and no request can have.
fn dead_parts(route: &config::Route) -> Vec<Conflict> {
    let name = || Arc::clone(&route.name);
    let dead = route.when.paths.iter().filter_map(|written| {
        let why = Path::of(written).why_impossible()?;
        Some(Conflict::DeadPath { route: name(), path: written.to_string(), why })
    });
    let mut parts: Vec<_> = dead.collect();
    if route.when.methods.contains(&Method::CONNECT) {
        parts.push(Conflict::DeadMethod { route: name() });
    }
    parts
}

fn name(routes: &[config::Route], route: u32) -> Arc<str> {
    Arc::clone(&routes[route as usize].name)
}

fn names(names: &[Arc<str>]) -> String {
    names.join(" and ")
}

fn in_words(tags: &[(Arc<str>, Arc<str>)]) -> String {
    let tags: Vec<_> = tags.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    tags.join(" and ")
}

#[cfg(test)]
mod tests {
    use crate::config::{HostMatch, Match, PathMatch, Route};

    use super::*;

    /// A route with so many hosts and paths.
    fn route(name: &str, hosts: usize, paths: usize) -> Route {
        let when = Match {
            hosts: vec![HostMatch::Exact("a".into()); hosts],
            paths: vec![PathMatch::Exact("/".into()); paths],
            ..Match::default()
        };
        Route { when, ..Route::to_first_pool(name) }
    }

    #[test]
    fn the_first_route_is_named_with_which_there_are_too_many_cases() {
        let routes =
            [route("any", 0, 0), route("wide", 1_000, 499), route("more", 0, 999), route("last", 1, 0)];
        assert_eq!(find_excess(&routes[..3]), None);
        let excess = find_excess(&routes).expect("one too many");
        assert_eq!((excess.route(), MOST_CASES + 1), ("last", 500_001));
        assert!(matches!(excess, Conflict::TooMany { hosts: 1, paths: 1, cases: 500_001, .. }), "{excess:?}");
    }

    #[test]
    fn of_thousands_of_routes_for_the_same_requests_all_are_told_of_without_a_look_at_each_pair() {
        let routes: Vec<_> = (0..20_000).map(|number| route(&number.to_string(), 0, 0)).collect();
        let conflicts = Routes::compile(&routes).expect_err("one is enough");
        assert_eq!(conflicts.len(), routes.len() - 1);
    }
}
