//! Where clients connect: the flags for listeners and for TLS on them, and what they mean.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, ValueEnum};

use super::address::{LONGEST_PATH, UNIX};
use super::draft::{Authorities, Side, TlsFiles};
use super::fault::PoolFault;
use super::file::{self, File};
use super::resolve::Spot;
use super::said::{By, Said, Scope, say};
use super::{Address, Listener};

const DEFAULT: &str = "127.0.0.1:8080";
const HOW: &str = "write ADDRESS:PORT, :PORT, PORT or unix:PATH, for example 127.0.0.1:8080";
const LOCALHOST: &str = "localhost";

/// Where clients connect, as the operator wrote it.
#[derive(Args, Clone, Debug)]
pub struct ListenFlags {
    /// Address to listen on: ADDRESS:PORT, :PORT (every IPv4 address), `[::]:PORT` (every IPv6 and IPv4 address), PORT (loopback) or unix:PATH; repeat it for more [default: 127.0.0.1:8080]
    #[arg(
        long,
        env = "LOADBALANCER_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ',',
        action = ArgAction::Append
    )]
    pub listen: Vec<String>,

    /// Address to listen on for TLS, written as for --listen; it takes the default's place
    #[arg(
        long,
        env = "LOADBALANCER_TLS_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ',',
        action = ArgAction::Append
    )]
    pub tls_listen: Vec<String>,

    /// Certificate chain (PEM) for --tls-listen; repeat it with its key for more names. The first one serves names that none has
    #[arg(
        long = "tls-cert",
        env = "LOADBALANCER_TLS_CERT",
        value_name = "FILE",
        value_delimiter = ',',
        action = ArgAction::Append
    )]
    pub tls_certs: Vec<PathBuf>,

    /// Private key (PEM) of the certificate in the same place
    #[arg(
        long = "tls-key",
        env = "LOADBALANCER_TLS_KEY",
        value_name = "FILE",
        value_delimiter = ',',
        action = ArgAction::Append
    )]
    pub tls_keys: Vec<PathBuf>,

    /// Certificates (PEM) of the authorities that sign clients' certificates, which are asked for then
    #[arg(long, env = "LOADBALANCER_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// Whether a client must have a certificate of --tls-client-ca [default: required]
    #[arg(long, env = "LOADBALANCER_TLS_CLIENT_AUTH", value_enum, value_name = "WHETHER")]
    pub tls_client_auth: Option<ClientAuth>,
}

/// Whether a client must have a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientAuth {
    /// None without.
    Required,
    /// One that it sends must be good.
    Optional,
}

/// How TLS is spoken to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Never empty.
    pub certificates: Vec<KeyPair>,
    /// Which certificates of clients are taken, if any are asked for.
    pub clients: Option<ClientCertificates>,
}

/// A certificate and its key, as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The chain, PEM, the leaf first.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// Which certificates of clients are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// The authorities that sign them, PEM.
    pub ca: PathBuf,
    /// Whether a client must have one.
    pub auth: ClientAuth,
}

/// What can be wrong with a listener or with TLS on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ListenFault {
    /// No address at all.
    NoAddress,
    /// The address is not one.
    Address,
    /// An address without its port.
    NoPort,
    /// A name in place of an address.
    Name,
    /// A URL in place of an address.
    Url,
    /// What stands for the port is a number, and none of a port.
    Port,
    /// A Unix socket's path is none, or longer than the system takes.
    SocketPath,
    /// An address was given twice.
    Twice,
    /// A setting for TLS, and no listener that speaks it.
    NoTlsListener,
    /// Certificates without keys, or keys without certificates.
    UnpairedKeys { certificates: usize, keys: usize },
    /// Clients' certificates were asked for, and no authority was named.
    NoClientCa,
}

impl ListenFault {
    pub(super) fn scope(&self) -> Scope<'_> {
        match self {
            Self::NoAddress => Scope::Within(&["address"]),
            Self::NoTlsListener => Scope::All(&["listeners.*.tls"]),
            Self::UnpairedKeys { certificates: 0, keys: 0 } => {
                Scope::All(&["tls.certificates.*.cert_file", "tls.certificates.*.key_file"])
            }
            Self::UnpairedKeys { .. } => Scope::Within(&["cert_file", "key_file"]),
            Self::NoClientCa => Scope::Beside(&["client_ca_file"]),
            Self::Address | Self::NoPort | Self::Name | Self::Url => Scope::Own,
            Self::Port | Self::SocketPath | Self::Twice => Scope::Own,
        }
    }

    pub(super) fn said(&self, by: By) -> Said {
        match self {
            Self::NoAddress => say("has no address", "add address, for example address = \":8080\""),
            Self::Address => say("not an address", HOW),
            Self::NoPort => say("has no port", HOW),
            Self::Name => say("a name, and none is looked up here", HOW),
            Self::Url => say("a URL, not an address", HOW),
            Self::Port => say("not a port", "a port is 1 to 65535, or 0 for any that is free"),
            Self::SocketPath => {
                say("not a path for a socket", "write unix:PATH with a path of up to 107 bytes")
            }
            Self::Twice => {
                say("given twice", "remove one of them, for each address speaks either TLS or not")
            }
            Self::NoTlsListener => say(
                "no listener speaks TLS",
                by.pick(
                    "add one with --tls-listen, for example --tls-listen :8443",
                    "set tls = true in a listener, or remove this",
                ),
            ),
            Self::UnpairedKeys { certificates, keys } => match by {
                By::Flags => say(
                    format!("{certificates} of --tls-cert and {keys} of --tls-key were given"),
                    "give both for each certificate, in the same order",
                ),
                By::File if *certificates == 0 && *keys == 0 => say(
                    "there is no certificate for TLS",
                    "add [tls] with certificates = [{ cert_file = \"site.pem\", key_file = \"site.key\" }]",
                ),
                By::File => say("only one of cert_file and key_file is given", "give both"),
            },
            Self::NoClientCa => say(
                "nobody is named who signs clients' certificates",
                by.pick("add --tls-client-ca FILE", "add client_ca_file"),
            ),
        }
    }
}

/// The listeners that a file means.
pub(super) fn listeners(file: &File, at: &Spot<'_>) -> Vec<Listener> {
    let mut listeners = Vec::<Listener>::new();
    if file.listeners.is_empty() {
        let address = parse(DEFAULT).expect("the default is an address");
        return vec![Listener { name: DEFAULT.into(), address, tls: false }];
    }
    for (name, listener) in &file.listeners {
        let at = at.key(name);
        let Some(text) = &listener.address else {
            at.fault(ListenFault::NoAddress);
            continue;
        };
        let at = at.key("address");
        let Some(address) = at.take(text, parse(text)) else { continue };
        if listeners.iter().any(|known| known.is_at(&address)) {
            at.wrong(text, ListenFault::Twice);
        }
        listeners.push(Listener { name: name.as_str().into(), address, tls: listener.tls });
    }
    listeners
}

/// How TLS is spoken on them, if it is. All that a file says of it is looked at in any case.
pub(super) fn tls(file: &File, root: &Spot<'_>) -> Option<Tls> {
    let none = file::Tls::default();
    let (given, at) = (file.tls.as_ref().unwrap_or(&none), root.key("tls"));
    let list = at.key("certificates");
    let secure = file.listeners.iter().find(|(_, listener)| listener.tls).map(|(name, _)| name);
    if secure.is_none() {
        refuse_stray(given, &at);
        // Of a pair of flags there is nothing to say but with the flag for the listener.
        if !at.is_of_file() {
            return None;
        }
    }
    let pairs = pairs(&given.certificates, &list);
    if let Some(secure) = secure.filter(|_| given.certificates.is_empty()) {
        let none = ListenFault::UnpairedKeys { certificates: 0, keys: 0 };
        root.key("listeners").key(secure).key("tls").fault(none);
    }
    if let Some(name) = &given.client_ca_file {
        let authorities = Authorities::File(at.key("client_ca_file").named_file(name));
        at.look_into(TlsFiles { with: Side::Clients, certificate: None, key: None, authorities });
    }
    let auth = given.client_auth.map(|auth| auth.0);
    let clients = given.client_ca_file.as_ref().map(|ca| ClientCertificates {
        ca: at.key("client_ca_file").file(ca),
        auth: auth.unwrap_or(ClientAuth::Required),
    });
    if auth.is_some() && clients.is_none() {
        at.key("client_auth").fault(ListenFault::NoClientCa);
    }
    secure.map(|_| Tls { certificates: pairs, clients })
}

/// The certificates with their keys, as far as both are named.
fn pairs(given: &[file::Certificate], list: &Spot<'_>) -> Vec<KeyPair> {
    let mut pairs = Vec::new();
    let count = |named: fn(&file::Certificate) -> bool| given.iter().filter(|pair| named(pair)).count();
    let unpaired = ListenFault::UnpairedKeys {
        certificates: count(|pair| pair.cert_file.is_some()),
        keys: count(|pair| pair.key_file.is_some()),
    };
    for (index, pair) in given.iter().enumerate() {
        let at = list.index(index);
        // Which of two lists of flags lacks one, and which one, nobody knows.
        let is_pair = at.is_of_file()
            || count(|pair| pair.cert_file.is_some()) == count(|pair| pair.key_file.is_some());
        let named = |key, name: &Option<String>| {
            name.as_ref().filter(|_| is_pair).map(|name| at.key(key).named_file(name))
        };
        at.look_into(TlsFiles {
            with: Side::Clients,
            certificate: named("cert_file", &pair.cert_file),
            key: named("key_file", &pair.key_file),
            authorities: Authorities::None,
        });
        match (&pair.cert_file, &pair.key_file) {
            (Some(certificate), Some(key)) => pairs.push(KeyPair {
                certificate: at.key("cert_file").file(certificate),
                key: at.key("key_file").file(key),
            }),
            (None, None) => {
                at.fault(PoolFault::Required("cert_file"));
                at.fault(PoolFault::Required("key_file"));
            }
            _ => at.fault(unpaired.clone()),
        }
    }
    pairs
}

/// Settings for TLS mean nothing where nobody speaks it.
fn refuse_stray(given: &file::Tls, at: &Spot<'_>) {
    let list = at.key("certificates");
    let named = |which: fn(&file::Certificate) -> bool| given.certificates.iter().position(which);
    if let Some(index) = named(|pair| pair.cert_file.is_some()) {
        list.index(index).key("cert_file").fault(ListenFault::NoTlsListener);
    } else if let Some(index) = named(|pair| pair.key_file.is_some()) {
        list.index(index).key("key_file").fault(ListenFault::NoTlsListener);
    } else if given.client_ca_file.is_some() {
        at.key("client_ca_file").fault(ListenFault::NoTlsListener);
    } else if given.client_auth.is_some() {
        at.key("client_auth").fault(ListenFault::NoTlsListener);
    }
}

/// An address to listen on.
pub(super) fn parse(text: &str) -> Result<Address, ListenFault> {
    if let Some(path) = text.strip_prefix(UNIX) {
        return match path.len() {
            1..=LONGEST_PATH => Ok(Address::Unix(Path::new(path).into())),
            _ => Err(ListenFault::SocketPath),
        };
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address.into());
    }
    let (ip, port) = match text.rsplit_once(':') {
        Some(("", port)) => (Ipv4Addr::UNSPECIFIED, port),
        Some((LOCALHOST, port)) => (Ipv4Addr::LOCALHOST, port),
        _ => (Ipv4Addr::LOCALHOST, text),
    };
    let port = port.parse().map_err(|_| fault_of(text))?;
    Ok(SocketAddr::new(IpAddr::V4(ip), port).into())
}

/// What is wrong with a text that is no address.
fn fault_of(text: &str) -> ListenFault {
    let is_ip = |host: &str| {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        host == LOCALHOST || bare.parse::<IpAddr>().is_ok()
    };
    let is_name = |host: &str| {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !host.is_empty() && host.bytes().all(is_of_name) && !is_ip(host)
    };
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match () {
        () if text.contains("://") => ListenFault::Url,
        () if is_ip(text) || (port.is_empty() && is_ip(host)) => ListenFault::NoPort,
        () if is_number && port.parse::<u16>().is_err() => ListenFault::Port,
        () if is_number && is_name(host) => ListenFault::Name,
        () => ListenFault::Address,
    }
}
