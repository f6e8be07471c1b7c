//! The immutable view that requests read.

mod settings;

use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use hyper::body::{Body, Bytes};

use crate::backends::{Backend, BackendId, Evidence, Hold, State};
use crate::balance::{Member, Pool, Tags, Turn};
use crate::config::{Action, Config};
use crate::connect::{Connections, Outbox, Way};

pub use settings::Settings;

/// All that a request needs to know of the world, compiled once for each change.
#[derive(Debug)]
pub struct Snapshot {
    /// What the settings say.
    pub settings: Arc<Settings>,
    /// Where requests may go, in the order of the settings.
    pub pools: Vec<Pool>,
    /// What is known of each backend, pool after pool: a member's place is one of these.
    pub facts: Vec<Fact>,
    /// Backends for whose answers nobody is to wait any more, for there are others in their pools. They may be in none of these.
    pub abandoned: HashSet<BackendId>,
    /// The revision of the registry that it has, if not more.
    pub as_of: u64,
}

/// What is known of one backend.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Which it is.
    pub id: BackendId,
    /// How it is reached.
    pub way: Arc<Way>,
    /// Whether it is used.
    pub state: State,
    /// Why.
    pub evidence: Evidence,
    /// Since when we know.
    pub learned: Instant,
}

impl Snapshot {
    /// What these settings and these facts, of this revision at least, mean for requests. What did not change is taken over
    /// from the snapshot before.
    pub fn compile(
        settings: &Arc<Settings>,
        (as_of, backends): (u64, &[Backend]),
        before: Option<&Self>,
    ) -> Self {
        let config = &settings.config;
        let mut facts = Vec::with_capacity(backends.len());
        let mut own = HashMap::<&str, Vec<&Backend>>::new();
        for backend in backends.iter().filter(|backend| !backend.leaving) {
            own.entry(&backend.terms.pool).or_default().push(backend);
        }
        let known = before.iter().flat_map(|before| before.settings.config.pools.iter().zip(&before.pools));
        let known: HashMap<_, _> = known.map(|(pool, compiled)| (&pool.name, compiled)).collect();
        let pools = config.pools.iter().zip(subsets(config)).map(|(pool, subsets)| {
            let before = known.get(&pool.name).copied();
            let members = members(own.remove(&*pool.name).unwrap_or_default(), &mut facts);
            let compiled = match before {
                Some(before) => before.succeed(pool.balancing.clone(), members),
                None => Pool::new(pool.balancing.clone(), members),
            };
            subsets.into_iter().fold(compiled, |pool, tags| pool.with_subset(tags, before))
        });
        let pools = pools.collect();
        Self { settings: Arc::clone(settings), pools, facts, abandoned: abandoned(backends), as_of }
    }

    /// Whether the places of the one are those of the other.
    pub fn has_settings_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.settings, &other.settings)
    }

    /// Whether a backend is one to which requests are sent.
    pub fn sends_to(&self, backend: BackendId) -> bool {
        let mut members = self.pools.iter().flat_map(Pool::members);
        members.any(|member| member.id == backend && member.usable && !member.drained && member.weight > 0)
    }
}

/// For each pool, by its place, the tags that routes ask of its backends, each once.
fn subsets(config: &Config) -> Vec<Vec<&Tags>> {
    let mut subsets = vec![Vec::new(); config.pools.len()];
    let mut known = HashSet::new();
    for route in &config.routes {
        let Action::Forward(split) = &route.action else { continue };
        let tags = &split.tags[..];
        for share in split.shares.iter().filter(|share| !tags.is_empty() && known.insert((share.pool, tags)))
        {
            subsets[share.pool].push(tags);
        }
    }
    subsets
}

/// Those of the backends for which nobody is to wait, be it that they are leaving: others have what was meant for them.
fn abandoned(backends: &[Backend]) -> HashSet<BackendId> {
    let mut given_up = backends.iter().filter(|backend| backend.health.is_abandoned()).peekable();
    // Most often there is none.
    if given_up.peek().is_none() {
        return HashSet::new();
    }
    // Where thousands are dead at once, few of their pools are left to ask.
    let mut able = HashMap::<&str, Vec<&Backend>>::new();
    for backend in backends.iter().filter(|backend| backend.gets_requests()) {
        able.entry(&backend.terms.pool).or_default().push(backend);
    }
    let has_other = |given_up: &&Backend| {
        let able = able.get(&*given_up.terms.pool);
        able.is_some_and(|able| able.iter().any(|other| other.stands_in_for(given_up)))
    };
    given_up.filter(has_other).map(|backend| backend.id).collect()
}

fn usable(backend: &Backend) -> bool {
    backend.health.is_usable() && backend.hold != Some(Hold::Disable)
}

fn members(own: Vec<&Backend>, facts: &mut Vec<Fact>) -> Vec<Member> {
    let members = own.into_iter().map(|backend| {
        let place = facts.len();
        facts.push(Fact {
            id: backend.id,
            way: Arc::clone(&backend.way),
            state: backend.health.state(),
            evidence: backend.health.evidence().clone(),
            learned: backend.health.learned(),
        });
        let terms = &backend.terms.backend;
        Member {
            id: backend.id,
            place,
            way: Arc::clone(&backend.way),
            load: Arc::clone(&backend.load),
            // Whoever is kept by a cookie at one that is drained still comes.
            usable: usable(backend),
            well_since: backend.health.well_since(),
            weight: backend.weight(),
            drained: backend.hold == Some(Hold::Drain),
            disabled: backend.hold == Some(Hold::Disable),
            tier: terms.tier,
            zone: terms.zone.clone(),
            max_requests: terms.max_requests,
            tags: terms.tags.clone(),
        }
    });
    members.collect()
}

/// Connections to a backend that is none any more, or is reached in another way.
type Retired<B> = (BackendId, Weak<Connections<B>>);

/// A snapshot together with what one worker has of its own: connections to its backends, and whose turn it is.
#[derive(Debug)]
pub struct View<B: Body + 'static> {
    /// What all workers see.
    pub snapshot: Arc<Snapshot>,
    /// For each backend, by its place.
    connections: Vec<Rc<Connections<B>>>,
    /// While requests that began before have them.
    retired: Vec<Retired<B>>,
    /// What goes out to them.
    outbox: Rc<Outbox<B>>,
    /// For each pool.
    turns: Vec<Turns>,
}

/// Whose turn it is in one pool, and within each of its subsets: those who take turns together, as the requests of a page do
/// whose routes ask for different ones, would all meet the same backend.
#[derive(Debug)]
struct Turns {
    all: Rc<Turn>,
    within: Vec<(Box<Tags>, Rc<Turn>)>,
}

impl<B> View<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// The first view of a worker.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let outbox = Rc::default();
        let connections = |fact: &Fact| Rc::new(Connections::to(&fact.way, &outbox));
        let connections = snapshot.facts.iter().map(connections).collect();
        let turns = snapshot.pools.iter().map(|pool| Turns::of(pool, None)).collect();
        Self { snapshot, connections, retired: Vec::new(), outbox, turns }
    }

    /// The view of a newer snapshot. Connections to backends that stay and are usable are kept, and pools that stay go on
    /// where they were; others are closed, each when its request is through. Tells also whether nobody is to wait any more for
    /// answers that are waited for.
    pub fn succeed(&self, snapshot: Arc<Snapshot>) -> (Self, bool) {
        let (connections, retired) = self.take_over(&snapshot);
        let ids = snapshot.facts.iter().map(|fact| fact.id);
        let gone = retired.iter().filter_map(|(id, gone)| Some((*id, gone.upgrade()?)));
        let is_abandoned = |id: &_| snapshot.abandoned.contains(id) && !self.snapshot.abandoned.contains(id);
        let mut any_abandoned = false;
        for (_, abandoned) in
            ids.zip(connections.iter().cloned()).chain(gone).filter(|(id, _)| is_abandoned(id))
        {
            abandoned.abandon();
            any_abandoned = true;
        }
        let turns = self.take_turns_over(&snapshot);
        (Self { snapshot, connections, retired, outbox: Rc::clone(&self.outbox), turns }, any_abandoned)
    }

    /// The connections to each backend of a newer snapshot, and those that only requests that began before have.
    fn take_over(&self, snapshot: &Snapshot) -> (Vec<Rc<Connections<B>>>, Vec<Retired<B>>) {
        let before = &self.snapshot.facts;
        let alike = before.iter().zip(&snapshot.facts).take_while(|(old, new)| old.id == new.id).count();
        // Most often all are where they were, and nobody is looked for.
        let moved = before.iter().zip(&self.connections).skip(alike);
        let mut moved: HashMap<_, _> = moved.map(|(fact, known)| (fact.id, known)).collect();
        let mut retired: Vec<_> =
            self.retired.iter().filter(|(_, gone)| gone.strong_count() > 0).cloned().collect();
        let mut retire = |id, gone: &Rc<Connections<B>>| {
            gone.retire();
            retired.push((id, Rc::downgrade(gone)));
        };
        let connections = snapshot.facts.iter().enumerate().map(|(place, fact)| {
            let known = if place < alike { Some(&self.connections[place]) } else { moved.remove(&fact.id) };
            let kept = match known {
                Some(kept) if Arc::ptr_eq(kept.way(), &fact.way) => kept,
                replaced => {
                    replaced.inspect(|gone| retire(fact.id, gone));
                    return Rc::new(Connections::to(&fact.way, &self.outbox));
                }
            };
            if fact.state == State::Down {
                kept.clear();
            }
            Rc::clone(kept)
        });
        let connections = connections.collect();
        moved.into_iter().for_each(|(id, gone)| retire(id, gone));
        (connections, retired)
    }

    /// Whose turn it is in each pool of a newer snapshot.
    fn take_turns_over(&self, snapshot: &Snapshot) -> Vec<Turns> {
        if snapshot.has_settings_of(&self.snapshot) {
            let pools = snapshot.pools.iter().zip(&self.turns);
            return pools.map(|(pool, turns)| Turns::of(pool, Some(turns))).collect();
        }
        let pools = self.snapshot.settings.config.pools.iter().zip(&self.turns);
        let before: HashMap<_, _> = pools.map(|(pool, turns)| (&pool.name, turns)).collect();
        let pools = snapshot.settings.config.pools.iter().zip(&snapshot.pools);
        pools.map(|(pool, compiled)| Turns::of(compiled, before.get(&pool.name).copied())).collect()
    }

    /// The connections to the backend at one place.
    pub fn connections(&self, place: usize) -> &Rc<Connections<B>> {
        &self.connections[place]
    }

    /// The connections to each backend.
    pub fn all_connections(&self) -> &[Rc<Connections<B>>] {
        &self.connections
    }

    /// What goes out to all of them.
    pub fn outbox(&self) -> &Rc<Outbox<B>> {
        &self.outbox
    }

    /// Whose turn it is in one pool, within those that have these tags.
    pub fn turn(&self, pool: usize, tags: &Tags) -> &Turn {
        let turns = &self.turns[pool];
        let within = || turns.within.iter().find(|(of, _)| **of == *tags).map(|(_, turn)| turn);
        if tags.is_empty() { &turns.all } else { within().unwrap_or(&turns.all) }
    }
}

impl Turns {
    /// Those of a pool that takes the place of another, if any.
    fn of(pool: &Pool, before: Option<&Self>) -> Self {
        // Workers do not all begin with the same backend.
        let first = || Rc::new(Turn::starting_at(fastrand::u64(..)));
        let known = |tags: &Tags| {
            let (_, turn) = before?.within.iter().find(|(of, _)| **of == *tags)?;
            Some(Rc::clone(turn))
        };
        let within = pool.tags().map(|tags| (tags.into(), known(tags).unwrap_or_else(first))).collect();
        Self { all: before.map_or_else(first, |before| Rc::clone(&before.all)), within }
    }
}
