//! The body of a request on its way into a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use hyper::body::Body;

use super::super::Broken;

/// Passes a body on as fast as the backend takes it. At most one piece of it waits here.
#[derive(Debug)]
pub(super) struct Upload<B> {
    stream: SendStream<Bytes>,
    body: B,
    waiting: Bytes,
    /// Whether anything was taken from the body, so that it cannot be sent again.
    begun: bool,
    over: bool,
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// With `over`, the head said that there is no body.
    pub(super) fn new(body: B, stream: SendStream<Bytes>, over: bool) -> Self {
        Self { stream, body, waiting: Bytes::new(), begun: false, over }
    }

    /// The body, if it is still whole.
    pub(super) fn into_untouched(self) -> Option<B> {
        (!self.begun).then_some(self.body)
    }

    /// Passes on what can be passed on now, unless all of it is with the connection or the backend wants no more of it:
    /// what that means, the backend's answer tells, or the want of one.
    pub(super) fn advance(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        match self.over {
            true => Ok(()),
            false => match self.poll(cx) {
                Poll::Ready(ended) => {
                    self.over = true;
                    ended
                }
                Poll::Pending => Ok(()),
            },
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            if !self.waiting.is_empty() {
                match ready!(self.poll_waiting(cx)) {
                    true => continue,
                    false => return Poll::Ready(Ok(())),
                }
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => {
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(Broken::Upload));
                }
                None => {
                    // A stream that takes no end was ended by the backend.
                    let _ = self.stream.send_data(Bytes::new(), true);
                    return Poll::Ready(Ok(()));
                }
            };
            self.begun = true;
            match frame.into_data() {
                Ok(data) => self.waiting = data,
                Err(frame) => {
                    let Ok(trailers) = frame.into_trailers() else { continue };
                    let _ = self.stream.send_trailers(trailers);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Hands on as much of what waits as the backend has room for; false if there is nothing more to be done.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.stream.reserve_capacity(self.waiting.len());
        let capacity = match self.stream.capacity() {
            0 => match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(capacity)) => capacity,
                Some(Err(_)) | None => return Poll::Ready(false),
            },
            capacity => capacity,
        };
        let piece = self.waiting.split_to(capacity.min(self.waiting.len()));
        let last = self.waiting.is_empty() && self.body.is_end_stream();
        Poll::Ready(self.stream.send_data(piece, last).is_ok() && !last)
    }
}
