//! What an operator should know of other settings, and would not see in what differs.

use hyper::header::HeaderName;

use crate::config::{Config, Part, Pool, Route};
use crate::connect::Provenance;

/// What is to be said of these settings in place of those.
pub(super) fn remarks(now: &Config, then: &Config) -> Vec<String> {
    let mut remarks: Vec<_> = renamed(now, then).collect();
    for remark in now.routes.iter().chain(&then.routes).filter_map(unjudged) {
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
    remarks
}

/// Backends are known by their pool, too.
fn renamed<'a>(now: &'a Config, then: &'a Config) -> impl Iterator<Item = String> {
    let lacks = |config: &Config, pool: &Pool| config.pools.iter().all(|other| other.name != pool.name);
    let new = then.pools.iter().filter(move |pool| lacks(now, pool));
    new.filter_map(move |new| {
        let old = now.pools.iter().find(|old| lacks(then, old) && have_the_same(old, new))?;
        Some(format!(
            "pool {} has the backends of pool {}, and nothing of what is known of them there: \
             checks, holds and weights begin anew",
            new.name, old.name
        ))
    })
}

fn have_the_same(one: &Pool, other: &Pool) -> bool {
    let has = |pool: &Pool, backend: &crate::config::Backend| {
        pool.backends.iter().any(|known| known.url.is_same(&backend.url))
    };
    one.sources == other.sources
        && one.backends.len() == other.backends.len()
        && one.backends.iter().all(|backend| has(other, backend))
}

/// Requests are remembered as they came, and not with what we say of their clients.
fn unjudged(route: &Route) -> Option<String> {
    let ours = route.when.conditions.iter().find_map(|condition| match &condition.part {
        Part::Header(name) if is_ours(name) => Some(name),
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
