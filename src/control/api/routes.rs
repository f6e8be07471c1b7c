//! Listeners and routes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListenerList {
    /// In the order of the settings.
    pub listeners: Vec<Listener>,
}

/// An address that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Where it is, with the port that the system chose if it was told to.
    pub address: String,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// All routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteList {
    /// In the order of the settings. Of those that hold for a request, the most specific one counts.
    pub routes: Vec<Route>,
}

/// Which requests it is for, and what is done with them. An empty list holds for all requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Routes of a higher priority are looked at first.
    pub priority: i32,
    /// One of these hosts.
    pub hosts: Vec<String>,
    /// One of these paths.
    pub paths: Vec<String>,
    /// One of these methods.
    pub methods: Vec<String>,
    /// All of these: `header x-beta is yes`.
    pub conditions: Vec<String>,
    /// One of these listeners, by name.
    pub listeners: Vec<String>,
    /// Whether it is only for clients of some networks.
    pub some_clients: bool,
    /// What is done with its requests.
    pub action: Action,
}

/// What is done with a route's requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// They go to pools.
    Forward {
        /// Which, and in which proportion.
        pools: Vec<Share>,
        /// Only to backends with these tags.
        tags: BTreeMap<String, String>,
    },
    /// Their clients are sent elsewhere.
    Redirect {
        /// The status of the answer.
        status: u16,
        /// Where to.
        to: String,
    },
    /// They are answered as the settings say.
    Answer {
        /// The status of the answer.
        status: u16,
    },
}

/// A pool's share of a route's requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// The pool.
    pub pool: String,
    /// Beside those of the others.
    pub weight: u32,
}
