//! What an operator should know of other settings, and would not see in what differs.

use std::collections::HashSet;

use hyper::header::HeaderName;

use crate::backends::Weighed;
use crate::config::{Action, Address, Backend, Config, Part, Pool, Route, Scheme};
use crate::connect::{Provenance, X_FORWARDED_PROTO};

use super::{Known, addresses, pairs, told_by_sources};

/// Backends that are named of those that go.
const MOST_NAMED: usize = 8;

/// What is to be said of settings that are to be in force then, in place of those now. `known` are the backends that there are.
pub(super) fn remarks((now, then): (&Config, &Config), known: &Known, weighed: &Weighed) -> Vec<String> {
    let later = |name| format!("{name}: the change takes effect at the next start");
    let mut remarks: Vec<_> = then.waiting(now).into_iter().map(later).collect();
    remarks.extend(taken_out((now, then), known, weighed).chain(renamed(now, then)));
    remarks.extend(starved(then, weighed));
    for remark in now.routes.iter().chain(&then.routes).filter_map(unjudged) {
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
    remarks
}

/// Routes whose tags only backends have that get no requests: an operator may mean to weigh those later, and may not.
pub fn starved(config: &Config, weighed: &Weighed) -> impl Iterator<Item = String> {
    config.routes.iter().filter_map(|route| is_starved(route, config, weighed))
}

/// Whoever is there and speaks that is the same backend, however it was written.
fn place(backend: &Backend) -> (Scheme, &Address) {
    (backend.url.scheme, &backend.url.address)
}

/// Which backend served a request is not kept, so that those are named whose requests surely go to others.
fn taken_out<'a>(
    (now, then): (&'a Config, &'a Config),
    known: &'a Known,
    weighed: &'a Weighed,
) -> impl Iterator<Item = String> + use<'a> {
    pairs(now, then).filter_map(|(pool, after)| {
        let (after, told) = (after?, told_by_sources(pool, known));
        let stays = after.sources.iter().any(|source| pool.sources.contains(source));
        let gets_requests = |backend: &&Backend| weighed.weight(&pool.name, backend) > 0;
        let named = addresses(after);
        let kept: HashSet<_> = after.backends.iter().filter(gets_requests).map(place).collect();
        let still_told: HashSet<_> = told.iter().filter(|_| stays).map(place).collect();
        let serves = |backend: &Backend| match named.contains(&backend.url.address) {
            true => kept.contains(&place(backend)),
            false => still_told.contains(&place(backend)),
        };
        let before = pool.backends.iter().chain(&told).filter(gets_requests);
        let mut gone: Vec<_> =
            before.filter(|backend| !serves(backend)).map(|backend| backend.url.to_string()).collect();
        let more = gone.len().saturating_sub(MOST_NAMED);
        gone.truncate(MOST_NAMED);
        gone.extend((more > 0).then(|| format!("{more} more")));
        let gone = (!gone.is_empty()).then(|| gone.join(", "))?;
        Some(format!(
            "pool {}: no more requests for {gone}; which of the last ones went there is not known",
            pool.name
        ))
    })
}

fn is_starved(route: &Route, config: &Config, weighed: &Weighed) -> Option<String> {
    let Action::Forward(split) = &route.action else { return None };
    let has = |pool: &Pool, backend: &Backend| {
        split.tags.iter().all(|(name, value)| backend.tags.get(name) == Some(value))
            && weighed.weight(&pool.name, backend) > 0
    };
    let shares = split.shares.iter().filter(|share| share.weight > 0 && !split.tags.is_empty());
    let mut pools = shares.map(|share| &config.pools[share.pool]);
    let pool = pools.find(|pool| !pool.backends.iter().any(|backend| has(pool, backend)))?;
    Some(format!(
        "route {}: all backends of pool {} that have its tags have weight 0, so that its requests there get 503",
        route.name, pool.name
    ))
}

/// Backends are known by their pool, too.
fn renamed(now: &Config, then: &Config) -> impl Iterator<Item = String> {
    let (old, new) = (pools_of_one(now, then), pools_of_one(then, now));
    new.into_iter().filter_map(move |new| {
        let old = old.iter().find(|old| have_the_same(old, new))?;
        Some(format!(
            "pool {} has the backends of pool {}, and nothing of what is known of them there: \
             checks, holds and weights begin anew",
            new.name, old.name
        ))
    })
}

/// Pools whose names the other settings do not have.
fn pools_of_one<'a>(one: &'a Config, other: &Config) -> Vec<&'a Pool> {
    let known: HashSet<_> = other.pools.iter().map(|pool| &pool.name).collect();
    one.pools.iter().filter(|pool| !known.contains(&pool.name)).collect()
}

fn have_the_same(one: &Pool, other: &Pool) -> bool {
    let has =
        |pool: &Pool, backend: &Backend| pool.backends.iter().any(|known| known.url.is_same(&backend.url));
    one.sources == other.sources
        && one.backends.len() == other.backends.len()
        && one.backends.iter().all(|backend| has(other, backend))
}

/// Requests are remembered as they came, and of what we say of their clients only whether they spoke TLS.
fn unjudged(route: &Route) -> Option<String> {
    let ours = route.when.conditions.iter().find_map(|condition| match &condition.part {
        Part::Header(name) if is_ours(name) && name != X_FORWARDED_PROTO => Some(name),
        _ => None,
    })?;
    Some(format!(
        "route {} goes by {ours}, which we write ourselves: which of the last requests it is for cannot be told",
        route.name
    ))
}

/// Whether we write it, or take it away.
fn is_ours(name: &HeaderName) -> bool {
    let name_is = |other: &&str| name.as_str() == *other;
    Provenance::is_told_by(name)
        || name.as_str().starts_with("x-forwarded-")
        || ["x-real-ip", "client-cert", "client-cert-chain"].iter().any(name_is)
}
