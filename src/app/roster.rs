//! Which backends there are: those of the settings, and those that their sources have told of.

mod kept;
mod told;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{AbortHandle, yield_now};
use tokio::time::sleep;

use crate::backends::{Backend as Known, Registry, Terms, pause_after};
use crate::config::{Backend, Config, Pool, Source, is_ourselves};
use crate::connect::{Chores, Patience, Ways};
use crate::control::{Discovery, Objection, SourceState, Trouble};

use super::StartError;

use told::Inherited;

pub(super) use kept::Kept;
pub(super) use told::Told;

/// A source, the pool that it is for, and whom it is asked of. The same source may serve two pools.
type Key = (Arc<str>, Source, Vec<SocketAddr>);

/// How long sources have to say something before requests are let in.
const FIRST_ANSWERS: Duration = Duration::from_secs(3);
/// Between two times that the registry is told what sources have told of, at least.
const PAUSE: Duration = Duration::from_millis(50);

/// Tells the registry which backends there are, whenever that changes.
pub(super) struct Roster {
    registry: &'static Registry,
    chores: Chores,
    current: RefCell<Current>,
    /// The settings that are to be the next ones, from when their sources are asked.
    coming: RefCell<Option<Arc<Config>>>,
    /// Settings that may come back, whose sources are asked meanwhile.
    kept: RefCell<Vec<Arc<Config>>>,
    followed: RefCell<HashMap<Key, Followed>>,
    /// Until the first sources are met.
    inherited: RefCell<Inherited>,
    /// When the registry was told last, how long to pause after that, and whether there is more to tell.
    last_told: Cell<Option<(Instant, Duration)>>,
    is_to_tell: Cell<bool>,
}

struct Current {
    config: Arc<Config>,
    /// For each pool.
    ways: Arc<[Ways]>,
}

/// A source that is asked now and then, until it is dropped.
struct Followed {
    found: Vec<Backend>,
    trouble: Option<Trouble>,
    asking: AbortHandle,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

impl Roster {
    /// Of these settings; sources are asked from [`Roster::meet`] on. What the process before was told by them holds until then.
    pub(super) fn of(
        (registry, chores): (&'static Registry, &Chores),
        config: Arc<Config>,
        ways: Vec<Ways>,
        told: Vec<Told>,
    ) -> Rc<Self> {
        let roster = Rc::new(Self {
            registry,
            chores: chores.clone(),
            current: RefCell::new(Current { config, ways: ways.into() }),
            coming: RefCell::default(),
            kept: RefCell::default(),
            followed: RefCell::default(),
            inherited: RefCell::new(Inherited::of(told)),
            last_told: Cell::default(),
            is_to_tell: Cell::default(),
        });
        roster.tell();
        roster
    }

    /// What sources have told of, which the process that takes this one's place may not be told at once.
    pub(super) fn told(&self) -> Vec<Told> {
        let followed = self.followed.borrow();
        followed
            .iter()
            .flat_map(|((pool, source, _), known)| Told::parts(pool, source, &known.found))
            .collect()
    }

    /// Goes by other settings, whose sources were met. What those that stay have told is kept.
    pub(super) fn adopt(&self, config: Arc<Config>, ways: Vec<Ways>) {
        *self.current.borrow_mut() = Current { config, ways: ways.into() };
        self.forget_others();
        self.tell();
    }

    /// The revision of the registry.
    pub(super) fn as_of(&self) -> u64 {
        self.registry.revision()
    }

    /// The settings that it goes by, and how backends are reached, pool by pool.
    pub(super) fn current(&self) -> (Arc<Config>, Arc<[Ways]>) {
        let current = self.current.borrow();
        (Arc::clone(&current.config), Arc::clone(&current.ways))
    }

    /// Lets some be reached in other ways, in place of these alone: others have come of a change of settings, and of the files as they
    /// are by then. Gives whether it did.
    pub(super) fn renew(&self, before: &Arc<[Ways]>, renewed: Vec<(usize, Ways)>) -> bool {
        let mut current = self.current.borrow_mut();
        if renewed.is_empty() || !Arc::ptr_eq(before, &current.ways) {
            return false;
        }
        let mut ways = before.to_vec();
        renewed.into_iter().for_each(|(pool, renewed)| ways[pool] = renewed);
        current.ways = ways.into();
        drop(current);
        self.tell();
        true
    }

    /// Asks the sources of the settings in force also when others are, until what this gives is dropped.
    pub(super) fn keep(self: &Rc<Self>) -> Kept {
        Kept::of(self)
    }

    /// Asks no sources but those of the settings in force, and those that are kept.
    pub(super) fn forget_others(&self) {
        self.coming.take();
        self.forget();
    }

    fn forget(&self) {
        let (current, coming, kept) = (self.current.borrow(), self.coming.borrow(), self.kept.borrow());
        let asked = [&current.config].into_iter().chain(&*coming).chain(&*kept);
        let keys: HashSet<_> = asked.flat_map(|config| keys(config)).collect();
        self.followed.borrow_mut().retain(|key, _| keys.contains(key));
    }

    /// Asks the sources of these settings, beside those of the ones in force, and waits for what they say at first, but not for
    /// long.
    pub(super) async fn meet(self: &Rc<Self>, config: &Arc<Config>) {
        *self.coming.borrow_mut() = Some(Arc::clone(config));
        let mut changes = self.registry.subscribe();
        let mut keys = keys(config);
        let known: HashSet<_> = self.followed.borrow().keys().cloned().collect();
        self.follow(config, &keys);
        if !mem::take(&mut *self.inherited.borrow_mut()).is_empty() {
            self.tell();
        }
        // Those that were asked before have said what they know.
        keys.retain(|key| !known.contains(key));
        let have_told = || {
            let followed = self.followed.borrow();
            keys.iter().all(|key| followed.get(key).is_some_and(|followed| !followed.found.is_empty()))
        };
        // Who says nothing may do so later.
        let told = async { while !have_told() && changes.changed().await.is_ok() {} };
        let _ = Patience::of(FIRST_ANSWERS).wait(told).await;
        // Whoever goes on from here goes by all that was told.
        if self.is_to_tell.get() {
            self.tell();
        }
    }

    /// Whether each pool of these settings, whose sources were met, has backends if it has some now, and some that get requests.
    ///
    /// # Errors
    /// One would lose all, for its sources have told of none, or of none that get requests.
    pub(super) fn check(&self, config: &Config) -> Result<(), StartError> {
        let followed = self.followed.borrow();
        let (present, weighed) = (self.registry.backends(), self.registry.weighed());
        // Of others it is known what they have.
        for pool in config.pools.iter().filter(|pool| !pool.sources.is_empty()) {
            let is_now = |known: &&Known| known.terms.pool == pool.name && !known.leaving;
            let (now, then) = (
                present.iter().filter(is_now).collect::<Vec<_>>(),
                all_of(pool, config, known_of(&followed)),
            );
            let name = Arc::clone(&pool.name);
            let sources = || pool.sources.iter().map(Source::to_string).collect::<Vec<_>>().join(", ");
            if then.is_empty() && !now.is_empty() {
                return Err(StartError::NobodyFound { pool: name, backends: now.len(), sources: sources() });
            }
            let will_get_requests = |backend: &&Backend| weighed.weight(&pool.name, backend) > 0;
            if now.iter().any(|known| known.weight() > 0) && !then.iter().any(will_get_requests) {
                return Err(StartError::Weightless { pool: name, sources: sources() });
            }
        }
        Ok(())
    }

    fn follow(self: &Rc<Self>, config: &Config, keys: &[Key]) {
        let (mut followed, inherited) = (self.followed.borrow_mut(), self.inherited.borrow());
        let discovery = Discovery::asking(&config.dns_servers);
        for key in keys {
            if followed.contains_key(key) {
                continue;
            }
            // What was told of it to another pool, or by others, holds until these tell: first of all what its pool was told.
            let told = followed.iter().map(|((pool, source, _), known)| (pool, source, &known.found));
            let of_source = told
                .chain(inherited.iter())
                .filter(|(_, source, found)| **source == key.1 && !found.is_empty());
            let known = of_source.min_by_key(|(pool, ..)| **pool != key.0);
            let found = known.map(|(.., found)| found.clone()).unwrap_or_default();
            let (this, own) = (Rc::downgrade(self), key.clone());
            let tell = move |found| this.upgrade().map_or(Ok(()), |this| this.found(&own, found));
            let (this, own) = (Rc::downgrade(self), key.clone());
            let note = move |why| {
                let this = this.upgrade();
                this.iter().for_each(|this| this.note(&own, &why));
            };
            let asking = discovery.clone().follow((key.1.clone(), found.clone()), tell, note);
            let asking = self.chores.begin(asking).abort_handle();
            followed.insert(key.clone(), Followed { found, trouble: None, asking });
        }
    }

    /// Notes what is wrong with a source, if anything is.
    fn note(&self, key: &Key, why: &Option<String>) {
        if let Some(followed) = self.followed.borrow_mut().get_mut(key) {
            followed.trouble = Trouble::after(followed.trouble.take(), why.clone());
        }
    }

    /// How the sources of the settings in force are, pool by pool.
    pub(super) fn states(&self) -> Vec<SourceState> {
        let (current, followed) = (self.current.borrow(), self.followed.borrow());
        let state = |(pool, source, servers): Key| {
            let known = followed.get(&(Arc::clone(&pool), source.clone(), servers))?;
            let (backends, trouble) = (known.found.len(), known.trouble.clone());
            Some(SourceState { pool, source, backends, trouble })
        };
        keys(&current.config).into_iter().filter_map(state).collect()
    }

    /// Goes by what a source found.
    fn found(self: &Rc<Self>, key: &Key, found: Vec<Backend>) -> Result<(), Objection> {
        let config = self.judge(key);
        let is_other = |backend: &Backend| is_other(backend, &config);
        let ourselves = found.iter().find(|backend| !is_other(backend));
        let objection = ourselves.map_or(Ok(()), |backend| Err(Objection::Ourselves(backend.url.clone())));
        let knows_others =
            || self.followed.borrow().get(key).is_some_and(|known| known.found.iter().any(is_other));
        // Where nobody else is known it counts as soon as we listen elsewhere.
        if !found.iter().any(is_other) && knows_others() {
            return objection;
        }
        let changes = self.followed.borrow().get(key).is_some_and(|followed| followed.found != found);
        if changes {
            self.check_weights(key, &config, &found)?;
            self.followed.borrow_mut().entry(key.clone()).and_modify(|followed| followed.found = found);
            self.tell_soon();
        }
        objection
    }

    /// The settings for which a source is asked: those in force, or those to come.
    fn judge(&self, (pool, source, servers): &Key) -> Arc<Config> {
        let current = &self.current.borrow().config;
        let mut pools = current.pools.iter();
        let is_asked = pools.any(|known| known.name == *pool && known.sources.contains(source));
        let coming = self.coming.borrow().clone();
        let coming = coming.filter(|_| !is_asked || current.dns_servers != *servers);
        coming.unwrap_or_else(|| Arc::clone(current))
    }

    /// Whether a pool of which some get requests by these settings has such backends yet if a source of it found these.
    fn check_weights(&self, key: &Key, config: &Config, found: &[Backend]) -> Result<(), Objection> {
        let followed = self.followed.borrow();
        let Some(pool) = config.pools.iter().find(|pool| pool.name == key.0) else { return Ok(()) };
        let known = known_of(&followed);
        let (before, after) = (
            all_of(pool, config, &known),
            all_of(pool, config, |other| if other == key { Some(found) } else { known(other) }),
        );
        let weighed = self.registry.weighed();
        let gets_requests = |backend: &&Backend| weighed.weight(&pool.name, backend) > 0;
        match before.iter().any(gets_requests) && !after.iter().any(gets_requests) {
            true => Err(Objection::Weightless),
            false => Ok(()),
        }
    }

    /// Tells soon, once for all that sources tell meanwhile: each time is about all backends.
    fn tell_soon(self: &Rc<Self>) {
        if self.is_to_tell.replace(true) {
            return;
        }
        let this = Rc::downgrade(self);
        self.chores.begin(async move {
            let last = this.upgrade().and_then(|this| this.last_told.get());
            match last.map_or(Duration::ZERO, |(last, pause)| pause.saturating_sub(last.elapsed())) {
                // Behind all who have something to say by now.
                Duration::ZERO => yield_now().await,
                pause => sleep(pause).await,
            }
            if let Some(this) = this.upgrade() {
                this.tell();
            }
        });
    }

    fn tell(&self) {
        self.is_to_tell.set(false);
        let began = Instant::now();
        let Current { config, ways } = &*self.current.borrow();
        let followed = self.followed.borrow();
        let mut all: Vec<(Terms, _)> = Vec::new();
        for ((pool, ways), told_apart_by) in config.pools.iter().zip(&**ways).zip(config.tags_asked()) {
            let check = Arc::new(pool.health.clone());
            for backend in all_of(pool, config, known_of(&followed)) {
                let pool = Arc::clone(&pool.name);
                let (check, told_apart_by) = (Arc::clone(&check), Arc::clone(&told_apart_by));
                let terms = Terms { pool, backend: backend.clone(), check, told_apart_by };
                all.push((terms, ways.to(&backend.url)));
            }
        }
        let count = all.len();
        self.registry.replace(all);
        let now = Instant::now();
        self.last_told.set(Some((now, PAUSE.max(pause_after(count, now - began)))));
    }
}

/// The backends of a pool: those of the settings, and those that its sources are known to have found.
fn all_of<'a>(
    pool: &'a Pool,
    config: &Config,
    known: impl Fn(&Key) -> Option<&'a [Backend]>,
) -> Vec<&'a Backend> {
    let found = pool.sources.iter().filter_map(|source| known(&key(pool, source, &config.dns_servers)));
    // Where we listen is known of these settings, whenever the source told of it.
    let found = found.flatten().filter(|backend| is_other(backend, config));
    // What two sources tell of is one backend, be it with two schemes, and what the settings say of it counts.
    let mut told = HashSet::new();
    let mut all: Vec<_> = pool.backends.iter().chain(found).collect();
    all.retain(|backend| told.insert(&backend.url.address));
    all
}

/// What sources found, as it is known.
fn known_of<'a>(followed: &'a HashMap<Key, Followed>) -> impl Fn(&Key) -> Option<&'a [Backend]> {
    |key| followed.get(key).map(|followed| &*followed.found)
}

/// Whether a backend is somebody else than we are, by these settings.
fn is_other(backend: &Backend, config: &Config) -> bool {
    !is_ourselves(&backend.url.address, &config.listeners)
}

fn keys(config: &Config) -> Vec<Key> {
    let of = |pool| move |source| key(pool, source, &config.dns_servers);
    config.pools.iter().flat_map(|pool| pool.sources.iter().map(of(pool))).collect()
}

fn key(pool: &Pool, source: &Source, servers: &[SocketAddr]) -> Key {
    (Arc::clone(&pool.name), source.clone(), servers.to_vec())
}
