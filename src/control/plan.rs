//! What other settings would do, found out without putting them in force.

mod difference;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use hyper::Uri;
use hyper::header::HOST;
use serde_json::Value;

use crate::backends::{BackendId, Load, Terms};
use crate::balance::{Member, Pool};
use crate::config::{self, Action, Config, Format, Loaded};
use crate::route::{Asked, Missed, Routes};
use crate::telemetry::Seen;

use super::api::{Difference, Elsewhere, Moved, Plan, Requests};
use super::desk::Desk;

use difference::differences;

/// Kinds of requests that are shown of those that would go elsewhere.
const MOST_EXAMPLES: usize = 20;
/// Characters that are shown of a path.
const MOST_SHOWN: usize = 200;

/// What these settings would do in place of those in force.
pub(super) async fn of(desk: &Desk, loaded: Loaded) -> Plan {
    let mut differences = differences(&whole(&desk.written()), &whole(&loaded));
    let recent = desk.recall().await;
    let (now, then) = (desk.config(), &loaded.config);
    let is_told = |what: &str| differences.iter().any(|told| what.starts_with(&told.what));
    let untold: Vec<_> = changed_files(&now, then).into_iter().filter(|what| !is_told(what)).collect();
    differences.extend(untold.into_iter().map(Difference::of_file));
    let requests = where_to(&now, then, &recent);
    Plan { changes: !differences.is_empty(), differences, moved: moved(&now, then, &told(desk)), requests }
}

/// Settings that name files which do not say the same before and after.
fn changed_files(now: &Config, then: &Config) -> Vec<String> {
    let mut changed = Vec::new();
    for route in &now.routes {
        let other = then.routes.iter().find(|other| other.name == route.name);
        let (pages, others) = (&route.treatment.error_pages, other.map(|other| &other.treatment.error_pages));
        if others.is_some_and(|others| others != pages) {
            changed.push(format!("routes.{}.error_pages", route.name));
        }
    }
    let secret =
        |pool: &config::Pool| pool.balancing.sticky.as_ref().map(|sticky| Arc::clone(&sticky.secret));
    for pool in &now.pools {
        let other = then.pools.iter().find(|other| other.name == pool.name);
        if other.is_some_and(|other| secret(other) != secret(pool)) {
            changed.push(format!("pools.{}.sticky.secret_file", pool.name));
        }
    }
    let token = |config: &Config| config.admin.as_ref().and_then(|admin| admin.token.clone());
    if token(now) != token(then) {
        changed.push("admin.token_file".to_owned());
    }
    changed
}

/// For each pool that hashes, before and after, how many keys would go to another backend.
fn moved(now: &Config, then: &Config, known: &[Arc<Terms>]) -> Vec<Moved> {
    let pairs = now.pools.iter().filter_map(|pool| {
        let other = then.pools.iter().find(|other| other.name == pool.name)?;
        let told = told_by_sources(pool, known);
        // Of which source it was told does not matter: what another one would tell is not known.
        let stays = other.sources.iter().any(|source| pool.sources.contains(source));
        let (now, then) = (as_if_well(pool, &told), as_if_well(other, if stays { &told } else { &[] }));
        let percent = now.moved(&then)? * 100.0;
        Some(Moved { pool: pool.name.to_string(), percent: (percent * 10.0).round() / 10.0 })
    });
    pairs.collect()
}

/// What is known of backends that are not leaving.
fn told(desk: &Desk) -> Vec<Arc<Terms>> {
    let known = desk.registry().backends();
    known.into_iter().filter(|backend| !backend.leaving).map(|backend| backend.terms).collect()
}

/// The backends of a pool that its settings do not name.
fn told_by_sources(pool: &config::Pool, known: &[Arc<Terms>]) -> Vec<config::Backend> {
    let own = known.iter().filter(|terms| terms.pool == pool.name).map(|terms| &terms.backend);
    own.filter(|told| !names(pool, told)).cloned().collect()
}

/// A pool with the backends of the settings and these, all of which can be used.
fn as_if_well(pool: &config::Pool, told: &[config::Backend]) -> Pool {
    let born = Instant::now();
    let backends = pool.backends.iter().chain(told.iter().filter(|told| !names(pool, told)));
    let members = (0..).zip(backends).map(|(number, backend)| Member {
        id: BackendId::from(number),
        place: number as usize,
        way: Arc::new(backend.url.clone().into()),
        load: Arc::new(Load::new(born)),
        usable: true,
        well_since: None,
        weight: backend.weight,
        drained: false,
        tier: backend.tier,
        zone: backend.zone.clone(),
        max_requests: None,
        tags: backend.tags.clone(),
    });
    Pool::new(pool.balancing.clone(), members.collect())
}

fn names(pool: &config::Pool, told: &config::Backend) -> bool {
    pool.backends.iter().any(|named| named.url.is_same(&told.url))
}

/// All settings, those that nobody wrote as well.
fn whole(loaded: &Loaded) -> Value {
    serde_json::from_str(&loaded.show(true, Format::Json)).expect("what is shown as JSON is JSON")
}

/// Which of the requests would go elsewhere.
fn where_to(now: &Config, then: &Config, recent: &[Seen]) -> Requests {
    let compiled = |config: &Config| Routes::compile(&config.routes);
    let (Ok(routes), Ok(others)) = (compiled(now), compiled(then)) else {
        return Requests { looked_at: 0, elsewhere: 0, examples: Vec::new() };
    };
    let mut moves: HashMap<(String, String), (usize, String)> = HashMap::new();
    let mut elsewhere = 0;
    for seen in recent {
        let ((from, route), (to, other)) = (place(&routes, now, seen), place(&others, then, seen));
        if from != to {
            elsewhere += 1;
            let (from, to) = (format!("{from}{route}"), format!("{to}{other}"));
            let path = seen.target.split('?').next().unwrap_or_default();
            let path: String = path.chars().take(MOST_SHOWN).collect();
            moves.entry((from, to)).or_insert_with(|| (0, format!("{} {path}", seen.method))).0 += 1;
        }
    }
    let mut examples: Vec<_> = moves
        .into_iter()
        .map(|((from, to), (count, example))| Elsewhere { from, to, count, example })
        .collect();
    examples
        .sort_by(|one, other| (other.count, &one.from, &one.to).cmp(&(one.count, &other.from, &other.to)));
    examples.truncate(MOST_EXAMPLES);
    Requests { looked_at: recent.len(), elsewhere, examples }
}

/// Where a request goes, in words, and by which route.
fn place(routes: &Routes, config: &Config, seen: &Seen) -> (String, String) {
    let headers = seen.headers();
    let uri: Uri = seen.target.parse().unwrap_or_default();
    let host = seen.authority.as_deref().or(headers.get(HOST).and_then(|host| host.to_str().ok()));
    let asked = Asked {
        host: host.unwrap_or_default(),
        path: uri.path(),
        query: uri.query(),
        method: &seen.method,
        headers: &headers,
        client: seen.client.unwrap_or_else(|| [0, 0, 0, 0].into()),
    };
    match routes.find(&asked) {
        Ok(found) => {
            let route = &config.routes[found.route];
            (what(&route.action, config), format!(" (route {})", route.name))
        }
        Err(Missed::NoRoute) => ("no route".to_owned(), String::new()),
        Err(Missed::TwoReadings) => ("refused: its path can be read in two ways".to_owned(), String::new()),
    }
}

fn what(action: &Action, config: &Config) -> String {
    match action {
        Action::Forward(split) => {
            let total: u32 = split.shares.iter().map(|share| share.weight).sum();
            let share = |share: &config::Share| {
                let name = Arc::clone(&config.pools[share.pool].name);
                match share.weight {
                    weight if weight == total => format!("pool {name}"),
                    weight => format!("pool {name} ({:.0} %)", f64::from(weight) * 100.0 / f64::from(total)),
                }
            };
            let shares = split.shares.iter().filter(|share| share.weight > 0).map(share);
            let tags: String =
                split.tags.iter().map(|(name, value)| format!(" with {name} = {value}")).collect();
            shares.collect::<Vec<_>>().join(", ") + &tags
        }
        Action::Redirect { status, to } => format!("redirect {} to {to}", status.as_u16()),
        Action::Answer { status, .. } => format!("answer {}", status.as_u16()),
    }
}
