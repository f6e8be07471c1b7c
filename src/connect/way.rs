//! How a backend is reached: where it is, what is spoken to it, and what is said before.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use tokio::net::{TcpStream, UnixStream};

use crate::config::{Address, BackendUrl, Pool, ProxyVersion, Scheme};

use super::dial::{DialError, Protocol};
use super::pem::TlsFileError;
use super::proxy_header;
use super::tls::{BackendTls, SystemAuthorities, TlsClient};
use super::{Look, Need, Socket, Stream, is_kept, want_of_files};

/// How one backend is reached. All that can be known before a connection is made.
#[derive(Debug)]
pub struct Way {
    /// Where it is and what is spoken to it.
    pub url: BackendUrl,
    /// For https.
    tls: Option<BackendTls>,
    proxy_protocol: Option<ProxyVersion>,
}

/// How all backends of a pool are reached.
#[derive(Clone, Debug)]
pub struct Ways {
    tls: Option<TlsClient>,
    /// The name that certificates must be for, in place of the host of the URL.
    name: Option<String>,
    proxy_protocol: Option<ProxyVersion>,
}

impl Ways {
    /// Those of a pool. Whom the system trusts is the same for all that are prepared together.
    ///
    /// # Errors
    /// A file for TLS cannot be used.
    pub fn of(pool: &Pool, system: &SystemAuthorities) -> Result<Self, TlsFileError> {
        let client = |settings| BackendTls::client(settings, pool.proxy_protocol, system);
        let tls = pool.tls.as_ref().map(client);
        let name = pool.tls.as_ref().and_then(|settings| settings.name.clone());
        Ok(Self { tls: tls.transpose()?, name, proxy_protocol: pool.proxy_protocol })
    }

    /// Whether the files for TLS are what they were when they were read.
    pub fn are_current(&self, system: &SystemAuthorities) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.is_current(system))
    }

    /// At its files for TLS, by now and before they were read.
    pub fn look(&self) -> (Look, Look) {
        self.tls.as_ref().map(TlsClient::look).unwrap_or_default()
    }

    /// Whether files for TLS are named.
    pub fn have_files(&self) -> bool {
        self.tls.as_ref().is_some_and(TlsClient::has_files)
    }

    /// Whether the same was in the files for TLS.
    pub fn are_same(&self, other: &Self) -> bool {
        match (&self.tls, &other.tls) {
            (Some(ours), Some(others)) => ours.is_same(others),
            (None, None) => true,
            _ => false,
        }
    }

    /// The way to one of its backends.
    pub fn to(&self, url: &BackendUrl) -> Arc<Way> {
        let tls = self.tls.as_ref().filter(|_| url.scheme == Scheme::Https);
        Arc::new(Way {
            url: url.clone(),
            tls: tls.map(|tls| {
                let name = self.name.as_deref().unwrap_or(url.host());
                tls.to(name, url.address.ip().map(|address| address.ip()))
            }),
            proxy_protocol: self.proxy_protocol,
        })
    }
}

impl Way {
    /// Whether connections made in the one way are as good as those made in the other.
    pub fn is_same(&self, other: &Self) -> bool {
        let (ours, others) = (&self.url, &other.url);
        let tls = match (&self.tls, &other.tls) {
            (Some(ours), Some(others)) => ours.is_same(others),
            (None, None) => true,
            _ => false,
        };
        let spoken = (ours.scheme, ours.authority(), self.proxy_protocol);
        tls && ours.address == others.address
            && spoken == (others.scheme, others.authority(), other.proxy_protocol)
    }

    /// The same way, on which TLS is agreed upon anew each time.
    pub fn anew(&self) -> Self {
        let tls = self.tls.as_ref().map(BackendTls::anew);
        Self { url: self.url.clone(), tls, proxy_protocol: self.proxy_protocol }
    }

    /// What is known to be spoken before a connection is made.
    pub(super) fn protocol(&self) -> Option<Protocol> {
        match self.url.scheme {
            Scheme::Http => Some(Protocol::Http1),
            Scheme::Https => None,
            Scheme::H2c => Some(Protocol::Http2),
        }
    }

    /// Whether each connection is made on behalf of one client.
    pub fn is_told_the_client(&self) -> bool {
        self.proxy_protocol.is_some()
    }

    /// Connects. Of an upgrade a backend that can choose is given no choice. The caller sets the deadline: dropping the future
    /// ends the attempt.
    pub(super) async fn open(&self, need: &Need) -> Result<(Stream, Protocol), DialError> {
        let mut socket = connect(&self.url.address).await?;
        if !need.is_rare && is_kept(&socket) {
            return Err(want_of_files().into());
        }
        if let Some(version) = self.proxy_protocol {
            proxy_header::send(&mut socket, version, need.behalf).await?;
        }
        match &self.tls {
            Some(tls) => tls.open(socket, need.upgrade).await,
            None => Ok((Stream::Clear(socket), self.protocol().unwrap_or(Protocol::Http1))),
        }
    }
}

impl From<BackendUrl> for Way {
    /// In the clear, whatever the URL says.
    fn from(url: BackendUrl) -> Self {
        Self { url, tls: None, proxy_protocol: None }
    }
}

async fn connect(address: &Address) -> Result<Socket, DialError> {
    Ok(match address {
        Address::Ip(address) => {
            let stream = TcpStream::connect(address).await.map_err(|error| told_apart(error, *address))?;
            stream.set_nodelay(true)?;
            Socket::Tcp(stream)
        }
        Address::Unix(path) => Socket::Unix(UnixStream::connect(path).await.map_err(|error| {
            // On the network the system itself tries again.
            match error.kind() {
                io::ErrorKind::WouldBlock => DialError::Full,
                _ => error.into(),
            }
        })?),
    })
}

/// The system says of an IPv6 address to which it knows no way from any of its own what it says when it runs out of ports.
fn told_apart(error: io::Error, address: SocketAddr) -> io::Error {
    let has_no_way = || {
        let unspecified = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let other = UdpSocket::bind(unspecified).and_then(|socket| socket.connect(address));
        other.is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
    };
    match error.kind() {
        io::ErrorKind::AddrNotAvailable if address.is_ipv6() && has_no_way() => {
            io::ErrorKind::NetworkUnreachable.into()
        }
        _ => error,
    }
}
