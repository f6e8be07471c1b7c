//! Where requests go: the flags for backends and for TLS to them, and what they mean.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};

use super::address::{LONGEST_PATH, UNIX};
use super::{Address, ConfigError, KeyPair, Listener};

/// Where requests go, as the operator wrote it.
#[derive(Args, Clone, Debug)]
pub struct BackendFlags {
    /// Backend to forward to: HOST:PORT, https://HOST:PORT, h2c://HOST:PORT (HTTP/2 without TLS) or unix:PATH; repeat it for more, in order of preference. A name is looked up once
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
    #[arg(long, env = "LOADBALANCER_BACKEND_CA", value_name = "FILE", global = true)]
    pub backend_ca: Option<PathBuf>,

    /// Name that certificates of https:// backends must be for, and that is sent as SNI [default: the host of the URL]
    #[arg(long, env = "LOADBALANCER_BACKEND_TLS_NAME", value_name = "NAME", global = true)]
    pub backend_tls_name: Option<String>,

    /// Certificate chain (PEM) to show to https:// backends
    #[arg(long, env = "LOADBALANCER_BACKEND_CERT", value_name = "FILE", global = true)]
    pub backend_cert: Option<PathBuf>,

    /// Private key (PEM) of that certificate
    #[arg(long, env = "LOADBALANCER_BACKEND_KEY", value_name = "FILE", global = true)]
    pub backend_key: Option<PathBuf>,

    /// Take any certificate of https:// backends, so that whoever is between can read and change all; for trials only
    #[arg(long, env = "LOADBALANCER_BACKEND_TLS_INSECURE", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, global = true)]
    pub backend_tls_insecure: bool,

    /// Tell backends the client's address in a PROXY protocol header; their connections are then not reused
    #[arg(
        long,
        env = "LOADBALANCER_BACKEND_PROXY_PROTOCOL",
        value_enum,
        value_name = "VERSION",
        global = true
    )]
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

/// What is spoken to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1 in the clear.
    Http,
    /// HTTP/2 or HTTP/1.1 over TLS, as the backend chooses.
    Https,
    /// HTTP/2 in the clear, by prior knowledge.
    H2c,
}

/// Where a backend is and what is spoken to it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendUrl {
    name: Arc<str>,
    /// What is spoken to it.
    pub scheme: Scheme,
    /// Where it is.
    pub address: Address,
    authority: Arc<str>,
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

impl BackendUrl {
    /// Its host and port, as a request's `Host` names it.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host, without brackets if it is an IPv6 address.
    pub fn host(&self) -> &str {
        let host = self.authority.rsplit_once(':').map_or(&*self.authority, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether it is the same backend, however it was written.
    pub fn is_same(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.address == other.address
    }

    /// One that a name led to: shown by its address, asked by the name.
    pub fn found(scheme: Scheme, name: &str, address: SocketAddr) -> Self {
        let shown = match scheme {
            Scheme::Http => address.to_string(),
            Scheme::Https => format!("https://{address}"),
            Scheme::H2c => format!("h2c://{address}"),
        };
        let authority = format!("{}:{}", name.trim_end_matches('.'), address.port()).into();
        Self { name: shown.into(), scheme, address: address.into(), authority }
    }

    /// As the operator wrote it, for logs.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Parses what `--backend` takes. A name is looked up, which may take its time.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if let Some(path) = text.strip_prefix(UNIX) {
            if !(1..=LONGEST_PATH).contains(&path.len()) {
                return Err(ConfigError::SocketPath { flag: "--backend", text: text.to_owned() });
            }
            let address = Address::Unix(Path::new(path).into());
            return Ok(Self {
                name: text.into(),
                scheme: Scheme::Http,
                address,
                authority: "localhost".into(),
            });
        }
        let (scheme, authority) = match text.split_once("://") {
            None => (Scheme::Http, text),
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("h2c", rest)) => (Scheme::H2c, rest),
            Some(_) => return Err(ConfigError::BackendScheme(text.to_owned())),
        };
        if let Some((_, path)) = authority.split_once('/') {
            let fix = text.strip_suffix(path).and_then(|text| text.strip_suffix('/')).unwrap_or(text);
            return Err(ConfigError::BackendPath { text: text.to_owned(), fix: fix.to_owned() });
        }
        let address = Address::from(look_up(text, authority)?);
        let name = if scheme == Scheme::Http { authority } else { text };
        Ok(Self { name: name.into(), scheme, address, authority: authority.into() })
    }
}

impl From<SocketAddr> for BackendUrl {
    fn from(address: SocketAddr) -> Self {
        let name: Arc<str> = address.to_string().into();
        Self { name: Arc::clone(&name), scheme: Scheme::Http, address: address.into(), authority: name }
    }
}

impl Display for BackendUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl BackendFlags {
    /// The backends that these flags mean, none of which is one of these listeners.
    pub(super) fn urls(&self, listeners: &[Listener]) -> Result<Vec<BackendUrl>, ConfigError> {
        let mut urls = Vec::<BackendUrl>::with_capacity(self.backends.len());
        for text in &self.backends {
            let url = BackendUrl::parse(text)?;
            if urls.iter().any(|known| known.address == url.address) {
                return Err(ConfigError::DuplicateBackend(text.clone()));
            }
            if listeners.iter().any(|listener| is_ourselves(&url.address, &listener.address)) {
                return Err(ConfigError::Loop(text.clone()));
            }
            urls.push(url);
        }
        Ok(urls)
    }

    /// How TLS is spoken to those of these backends that speak it; none if none does.
    pub(super) fn tls(&self, urls: &[BackendUrl]) -> Result<Option<BackendTls>, ConfigError> {
        let given = [
            ("--backend-ca", self.backend_ca.is_some()),
            ("--backend-tls-name", self.backend_tls_name.is_some()),
            ("--backend-cert", self.backend_cert.is_some()),
            ("--backend-key", self.backend_key.is_some()),
            ("--backend-tls-insecure", self.backend_tls_insecure),
        ];
        if !urls.iter().any(|url| url.scheme == Scheme::Https) {
            return match given.iter().find(|(_, given)| *given) {
                Some((flag, _)) => Err(ConfigError::NoTlsBackend(flag)),
                None => Ok(None),
            };
        }
        let trust = match (&self.backend_ca, self.backend_tls_insecure) {
            (Some(_), true) => return Err(ConfigError::TrustTwice),
            (None, true) => Trust::Anything,
            (Some(ca), false) => Trust::Authorities(ca.clone()),
            (None, false) => Trust::System,
        };
        let client = match (&self.backend_cert, &self.backend_key) {
            (Some(certificate), Some(key)) => {
                Some(KeyPair { certificate: certificate.clone(), key: key.clone() })
            }
            (None, None) => None,
            _ => return Err(ConfigError::UnpairedBackendKey),
        };
        if let Some(name) =
            self.backend_tls_name.as_ref().filter(|name| !is_name(name) && name.parse::<IpAddr>().is_err())
        {
            return Err(ConfigError::TlsName(name.clone()));
        }
        Ok(Some(BackendTls { trust, name: self.backend_tls_name.clone(), client }))
    }
}

fn is_ourselves(backend: &Address, listen: &Address) -> bool {
    let (Some(backend), Some(listen)) = (backend.ip(), listen.ip()) else { return backend == listen };
    let same_host =
        backend.ip() == listen.ip() || (listen.ip().is_unspecified() && backend.ip().is_loopback());
    same_host && backend.port() == listen.port()
}

/// Whether it can be a name in the DNS.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=253).contains(&text.len()) && text.chars().all(fits)
}

/// The address of HOST:PORT. Of a name it is the first one, IPv4 before IPv6: `localhost` means 127.0.0.1 to most
/// backends.
fn look_up(text: &str, authority: &str) -> Result<SocketAddr, ConfigError> {
    let refuse = || ConfigError::Backend(text.to_owned());
    let address = match authority.parse::<SocketAddr>() {
        Ok(address) => address,
        Err(_) => {
            let (name, port) = authority.rsplit_once(':').ok_or_else(refuse)?;
            let port: u16 = port.parse().map_err(|_| refuse())?;
            if !is_name(name) {
                return Err(refuse());
            }
            let unresolved = |reason: String| ConfigError::Unresolved { name: text.to_owned(), reason };
            let found = (name, port).to_socket_addrs().map_err(|error| unresolved(error.to_string()))?;
            found.min_by_key(SocketAddr::is_ipv6).ok_or_else(|| unresolved("no address".to_owned()))?
        }
    };
    if address.port() == 0 || address.ip().is_unspecified() { Err(refuse()) } else { Ok(address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_shown_as_it_was_written_and_asked_by_its_own_name() {
        for (text, scheme, name, authority, host) in [
            ("127.0.0.1:3000", Scheme::Http, "127.0.0.1:3000", "127.0.0.1:3000", "127.0.0.1"),
            ("http://localhost:3000", Scheme::Http, "localhost:3000", "localhost:3000", "localhost"),
            ("https://localhost:1", Scheme::Https, "https://localhost:1", "localhost:1", "localhost"),
            ("h2c://[::1]:1", Scheme::H2c, "h2c://[::1]:1", "[::1]:1", "::1"),
            ("unix:/run/app", Scheme::Http, "unix:/run/app", "localhost", "localhost"),
        ] {
            let url = BackendUrl::parse(text).expect(text);
            assert_eq!((url.scheme, &**url.name()), (scheme, name));
            assert_eq!((url.authority(), url.host()), (authority, host));
        }
    }

    #[test]
    fn an_address_that_says_too_much_is_refused_with_one_that_says_enough() {
        let scheme = ConfigError::BackendScheme("ftp://a:1".into());
        assert_eq!(BackendUrl::parse("ftp://a:1"), Err(scheme));
        for (text, fix) in [("http://a:1/", "http://a:1"), ("https://a:1/x/y", "https://a:1")] {
            let path = ConfigError::BackendPath { text: text.into(), fix: fix.into() };
            assert_eq!(BackendUrl::parse(text), Err(path));
        }
        let path = ConfigError::SocketPath { flag: "--backend", text: "unix:".into() };
        assert_eq!(BackendUrl::parse("unix:"), Err(path));
    }
}
