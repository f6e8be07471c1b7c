//! What the admin API says and takes, as JSON. From these types its OpenAPI document is made.

mod backends;
mod changes;
mod plan;
mod problem;
mod routes;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use backends::{Backend, BackendList, BackendState, Check, Counts, Pool, PoolList, Source, Weight};
pub use changes::{Applied, BackendPatch, Change, Confirmation, Override, OverrideList, Reload, Verdict};
pub use plan::{Difference, Elsewhere, Kind, Moved, Plan, Requests};
pub use problem::{Problem, ProblemKind};
pub use routes::{Action, Listener, ListenerList, Route, RouteList, Share};

/// Which program this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// Its name.
    pub name: String,
    /// Its version (Semantic Versioning 2.0).
    pub version: String,
    /// The version of this API.
    pub api: String,
}

/// How it is, in a few figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// The version of the program.
    pub version: String,
    /// What it is doing.
    pub stage: Stage,
    /// When it had started (RFC 3339).
    #[schemars(extend("format" = "date-time"))]
    pub started: String,
    /// Seconds since then.
    pub uptime: u64,
    /// Which settings are in force: it grows by one with each change.
    pub revision: u64,
    /// Threads that serve clients.
    pub workers: usize,
    /// Client connections.
    pub clients: usize,
    /// Addresses that clients connect to.
    pub listeners: usize,
    /// Routes among the settings.
    pub routes: usize,
    /// Pools among the settings.
    pub pools: usize,
    /// How many backends are in which state.
    pub backends: Counts,
}

/// What the program is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It takes clients.
    Serving,
    /// It is about to end: it finishes running requests and takes no more clients, at the latest when its notice is over (`timeouts.notice`).
    Stopping,
}

/// Whether it lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Liveness {
    /// Always.
    pub live: bool,
}

/// Whether clients should be sent here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Whether they should.
    pub ready: bool,
    /// Why, or why not.
    pub why: String,
}
