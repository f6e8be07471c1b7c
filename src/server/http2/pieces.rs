//! Answers in pieces that a stream's client takes one after the other.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::proxy::{Body, Client, Error, Mark};

/// Bytes of a piece: what a frame holds, unless the client allows more (RFC 9113 section 6.5.2).
const PIECE: usize = 16 * 1024;

/// An answer's body. hyper asks for the next piece when the client can take more, which is all that is known of how it takes
/// them; what comes of a backend at once may be far more than that.
#[derive(Debug)]
pub(super) struct Pieces {
    body: Body,
    rest: Bytes,
    client: Rc<Client>,
}

impl Pieces {
    pub(super) fn of(body: Body, client: Rc<Client>) -> Self {
        Self { body, rest: Bytes::new(), client }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).map(|polled| polled.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let length = PIECE.min(self.rest.len());
        self.client.gave(length as u64);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut all = SizeHint::new();
        all.set_lower(rest + body.lower());
        if let Some(upper) = body.upper() {
            all.set_upper(rest + upper);
        }
        all
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        // hyper takes a piece before its client has room for it, and the last may never get any.
        if !self.rest.is_empty() || self.client.is(Mark::CutShort) {
            self.body.cut();
        }
    }
}
