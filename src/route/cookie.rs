//! Routes that keep the same clients by one cookie, and each undo what the other did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::{Action, Draft, Match, Part, Pool, Route, Split};

use super::conflict::Conflict;

/// A route that keeps clients by a cookie.
struct Keeper<'d> {
    route: &'d Route,
    at: Kept,
    /// What it asks for that is the same of all requests of a client.
    of_clients: Match,
}

/// Where clients are kept.
enum Kept {
    /// At one of these pools.
    Pools(BTreeSet<usize>),
    /// At a backend of a pool.
    Backend,
}

impl<'d> Keeper<'d> {
    fn of(route: &'d Route, at: Kept) -> Self {
        Self { route, at, of_clients: apart_from_target(&route.when) }
    }
}

impl Kept {
    /// Whether what one sets never means anything to the other.
    fn means_nothing_to(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pools(own), Self::Pools(others)) => own.is_disjoint(others),
            (Self::Backend, Self::Backend) => false,
            (Self::Pools(_), Self::Backend) | (Self::Backend, Self::Pools(_)) => true,
        }
    }
}

/// Routes that surely undo what another one did: clients come to both, for nothing but their paths, methods and queries tells
/// the two apart. A cookie goes to its own host alone.
pub(super) fn find_undone(draft: &Draft) -> Vec<Conflict> {
    let mut keepers: BTreeMap<&str, Vec<Keeper<'_>>> = BTreeMap::new();
    for route in &draft.routes {
        let Action::Forward(split) = &route.action else { continue };
        if let Some(cookie) = &split.cookie {
            let shares = split.shares.iter().filter(|share| share.weight > 0);
            let at = Kept::Pools(shares.map(|share| share.pool).collect());
            keepers.entry(cookie).or_default().push(Keeper::of(route, at));
        }
        for cookie in of_backends(split, &draft.pools) {
            keepers.entry(cookie).or_default().push(Keeper::of(route, Kept::Backend));
        }
    }
    let mut conflicts = Vec::new();
    for (cookie, keepers) in keepers {
        for (place, later) in keepers.iter().enumerate() {
            let earlier = keepers[..place].iter();
            if let Some(earlier) = earlier.into_iter().find(|earlier| undo_each_other(earlier, later)) {
                conflicts.push(Conflict::Cookie {
                    first: Arc::clone(&earlier.route.name),
                    second: Arc::clone(&later.route.name),
                    cookie: cookie.into(),
                    is_of_backends: [&earlier.at, &later.at].iter().any(|at| matches!(at, Kept::Backend)),
                });
            }
        }
    }
    conflicts
}

/// Cookies that keep a route's clients at backends. Among those with tags each pool has one of another name.
fn of_backends<'d>(split: &Split, pools: &'d [Option<Pool>]) -> impl Iterator<Item = &'d str> {
    let shares = split.shares.iter().filter(|share| share.weight > 0 && split.tags.is_empty());
    shares.filter_map(|share| Some(&*pools[share.pool].as_ref()?.balancing.sticky.as_ref()?.cookie))
}

/// What one sets means nothing to the other, which sets another. That two pools keep clients at backends is not looked at.
fn undo_each_other(one: &Keeper<'_>, other: &Keeper<'_>) -> bool {
    let (of, of_other) = (&one.route.when, &other.route.when);
    one.at.means_nothing_to(&other.at)
        && one.route.name != other.route.name
        && have_common_host(of, of_other)
        && one.of_clients == other.of_clients
}

/// Whether a host is known at which both are taken. Of one that is for more hosts than the other, it may be that none is left
/// for it where the other holds.
fn have_common_host(one: &Match, other: &Match) -> bool {
    match (&one.hosts[..], &other.hosts[..]) {
        ([], []) => true,
        (one, other) => one.iter().any(|host| other.contains(host)),
    }
}

/// What is left of a match without what may change from one request of a client to its next.
fn apart_from_target(when: &Match) -> Match {
    let conditions = when.conditions.iter().filter(|condition| !matches!(condition.part, Part::Query(_)));
    Match {
        priority: 0,
        hosts: Vec::new(),
        paths: Vec::new(),
        methods: Vec::new(),
        conditions: conditions.cloned().collect(),
        ..when.clone()
    }
}
