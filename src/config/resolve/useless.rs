//! Keys that do nothing where they stand: somebody believes that they do.

use super::Spot;
use crate::config::fault::{Fault, PoolFault, RouteFault};
use crate::config::file::{self, File};
use crate::config::pool::{PolicyName, is_grpc_check};

use PolicyName::{First, LeastRequests, Maglev, PeakEwma, Ring};

/// Keys of a pool that are for some policies.
const OWN: [(&str, &[PolicyName]); 4] = [
    ("hash_key", &[Maglev, Ring]),
    ("hash_bound", &[Maglev, Ring]),
    ("choices", &[LeastRequests]),
    ("decay", &[PeakEwma]),
];

/// Whether a key that is for some policies counts with this one.
pub(in crate::config) fn counts(key: &str, policy: PolicyName) -> bool {
    OWN.iter().all(|(own, fit)| *own != key || fit.contains(&policy))
}

/// Whether requests may overflow from some backends of a pool to others.
pub(in crate::config) fn overflows(given: &file::Pool) -> bool {
    let has_tiers = given.backends.iter().any(|backend| backend.0.tier.unwrap_or(0) > 0);
    // SRV records have tiers.
    has_tiers || given.zone.is_some() || given.discover.iter().any(|source| source.starts_with("srv:"))
}

/// Those of a pool.
pub(super) fn of_pool(given: &file::Pool, at: &Spot<'_>) {
    let policy = given.policy.map_or(First, |word| word.0);
    let is_given = [
        given.hash_key.is_some(),
        given.hash_bound.is_some(),
        given.choices.is_some(),
        given.decay.is_some(),
    ];
    for ((key, fit), _) in OWN.iter().zip(is_given).filter(|((key, _), given)| *given && !counts(key, policy))
    {
        at.key(key).fault(PoolFault::NotForPolicy { policy, fit });
    }
    let shares = [("slow_start", given.slow_start.is_some()), ("overflow", given.overflow.is_some())];
    for (key, _) in shares.iter().filter(|(_, is_given)| *is_given && policy == First) {
        at.key(key).fault(PoolFault::NotForFirst);
    }
    // Who wrote `first` may want another policy again; who wrote none believes that weights need none. One of 0 does count.
    let weighs = |backend: &file::Backend| backend.0.weight.is_some_and(|weight| weight > 1);
    if let Some(index) = given.backends.iter().position(weighs).filter(|_| given.policy.is_none()) {
        at.key("backends").index(index).key("weight").fault(PoolFault::NoPolicy);
    }
    // A source may tell of others.
    let is_out = |backend: &file::Backend| backend.0.weight == Some(0);
    if !given.backends.is_empty() && given.discover.is_empty() && given.backends.iter().all(is_out) {
        at.key("backends").fault(PoolFault::NoWeight);
    }
    if given.overflow.is_some() && policy != First && !overflows(given) {
        at.key("overflow").fault(PoolFault::NoTiers);
    }
    if given.health.statuses.is_some() && given.health.path.as_deref().is_some_and(is_grpc_check) {
        at.key("health").key("statuses").fault(PoolFault::GrpcStatuses);
    }
    // Those that sources name have no zone.
    if given.zone.is_some() && given.backends.iter().all(|backend| backend.0.zone.is_none()) {
        at.key("zone").fault(PoolFault::NoZones);
    }
}

/// Those of a route.
pub(super) fn of_route(given: &file::Route, at: &Spot<'_>) {
    let forwards = given.pool.is_some() || !given.pools.is_empty();
    let is_there = |key| at.key(key).is_there();
    let answers =
        given.redirect.is_some() || given.answer.is_some() || is_there("redirect") || is_there("answer");
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
    if !given.retry.statuses.is_empty() && given.retry.attempts == Some(1) {
        at.key("retry").key("statuses").fault(RouteFault::OneAttempt);
    }
}

/// Those of the process.
pub(super) fn of_process(file: &File, root: &Spot<'_>) {
    let asks_for_names = |text: &String| !text.starts_with("file:");
    let sources = file.pools.values().flat_map(|pool| &pool.discover);
    if !file.dns_servers.is_empty() && !sources.into_iter().any(asks_for_names) {
        root.key("dns_servers").fault(PoolFault::NoNames);
    }
}
