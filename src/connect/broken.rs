//! What ends an exchange with a backend before its time.

use std::error::Error as _;
use std::fmt::{self, Display, Formatter};
use std::io;

use super::TlsFault;
use super::line_ends::BareLineFeed;

/// What ended an exchange with a backend.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// HTTP/1.1 over its connection.
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    /// HTTP/2 on its stream.
    #[error(transparent)]
    Http2(Box<h2::Error>),
    /// A connection of HTTP/2 that carried other requests, too: h2 ended it for what the backend sent, and does not say in answer
    /// to which.
    #[error(transparent)]
    Among(Box<h2::Error>),
    /// The body of the request gave an error, which whoever made it knows more of.
    #[error("the body of the request could not be passed on")]
    Upload,
    /// The head of an answer over HTTP/2 has more lines than it may.
    #[error("the head of the answer has too many lines")]
    TooManyHeaders,
    /// The head of an answer tells its length in no way, or in two.
    #[error("{0}")]
    Length(&'static str),
    /// The connection ended before anything was sent on it.
    #[error("it closed the connection before it spoke HTTP/2")]
    Unbegun,
    /// The connection ended without TLS's farewell amid an answer of which nothing else tells the end.
    #[error(
        "it closed without TLS's farewell (close_notify), so whether that was all cannot be known; let it send a Content-Length"
    )]
    NoFarewell,
    /// The request has no place in HTTP/2: its `Host` is not an authority.
    #[error("its Host is not an authority")]
    NoAuthority,
}

/// What came in place of an answer that can be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garbage {
    /// Something else than HTTP.
    NotHttp,
    /// Lines that end otherwise than those of HTTP.
    BareLineFeed,
    /// A head of which a line is none.
    Line,
    /// A head whose lengths cannot be understood.
    Length,
    /// A transfer coding that we do not undo.
    Coding,
    /// A length and a transfer coding, which end the body in two places.
    TwoFramings,
    /// A head that has too many bytes, or too many lines: hyper does not say which.
    HeadTooLarge,
    /// A head that has too many lines.
    TooManyLines,
    /// A head over HTTP/2 that is none, or has too many bytes: h2 does not say which.
    UnfitHead,
}

impl Display for Garbage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "something that is not HTTP",
            Self::BareLineFeed => "lines that end without a carriage return",
            Self::Line => "a head with a line that HTTP does not allow",
            Self::Length => "a Content-Length that nobody can read",
            Self::Coding => "a Transfer-Encoding that is not just `chunked`",
            Self::TwoFramings => "both a Content-Length and a Transfer-Encoding",
            Self::HeadTooLarge => {
                "a head of more bytes (--max-header-size) or lines (--max-headers) than are taken"
            }
            Self::TooManyLines => "a head of more lines than are taken (--max-headers)",
            Self::UnfitHead => "a head that is malformed, or larger than is taken (--max-header-size)",
        })
    }
}

impl From<h2::Error> for Broken {
    fn from(error: h2::Error) -> Self {
        Self::Http2(Box::new(error))
    }
}

impl Broken {
    /// What ended the body of an answer over TLS of which only the end of the connection tells the end.
    pub(super) fn of_open_end(error: hyper::Error) -> Self {
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        match cause.is_some_and(|cause| cause.kind() == io::ErrorKind::UnexpectedEof) {
            true => Self::NoFarewell,
            false => Self::Http1(error),
        }
    }

    /// Whether the backend sent what is not HTTP, or more than it may.
    pub fn is_garbage(&self) -> bool {
        self.garbage().is_some()
    }

    /// What the backend sent in place of an answer, if it did.
    pub fn garbage(&self) -> Option<Garbage> {
        match self {
            Self::Http1(error) if error.is_parse_too_large() => Some(Garbage::HeadTooLarge),
            Self::Http1(error) if has_bare_line_feed(error) => Some(Garbage::BareLineFeed),
            Self::Http1(error) if error.is_parse() => Some(unfit(error)),
            Self::Http1(_) => None,
            Self::Http2(error) if error.is_library() => {
                Some(if error.is_reset() { Garbage::UnfitHead } else { Garbage::NotHttp })
            }
            Self::TooManyHeaders => Some(Garbage::TooManyLines),
            Self::Length(_) => Some(Garbage::Length),
            Self::Http2(_)
            | Self::Among(_)
            | Self::Upload
            | Self::Unbegun
            | Self::NoFarewell
            | Self::NoAuthority => None,
        }
    }

    /// Why the backend reset the stream, if it did.
    pub fn reset(&self) -> Option<h2::Reason> {
        match self {
            Self::Http2(error) if error.is_remote() && error.is_reset() => error.reason(),
            _ => None,
        }
    }

    /// Whether the request is at fault.
    pub fn is_of_the_client(&self) -> bool {
        matches!(self, Self::NoAuthority)
    }

    /// Whether another connection to its backend would change nothing. Either just this exchange was ended, of which the backend
    /// had begun to think (RFC 9113 section 6.4): it may if the stream was refused, as those over the limit of a connection are
    /// (section 8.7). Or what ended the connection may come again, and end one that others share by then.
    pub fn would_come_again(&self) -> bool {
        match self {
            Self::Http2(error) => error.is_reset() && error.reason() != Some(h2::Reason::REFUSED_STREAM),
            Self::Among(_) => true,
            _ => false,
        }
    }

    /// Whether the backend takes the request over HTTP/1.1 only (RFC 9113 section 7).
    pub fn wants_http1(&self) -> bool {
        matches!(self, Self::Http2(error)
            if error.is_remote() && error.reason() == Some(h2::Reason::HTTP_1_1_REQUIRED))
    }

    /// Whether the backend says that it has not begun to act upon the request: it refused the stream, or went away and named an
    /// earlier one as the last (RFC 9113 section 8.7).
    pub fn is_refusal(&self) -> bool {
        let Self::Http2(error) = self else { return false };
        let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (error.is_go_away() || is_refused)
    }

    /// Whether the connection is gone, and not just one exchange on it.
    pub fn is_of_the_connection(&self) -> bool {
        match self {
            Self::Http1(_) | Self::Unbegun | Self::NoFarewell => true,
            Self::Http2(error) => error.is_io() || error.is_remote() && error.is_go_away(),
            Self::Among(_) | Self::TooManyHeaders | Self::Length(_) | Self::Upload | Self::NoAuthority => {
                false
            }
        }
    }

    pub(super) fn tls_fault_of(error: &h2::Error) -> Option<TlsFault> {
        let cause = error.get_io()?.get_ref()?.downcast_ref::<rustls::Error>()?;
        Some(TlsFault::from(cause.clone()))
    }

    /// Whether TLS is to blame.
    pub fn tls_fault(&self) -> Option<TlsFault> {
        match self {
            Self::Http1(error) => TlsFault::among_the_causes_of(error),
            Self::Http2(error) => Self::tls_fault_of(error),
            Self::Among(_)
            | Self::TooManyHeaders
            | Self::Length(_)
            | Self::Upload
            | Self::Unbegun
            | Self::NoFarewell
            | Self::NoAuthority => None,
        }
    }
}

/// What of a head hyper could not read, which only its words say.
fn unfit(error: &hyper::Error) -> Garbage {
    match &*error.to_string() {
        "invalid content-length parsed" => Garbage::Length,
        "invalid HTTP header parsed" => Garbage::Line,
        _ => Garbage::NotHttp,
    }
}

/// Whether we ended a connection for what hyper would have read.
fn has_bare_line_feed(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.and_then(io::Error::get_ref).is_some_and(|cause| cause.is::<BareLineFeed>())
}
