//! What a process leaves to the one that takes its place of what it knows of backends.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tracing::info;

use super::{Backend, Health, Hold, Registry, Terms, forget_the_first, tell};

/// What is left of what was known of one backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Legacy {
    /// Which one, so that it is told from all others.
    pub key: String,
    /// What the settings said of it, where an operator said something, so that it is remembered though nobody names it.
    pub terms: Option<Terms>,
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
            terms: backend.is_overridden().then(|| Terms::clone(&backend.terms)),
            hold: backend.hold,
            weight: backend.weight,
            failures: if backend.leaving { 0 } else { backend.health.failures() },
            finding: backend.health.evidence().finding(),
            well_for: well_since.map(|since| since.elapsed()),
        };
        let is_news = legacy.failures > 0 || legacy.well_for.is_some();
        (is_news || backend.is_overridden()).then_some(legacy)
    }
}

impl Registry {
    /// What the process that takes this one's place cannot know.
    pub fn legacies(&self) -> Vec<Legacy> {
        self.lock().iter().filter_map(Legacy::of).collect()
    }

    /// What the process before knew holds for the backends that it names, as soon as they are among ours.
    pub fn inherit(&self, legacies: Vec<Legacy>) {
        self.unclaimed.add(legacies);
    }

    /// The first settings and sources have named theirs, none of which joins others. Of whom an operator told the process before,
    /// and who is none of them, is remembered as if it had left here.
    pub fn settle(&self) {
        let mut backends = self.lock();
        backends.iter_mut().for_each(|backend| backend.health.was_there(backend.told));
        for (terms, legacy) in self.unclaimed.left() {
            info!("{terms} is none of the backends; what an operator said of it holds when it is");
            let (now, way) = (Instant::now(), Arc::new(terms.backend.url.clone().into()));
            let newcomer = self.newcomer(Arc::new(terms), way, Health::unknown(now), now);
            let (hold, weight) = (legacy.hold, legacy.weight);
            backends.push(Backend { hold, weight, leaving: true, ..newcomer });
        }
        forget_the_first(&mut backends);
        self.places.note(&backends);
        drop(backends);
        self.publish();
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
            self.is_news(true, now);
            tell(&self.terms, &self.health, true);
        }
    }
}

/// In words, for another process: a name may lead elsewhere by then, and one place may have two names.
fn key(terms: &Terms) -> String {
    let (pool, scheme, address) = terms.key();
    format!("{scheme:?} {address} {pool}")
}

/// Legacies of backends that nobody has named yet, by their keys, while the first settings and sources name theirs.
#[derive(Debug, Default)]
pub(super) struct Unclaimed(Mutex<BTreeMap<String, Legacy>>);

impl Unclaimed {
    pub(super) fn add(&self, legacies: Vec<Legacy>) {
        self.lock().extend(legacies.into_iter().map(|legacy| (legacy.key.clone(), legacy)));
    }

    /// That of this backend. It is given once.
    pub(super) fn claim(&self, terms: &Terms) -> Option<Legacy> {
        let mut all = self.lock();
        if all.is_empty() { None } else { all.remove(&key(terms)) }
    }

    /// Gives those that nobody has claimed and of which operators said something, and forgets all.
    pub(super) fn left(&self) -> Vec<(Terms, Legacy)> {
        let all = mem::take(&mut *self.lock());
        all.into_values().filter_map(|mut legacy| Some((legacy.terms.take()?, legacy))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Legacy>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
