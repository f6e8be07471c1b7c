//! What runs, as the admin API shows it.

mod confirmation;
mod routes;

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::backends::{self, Hold, State};
use crate::balance::per_cent_warm;
use crate::config::{self, BackendUrl, Config, Format, Loaded, PolicyName, nearest};
use crate::control::api::{
    Backend, BackendList, BackendState, Check, Counts, Override, OverrideList, Overview, Pool, PoolList,
    Source, Stage, Version, Weight,
};
use crate::control::desk::Desk;
use crate::control::discovery::SourceState;

use super::refused::Refused;

pub(super) use confirmation::confirmation;
pub(super) use routes::{listeners, routes};

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn version() -> Version {
    Version { name: "loadbalancer".to_owned(), version: VERSION.to_owned(), api: "v1".to_owned() }
}

pub(super) fn overview(desk: &Desk) -> Overview {
    let config = desk.config();
    let mut counts = Counts::default();
    let backends = desk.registry().backends();
    backends.iter().filter(|known| !known.is_remembered()).for_each(|known| counts.add(state(known)));
    let clients = desk.clients();
    Overview {
        version: VERSION.to_owned(),
        stage: if desk.is_stopping() { Stage::Stopping } else { Stage::Serving },
        started: in_words(desk.began()),
        uptime: desk.started().elapsed().as_secs(),
        revision: desk.revision(),
        workers: clients.len(),
        clients: clients.iter().sum(),
        listeners: config.listeners.len(),
        routes: config.routes.len(),
        pools: config.pools.len(),
        backends: counts,
    }
}

/// The settings in force, with all defaults, as a file would say them. What is secret is only named.
pub(super) fn config(desk: &Desk) -> Value {
    let settings = Loaded::clone(&desk.written()).in_force(Config::clone(&desk.config()));
    serde_json::from_str(&settings.show(true, Format::Json)).expect("what is shown as JSON is JSON")
}

pub(super) fn pools(desk: &Desk) -> PoolList {
    let known = desk.registry().backends();
    let mut by_pool = HashMap::<_, Vec<_>>::new();
    known.iter().for_each(|known| by_pool.entry(&*known.terms.pool).or_default().push(known));
    let config = desk.config();
    let states = desk.source_states();
    let mut told = HashMap::<_, Vec<_>>::new();
    states.iter().for_each(|state| told.entry(&*state.pool).or_default().push(state));
    let show = |pool: &config::Pool| {
        let own = by_pool.get(&*pool.name).map_or(&[][..], Vec::as_slice);
        show_pool(desk, pool, (own, told.get(&*pool.name).map_or(&[], Vec::as_slice)))
    };
    PoolList { pools: config.pools.iter().map(show).collect() }
}

pub(super) fn pool(desk: &Desk, name: &str) -> Result<Pool, Refused> {
    let config = desk.config();
    let pool = config.pools.iter().find(|pool| &*pool.name == name);
    let pool = pool.ok_or_else(|| no_pool(&config, name))?;
    let known = desk.registry().backends();
    let own: Vec<_> = known.iter().filter(|backend| backend.terms.pool == pool.name).collect();
    let states = desk.source_states();
    let told: Vec<_> = states.iter().filter(|state| state.pool == pool.name).collect();
    Ok(show_pool(desk, pool, (&own, &told)))
}

fn no_pool(config: &Config, name: &str) -> Refused {
    let nearest = nearest(name, config.pools.iter().map(|pool| &*pool.name)).map(str::to_owned);
    Refused::NoPool { name: name.to_owned(), nearest }
}

fn show_pool(
    desk: &Desk,
    pool: &config::Pool,
    (own, told): (&[&backends::Backend], &[&SourceState]),
) -> Pool {
    let source = |state: &&SourceState| Source {
        source: state.source.to_string(),
        backends: state.backends,
        trouble: state.trouble.as_ref().map(|trouble| trouble.why.clone()),
        trouble_since: state.trouble.as_ref().map(|trouble| moment(desk, trouble.since)),
    };
    Pool {
        name: pool.name.to_string(),
        policy: pool.balancing.policy.to_string(),
        usable: own.iter().filter(|backend| backend.gets_requests()).count(),
        backends: own.iter().map(|known| show_backend(desk, Some(pool), known)).collect(),
        sources: told.iter().map(source).collect(),
    }
}

pub(super) fn backends(desk: &Desk) -> BackendList {
    let (config, known) = (desk.config(), desk.registry().backends());
    let pools = config.pools_by_name();
    let show = |known: &backends::Backend| show_backend(desk, pools.get(&*known.terms.pool).copied(), known);
    BackendList { backends: known.iter().map(show).collect() }
}

/// A backend by its pool and its address as the settings write it.
pub(super) fn find(desk: &Desk, pool: &str, address: &str) -> Result<backends::Backend, Refused> {
    let known = desk.registry().backends();
    let address = &*BackendUrl::without_the_usual(address);
    let is_it = |backend: &backends::Backend| {
        &*backend.terms.pool == pool && &**backend.terms.backend.url.name() == address
    };
    known.into_iter().find(is_it).ok_or_else(|| {
        let config = desk.config();
        match config.pools.iter().any(|known| &*known.name == pool) {
            true => Refused::NoBackend { pool: pool.to_owned(), address: address.to_owned() },
            false => no_pool(&config, pool),
        }
    })
}

pub(super) fn backend(desk: &Desk, known: &backends::Backend) -> Backend {
    let config = desk.config();
    show_backend(desk, config.pools.iter().find(|pool| pool.name == known.terms.pool), known)
}

/// A backend, and its pool if the settings have that one still.
fn show_backend(desk: &Desk, pool: Option<&config::Pool>, known: &backends::Backend) -> Backend {
    let (terms, check) = (&known.terms.backend, &known.terms.check);
    // In this order: what is sent by what was known before is under way by the time when all know better.
    let (state, all_know) = (state(known), desk.all_know(known.as_of));
    let in_flight = known.load.in_flight();
    let own = |text: &std::sync::Arc<str>| text.to_string();
    let (warmth, rests_until) = pace(pool, known);
    Backend {
        pool: known.terms.pool.to_string(),
        address: terms.url.to_string(),
        state,
        why: why(known, state, (in_flight, all_know), (desk, pool)),
        since: moment(desk, since(known, state)),
        hold: known.hold,
        weight: Weight { set: terms.weight, effective: known.weight() },
        warmth,
        rests_until: rests_until.map(|until| moment(desk, until)),
        tier: terms.tier,
        zone: terms.zone.as_ref().map(own),
        tags: terms.tags.iter().map(|(name, value)| (own(name), own(value))).collect(),
        in_flight,
        check: Check {
            path: check.shown().to_owned(),
            host: check.host_for(&terms.url).to_owned(),
            statuses: if check.is_grpc() { Vec::new() } else { check.statuses.listed() },
            interval: text_of(check.interval),
            timeout: text_of(check.timeout),
            learned: moment(desk, known.health.learned()),
            failures: known.health.failures(),
        },
    }
}

/// Per cent of its share that a backend takes, and until when it gets nothing.
fn pace(pool: Option<&config::Pool>, known: &backends::Backend) -> (u8, Option<Instant>) {
    let Some(balancing) = pool.filter(|_| known.gets_requests()).map(|pool| &pool.balancing) else {
        return (100, None);
    };
    let now = Instant::now();
    let rests_until = known.load.rests_until(now).filter(|_| balancing.policy == PolicyName::PeakEwma);
    (per_cent_warm(balancing, known.health.well_since(), now), rests_until)
}

pub(super) fn overrides(desk: &Desk) -> OverrideList {
    let known = desk.registry().backends();
    let held = known.iter().filter(|backend| backend.hold.is_some() || backend.weight.is_some());
    let overrides = held.map(|backend| Override {
        pool: backend.terms.pool.to_string(),
        address: backend.terms.backend.url.to_string(),
        hold: backend.hold,
        weight: backend.weight,
    });
    OverrideList { overrides: overrides.collect() }
}

fn state(backend: &backends::Backend) -> BackendState {
    match (backend.leaving, backend.hold, backend.health.state()) {
        (true, ..) => BackendState::Leaving,
        (false, Some(Hold::Disable), _) => BackendState::Disabled,
        (false, Some(Hold::Drain), _) => BackendState::Draining,
        (false, None, State::Up) => BackendState::Up,
        (false, None, State::Down) => BackendState::Down,
        (false, None, State::Unknown) => BackendState::Unknown,
    }
}

fn why(
    backend: &backends::Backend,
    state: BackendState,
    (in_flight, all_know): (usize, bool),
    (desk, pool): (&Desk, Option<&config::Pool>),
) -> String {
    let (evidence, predecessor) = (backend.health.evidence(), desk.predecessor());
    let mut why = match state {
        BackendState::Up | BackendState::Down | BackendState::Unknown => evidence.to_string(),
        BackendState::Draining if in_flight == 0 && all_know => {
            let here = if predecessor.is_some() { " here" } else { "" };
            format!("an operator drains it; it has nothing left to do{here}")
        }
        BackendState::Draining => "an operator drains it".to_owned(),
        BackendState::Disabled => "an operator disabled it".to_owned(),
        BackendState::Leaving if in_flight == 0 && backend.is_overridden() => {
            format!("{}; what an operator said of it is remembered", why_it_left(pool))
        }
        BackendState::Leaving => why_it_left(pool).to_owned(),
    };
    let is_taken_out =
        matches!(state, BackendState::Draining | BackendState::Disabled | BackendState::Leaving);
    if is_taken_out && let Some(process) = predecessor {
        why += &format!("; process {process}, which was replaced, may still have requests for it");
    }
    if is_taken_out && backend.health.state() == State::Down {
        // Who is drained goes on being checked.
        let tense = if state == BackendState::Draining { "is" } else { "was" };
        why += &format!("; it {tense} down: {evidence}");
    }
    if !is_taken_out && backend.health.is_of_before() {
        why += "; not checked since it was let back in";
    }
    if !all_know {
        why += "; not all workers go by what an operator said yet";
    }
    why
}

fn why_it_left(pool: Option<&config::Pool>) -> &'static str {
    match pool.is_some_and(|pool| !pool.sources.is_empty()) {
        true => "neither the settings nor the sources of its pool name it any more",
        false => "it is no longer among the settings",
    }
}

fn since(backend: &backends::Backend, state: BackendState) -> Instant {
    match state {
        // Before it was let go of, it was in another one.
        BackendState::Up | BackendState::Down | BackendState::Unknown => {
            backend.health.since().max(backend.told)
        }
        BackendState::Draining | BackendState::Disabled | BackendState::Leaving => backend.told,
    }
}

/// A moment by the clock on the wall (RFC 3339), to the second.
fn moment(desk: &Desk, at: Instant) -> String {
    in_words(desk.on_the_wall(at))
}

fn in_words(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at).truncate_to_second();
    at.format(&Rfc3339).expect("the year has four digits")
}

/// A duration as the settings write it.
fn text_of(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms % 1000 != 0 => format!("{ms}ms"),
        ms if ms % 60_000 != 0 => format!("{}s", ms / 1000),
        ms if ms % 3_600_000 != 0 => format!("{}m", ms / 60_000),
        ms => format!("{}h", ms / 3_600_000),
    }
}
