//! Where requests go: the flags for backends and for TLS to them, and what is known of them.

mod fault;
mod url;

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::address::{Address, has_all};
use super::listen::{KeyPair, Listener};
use super::switch::parse_switch;

pub(super) use fault::BackendFault;
pub use url::{BackendUrl, Scheme, UrlError};

/// Where requests go, as the operator wrote it.
#[derive(Args, Clone, Debug)]
pub struct BackendFlags {
    /// Backend to forward to: HOST:PORT, http://HOST:PORT, https://HOST:PORT, h2c://HOST:PORT (HTTP/2 without TLS) or unix:PATH; repeat it for more, in order of preference. A name is looked up at a start and at each reload
    #[arg(
        long = "backend",
        env = "LOADBALANCER_BACKEND",
        value_name = "ADDRESS",
        value_delimiter = ',',
        action = ArgAction::Append,
        default_value = "127.0.0.1:3000,127.0.0.1:3001"
    )]
    pub backends: Vec<String>,

    /// Certificates (PEM) of the authorities that sign those of https:// backends [default: the system's]
    #[arg(long, env = "LOADBALANCER_BACKEND_CA", value_name = "FILE")]
    pub backend_ca: Option<PathBuf>,

    /// Name that certificates of https:// backends must be for, and that is sent as SNI [default: the host of the URL]
    #[arg(long, env = "LOADBALANCER_BACKEND_TLS_NAME", value_name = "NAME")]
    pub backend_tls_name: Option<String>,

    /// Certificate chain (PEM) to show to https:// backends
    #[arg(long, env = "LOADBALANCER_BACKEND_CERT", value_name = "FILE")]
    pub backend_cert: Option<PathBuf>,

    /// Private key (PEM) of that certificate
    #[arg(long, env = "LOADBALANCER_BACKEND_KEY", value_name = "FILE")]
    pub backend_key: Option<PathBuf>,

    /// Take any certificate of https:// backends, so that whoever is between can read and change all; for trials only
    #[arg(long, env = "LOADBALANCER_BACKEND_TLS_INSECURE", value_parser = parse_switch, action = ArgAction::SetTrue)]
    pub backend_tls_insecure: bool,

    /// Tell backends the address of who connects, or whom its own PROXY header names, in a PROXY protocol header; their connections are then not reused
    #[arg(long, env = "LOADBALANCER_BACKEND_PROXY_PROTOCOL", value_enum, value_name = "VERSION")]
    pub backend_proxy_protocol: Option<ProxyVersion>,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// How TLS is spoken to backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendTls {
    /// Which certificates are taken.
    pub trust: Trust,
    /// The name that certificates must be for, in place of the host of the URL.
    pub name: Option<String>,
    /// What we show when we are asked who we are.
    pub client: Option<KeyPair>,
}

/// Which certificates of backends are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those that lead to an authority of the system.
    System,
    /// Those that lead to an authority in this file.
    Authorities(PathBuf),
    /// Any.
    Anything,
}

/// Whether a backend would be one of these listeners of ours, so that requests to it would go round in circles.
pub fn is_ourselves(backend: &Address, listeners: &[Listener]) -> bool {
    listeners.iter().any(|Listener { address: listen, .. }| {
        let (Some(backend), Some(listen)) = (backend.ip(), listen.ip()) else { return backend == listen };
        let (from, to) = (listen.ip().to_canonical(), backend.ip().to_canonical());
        backend.port() == listen.port() && (from == to || has_all(from, to) && to.is_loopback())
    })
}
