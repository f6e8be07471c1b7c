//! What other settings would do, found out without putting them in force.

mod difference;
mod elsewhere;
mod remarks;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use crate::backends::{BackendId, Load, Terms, Weighed};
use crate::balance::{Member, Pool};
use crate::config::{self, Address, Config, Format, Loaded};

pub use remarks::starved;

use super::api::{Difference, Kind, Moved, Plan};
use super::desk::{Desk, Outcome};

use difference::{ORDER, differences};

/// What is known of the backends of each pool.
type Known = HashMap<Arc<str>, Vec<Arc<Terms>>>;

/// What these settings would do in place of those in force.
pub(super) async fn of(desk: &Desk, loaded: Loaded, outcome: &Outcome) -> Plan {
    // What waits for the next start was written, and is not in force.
    let written = Loaded::clone(&desk.written()).in_force(Config::clone(&desk.config()));
    let mut differences = differences(&whole(&written), &whole(&with_workers_of(&desk.config(), &loaded)));
    let recent = desk.recall().await;
    let (now, then) = (desk.config(), &loaded.config);
    // One file may be written in two ways.
    differences.retain(|told| told.what != "access_log" || now.access_log != then.access_log);
    let is_told = |what: &str| {
        differences.iter().any(|told| is_within(what, &told.what) || is_within(&told.what, what))
    };
    let untold: Vec<_> = changed_files(&now, then).into_iter().filter(|what| !is_told(what)).collect();
    differences.extend(untold.into_iter().map(Difference::of_file));
    differences.extend(moved_names(&now, then));
    match outcome {
        // They mean the same, however they are written.
        Outcome::Unchanged => differences.clear(),
        Outcome::Waiting(_) => {
            let without = whole(&loaded.clone().in_force(Config::clone(&now)));
            let alike = difference::differences(&whole(&written), &without);
            differences.retain(|told| !alike.contains(told));
        }
        Outcome::Changed | Outcome::Later(_) if differences.is_empty() => {
            // Whoever would put them in force looked at those as well.
            differences.push(Difference::of_file("pools.*.tls".to_owned()));
        }
        _ => {}
    }
    let (known, weighed) = (known_now(desk), desk.registry().weighed());
    let written = (written.written(), loaded.written());
    let requests = elsewhere::requests((&now, then), written, &known, &recent);
    let changes = !differences.is_empty();
    let mut remarks = if changes { remarks::remarks((&now, then), &known, &weighed) } else { Vec::new() };
    remarks.extend(loaded.remarks.iter().cloned());
    let moved = moved((&now, then), &known, &weighed);
    Plan { changes, differences, remarks, moved, requests }
}

/// The same settings, with as many connections as there would be: what nobody chose goes by the workers that there are.
fn with_workers_of(now: &Config, loaded: &Loaded) -> Loaded {
    let mut kept = loaded.config.clone();
    kept.keep_workers(now.workers);
    let mut loaded = loaded.clone();
    if !kept.limits.is_chosen {
        loaded.config.limits.connections = kept.limits.connections;
    }
    loaded
}

/// Whether a setting is another one or a part of it.
fn is_within(what: &str, whole: &str) -> bool {
    what.strip_prefix(whole)
        .is_some_and(|rest| rest.is_empty() || rest == ORDER || rest.starts_with(['.', '[']))
}

/// Settings that name files which do not say the same before and after.
fn changed_files(now: &Config, then: &Config) -> Vec<String> {
    let mut changed = Vec::new();
    let routes: HashMap<_, _> = then.routes.iter().map(|route| (&route.name, route)).collect();
    for route in &now.routes {
        let other = routes.get(&route.name);
        let (pages, others) = (&route.treatment.error_pages, other.map(|other| &other.treatment.error_pages));
        if others.is_some_and(|others| others != pages) {
            changed.push(format!("routes.{}.error_pages", route.name));
        }
    }
    let secret =
        |pool: &config::Pool| pool.balancing.sticky.as_ref().map(|sticky| Arc::clone(&sticky.secret));
    for (pool, other) in pairs(now, then) {
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

/// Backends whose names lead elsewhere by now.
fn moved_names(now: &Config, then: &Config) -> Vec<Difference> {
    let mut moved = Vec::new();
    for (pool, other) in pairs(now, then) {
        let Some(other) = other else { continue };
        let mut led: HashMap<_, Vec<_>> = HashMap::new();
        for url in other.backends.iter().map(|backend| &backend.url) {
            led.entry(url.name()).or_default().push(&url.address);
        }
        for url in pool.backends.iter().map(|backend| &backend.url) {
            let others = led.get(url.name()).filter(|others| !others.contains(&&url.address));
            moved.extend(others.map(|others| Difference {
                kind: Kind::Change,
                what: format!("pools.{}.backends[{url}]", pool.name),
                before: Some(url.address.to_string().into()),
                after: Some(others[0].to_string().into()),
            }));
        }
    }
    moved
}

/// For each pool that hashes, before and after, how many keys would go to another backend.
fn moved((now, then): (&Config, &Config), known: &Known, weighed: &Weighed) -> Vec<Moved> {
    let moved = pairs(now, then).filter_map(|(pool, other)| {
        let (other, told) = (other?, told_by_sources(pool, known));
        // Of which source it was told does not matter: what another one would tell is not known.
        let stays = other.sources.iter().any(|source| pool.sources.contains(source));
        let still_told: &[_] = if stays { &told } else { &[] };
        let (now, then) = (as_if_well(pool, &told, weighed), as_if_well(other, still_told, weighed));
        // What a request is known by before says nothing of what it is known by after.
        let other_key = pool.balancing.hash_key != other.balancing.hash_key;
        let percent = now.moved(&then)? * 100.0;
        let percent = if other_key { 100.0 } else { (percent * 10.0).round() / 10.0 };
        Some(Moved { pool: pool.name.to_string(), percent, other_key })
    });
    moved.collect()
}

/// The pools of the one, each with that of the other by the same name, if there is one.
fn pairs<'a>(
    one: &'a Config,
    other: &'a Config,
) -> impl Iterator<Item = (&'a config::Pool, Option<&'a config::Pool>)> {
    let others = other.pools_by_name();
    one.pools.iter().map(move |pool| (pool, others.get(&*pool.name).copied()))
}

/// What is known of backends that are not leaving, by their pools.
fn known_now(desk: &Desk) -> Known {
    let mut known = Known::new();
    for backend in desk.registry().backends().into_iter().filter(|backend| !backend.leaving) {
        known.entry(Arc::clone(&backend.terms.pool)).or_default().push(backend.terms);
    }
    known
}

/// The backends of a pool that its settings do not name.
fn told_by_sources(pool: &config::Pool, known: &Known) -> Vec<config::Backend> {
    let (own, named) = (known.get(&pool.name).map_or(&[][..], Vec::as_slice), addresses(pool));
    let own = own.iter().map(|terms| &terms.backend);
    own.filter(|told| !named.contains(&told.url.address)).cloned().collect()
}

/// A pool with the backends of the settings and these, all of which can be used.
fn as_if_well(pool: &config::Pool, told: &[config::Backend], weighed: &Weighed) -> Pool {
    let (born, named) = (Instant::now(), addresses(pool));
    let others = told.iter().filter(|told| !named.contains(&told.url.address));
    let backends = pool.backends.iter().chain(others);
    let members = (0..).zip(backends).map(|(number, backend)| Member {
        id: BackendId::from(number),
        place: number as usize,
        way: Arc::new(backend.url.clone().into()),
        load: Arc::new(Load::new(born)),
        usable: true,
        well_since: None,
        weight: weighed.weight(&pool.name, backend),
        drained: false,
        disabled: false,
        tier: backend.tier,
        zone: backend.zone.clone(),
        max_requests: None,
        tags: backend.tags.clone(),
    });
    Pool::new(pool.balancing.clone(), members.collect())
}

/// Where the backends are that a pool's settings name.
fn addresses(pool: &config::Pool) -> HashSet<&Address> {
    pool.backends.iter().map(|named| &named.url.address).collect()
}

/// All settings, those that nobody wrote as well.
fn whole(loaded: &Loaded) -> Value {
    serde_json::from_str(&loaded.show(true, Format::Json)).expect("what is shown as JSON is JSON")
}
