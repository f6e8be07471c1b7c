//! The settings as an operator writes them. The documentation of each key is that of its field here.

mod pool;
mod route;
mod status;
mod text;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::telemetry::LogLevel;

use super::listen::ClientAuth;

pub use pool::{Backend, BackendTable, BackendTls, Choices, Health, Pool, Sticky};
pub use route::{Answer, Changes, ErrorPage, Mirror, Retry, Route, Wanted};
pub use status::StatusText;
pub use text::{DataRate, OTHER_NAMES, Size, Time, Word};

/// Everything is optional: what is not set has its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Settings of loadbalancer")]
pub struct File {
    /// Threads that serve clients. Default: one per core
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<u64>,
    /// How much the program says of itself, on standard error. Default: "info"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<Word<LogLevel>>,
    /// File that gets a line of JSON for each request, or "-" for standard output. Default: none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<String>,
    /// Header line with an id that each request gets, for its backend, its client and the access log: "X-Request-ID". One that a trusted proxy
    /// has given stays. Default: none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whether the files of settings are read anew when they change, as upon SIGHUP. Default: false
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<bool>,
    /// Where clients connect, by a name of your choice. Default: one on 127.0.0.1:8080
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub listeners: IndexMap<String, Listener>,
    /// How TLS is spoken on listeners that have `tls = true`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How long each step may take. None is ever infinite
    #[serde(skip_serializing_if = "is_default")]
    pub timeouts: Timeouts,
    /// What a client may ask of us
    #[serde(skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// Who is believed and who is let in
    #[serde(skip_serializing_if = "is_default")]
    pub access: Access,
    /// Whom names are asked of that `discover` follows: ADDRESS or ADDRESS:PORT. Default: whom the system asks
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_servers: Vec<String>,
    /// Where the program is asked about itself and told what to do
    #[serde(skip_serializing_if = "is_default")]
    pub admin: Admin,
    /// Which requests go where, by a name of your choice: of the routes that hold for a request, the most specific one
    /// counts. Default: all requests go to the only pool
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub routes: IndexMap<String, Route>,
    /// Backends that serve the same requests, by a name of your choice. Default: one named "default" with the backends
    /// 127.0.0.1:3000 and 127.0.0.1:3001
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub pools: IndexMap<String, Pool>,
}

/// An address that clients connect to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listener {
    /// ADDRESS:PORT, :PORT (every IPv4 address), `[::]:PORT` (every IPv6 and IPv4 address), PORT (loopback) or unix:PATH. Required
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Whether it speaks TLS, with the certificates of `[tls]`. Default: false
    #[serde(skip_serializing_if = "is_default")]
    pub tls: bool,
}

/// How TLS is spoken to clients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Certificates, of which the one for the name that a client asks for is shown; the first serves names that none has
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Certificate>,
    /// Certificates (PEM) of the authorities that sign clients' certificates, which are asked for then. Default: none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca_file: Option<String>,
    /// Whether a client must have a certificate of `client_ca_file`. Default: "required"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<Word<ClientAuth>>,
}

/// A certificate and its key. Renewed files are noticed within two seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Certificate {
    /// The chain (PEM), the leaf first. Required
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<String>,
    /// The private key (PEM). Required
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
}

/// How long each step may take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For a client to send the head of a request, from its first byte; of the first, from the connection. Default: "10s"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Time>,
    /// To establish a connection to a backend. Default: "2s"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<Time>,
    /// For a backend to answer, from the end of the request to the end of the answer's head. Default: "60s"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Time>,
    /// Without progress of a body, in either direction. Default: "60s"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Time>,
    /// Between two requests of a client on one connection. Default: "75s"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_idle: Option<Time>,
    /// Before an unused connection to a backend is closed; keep it below the backend's own. Default: "55s"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_idle: Option<Time>,
    /// Without a byte in either direction of an upgraded connection (WebSocket). Default: "1h"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel_idle: Option<Time>,
    /// For whoever looks at `/readyz` to hear of a stop (SIGINT, SIGTERM or SIGQUIT) while clients are still served as ever. Default: none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<Time>,
    /// For running requests to finish after SIGINT, SIGTERM or SIGQUIT. Default: "30s"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<Time>,
    /// For running requests and tunnels to finish in a process that another one has replaced (SIGUSR2). Default: "1h"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succession: Option<Time>,
}

/// What a client may ask of us.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Size of the head of a request or an answer. Default: "64KiB"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_size: Option<Size>,
    /// Header lines of a request or an answer. Default: 100
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<u64>,
    /// Size of a request's body. Default: any
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_size: Option<Size>,
    /// Client connections at one time. Default: what the limit on open files allows, at most 65536
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// Connections at one time of one client address (IPv6: of one /64). Default: any
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_per_client: Option<u64>,
    /// Requests of one client address (IPv6: of one /64), for example "100/s" or "600/m". Default: any
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// Requests that one client address may send at once after a rest. Default: a second's worth of `rate`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_burst: Option<u64>,
    /// Requests of all clients together, written as for `rate`. Default: any
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_rate: Option<String>,
    /// What a client must send of a request's body or take of an answer's, on average. Default: anything
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_data_rate: Option<DataRate>,
}

/// Who is believed and who is let in: lists of networks, each ADDRESS or ADDRESS/BITS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// Proxies that are believed in X-Forwarded-For, -Proto and -Host or Forwarded. Each must set, append to or drop
    /// X-Forwarded-For, for it counts before Forwarded: of one that writes only that, clients choose their address themselves.
    /// Every other X-Forwarded-*, X-Real-IP and Client-Cert is removed from everybody. Default: none
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<String>,
    /// Clients that are let in, and nobody else. Default: everybody
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Clients that are refused. Of `allow` and `deny` the most specific network counts. Default: nobody
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// Networks (or "unix" for Unix sockets) whose connections must begin with a PROXY header (v1 or v2) that tells the
    /// client's address. Default: none
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxy_protocol_from: Vec<String>,
}

/// Where the program is asked about itself and told what to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// ADDRESS:PORT, unix:PATH or "off". Default: "127.0.0.1:8081"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// File with what a caller must know, at least 16 bytes. Required unless the address is on loopback or a Unix
    /// socket. Default: none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
