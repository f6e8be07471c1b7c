//! The immutable view that requests read.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::{Body, Bytes};

use crate::backends::{Backend, Evidence, State};
use crate::balance::{Member, Pool};
use crate::config::Config;
use crate::connect::Idle;

/// All that a request needs to know of the world, compiled once for each change.
#[derive(Debug)]
pub struct Snapshot {
    /// Where requests may go.
    pub pool: Pool,
    /// What is known of each member of the pool, for whoever has to explain.
    pub facts: Vec<Fact>,
}

/// What is known of one backend.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    /// Whether it is used.
    pub state: State,
    /// Why.
    pub evidence: Evidence,
    /// Since when we know.
    pub learned: Instant,
}

impl Snapshot {
    /// What these settings and these facts mean for requests.
    pub fn compile(config: &Config, backends: &[Backend]) -> Self {
        let member = |backend: &Backend| Member {
            address: backend.address,
            load: Arc::clone(&backend.load),
            usable: backend.health.is_usable(),
        };
        let fact = |backend: &Backend| Fact {
            state: backend.health.state(),
            evidence: backend.health.evidence(),
            learned: backend.health.learned(),
        };
        Self {
            pool: Pool::new(config.policy, backends.iter().map(member).collect()),
            facts: backends.iter().map(fact).collect(),
        }
    }
}

/// A snapshot together with one worker's idle connections to its backends.
#[derive(Debug)]
pub struct View<B: Body + 'static> {
    /// What all workers see.
    pub snapshot: Arc<Snapshot>,
    /// For each member of the pool.
    idle: Vec<Rc<Idle<B>>>,
}

impl<B> View<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// The first view of a worker.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let idle = snapshot.pool.members().iter().map(|_| Rc::default()).collect();
        Self { snapshot, idle }
    }

    /// The view of a newer snapshot. Idle connections to backends that stay and are usable are kept.
    pub fn succeed(&self, snapshot: Arc<Snapshot>) -> Self {
        let before = self.snapshot.pool.members();
        let kept = |member: &Member| {
            let index = before.iter().position(|known| known.address == member.address)?;
            let idle = &self.idle[index];
            if !member.usable {
                idle.clear();
            }
            Some(Rc::clone(idle))
        };
        let idle = snapshot.pool.members().iter().map(|member| kept(member).unwrap_or_default()).collect();
        Self { snapshot, idle }
    }

    /// The idle connections to one member of the pool.
    pub fn idle(&self, index: usize) -> &Rc<Idle<B>> {
        &self.idle[index]
    }

    /// The idle connections to each member of the pool.
    pub fn all_idle(&self) -> &[Rc<Idle<B>>] {
        &self.idle
    }
}
