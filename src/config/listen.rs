//! Where clients connect: the flags for listeners and for TLS on them, and what they mean.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, ValueEnum};

use super::address::{LONGEST_PATH, UNIX};
use super::{Address, ConfigError, Listener};

const DEFAULT: &str = "127.0.0.1:8080";

/// Where clients connect, as the operator wrote it.
#[derive(Args, Clone, Debug)]
pub struct ListenFlags {
    /// Address to listen on: ADDRESS:PORT, :PORT (every IPv4 address), PORT (loopback) or unix:PATH; repeat it for more [default: 127.0.0.1:8080]
    #[arg(
        long,
        env = "LOADBALANCER_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ',',
        action = ArgAction::Append,
        global = true
    )]
    pub listen: Vec<String>,

    /// Address to listen on for TLS, written as for --listen; it takes the default's place
    #[arg(
        long,
        env = "LOADBALANCER_TLS_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ',',
        action = ArgAction::Append,
        global = true
    )]
    pub tls_listen: Vec<String>,

    /// Certificate chain (PEM) for --tls-listen; repeat it with its key for more names. The first one serves names that none has
    #[arg(
        long = "tls-cert",
        env = "LOADBALANCER_TLS_CERT",
        value_name = "FILE",
        value_delimiter = ',',
        action = ArgAction::Append,
        global = true
    )]
    pub tls_certs: Vec<PathBuf>,

    /// Private key (PEM) of the certificate in the same place
    #[arg(
        long = "tls-key",
        env = "LOADBALANCER_TLS_KEY",
        value_name = "FILE",
        value_delimiter = ',',
        action = ArgAction::Append,
        global = true
    )]
    pub tls_keys: Vec<PathBuf>,

    /// Certificates (PEM) of the authorities that sign clients' certificates, which are asked for then
    #[arg(long, env = "LOADBALANCER_TLS_CLIENT_CA", value_name = "FILE", global = true)]
    pub tls_client_ca: Option<PathBuf>,

    /// Whether a client must have a certificate of --tls-client-ca [default: required]
    #[arg(long, env = "LOADBALANCER_TLS_CLIENT_AUTH", value_enum, value_name = "WHETHER", global = true)]
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

impl ListenFlags {
    /// The listeners that these flags mean.
    pub(super) fn listeners(&self) -> Result<Vec<Listener>, ConfigError> {
        let mut listeners = Vec::new();
        let clear = match (self.listen.as_slice(), self.tls_listen.is_empty()) {
            ([], true) => &[DEFAULT.to_owned()],
            (given, _) => given,
        };
        for (flag, texts, tls) in [("--listen", clear, false), ("--tls-listen", &self.tls_listen, true)] {
            for text in texts {
                let listener = Listener { name: text.as_str().into(), address: parse(flag, text)?, tls };
                let port = |listener: &Listener| listener.address.ip().map(|address| address.port());
                if port(&listener) != Some(0)
                    && listeners.iter().any(|known: &Listener| known.address == listener.address)
                {
                    return Err(ConfigError::DuplicateListener { flag, text: text.clone() });
                }
                listeners.push(listener);
            }
        }
        Ok(listeners)
    }

    /// How TLS is spoken on them, if it is.
    pub(super) fn tls(&self) -> Result<Option<Tls>, ConfigError> {
        let (certificates, keys) = (self.tls_certs.len(), self.tls_keys.len());
        if self.tls_listen.is_empty() {
            let stray = [
                ("--tls-cert", certificates),
                ("--tls-key", keys),
                ("--tls-client-ca", usize::from(self.tls_client_ca.is_some())),
                ("--tls-client-auth", usize::from(self.tls_client_auth.is_some())),
            ];
            return match stray.iter().find(|(_, count)| *count > 0) {
                Some((flag, _)) => Err(ConfigError::NoTlsListener(flag)),
                None => Ok(None),
            };
        }
        if certificates == 0 || certificates != keys {
            return Err(ConfigError::UnpairedKeys { certificates, keys });
        }
        let clients = match (&self.tls_client_ca, self.tls_client_auth) {
            (Some(ca), auth) => {
                Some(ClientCertificates { ca: ca.clone(), auth: auth.unwrap_or(ClientAuth::Required) })
            }
            (None, Some(_)) => return Err(ConfigError::NoClientCa),
            (None, None) => None,
        };
        let pair = |(certificate, key): (&PathBuf, &PathBuf)| KeyPair {
            certificate: certificate.clone(),
            key: key.clone(),
        };
        let certificates = self.tls_certs.iter().zip(&self.tls_keys).map(pair).collect();
        Ok(Some(Tls { certificates, clients }))
    }
}

fn parse(flag: &'static str, text: &str) -> Result<Address, ConfigError> {
    if let Some(path) = text.strip_prefix(UNIX) {
        return match path.len() {
            1..=LONGEST_PATH => Ok(Address::Unix(Path::new(path).into())),
            _ => Err(ConfigError::SocketPath { flag, text: text.to_owned() }),
        };
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address.into());
    }
    let (ip, port) = match text.strip_prefix(':') {
        Some(port) => (Ipv4Addr::UNSPECIFIED, port),
        None => (Ipv4Addr::LOCALHOST, text.strip_prefix("localhost:").unwrap_or(text)),
    };
    let port = port.parse().map_err(|_| ConfigError::Listen { flag, text: text.to_owned() })?;
    Ok(SocketAddr::new(IpAddr::V4(ip), port).into())
}
