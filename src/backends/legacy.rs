//! What a process leaves to the one that takes its place of what it knows of backends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tracing::info;

use super::{Backend, Health, Hold, MOST_REMEMBERED, Terms, tell};

/// How long it is of use to know how a backend was.
const NEWS: Duration = Duration::from_secs(10);

/// What is left of what was known of one backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Legacy {
    /// Which one, so that it is told from all others.
    pub key: String,
    /// As the command line takes it.
    pub backend: String,
    /// What an operator said of it.
    pub hold: Option<Hold>,
    /// What an operator gave it in place of the weight that the settings say.
    pub weight: Option<u32>,
    /// How often in succession it was found dead; never, unless it is down.
    pub failures: u32,
    /// How it was found dead.
    pub finding: String,
    /// For how long it was well again, so that it goes on warming up; nothing if it is down or never was.
    pub well_for: Option<Duration>,
}

impl Legacy {
    /// That of a backend, unless there is nothing that another process could not know of it.
    pub(super) fn of(backend: &Backend) -> Option<Self> {
        let well_since =
            backend.health.well_since().filter(|_| backend.health.is_usable() && !backend.leaving);
        let legacy = Self {
            key: key(&backend.terms),
            backend: backend.to_string(),
            hold: backend.hold,
            weight: backend.weight,
            failures: if backend.leaving { 0 } else { backend.health.failures() },
            finding: backend.health.evidence().finding(),
            well_for: well_since.map(|since| since.elapsed()),
        };
        let is_news = legacy.failures > 0 || legacy.well_for.is_some();
        (is_news || legacy.is_override()).then_some(legacy)
    }

    fn is_override(&self) -> bool {
        self.hold.is_some() || self.weight.is_some()
    }
}

impl Backend {
    pub(super) fn inherit(&mut self, legacy: &Legacy, now: Instant) {
        (self.hold, self.weight) = (legacy.hold, legacy.weight);
        if let Some(hold) = self.hold {
            info!("{self} is {}, as an operator told the process before", hold.participle());
        }
        if let Some(weight) = self.weight {
            info!("{self} has weight {weight}, as an operator told the process before");
        }
        if let Some(time) = legacy.well_for {
            self.health.was_well_for(time, now);
        }
        if legacy.failures > 0 {
            self.health = Health::dead_before(legacy.failures, &legacy.finding, now);
            tell(&self.terms, &self.health);
        }
    }
}

fn without_news(legacy: &Legacy) -> Legacy {
    Legacy { failures: 0, well_for: None, ..legacy.clone() }
}

/// In words, for another process: a name may lead elsewhere by then, and one place may have two names.
fn key(terms: &Terms) -> String {
    let (pool, scheme, address) = terms.key();
    format!("{scheme:?} {address} {pool}")
}

/// Legacies of backends that nobody has named yet, by their keys, and when they came.
#[derive(Debug, Default)]
pub(super) struct Unclaimed(Mutex<HashMap<String, (Legacy, Instant)>>);

impl Unclaimed {
    pub(super) fn add(&self, legacies: Vec<Legacy>) {
        let now = Instant::now();
        self.lock().extend(legacies.into_iter().map(|legacy| (legacy.key.clone(), (legacy, now))));
    }

    /// That of this backend. It is given once.
    pub(super) fn claim(&self, terms: &Terms) -> Option<Legacy> {
        let mut all = self.lock();
        let (legacy, since) = if all.is_empty() { None } else { all.remove(&key(terms)) }?;
        Some(if since.elapsed() < NEWS { legacy } else { without_news(&legacy) })
    }

    /// Forgets those of which operators said nothing, and says which are left, of which there is a bound.
    pub(super) fn settle(&self) {
        let mut remembered = 0;
        self.lock().retain(|_, (legacy, _)| {
            let is_kept = legacy.is_override() && remembered < MOST_REMEMBERED;
            remembered += usize::from(is_kept);
            if is_kept {
                info!(
                    "{} is none of the backends; what an operator said of it holds when it is",
                    legacy.backend
                );
            }
            is_kept
        });
    }

    /// What operators said of those that may be named yet. How they were is no news by now.
    pub(super) fn overrides(&self) -> Vec<Legacy> {
        let all = self.lock();
        all.values()
            .map(|(legacy, _)| legacy)
            .filter(|legacy| legacy.is_override())
            .map(without_news)
            .collect()
    }

    /// Takes back what an operator said of those of this name, which may lead there again. They have settled by then: of all that are
    /// left something was said.
    pub(super) fn take_back(&self, terms: &Terms, hold: bool, weight: bool) {
        let name = terms.to_string();
        self.lock().retain(|_, (legacy, _)| {
            if legacy.backend == name {
                let hold = legacy.hold.take_if(|_| hold).is_some();
                let weight = legacy.weight.take_if(|_| weight).is_some();
                if hold || weight {
                    info!(
                        "{name} led elsewhere: what an operator told the process before of that is taken back"
                    );
                }
            }
            legacy.is_override()
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Legacy, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
