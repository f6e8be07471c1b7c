//! The bodies of the sample backend's answers.

use std::convert::Infallible;
use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use hyper::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::timeout;

/// Any body of an answer. Only one that repeats a request's can fail: when the client stops sending.
pub(super) type AnswerBody = BoxBody<Bytes, hyper::Error>;

/// A part of a request's body, or why there are no more.
pub(super) type IncomingFrame = Result<Frame<Bytes>, hyper::Error>;

/// Bytes of a body that nobody wants, and how long they may take.
const MOST_UNWANTED: u64 = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(30);

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

/// Reads what a client sends and nobody wants, for a client that is still sending may not look at an answer, and is cut off
/// if the connection ends before it has sent all. What has no end is read only for so long.
pub(super) async fn drain(body: &mut Incoming) {
    let read = async {
        let mut left = MOST_UNWANTED;
        while let Some(Ok(frame)) = body.frame().await {
            let data = frame.into_data().unwrap_or_default();
            match left.checked_sub(data.len() as u64) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    // Whoever is slower than that has to take it as it comes.
    let _ = timeout(DRAIN_TIME, read).await;
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
