//! Facts about backends: the registry, their health and their load.
//!
//! Measurements live in atomics ([`Load`]), decisions live in the mutex ([`Registry`]), consequences live in the
//! snapshot. Requests read what was published; they never ask.

pub mod check;
mod health;
mod legacy;
mod load;
mod missed;
mod pace;
mod places;
mod reasons;
mod score;
mod silence;
mod suspect;
#[cfg(test)]
mod tests;
mod weighed;

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LockResult, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lazy_static::lazy_static;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::{self, Address, BackendUrl, DEFAULT_POOL, Scheme};
use crate::connect::Way;

use legacy::Unclaimed;
use places::Places;
use reasons::Reasons;

pub use health::{Evidence, Health, State};
pub use legacy::Legacy;
pub use load::{Ending, Experience, Load};
pub use pace::{pause, pause_after};
pub use score::Score;
pub use weighed::Weighed;

/// So many backends are remembered that are no longer wanted and do nothing any more, for what an operator said of them.
const MOST_REMEMBERED: usize = 1000;

lazy_static! {
    /// Every backend and its health: the control plane's single source of truth.
    static ref BACKENDS: Mutex<Vec<Backend>> = Mutex::new(Vec::new());
    static ref REGISTRY: Registry = Registry::over(&BACKENDS);
}

/// What tells one backend from all others, for as long as it is one: places in lists change, and so may settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(u32);

impl From<u32> for BackendId {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

/// What the process knows of one backend.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its identity.
    pub id: BackendId,
    /// What the settings say of it.
    pub terms: Arc<Terms>,
    /// How it is reached.
    pub way: Arc<Way>,
    /// What is known of its health.
    pub health: Health,
    /// What it is doing for us; shared with the workers, which write it.
    pub load: Arc<Load>,
    /// What an operator said of it, which no settings say.
    pub hold: Option<Hold>,
    /// In place of the weight that the settings say.
    pub weight: Option<u32>,
    /// Whether neither settings nor sources name it any more, and it only ends what it is doing.
    pub leaving: bool,
    /// When it was held, let go of or removed.
    pub told: Instant,
    /// Of which revision of the registry on all that an operator said of it is known.
    pub as_of: u64,
    reasons: Reasons,
}

/// What an operator said of a backend, until it is taken back: it outlasts reloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// It gets no new clients; those who are kept at it by a cookie still come.
    Drain,
    /// It gets no requests and no checks.
    Disable,
}

impl Display for Hold {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drain => "drain",
            Self::Disable => "disable",
        })
    }
}

impl Hold {
    /// What a backend is while it holds.
    fn participle(self) -> &'static str {
        match self {
            Self::Drain => "drained",
            Self::Disable => "disabled",
        }
    }
}

/// What the settings say of one backend.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Terms {
    /// The name of its pool. One address in two pools is two backends.
    pub pool: Arc<str>,
    /// Its weight and the like.
    pub backend: config::Backend,
    /// How it is checked.
    pub check: Arc<config::Checks>,
    /// Names of tags by which routes choose among its pool.
    pub told_apart_by: Arc<[Arc<str>]>,
}

/// The process's facts about backends. The lock is held for a few instructions, never across an await.
#[derive(Debug)]
pub struct Registry {
    backends: &'static Mutex<Vec<Backend>>,
    /// Where each of them is. It is locked by who has locked the list.
    places: Places,
    revision: watch::Sender<u64>,
    /// Told whenever one is doubted, which is for the checker alone: it is no fact that requests go by.
    doubts: watch::Sender<()>,
    ids: AtomicU32,
    unclaimed: Unclaimed,
}

impl Registry {
    /// The one of this process.
    pub fn global() -> &'static Self {
        &REGISTRY
    }

    /// One of its own, for whoever needs several in one process. It is never freed.
    pub fn isolated() -> &'static Self {
        Box::leak(Box::new(Self::over(Box::leak(Box::default()))))
    }

    fn over(backends: &'static Mutex<Vec<Backend>>) -> Self {
        let (revision, doubts, ids) = (watch::Sender::new(0), watch::Sender::new(()), AtomicU32::new(0));
        let (places, unclaimed) = (Places::default(), Unclaimed::default());
        Self { backends, places, revision, doubts, ids, unclaimed }
    }

    /// Makes these the backends, in this order. Those that stay, by their pool and address, keep their identity, health,
    /// load and holds, and how they are reached unless that changed. Others stay known until they have ended what they do and
    /// no operator holds them.
    pub fn replace(&self, wanted: Vec<(Terms, Arc<Way>)>) {
        let mut backends = self.lock();
        let now = Instant::now();
        let mut before: HashMap<_, _> = backends.iter().map(|known| (known.terms.key(), known)).collect();
        let health = if backends.is_empty() { Health::unknown(now) } else { Health::new(now) };
        let backend = |(terms, way): (Terms, Arc<Way>)| {
            let known = before.remove(&terms.key());
            let terms = Arc::new(terms);
            match known {
                Some(known) => {
                    let way = if known.way.is_same(&way) { Arc::clone(&known.way) } else { way };
                    known.wanted(terms, way, now)
                }
                None => self.newcomer(terms, way, health.clone(), now),
            }
        };
        let mut all: Vec<_> = wanted.into_iter().map(backend).collect();
        let unwanted = |known: &&Backend| before.contains_key(&known.terms.key());
        let left: Vec<_> = backends.iter().filter(unwanted).filter_map(|known| known.left(now)).collect();
        all.extend(left);
        forget_the_first(&mut all);
        score::begin_anew(&backends, &all);
        *backends = all;
        self.places.note(&backends);
        drop(backends);
        self.publish();
    }

    fn newcomer(&self, terms: Arc<Terms>, way: Arc<Way>, health: Health, now: Instant) -> Backend {
        let mut backend = Backend {
            id: BackendId(self.ids.fetch_add(1, Ordering::Relaxed)),
            terms,
            way,
            health,
            load: Arc::new(Load::new(now)),
            hold: None,
            weight: None,
            leaving: false,
            told: now,
            as_of: 0,
            reasons: Reasons::default(),
        };
        if let Some(legacy) = self.unclaimed.claim(&backend.terms) {
            backend.inherit(&legacy, now);
        }
        backend
    }

    /// Forgets removed backends that have ended what they did.
    pub fn sweep(&self) {
        let mut backends = self.lock();
        let gone: Vec<_> = backends.extract_if(.., |backend| backend.leaving && backend.is_over()).collect();
        if !gone.is_empty() {
            self.places.note(&backends);
            drop(backends);
            gone.iter()
                .for_each(|gone| info!("{gone} is gone: nothing is under way there, nor remembered of it"));
            self.publish();
        }
    }

    /// Holds a backend, or lets go of it, if it is one still.
    pub fn hold(&self, backend: BackendId, hold: Option<Hold>) {
        self.change(backend, |backend| {
            let (before, now) = (backend.hold, Instant::now());
            backend.hold = hold;
            backend.told = now;
            // Nobody has seen it meanwhile: it may have been started anew.
            if before == Some(Hold::Disable) {
                backend.health.let_back_in(now);
            }
            match hold {
                Some(Hold::Drain) => info!("{backend} is drained: no new clients, by an operator"),
                Some(Hold::Disable) => info!("{backend} is disabled by an operator"),
                None => info!("{backend} is enabled by an operator"),
            }
        });
    }

    /// Gives a backend another weight than its settings say, or that again, if it is one still.
    pub fn weigh(&self, backend: BackendId, weight: Option<u32>) {
        self.change(backend, |backend| {
            backend.weight = weight;
            match weight {
                Some(weight) => info!("{backend} has weight {weight} by an operator"),
                None => info!("{backend} has the weight of the settings again: {}", backend.weight()),
            }
        });
    }

    fn change(&self, id: BackendId, change: impl FnOnce(&mut Backend)) {
        let mut backends = self.lock();
        let Some(backend) = self.places.find(&mut backends, id) else { return };
        change(backend);
        // Whoever reads a later revision than this one, and then the list, waits for the lock that is held here.
        backend.as_of = self.revision() + 1;
        drop(backends);
        self.publish();
    }

    /// Takes into account what a check found that was made since `since`. A backend that was removed meanwhile is ignored.
    pub fn observe(&self, backend: BackendId, evidence: Evidence, since: Instant) {
        self.learn(self.lock(), backend, evidence, since);
    }

    /// Has a backend checked at once, unless it is down or is to be checked at once already: what the check finds counts.
    pub fn doubt(&self, id: BackendId) {
        let mut backends = self.lock();
        let found = self.places.find(&mut backends, id).filter(|known| known.health.is_usable());
        let is_new = found.is_some_and(|backend| backend.health.doubt(Instant::now()));
        drop(backends);
        if is_new {
            self.doubts.send_replace(());
        }
    }

    fn learn(
        &self,
        mut backends: MutexGuard<'_, Vec<Backend>>,
        id: BackendId,
        evidence: Evidence,
        since: Instant,
    ) {
        let Some(backend) = self.places.find(&mut backends, id) else { return };
        if backend.health.is_too_soon(&evidence, since, backend.terms.check.interval) {
            return;
        }
        let (before, now) = (backend.health.state(), Instant::now());
        backend.health.learn(evidence, since, now);
        let (terms, health) = (Arc::clone(&backend.terms), backend.health.clone());
        let is_changed = health.state() != before;
        let is_news = backend.is_news(is_changed, now);
        drop(backends);
        if is_news {
            tell(&terms, &health, is_changed);
        }
        // That it is as it was is no news to anybody, and it is found again and again.
        if is_changed {
            self.publish();
        }
    }

    /// What is known of all backends, in order of preference.
    pub fn backends(&self) -> Vec<Backend> {
        self.lock().clone()
    }

    /// The health of one backend, if it is still one.
    pub fn health(&self, backend: BackendId) -> Option<Health> {
        self.places.find(&mut self.lock(), backend).map(|known| known.health.clone())
    }

    /// A number that grows with each change of a fact.
    pub fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    /// That number, now and whenever it grows.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    fn publish(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Backend>> {
        // No method leaves the list half-changed, so a thread that panicked with the lock did no harm to it.
        let locked: LockResult<_> = self.backends.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend {
    /// Its share of requests beside that of others.
    pub fn weight(&self) -> u32 {
        self.weight.unwrap_or(self.terms.backend.weight)
    }

    /// Whether requests may be sent to it.
    pub fn is_usable(&self) -> bool {
        self.health.is_usable() && self.hold.is_none()
    }

    /// Whether anybody's requests may be sent to it, not only those of clients whom a cookie keeps there.
    pub fn gets_requests(&self) -> bool {
        self.is_usable() && !self.leaving && self.weight() > 0
    }

    /// Whether it is to be said how it is: whenever that changed, and where it is down for another reason than was said.
    fn is_news(&mut self, is_changed: bool, now: Instant) -> bool {
        if is_changed {
            self.reasons = Reasons::default();
        }
        let is_other = !self.health.is_usable() && self.reasons.is_news(self.health.evidence(), now);
        is_changed || is_other
    }

    /// Whether requests go to it if the other cannot be used, be it those of routes that ask for tags.
    pub fn stands_in_for(&self, other: &Self) -> bool {
        let (own, others) = (&self.terms.backend.tags, &other.terms.backend.tags);
        let is_like = |name| others.get(name).is_none_or(|value| own.get(name) == Some(value));
        let is_of_pool = self.terms.pool == other.terms.pool;
        is_of_pool && self.gets_requests() && self.terms.told_apart_by.iter().all(is_like)
    }

    /// Whether there is nothing to know of it any more once it is no longer wanted. What an operator said of it holds until
    /// that is taken back, for it may be wanted again: names do not always tell of all that they lead to.
    fn is_over(&self) -> bool {
        self.load.in_flight() == 0 && !self.is_overridden()
    }

    /// Whether an operator said something of it that no settings say.
    pub fn is_overridden(&self) -> bool {
        self.hold.is_some() || self.weight.is_some()
    }

    /// Whether it is not looked after any more, though requests may be with it: the settings name it no longer, or an operator
    /// disabled it.
    fn is_taken_out(&self) -> bool {
        self.leaving || self.hold == Some(Hold::Disable)
    }

    /// Whether it is known only for what an operator said of it: it is not wanted, and does nothing any more.
    pub fn is_remembered(&self) -> bool {
        self.leaving && self.load.in_flight() == 0
    }

    /// It, if it is wanted on these terms, still or again.
    fn wanted(&self, terms: Arc<Terms>, way: Arc<Way>, now: Instant) -> Self {
        let mut wanted = Self { terms, way, leaving: false, ..self.clone() };
        if self.leaving {
            // Nobody has seen it meanwhile, as if it had been disabled.
            wanted.health.let_back_in(now);
            wanted.told = now;
        }
        wanted
    }

    /// What remains of it when it is no longer wanted.
    fn left(&self, now: Instant) -> Option<Self> {
        if self.leaving {
            // It is swept when it is over.
            return Some(self.clone());
        }
        match self.load.in_flight() {
            0 if self.is_over() => {
                info!("{self} is removed");
                return None;
            }
            0 => info!("{self} is removed: an operator holds or weighs it, which is remembered"),
            count => info!("{self} is removed; requests still with it: {count}"),
        }
        Some(Self { leaving: true, told: now, ..self.clone() })
    }
}

impl Display for Backend {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.terms.fmt(f)
    }
}

/// As the command line takes it: POOL/ADDRESS, or ADDRESS alone in the pool that nobody gave a name.
impl Display for Terms {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &*self.pool {
            DEFAULT_POOL => self.backend.url.fmt(f),
            pool => write!(f, "{pool}/{}", self.backend.url),
        }
    }
}

impl Terms {
    /// What tells a backend from all others, while it is one.
    fn key(&self) -> (Arc<str>, Scheme, Address) {
        key(&self.pool, &self.backend.url)
    }
}

fn key(pool: &Arc<str>, url: &BackendUrl) -> (Arc<str>, Scheme, Address) {
    (Arc::clone(pool), url.scheme, url.address.clone())
}

/// Who left last stands before those that left earlier.
fn forget_the_first(backends: &mut Vec<Backend>) {
    let mut remembered = 0;
    backends.retain(|backend| {
        remembered += usize::from(backend.is_remembered());
        let is_kept = !backend.is_remembered() || remembered <= MOST_REMEMBERED;
        if !is_kept {
            warn!("{backend} left long ago: what an operator said of it is forgotten");
        }
        is_kept
    });
}

fn tell(terms: &Terms, health: &Health, is_changed: bool) {
    let still = if is_changed { "" } else { "still " };
    match health.state() {
        State::Up => info!("{terms} is healthy: {}", health.evidence()),
        State::Down => warn!("{terms} is {still}down: {}", health.evidence()),
        State::Unknown => {}
    }
}
