//! What comes of dialling a backend: what is spoken from then on, or why there is no connection.

use std::io;

use super::{TlsFault, is_our_want};

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// What the system said: refused, unreachable, out of files or ports.
    #[error(transparent)]
    Connect(#[from] io::Error),
    /// As many connections as it lets wait are waiting to be accepted, and its system does not wait for it (a Unix socket).
    /// In a moment that may be otherwise.
    #[error("its queue of connections is full")]
    Full,
    /// It was made, but TLS could not be agreed upon.
    #[error("{0}")]
    Tls(TlsFault),
    /// It was made, but the backend did not begin as HTTP/2 does.
    #[error("it did not begin to speak HTTP/2; write http:// if it should not")]
    NotHttp2,
    /// It was made, and ended before the backend began as HTTP/2 does in the clear: one that speaks only HTTP/1.1 may end it, and
    /// so does what stands before one that is gone.
    #[error("it closed the connection before it spoke HTTP/2")]
    ClosedInClear,
    /// The same over TLS, where the backend had chosen HTTP/2.
    #[error("it closed the connection before it spoke HTTP/2")]
    Closed,
    /// The request is to switch protocols, which HTTP/2 has no way for that is spoken here, and the backend speaks nothing else.
    #[error("it speaks HTTP/2, on which protocols cannot be switched")]
    CannotSwitch,
}

impl DialError {
    /// Whether it tells something of the backend. To run out of our own files or ports is no fault of its, and a full queue
    /// is what many clients make of a backend that is well.
    pub fn says_of_the_backend(&self) -> bool {
        match self {
            Self::Connect(error) => !is_our_want(error),
            Self::Tls(_) | Self::NotHttp2 | Self::ClosedInClear | Self::Closed => true,
            Self::Full | Self::CannotSwitch => false,
        }
    }
}
