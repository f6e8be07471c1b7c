//! Pools: where requests go, and which of the backends there gets each.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderName;
use serde::{Deserialize, Serialize};

use super::backend::{BackendTls, BackendUrl, ProxyVersion, Scheme};
use super::status::Statuses;

/// The name of the route and of the pool that are there when none is named.
pub const DEFAULT_POOL: &str = "default";
/// The backends of that pool.
pub(super) const DEFAULT_ADDRESSES: [&str; 2] = ["127.0.0.1:3000", "127.0.0.1:3001"];
/// The largest weight that a backend can have.
pub const MOST_WEIGHT: u32 = 10_000;
/// Where gRPC's own check is asked; whoever checks this path asks in gRPC.
const GRPC_CHECK: &str = "/grpc.health.v1.Health/Check";

/// A named set of backends with one balancing policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Unique among pools.
    pub name: Arc<str>,
    /// In order of preference, no duplicates. Empty only if there are sources.
    pub backends: Vec<Backend>,
    /// Where more backends come from, which change without a reload.
    pub sources: Vec<Source>,
    /// Which of the usable backends gets a request.
    pub balancing: Balancing,
    /// How backends are checked.
    pub health: Checks,
    /// How TLS is spoken to those that do; none if none does.
    pub tls: Option<BackendTls>,
    /// Whether, and how, backends are told the client's address before its request.
    pub proxy_protocol: Option<ProxyVersion>,
}

/// How backends are checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Between two checks of a healthy backend.
    pub interval: Duration,
    /// From dialling to the end of the answer's head.
    pub timeout: Duration,
    /// What a check GETs, in origin form.
    pub path: String,
    /// The same as a file writes it, if it does so with variables of the environment.
    pub written: Option<String>,
    /// What `Host` says; none means what each backend is called.
    pub host: Option<Arc<str>>,
    /// Those of answers that mean healthy. gRPC's own check goes by what is said in gRPC.
    pub statuses: Statuses,
}

impl Checks {
    /// Checks of this path of which nothing else is said.
    pub fn usual(path: &str) -> Self {
        let (interval, timeout) = (Duration::from_secs(30), Duration::from_secs(2));
        let (path, written, host) = (path.to_owned(), None, None);
        Self { interval, timeout, path, written, host, statuses: Statuses::default() }
    }

    /// Whether backends are checked in the same way, however it was written.
    pub fn is_same(&self, other: &Self) -> bool {
        let (ours, others) = ((&self.path, &self.host), (&other.path, &other.host));
        (self.interval, self.timeout, ours, &self.statuses)
            == (other.interval, other.timeout, others, &other.statuses)
    }

    /// What `Host` says to a backend.
    pub fn host_for<'a>(&'a self, url: &'a BackendUrl) -> &'a str {
        self.host.as_deref().unwrap_or(url.authority())
    }

    /// Whether backends are asked in gRPC.
    pub fn is_grpc(&self) -> bool {
        is_grpc_check(&self.path)
    }

    /// What a check GETs, for who is not to see what variables hold.
    pub fn shown(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.path)
    }
}

/// Whether it is the path of gRPC's own check.
pub(super) fn is_grpc_check(path: &str) -> bool {
    path == GRPC_CHECK
}

/// One backend, as the settings name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Where it is and what is spoken to it.
    pub url: BackendUrl,
    /// Its share of the requests beside that of the others; 0 takes it out of the balancing.
    pub weight: u32,
    /// Its tier: those of tier 0 come first, then those of tier 1 (backups), and so on.
    pub tier: u8,
    /// Requests that it may have at one time, over all workers; none means any number.
    pub max_requests: Option<NonZeroU32>,
    /// Where it stands, for pools that prefer what is near.
    pub zone: Option<Arc<str>>,
    /// What else is said of it, for routes that want only some of a pool.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
}

/// Where backends come from that change without a reload.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// The addresses of a name, each with this port.
    Dns {
        /// What is spoken to them.
        scheme: Scheme,
        /// The name.
        name: Arc<str>,
        /// The port of all.
        port: u16,
    },
    /// The targets, ports, priorities and weights of a name's SRV records (RFC 2782).
    Srv {
        /// What is spoken to them.
        scheme: Scheme,
        /// The name, with the service and the protocol: `_http._tcp.example.com`.
        name: Arc<str>,
    },
    /// A file with a backend on each line, looked at each second.
    File(PathBuf),
}

/// Which of a pool's usable backends gets a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balancing {
    /// The rule.
    pub policy: PolicyName,
    /// What of a request `maglev` and `ring` go by.
    pub hash_key: HashKey,
    /// For `maglev` and `ring`: per cent of the average load that no backend may exceed (more than 100); none means any.
    pub hash_bound: Option<NonZeroU32>,
    /// For `least_requests`: how many backends are drawn at random to take the better one; none means all are looked at.
    pub choices: Option<NonZeroU32>,
    /// For `peak_ewma`: how long a measurement takes to lose most of its weight.
    pub decay: Duration,
    /// How long a backend that got well takes to its full weight.
    pub slow_start: Option<Duration>,
    /// Per cent of a tier's weight that must be usable before its requests flow over to the next one.
    pub overflow: u32,
    /// Where we stand: backends of this zone are preferred as long as they can carry their share.
    pub zone: Option<Arc<str>>,
    /// A cookie that keeps a client at its backend.
    pub sticky: Option<Sticky>,
}

/// A cookie that keeps a client at its backend.
#[derive(Clone, PartialEq, Eq)]
pub struct Sticky {
    /// Its name.
    pub cookie: Arc<str>,
    /// What it is signed with, so that nobody makes one up. Never shown.
    pub secret: Arc<[u8]>,
    /// How long it is kept; none means to the end of the client's session.
    pub max_age: Option<NonZeroU64>,
    /// Whether it is sent over TLS only; none means as the client came.
    pub secure: Option<bool>,
}

/// The name of a balancing policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PolicyName {
    /// The first usable backend in the order given; the others stand by.
    First,
    /// The usable backends in turn, each as often as its weight says.
    #[value(name = "round_robin", alias = "round-robin")]
    RoundRobin,
    /// A usable backend at random, each as likely as its weight says.
    Random,
    /// Of some that are drawn at random, the one with the fewest requests for its weight.
    #[value(name = "least_requests", aliases = ["least-requests", "p2c"])]
    LeastRequests,
    /// Of two that are drawn at random, the one whose answer should come first, going by how fast it answered lately, how
    /// often it failed and how many requests it has.
    #[value(name = "peak_ewma", alias = "peak-ewma")]
    PeakEwma,
    /// What a request is known by decides, by a table in which each backend has slots as its weight says.
    Maglev,
    /// What a request is known by decides, by points of backends on a ring.
    Ring,
}

/// The policy that nginx, HAProxy or another program calls by this name. It is only told to who writes theirs: two names for one
/// thing are one too many.
pub fn policy_elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "rr" | "wrr" | "static-rr" => "round_robin",
        "leastconn" | "least_conn" | "least_connections" => "least_requests",
        "leasttime" | "least_time" => "peak_ewma",
        "source" | "ip_hash" | "client_ip_hash" => "maglev",
        _ => return None,
    })
}

/// What of a request a policy that hashes goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    Client,
    /// The value of a header line.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie(Arc<str>),
    /// The value of a parameter of the query.
    Query(Arc<str>),
    /// The path.
    Path,
}

impl Backend {
    /// One of weight 1 in the first tier.
    pub fn at(url: BackendUrl) -> Self {
        Self { url, weight: 1, tier: 0, max_requests: None, zone: None, tags: BTreeMap::new() }
    }
}

impl Display for Source {
    /// As it is written in a file.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let before = |scheme: &Scheme| match scheme {
            Scheme::Http => "",
            Scheme::Https => "https://",
            Scheme::H2c => "h2c://",
        };
        match self {
            Self::Dns { scheme, name, port } => write!(f, "dns:{}{name}:{port}", before(scheme)),
            Self::Srv { scheme, name } => write!(f, "srv:{}{name}", before(scheme)),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl Balancing {
    /// By this policy, all else as usual.
    pub fn by(policy: PolicyName) -> Self {
        Self {
            policy,
            hash_key: HashKey::Client,
            hash_bound: None,
            choices: NonZeroU32::new(2),
            decay: Duration::from_secs(10),
            slow_start: None,
            overflow: 70,
            zone: None,
            sticky: None,
        }
    }
}

impl fmt::Debug for Sticky {
    /// Without the secret.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sticky").field("cookie", &self.cookie).finish_non_exhaustive()
    }
}

impl Display for PolicyName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first",
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::LeastRequests => "least_requests",
            Self::PeakEwma => "peak_ewma",
            Self::Maglev => "maglev",
            Self::Ring => "ring",
        })
    }
}
