//! The bodies of the sample backend's answers.

use std::convert::Infallible;
use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use hyper::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Any body of an answer. Only one that repeats a request's can fail: when the client stops sending.
pub(super) type AnswerBody = BoxBody<Bytes, hyper::Error>;

/// A part of a request's body, or why there are no more.
pub(super) type IncomingFrame = Result<Frame<Bytes>, hyper::Error>;

const CHUNK: usize = 64 * 1024;

/// The alphabet over and over, so that a part that got lost or came twice shows.
static FILLER: [u8; CHUNK] = filler();

const fn filler() -> [u8; CHUNK] {
    let alphabet = b"abcdefghijklmnopqrstuvwxyz";
    let mut bytes = [0; CHUNK];
    let mut index = 0;
    while index < CHUNK {
        bytes[index] = alphabet[index % alphabet.len()];
        index += 1;
    }
    bytes
}

pub(super) fn whole(bytes: impl Into<Bytes>) -> AnswerBody {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed()
}

/// That many bytes, their number known in advance.
pub(super) fn sized(count: u64) -> AnswerBody {
    Filler { left: count, trailers: None }.map_err(|never| match never {}).boxed()
}

/// That many bytes, their number not known in advance, then the trailers.
pub(super) fn chunked(count: u64, trailers: HeaderMap) -> AnswerBody {
    Filler { left: count, trailers: Some(trailers) }.map_err(|never| match never {}).boxed()
}

/// `head`, then what the client sends, as it comes; `first` is the part of it that came already.
pub(super) fn echo(head: Bytes, first: Option<IncomingFrame>, rest: Incoming) -> AnswerBody {
    let head = stream::iter(iter::once(Ok(Frame::data(head))).chain(first));
    BodyExt::boxed(StreamBody::new(head.chain(BodyStream::new(rest))))
}

/// Bytes that are made when they are asked for: its size costs time, not memory.
struct Filler {
    left: u64,
    trailers: Option<HeaderMap>,
}

impl Body for Filler {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let chunk = usize::try_from(self.left).map_or(CHUNK, |left| left.min(CHUNK));
        self.left -= chunk as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&FILLER[..chunk])))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && self.trailers.is_none()
    }

    /// Trailers need the chunked coding (RFC 9112, section 7.1.2); hyper takes it when the size is unknown.
    fn size_hint(&self) -> SizeHint {
        match self.trailers {
            None => SizeHint::with_exact(self.left),
            Some(_) => SizeHint::default(),
        }
    }
}
