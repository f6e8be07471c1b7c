//! The body of an answer on its way out of a stream.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use hyper::body::{Frame, SizeHint};

use super::super::Broken;

/// The body of an answer on its way out of a stream.
#[derive(Debug)]
pub struct Download {
    stream: RecvStream,
    /// Bytes that are still to come, if the head told how many.
    left: Option<u64>,
    /// Whether it has no content whatever its head tells: it answers a HEAD, or its status says so.
    bodiless: bool,
    data_ended: bool,
}

impl Download {
    /// That of an answer whose head tells so.
    pub(super) fn of(stream: RecvStream, left: Option<u64>, bodiless: bool) -> Self {
        Self { stream, left, bodiless, data_ended: false }
    }

    pub(in super::super) fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    /// Whether all of the content has come: only trailers or the end may follow.
    pub(in super::super) fn has_all(&self) -> bool {
        self.bodiless || self.left == Some(0) || self.is_end_stream()
    }

    pub(in super::super) fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if !self.data_ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    let length = data.len();
                    self.left = self.left.map(|left| left.saturating_sub(length as u64));
                    // The client's side holds one piece and asks for the next when that is gone.
                    let _ = self.stream.flow_control().release_capacity(length);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(self.ended_early(error)),
                None => self.data_ended = true,
            }
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(error) => Poll::Ready(self.ended_early(error)),
        }
    }

    /// RFC 9113 section 8.1: a backend that wants no more of the request resets the stream without an error, behind an
    /// answer that is whole. Behind the stream's end h2 passes over a reset; before, only the length tells that it is whole.
    fn ended_early(&self, error: h2::Error) -> Option<Result<Frame<Bytes>, Broken>> {
        let whole = error.is_remote() && error.reason() == Some(Reason::NO_ERROR);
        (!whole || !self.has_all()).then(|| Err(error.into()))
    }
}
