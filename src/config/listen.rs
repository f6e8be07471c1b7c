//! Where clients connect: the flags for listeners and for TLS on them, and what is known of them.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgAction, Args, ValueEnum};

use super::address::{Address, UNIX, how_long, socket_path};
use super::name::in_brackets;
use super::said::{By, Said, Scope, holds_a_blank, say};

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

/// An address that clients connect to, and how they speak there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Unique among listeners.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// What tells a listener from all others, for as long as it is one: its address as it is written, for its name may change while
/// clients are connected. Of ports that the system chooses each is another one, which only its name tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(Arc<str>);

impl From<Arc<str>> for ListenerId {
    fn from(text: Arc<str>) -> Self {
        Self(text)
    }
}

impl ListenerId {
    /// As what remembers it keeps it.
    pub fn text(&self) -> &Arc<str> {
        &self.0
    }
}

impl Listener {
    /// Its identity. Only of one as it is written: of one that is open the port is known.
    pub fn id(&self) -> ListenerId {
        ListenerId(match self.address.has_any_port() {
            true => format!("{} {}", self.address, self.name).into(),
            false => self.address.to_string().into(),
        })
    }

    /// Whether it takes this address from others. Of ports that the system chooses each is another one.
    pub(super) fn is_at(&self, address: &Address) -> bool {
        self.address == *address && !address.has_any_port()
    }

    /// Whether a client could come to either by one address. Of ports that the system chooses each is another one.
    pub(super) fn overlaps(&self, address: &Address) -> bool {
        self.address.overlaps(address) && !address.has_any_port()
    }
}

impl Display for Listener {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.address, self.tls) {
            (Address::Unix(_), false) => self.address.fmt(f),
            (address, false) => write!(f, "http://{address}"),
            (address, true) => write!(f, "https://{address}"),
        }
    }
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
    /// A blank in an address.
    Blank,
    /// An address without its port.
    NoPort,
    /// An IPv6 address without its brackets.
    Bare {
        /// With them.
        fix: String,
    },
    /// A name in place of an address.
    Name,
    /// A URL in place of an address.
    Url,
    /// What stands for the port is a number, and none of a port.
    Port,
    /// A Unix socket's path is none, or longer than the system takes.
    SocketPath,
    /// An address was given twice.
    Twice {
        /// Whether one of them is to speak TLS and the other not.
        differ: bool,
    },
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
            Self::Address | Self::Blank | Self::NoPort | Self::Name | Self::Url => Scope::Own,
            Self::Bare { .. } | Self::Port | Self::SocketPath | Self::Twice { .. } => Scope::Own,
        }
    }

    pub(super) fn said(&self, by: By) -> Said {
        match self {
            Self::NoAddress => say("has no address", "add address, for example address = \":8080\""),
            Self::Address => say("not an address", HOW),
            Self::Blank => holds_a_blank(by),
            Self::NoPort => say("has no port", HOW),
            Self::Bare { fix } => say("an IPv6 address without brackets", format!("write {fix}")),
            Self::Name => say("a name, and none is looked up here", HOW),
            Self::Url => say("a URL, not an address", HOW),
            Self::Port => say("not a port", "a port is 1 to 65535, or 0 for any that is free"),
            Self::SocketPath => say("not a path for a socket", how_long(by)),
            Self::Twice { differ: true } => {
                say("given twice", "remove one of them, for each address speaks either TLS or not")
            }
            Self::Twice { differ: false } => say("given twice", "remove one of them"),
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

/// An address to listen on. A socket's path starts from this folder.
pub(super) fn parse(text: &str, folder: &Path) -> Result<Address, ListenFault> {
    if let Some(path) = text.strip_prefix(UNIX) {
        let path = socket_path(path, folder).ok_or(ListenFault::SocketPath)?;
        return Ok(Address::Unix(path.into()));
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
    if let Some(fix) = in_brackets(text) {
        return ListenFault::Bare { fix };
    }
    match () {
        () if text.contains(char::is_whitespace) => ListenFault::Blank,
        () if text.contains("://") => ListenFault::Url,
        () if is_ip(text) || (port.is_empty() && is_ip(host)) => ListenFault::NoPort,
        () if is_number && port.parse::<u16>().is_err() => ListenFault::Port,
        () if is_number && is_name(host) => ListenFault::Name,
        () => ListenFault::Address,
    }
}
