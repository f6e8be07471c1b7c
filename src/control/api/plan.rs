//! What a change of the settings would do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What other settings would do, if they were put in force now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Whether anything would change.
    pub changes: bool,
    /// Listeners, routes, pools, backends and other settings that would change.
    pub differences: Vec<Difference>,
    /// What else is to be known, in words: backends that would be taken out, pools that only get another name, routes that
    /// would find no backend or cannot be judged, certificates that soon are of no use.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// For each pool that hashes, before and after: how many of the keys would go elsewhere.
    pub moved: Vec<Moved>,
    /// Of the last requests, which would go elsewhere by their routes, pools and targets. Which backend of its pool served one
    /// is not kept: `remarks` names the backends that would be taken out.
    pub requests: Requests,
}

/// Something that would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// What is done with it.
    pub kind: Kind,
    /// What it is, as a file names it: `pools.api.backends[10.0.0.1:3000].weight`.
    pub what: String,
    /// What it is now.
    pub before: Option<serde_json::Value>,
    /// What it would be.
    pub after: Option<serde_json::Value>,
}

impl Difference {
    /// A file that is named as before says something else.
    pub fn of_file(what: String) -> Self {
        Self { kind: Kind::File, what, before: None, after: None }
    }
}

/// What would be done with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It is not there now.
    Add,
    /// It would be gone.
    Remove,
    /// It would be another.
    Change,
    /// It names the same file as now, which says something else by now.
    File,
}

/// How many keys of a pool that hashes would go to another backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Moved {
    /// The pool.
    pub pool: String,
    /// Of 100; all of them if it would hash by something else.
    pub percent: f64,
    /// Whether it would hash by something else of a request than now, so that any client may go to another backend.
    pub other_key: bool,
}

/// What would become of the last requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requests {
    /// How many of them were looked at.
    pub looked_at: usize,
    /// How many would go elsewhere; of those whose route only gets other shares, the part that would go to another pool.
    pub elsewhere: usize,
    /// From where to where, the most frequent first.
    pub examples: Vec<Elsewhere>,
}

/// Requests that would go elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Elsewhere {
    /// Where they go now: a route and what it does.
    pub from: String,
    /// Where they would go.
    pub to: String,
    /// How many of them.
    pub count: usize,
    /// The method and the path, without the query, of one of them.
    pub example: String,
}
