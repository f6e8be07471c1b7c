//! All facts together: what is known when all settings were read.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderName;

use super::access::Access;
use super::admin::Admin;
use super::introduced::Introduced;
use super::listen::{Listener, Tls};
use super::pool::Pool;
use super::route::{Action, Route};
use crate::telemetry::LogLevel;
use crate::telemetry::access_log::Destination;

/// Every setting of a running balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where clients connect. Never empty. Port 0 lets the system choose.
    pub listeners: Vec<Listener>,
    /// How TLS is spoken on those that do; none if none does.
    pub tls: Option<Tls>,
    /// Whose connections begin with a PROXY header.
    pub introduced: Introduced,
    /// Which requests go where. Never empty. Of those that hold for a request, the most specific one counts.
    pub routes: Vec<Route>,
    /// Where they go. Routes name them by their places.
    pub pools: Vec<Pool>,
    /// Whom names are asked of that backends come from; those of the system if there are none.
    pub dns_servers: Vec<SocketAddr>,
    /// Threads that serve clients, each with a runtime and idle connections of its own.
    pub workers: NonZeroUsize,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// What a client may ask of us.
    pub limits: Limits,
    /// Who is believed, who is let in and how much each may ask.
    pub access: Access,
    /// Where the access log goes, if anywhere.
    pub access_log: Option<Destination>,
    /// The header line that says a request's id, if requests have one.
    pub request_id: Option<HeaderName>,
    /// How much the program says of itself.
    pub log_level: LogLevel,
    /// Whether files of settings are read anew when they change.
    pub watch: bool,
    /// Where the program is asked about itself and told what to do, if anywhere.
    pub admin: Option<Admin>,
}

impl Config {
    /// The names of settings that take effect at a start only, and are not as in those that are in force.
    pub fn waiting(&self, present: &Self) -> Vec<&'static str> {
        let differ = [
            ("workers", self.workers != present.workers),
            ("access_log", self.access_log != present.access_log),
            ("limits.connections", !self.affords_connections(present.workers)),
        ];
        differ.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }

    /// The pools by their names, for who looks many up.
    pub fn pools_by_name(&self) -> HashMap<&str, &Pool> {
        self.pools.iter().map(|pool| (&*pool.name, pool)).collect()
    }

    /// For each pool, the names of tags by which routes choose among its backends.
    pub fn tags_asked(&self) -> Vec<Arc<[Arc<str>]>> {
        let mut asked = vec![BTreeSet::new(); self.pools.len()];
        for route in &self.routes {
            let Action::Forward(split) = &route.action else { continue };
            for share in &split.shares {
                asked[share.pool].extend(split.tags.iter().map(|(name, _)| Arc::clone(name)));
            }
        }
        asked.into_iter().map(|names| names.into_iter().collect()).collect()
    }
}

/// How long each step may take. None is ever infinite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a request's head to its last.
    pub header: Duration,
    /// To establish a connection to a backend.
    pub connect: Duration,
    /// From the last byte of a request sent to a backend to the end of the answer's head.
    pub response: Duration,
    /// Between two steps of progress of a body, in either direction.
    pub body: Duration,
    /// Between two requests of a client on one connection.
    pub client_idle: Duration,
    /// How long a connection to a backend is kept without use.
    pub backend_idle: Duration,
    /// Without a byte in either direction, for an upgraded connection.
    pub tunnel_idle: Duration,
    /// For others to hear that a stop was asked for, while all is served as ever; none means that it begins at once.
    pub notice: Option<Duration>,
    /// For running requests to finish once it has begun.
    pub drain: Duration,
    /// The same, after another process has taken this one's place.
    pub succession: Duration,
}

/// What a client may ask of us.
#[derive(Clone, Debug, Eq)]
pub struct Limits {
    /// Bytes of a request's or an answer's head.
    pub header_size: usize,
    /// Number of header lines of a request or an answer.
    pub headers: usize,
    /// Bytes of a request's body; none means any size (bodies are streamed).
    pub body: Option<u64>,
    /// Client connections at one time, over all workers.
    pub connections: usize,
    /// Clients that are refused and told why at one time, over all workers.
    pub refusals: usize,
    /// Whether somebody chose the number of connections.
    pub is_chosen: bool,
    /// How many files there can be open.
    pub open_files: u64,
}

impl PartialEq for Limits {
    /// Who chose the number of connections makes no difference, nor does what others could be chosen.
    fn eq(&self, other: &Self) -> bool {
        let limits = |limits: &Self| {
            let Self { header_size, headers, body, connections, refusals, .. } = *limits;
            (header_size, headers, body, connections, refusals)
        };
        limits(self) == limits(other)
    }
}
