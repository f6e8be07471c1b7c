//! Places that a connection can come from or go to.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::said::By;

/// How an operator tells a Unix socket from a network address.
pub(super) const UNIX: &str = "unix:";
/// Bytes that a Unix socket's path may have.
const LONGEST_PATH: usize = 107;

/// A place that connections are made to: on a network, or a socket in the file system.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A Unix socket's path.
    Unix(Arc<Path>),
}

impl Address {
    /// Whether the system chooses the port, so that two listeners there are at two places.
    pub fn has_any_port(&self) -> bool {
        self.ip().is_some_and(|address| address.port() == 0)
    }

    /// The IP address and port, unless it is a Unix socket.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Whether a client could come to either by one address.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self.ip(), other.ip()) {
            (Some(one), Some(with)) if has_all(one.ip(), with.ip()) || has_all(with.ip(), one.ip()) => {
                one.port() == with.port()
            }
            _ => self == other,
        }
    }

    /// Where a program of this machine reaches it: what listens on every address listens on this machine's own, too.
    pub(super) fn seen_from_here(self) -> Self {
        match self {
            Self::Ip(address) if address.ip().is_unspecified() => {
                let own = match address.ip() {
                    IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                    IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
                };
                Self::Ip(SocketAddr::new(own, address.port()))
            }
            other => other,
        }
    }
}

/// The path of a socket, unless it is none or longer than the system takes. What does not begin with `/` starts from this folder,
/// and that from where we are: so a socket has one path, whoever names it.
pub(super) fn socket_path(path: &str, folder: &Path) -> Option<PathBuf> {
    let fits = |path: &PathBuf| path.as_os_str().len() <= LONGEST_PATH;
    let short = Some(folder.join(path)).filter(|short| !path.is_empty() && fits(short))?;
    // The system takes a short one, however long the path to where we are.
    Some(absolute(&short).ok().filter(fits).unwrap_or(short))
}

/// How a socket's path is written.
pub(super) fn how_long(by: By) -> &'static str {
    by.pick(
        "write unix:PATH with a path of up to 107 bytes",
        "write unix:PATH with a path of up to 107 bytes, counted with its folder",
    )
}

/// Whether who listens at the first address listens at the second because it is at all of them: at those of IPv6 is at those of
/// IPv4, too.
pub(super) fn has_all(listen: IpAddr, one: IpAddr) -> bool {
    listen.is_unspecified() && (listen.is_ipv6() || one.is_ipv4())
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}
