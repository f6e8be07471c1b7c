//! The immutable view that requests read.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::{Body, Bytes};

use crate::backends::{Backend, Evidence, State};
use crate::balance::{Member, Pool};
use crate::config::Config;
use crate::connect::Connections;

/// All that a request needs to know of the world, compiled once for each change.
#[derive(Debug)]
pub struct Snapshot {
    /// Where requests may go.
    pub pool: Pool,
    /// What is known of each member of the pool, for whoever has to explain.
    pub facts: Vec<Fact>,
}

/// What is known of one backend.
#[derive(Clone, Debug)]
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
            id: backend.id,
            way: Arc::clone(&backend.way),
            load: Arc::clone(&backend.load),
            usable: backend.health.is_usable(),
        };
        let fact = |backend: &Backend| Fact {
            state: backend.health.state(),
            evidence: backend.health.evidence().clone(),
            learned: backend.health.learned(),
        };
        Self {
            pool: Pool::new(config.policy, backends.iter().map(member).collect()),
            facts: backends.iter().map(fact).collect(),
        }
    }
}

/// A snapshot together with one worker's connections to its backends.
#[derive(Debug)]
pub struct View<B: Body + 'static> {
    /// What all workers see.
    pub snapshot: Arc<Snapshot>,
    /// For each member of the pool.
    connections: Vec<Rc<Connections<B>>>,
}

impl<B> View<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// The first view of a worker.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let connections = snapshot.pool.members().iter().map(none_yet).collect();
        Self { snapshot, connections }
    }

    /// The view of a newer snapshot. Connections to backends that stay and are usable are kept.
    pub fn succeed(&self, snapshot: Arc<Snapshot>) -> Self {
        let before = self.snapshot.pool.members();
        let kept = |member: &Member| {
            let index = before.iter().position(|known| Arc::ptr_eq(&known.way, &member.way))?;
            let connections = &self.connections[index];
            if !member.usable {
                connections.clear();
            }
            Some(Rc::clone(connections))
        };
        let members = snapshot.pool.members().iter();
        let connections = members.map(|member| kept(member).unwrap_or_else(|| none_yet(member))).collect();
        Self { snapshot, connections }
    }

    /// The connections to one member of the pool.
    pub fn connections(&self, index: usize) -> &Rc<Connections<B>> {
        &self.connections[index]
    }

    /// The connections to each member of the pool.
    pub fn all_connections(&self) -> &[Rc<Connections<B>>] {
        &self.connections
    }
}

fn none_yet<B>(member: &Member) -> Rc<Connections<B>>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Rc::new(Connections::to(&member.way))
}
