//! Where requests go: the flags for backends and for TLS to them, and what they mean.

mod fault;
mod url;

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::draft::{Authorities, Side, TlsFiles};
use super::file;
use super::resolve::Spot;
use super::{Address, KeyPair, Listener, parse_switch};

pub(super) use fault::BackendFault;
pub(super) use url::is_name;
pub use url::{BackendUrl, Scheme, UrlError};

/// Where requests go, as the operator wrote it.
#[derive(Args, Clone, Debug)]
pub struct BackendFlags {
    /// Backend to forward to: HOST:PORT, http://HOST:PORT, https://HOST:PORT, h2c://HOST:PORT (HTTP/2 without TLS) or unix:PATH; repeat it for more, in order of preference. A name is looked up once
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

    /// Tell backends the client's address in a PROXY protocol header; their connections are then not reused
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

/// The URLs of backends that are none of these listeners, each with its place in the list.
pub(super) fn urls(texts: &[Option<&str>], listeners: &[Listener], at: &Spot<'_>) -> Vec<Option<BackendUrl>> {
    let mut urls = Vec::<Option<BackendUrl>>::with_capacity(texts.len());
    let mut known = HashSet::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let at = at.index(index);
        let url = match text {
            Some(text) => at.key("address").take(text, check(text, &mut known, listeners)),
            None => {
                at.fault(BackendFault::NoAddress);
                None
            }
        };
        urls.push(url);
    }
    urls
}

fn check(
    text: &str,
    known: &mut HashSet<Address>,
    listeners: &[Listener],
) -> Result<BackendUrl, BackendFault> {
    let url = BackendUrl::parse(text)?;
    if known.contains(&url.address) {
        return Err(BackendFault::Twice);
    }
    if is_ourselves(&url.address, listeners) {
        return Err(BackendFault::Loop);
    }
    known.insert(url.address.clone());
    Ok(url)
}

/// Whether any backend of a pool speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// One does, or may come to.
    Yes,
    /// None does.
    No,
    /// One may be meant to, whose address is none.
    Unknown,
}

/// The files of how TLS is spoken to backends are to be looked into, and whom the system trusts if one does speak it.
fn look_into_files(given: &file::BackendTls, any_speaks: bool, at: &Spot<'_>) {
    let is_pair = at.is_of_file() || given.cert_file.is_some() == given.key_file.is_some();
    let named = |key, name: &Option<String>| name.as_ref().map(|name| at.key(key).named_file(name));
    let authorities = match named("ca_file", &given.ca_file) {
        Some(file) => Authorities::File(file),
        None if given.insecure => Authorities::None,
        None if !any_speaks => Authorities::None,
        None => Authorities::System(at.place()),
    };
    at.look_into(TlsFiles {
        with: Side::Backends,
        certificate: named("cert_file", &given.cert_file).filter(|_| is_pair),
        key: named("key_file", &given.key_file).filter(|_| is_pair),
        authorities,
    });
}

/// How TLS is spoken to backends, if any of them may speak it. All that is said of it is looked at in any case.
pub(super) fn tls(given: &file::BackendTls, speaks: Speaks, at: &Spot<'_>) -> Option<BackendTls> {
    let keys = [
        ("ca_file", given.ca_file.is_some()),
        ("name", given.name.is_some()),
        ("cert_file", given.cert_file.is_some()),
        ("key_file", given.key_file.is_some()),
        ("insecure", given.insecure),
    ];
    if let Some((key, _)) = keys.iter().find(|(_, given)| *given && speaks == Speaks::No) {
        at.key(key).fault(BackendFault::NoTls);
    }
    look_into_files(given, speaks == Speaks::Yes, at);
    if given.ca_file.is_some() && given.insecure {
        at.key("insecure").fault(BackendFault::TrustTwice);
    }
    let trust = match (&given.ca_file, given.insecure) {
        (_, true) => Trust::Anything,
        (Some(ca), false) => Trust::Authorities(at.key("ca_file").file(ca)),
        (None, false) => Trust::System,
    };
    let client = match (&given.cert_file, &given.key_file) {
        (Some(certificate), Some(key)) => Some(KeyPair {
            certificate: at.key("cert_file").file(certificate),
            key: at.key("key_file").file(key),
        }),
        (None, None) => None,
        _ => {
            at.fault(BackendFault::UnpairedKey);
            None
        }
    };
    if let Some(name) = given.name.as_ref().filter(|name| !is_name(name) && name.parse::<IpAddr>().is_err()) {
        at.key("name").wrong(name, BackendFault::TlsName);
    }
    (speaks == Speaks::Yes).then(|| BackendTls { trust, name: given.name.clone(), client })
}

/// Whether a backend would be one of these listeners of ours, so that requests to it would go round in circles.
pub fn is_ourselves(backend: &Address, listeners: &[Listener]) -> bool {
    listeners.iter().any(|Listener { address: listen, .. }| {
        let (Some(backend), Some(listen)) = (backend.ip(), listen.ip()) else { return backend == listen };
        let (from, to) = (listen.ip().to_canonical(), backend.ip().to_canonical());
        // Who listens on all addresses of IPv6 listens on those of IPv4, too.
        let has_all = from.is_unspecified() && (from.is_ipv6() || to.is_ipv4());
        backend.port() == listen.port() && (from == to || has_all && to.is_loopback())
    })
}
