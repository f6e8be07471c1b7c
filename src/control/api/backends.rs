//! Pools and their backends.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backends::Hold;

/// All pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolList {
    /// In the order of the settings.
    pub pools: Vec<Pool>,
}

/// A named set of backends with one balancing policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// The rule by which a backend is picked.
    pub policy: String,
    /// How many of its backends may be sent requests now.
    pub usable: usize,
    /// Its backends, in the order of the settings; those that are leaving come last.
    pub backends: Vec<Backend>,
    /// Who tells of more of them (`discover`).
    #[serde(default)]
    pub sources: Vec<Source>,
}

/// Who tells of backends of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// As the settings write it.
    pub source: String,
    /// How many backends are known of it. What it told of last holds while something is wrong.
    pub backends: usize,
    /// What is wrong with it, if anything is.
    pub trouble: Option<String>,
    /// Since when something has been (RFC 3339).
    #[schemars(extend("format" = "date-time"))]
    pub trouble_since: Option<String>,
}

/// All backends of all pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackendList {
    /// Pool after pool.
    pub backends: Vec<Backend>,
}

/// One address that answers requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Backend {
    /// The pool that it is in.
    pub pool: String,
    /// Where it is, as the settings write it. Percent-encoded it stands in the path of this API.
    pub address: String,
    /// Whether it is sent requests.
    pub state: BackendState,
    /// Why it is in this state.
    pub why: String,
    /// Since when it has been in this state (RFC 3339).
    #[schemars(extend("format" = "date-time"))]
    pub since: String,
    /// What an operator said of it, if anything.
    pub hold: Option<Hold>,
    /// Its share of requests beside that of the others.
    pub weight: Weight,
    /// Per cent of that share that it takes: all, but for one that starts slowly (`slow_start`).
    #[schemars(extend("maximum" = 100))]
    pub warmth: u8,
    /// Until when it gets nothing while others are there, because it asked for that (`Retry-After`) and its policy goes by it
    /// (RFC 3339).
    #[schemars(extend("format" = "date-time"))]
    pub rests_until: Option<String>,
    /// Its tier: those of tier 0 come first, then backups.
    pub tier: u8,
    /// Where it stands, if the settings say so.
    pub zone: Option<String>,
    /// What else the settings say of it.
    pub tags: BTreeMap<String, String>,
    /// Requests that were sent to it and are not yet answered to their end.
    pub in_flight: usize,
    /// How it is checked.
    pub check: Check,
}

/// Whether a backend is sent requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackendState {
    /// It is: it answered the last check with success.
    Up,
    /// It is not: it failed its last check, or a request found it dead.
    Down,
    /// It is, though nothing is known of it yet.
    Unknown,
    /// It gets no new clients, for an operator said so.
    Draining,
    /// It gets no requests, for an operator said so, and no checks but where those that it still has hear nothing of it.
    Disabled,
    /// Neither settings nor sources name it any more, and it ends what it is doing.
    Leaving,
}

/// A share of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Weight {
    /// What the settings say.
    pub set: u32,
    /// What counts, as far as `warmth` says: that, or what an operator said in its place.
    pub effective: u32,
}

/// How a backend is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What is asked for.
    pub path: String,
    /// What `Host` says.
    pub host: String,
    /// Statuses that mean healthy, each alone or with the last of a range; none for gRPC's own check, which does not go by them.
    pub statuses: Vec<String>,
    /// Between two checks while it is up: `30s`.
    pub interval: String,
    /// How long a check may take: `2s`.
    pub timeout: String,
    /// When something was last learned of it, from a check or a request (RFC 3339).
    #[schemars(extend("format" = "date-time"))]
    pub learned: String,
    /// How often in succession it failed.
    pub failures: u32,
}

/// How many backends are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Up.
    pub up: usize,
    /// Down.
    pub down: usize,
    /// Not yet known.
    pub unknown: usize,
    /// Drained by an operator.
    pub draining: usize,
    /// Disabled by an operator.
    pub disabled: usize,
    /// No longer among the settings, with requests under way.
    pub leaving: usize,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, state: BackendState) {
        let count = match state {
            BackendState::Up => &mut self.up,
            BackendState::Down => &mut self.down,
            BackendState::Unknown => &mut self.unknown,
            BackendState::Draining => &mut self.draining,
            BackendState::Disabled => &mut self.disabled,
            BackendState::Leaving => &mut self.leaving,
        };
        *count += 1;
    }
}

impl Display for BackendState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unknown => "unknown",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
            Self::Leaving => "leaving",
        })
    }
}
