//! Answers in pieces that a stream's client takes one after the other.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::HeaderMap;

use crate::proxy::{Body, Client, Error, Mark};

use super::given::{Given, Piece};

/// Bytes of a piece: what a frame holds, unless the client allows more (RFC 9113 section 6.5.2).
const PIECE: usize = 16 * 1024;
/// A smaller piece is copied when it has to wait: it would hold all of a read for as long as h2 holds it.
const COPIED: usize = 4 * 1024;

/// An answer's body. hyper asks for the next piece when the client has room for some of the one before; what comes of a backend at
/// once may be far more than that. With the end hyper lets go of the stream, and nobody could reset it any more: to who may lack
/// room for the last of it, the end is given when that is taken.
#[derive(Debug)]
pub(super) struct Pieces {
    body: Body,
    rest: Bytes,
    client: Rc<Client>,
    given: Rc<Given>,
    /// How many bytes of it were given.
    bytes: u64,
    /// The end that is held back.
    end: Option<Option<Box<HeaderMap>>>,
}

impl Pieces {
    pub(super) fn of(body: Body, client: Rc<Client>, given: Rc<Given>) -> Self {
        Self { body, rest: Bytes::new(), client, given, bytes: 0, end: None }
    }

    fn has_room_for_all(&self) -> bool {
        self.given.fits(self.bytes)
    }

    fn take_piece(&mut self) -> Frame<Piece> {
        let mut bytes = self.rest.split_to(PIECE.min(self.rest.len()));
        if bytes.len() < COPIED && self.client.owes() {
            bytes = Bytes::copy_from_slice(&bytes);
        }
        self.bytes += bytes.len() as u64;
        if self.rest.is_empty() && self.body.is_end_stream() && !self.has_room_for_all() {
            self.end = Some(None);
        }
        self.client.gave(bytes.len() as u64);
        Frame::data(Piece::of(bytes, &self.given, &self.client))
    }

    /// Holds the end back until all before it is taken, which may be long ago.
    fn end(&mut self, trailers: Option<HeaderMap>, cx: &Context<'_>) -> Poll<Option<HeaderMap>> {
        if self.has_room_for_all() || !self.client.owes() {
            return Poll::Ready(trailers);
        }
        self.client.is_to_take();
        self.end = Some(trailers.map(Box::new));
        self.poll_end(cx)
    }

    #[cold]
    fn poll_end(&mut self, cx: &Context<'_>) -> Poll<Option<HeaderMap>> {
        if self.client.owes() {
            self.client.set_passage(cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(self.end.as_mut().and_then(Option::take).map(|trailers| *trailers))
    }
}

impl HttpBody for Pieces {
    type Data = Piece;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Error>>> {
        let end = if self.end.is_some() {
            ready!(self.poll_end(cx))
        } else if self.rest.is_empty() {
            if self.client.owes_most() {
                // Its backend is not read meanwhile. That the client takes none puts off no deadline.
                self.client.set_passage(cx.waker());
                return Poll::Pending;
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).map(|polled| polled.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    self.rest = data;
                    return Poll::Ready(Some(Ok(self.take_piece())));
                }
                Some(Ok(Err(frame))) => ready!(self.end(frame.into_trailers().ok(), cx)),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => ready!(self.end(None, cx)),
            }
        } else {
            return Poll::Ready(Some(Ok(self.take_piece())));
        };
        Poll::Ready(end.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_none() && self.rest.is_empty() && self.body.is_end_stream()
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
        // What h2 or hyper let go of before its client had room for it was cut short.
        if !self.rest.is_empty() || self.client.is(Mark::CutShort) {
            self.body.cut();
        }
        self.given.leave(self.client.forgets_pieces());
    }
}
