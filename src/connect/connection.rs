//! A connection to a backend, as one exchange has it: one of its own, or a stream of one that many share.

use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};
use hyper::{Request, Response};

use super::http1::Http1;
use super::http2::Http2Stream;
use super::{AnswerBody, Broken, Flow, Provenance, Stream};

/// What carries one exchange to a backend.
#[derive(Debug)]
pub enum Connection<B: Body + 'static> {
    /// HTTP/1.1, one request at a time.
    Exclusive(Box<Http1<B>>),
    /// HTTP/2, one stream of several.
    Shared(Box<Http2Stream<B>>),
}

/// Moves a request on while its answer waits for a client that does not take it: neither waits for the other.
pub trait Advance {
    /// Passes on what can be passed on now.
    fn advance(&self, cx: &mut Context<'_>);
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
            (Self::Exclusive(connection), AnswerBody::Http1(body)) => connection.poll_body(body, cx),
            (Self::Shared(stream), AnswerBody::Http2(body)) => stream.poll_body(body, cx),
            _ => unreachable!("a body is read with the connection that it came on"),
        }
    }

    /// What moves the request under way on while nobody asks for its answer. It does so only until the exchange is over.
    pub fn advancing(&self) -> Weak<dyn Advance> {
        match self {
            Self::Exclusive(connection) => connection.advancing(),
            Self::Shared(stream) => stream.advancing(),
        }
    }

    /// Whether more of a request may still be on its way, while others share the connection.
    pub fn is_sending(&self) -> bool {
        matches!(self, Self::Shared(stream) if !stream.is_sent())
    }

    /// Whether nothing more of a request is asked for, while others share the connection.
    pub fn has_sent(&self) -> bool {
        matches!(self, Self::Shared(stream) if stream.is_sent())
    }

    /// The bytes' two ends and what was read ahead, after a `101 Switching Protocols`; streams switch no protocols.
    pub fn into_upgraded(self) -> Option<(Stream, Bytes)> {
        match self {
            Self::Exclusive(connection) => connection.into_upgraded(),
            Self::Shared(_) => None,
        }
    }
}
