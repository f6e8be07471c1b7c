//! The body of an answer on its way out of a stream.

use std::task::{Context, Poll, Waker, ready};

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
    /// A piece that was taken to see whether there is one.
    ahead: Option<Bytes>,
    /// Whether it has ended, though h2 may not know.
    over: bool,
}

impl Download {
    /// That of an answer whose head tells so. With `has_ended`, all of it has come.
    pub(super) fn of(stream: RecvStream, left: Option<u64>, bodiless: bool, has_ended: bool) -> Self {
        let (data_ended, ahead, over) = (false, None, false);
        let mut download = Self { stream, left, bodiless, data_ended, ahead, over };
        if has_ended && !download.is_end_stream() {
            download.look_ahead();
        }
        download
    }

    /// Sees whether there is more than the head. h2 tells by itself only while the connection is there.
    #[cold]
    fn look_ahead(&mut self) {
        match self.stream.poll_data(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(data))) => self.ahead = Some(data),
            // What h2 itself has reset, because it does not keep to its length, is told again.
            Poll::Ready(Some(Err(error))) => self.over = !error.is_reset(),
            Poll::Ready(None) => self.data_ended = true,
            Poll::Pending => {}
        }
    }

    pub(in super::super) fn is_end_stream(&self) -> bool {
        self.over || self.ahead.is_none() && self.stream.is_end_stream()
    }

    /// RFC 9110 section 6.4.1: behind some heads there is no content, whatever comes; of which h2 knows only some.
    pub(in super::super) fn gives_nothing(&self) -> bool {
        self.bodiless || self.is_end_stream()
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

    /// The next frame. `has_ended` tells whether all of them have come.
    pub(super) fn poll_frame(
        &mut self,
        has_ended: impl FnOnce() -> bool,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if !self.data_ended {
            let data = match self.ahead.take() {
                Some(data) => Some(Ok(data)),
                None => ready!(self.stream.poll_data(cx)),
            };
            match data {
                Some(Ok(data)) => {
                    let length = data.len();
                    self.left = self.left.map(|left| left.saturating_sub(length as u64));
                    // The client's side holds one piece and asks for the next when that is gone.
                    let _ = self.stream.flow_control().release_capacity(length);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(self.ended_early(error, has_ended)),
                None => self.data_ended = true,
            }
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(error) => Poll::Ready(self.ended_early(error, has_ended)),
        }
    }

    /// RFC 9113 section 8.1: a backend that wants no more of the request resets the stream without an error, behind an
    /// answer that is whole. Behind the stream's end h2 passes over a reset; before, only the length tells that it is whole.
    /// And what ends the connection says nothing of a stream that had ended before.
    fn ended_early(
        &mut self,
        error: h2::Error,
        has_ended: impl FnOnce() -> bool,
    ) -> Option<Result<Frame<Bytes>, Broken>> {
        let unwanted = error.is_remote() && error.reason() == Some(Reason::NO_ERROR);
        self.over = unwanted && self.has_all() || !error.is_reset() && has_ended();
        (!self.over).then(|| Err(error.into()))
    }
}
