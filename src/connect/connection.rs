//! A connection to a backend, as one exchange has it: one of its own, or a stream of one that many share.

use std::error::Error as _;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::{Request, Response};

use super::http1::Http1;
use super::http2::{Download, Http2Stream};
use super::line_ends::BareLineFeed;
use super::{Flow, Provenance, Stream, TlsFault};

/// An invariant of whoever sends.
pub(super) const GIVEN: &str = "a request is there to be sent";

/// What carries one exchange to a backend.
#[derive(Debug)]
pub enum Connection<B: Body + 'static> {
    /// HTTP/1.1, one request at a time.
    Exclusive(Box<Http1<B>>),
    /// HTTP/2, one stream of several.
    Shared(Box<Http2Stream<B>>),
}

/// The body of an answer, to be read with the connection that it comes on.
#[derive(Debug)]
pub enum AnswerBody {
    /// From a connection of its own.
    Http1(Incoming),
    /// From a stream.
    Http2(Box<Download>),
}

/// What ended an exchange with a backend.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// HTTP/1.1 over its connection.
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    /// HTTP/2 on its stream.
    #[error(transparent)]
    Http2(Box<h2::Error>),
    /// The body of the request gave an error, which whoever made it knows more of.
    #[error("the body of the request could not be passed on")]
    Upload,
    /// The head of an answer over HTTP/2 has more lines than it may.
    #[error("the head of the answer has too many lines")]
    TooManyHeaders,
    /// The request has no place in HTTP/2: its `Host` is not an authority.
    #[error("its Host is not an authority")]
    NoAuthority,
}

impl From<h2::Error> for Broken {
    fn from(error: h2::Error) -> Self {
        Self::Http2(Box::new(error))
    }
}

impl<B> Connection<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// What was seen on the wire since the request under way began.
    pub fn flow(&self) -> &Rc<Flow> {
        match self {
            Self::Exclusive(connection) => connection.flow(),
            Self::Shared(stream) => stream.flow(),
        }
    }

    /// Whether it carried a request before the one under way.
    pub fn is_reused(&self) -> bool {
        match self {
            Self::Exclusive(connection) => connection.is_reused(),
            Self::Shared(stream) => stream.is_reused(),
        }
    }

    /// Sends a request, which it takes, and waits for the head of the answer; its backend is told of its `provenance`, which does
    /// not become a part of it. After an error the request is back if the
    /// backend has certainly not begun to act upon it; with `note`, [`Connection::sent`] can tell its head in any case.
    ///
    /// `watch` runs after each step, with the task's waker: it may end the wait early, for a deadline.
    ///
    /// # Errors
    /// The connection broke or the answer was not HTTP; or what `watch` said.
    pub async fn send<E>(
        &mut self,
        request: &mut Option<Request<B>>,
        provenance: Option<&Provenance>,
        note: bool,
        watch: impl FnMut(&mut Context<'_>) -> Option<E>,
    ) -> Result<Response<AnswerBody>, Result<Broken, E>> {
        match self {
            // Pinned where it is, which spares a move.
            Self::Exclusive(connection) => pin!(connection.send(request, provenance, note, watch)).await,
            // Boxed, so that the state of the other, which is the fast path, stays small.
            Self::Shared(stream) => Box::pin(stream.send(request, provenance, note, watch)).await,
        }
    }

    /// The head of the request under way, if it was to be noted.
    pub fn sent(&mut self) -> Option<Request<()>> {
        match self {
            Self::Exclusive(connection) => connection.flow().sent(),
            Self::Shared(stream) => stream.sent(),
        }
    }

    /// The next frame of an answer's body, which must have come on this connection.
    pub fn poll_body(
        &mut self,
        body: &mut AnswerBody,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match (self, body) {
            (Self::Exclusive(connection), AnswerBody::Http1(body)) => {
                connection.poll_body(body, cx).map_err(Broken::Http1)
            }
            (Self::Shared(stream), AnswerBody::Http2(body)) => stream.poll_body(body, cx),
            _ => unreachable!("a body is read with the connection that it came on"),
        }
    }

    /// Whether more of a request may still be on its way, while others share the connection.
    pub fn is_sending(&self) -> bool {
        matches!(self, Self::Shared(stream) if !stream.is_sent())
    }

    /// The bytes' two ends and what was read ahead, after a `101 Switching Protocols`; streams switch no protocols.
    pub fn into_upgraded(self) -> Option<(Stream, Bytes)> {
        match self {
            Self::Exclusive(connection) => connection.into_upgraded(),
            Self::Shared(_) => None,
        }
    }
}

impl AnswerBody {
    /// Whether nothing more is to come.
    pub fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    /// Whether all of the content is here: only trailers or the word that nothing follows may still come.
    pub fn has_all(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.has_all(),
        }
    }

    /// How much is to come.
    pub fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

impl Broken {
    /// Whether the backend sent what is not HTTP, or more than it may.
    pub fn is_garbage(&self) -> bool {
        match self {
            Self::Http1(error) => error.is_parse() || error.is_parse_too_large() || has_bare_line_feed(error),
            Self::Http2(error) => error.is_library(),
            Self::TooManyHeaders => true,
            Self::Upload | Self::NoAuthority => false,
        }
    }

    /// Whether the request is at fault.
    pub fn is_of_the_client(&self) -> bool {
        matches!(self, Self::NoAuthority)
    }

    /// Whether just this exchange was ended, of which the backend had begun to think (RFC 9113 section 6.4): another connection
    /// would change nothing. It may if the stream was refused, as those over the limit of a connection are (section 8.7).
    pub fn is_reset(&self) -> bool {
        matches!(self, Self::Http2(error) if error.is_reset() && error.reason() != Some(h2::Reason::REFUSED_STREAM))
    }

    /// Whether the connection is gone, and not just one exchange on it.
    pub fn is_of_the_connection(&self) -> bool {
        match self {
            Self::Http1(_) => true,
            Self::Http2(error) => error.is_io(),
            Self::TooManyHeaders | Self::Upload | Self::NoAuthority => false,
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
            Self::TooManyHeaders | Self::Upload | Self::NoAuthority => None,
        }
    }
}

/// Whether we ended a connection for what hyper would have read.
fn has_bare_line_feed(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.and_then(io::Error::get_ref).is_some_and(|cause| cause.is::<BareLineFeed>())
}
