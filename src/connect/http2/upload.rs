//! The body of a request on its way into a stream.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::{Reason, SendStream};
use hyper::HeaderMap;
use hyper::body::Body;

use crate::connect::frames::SMALL;

use super::super::{Advance, Broken, unshare};

/// So many bytes of small pieces are put together at most, and no more than the backend has room for.
const ENOUGH: usize = 16 * 1024;

/// Passes a body on as fast as the backend takes it. At most one piece of it waits here, and what came behind that.
///
/// Small pieces that are here become one: to some backends too many small frames that they have not looked at yet are a
/// flood, which ends the connection for all who share it.
#[derive(Debug)]
pub(super) struct Upload<B> {
    stream: SendStream<Bytes>,
    body: B,
    waiting: Bytes,
    behind: Option<Piece>,
    /// Whether a byte or a trailer was taken from the body, so that it cannot be sent again.
    begun: bool,
    over: bool,
}

/// What comes of a body.
#[derive(Debug)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    Broken,
}

impl<B> Upload<B> {
    /// Whether it waits for more of the body, and not for the backend.
    pub(super) fn is_starved(&self) -> bool {
        !self.over && self.waiting.is_empty()
    }
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// With `over`, the head said that there is no body.
    pub(super) fn new(body: B, stream: SendStream<Bytes>, over: bool) -> Self {
        Self { stream, body, waiting: Bytes::new(), behind: None, begun: false, over }
    }

    /// The body, if it is still whole.
    pub(super) fn into_untouched(self) -> Option<B> {
        (!self.begun).then_some(self.body)
    }

    /// Whether nothing more is to be sent.
    pub(super) fn is_over(&self) -> bool {
        self.over
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
            match ready!(self.poll_pieces(cx)) {
                Piece::Data(data) => self.waiting = data,
                Piece::Trailers(mut trailers) => {
                    unshare(&mut trailers);
                    let _ = self.stream.send_trailers(trailers);
                    return Poll::Ready(Ok(()));
                }
                Piece::End => {
                    // A stream that takes no end was ended by the backend.
                    let _ = self.stream.send_data(Bytes::new(), true);
                    return Poll::Ready(Ok(()));
                }
                Piece::Broken => {
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(Broken::Upload));
                }
            }
        }
    }

    /// The next piece, or several small ones as one.
    fn poll_pieces(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        let first = match self.behind.take() {
            Some(piece) => piece,
            None => ready!(self.poll_piece(cx)),
        };
        let Piece::Data(first) = first else { return Poll::Ready(first) };
        if first.len() >= SMALL || self.body.is_end_stream() {
            return Poll::Ready(Piece::Data(first));
        }
        // Who hands it on gives back at once what it does not need of this.
        self.stream.reserve_capacity(ENOUGH);
        let room = self.stream.capacity();
        if room <= first.len() {
            // The backend is waited for: to ask for more would say that the client is.
            return Poll::Ready(Piece::Data(first));
        }
        let mut all = None;
        while all.as_ref().is_none_or(|all: &BytesMut| all.len() < room) {
            match self.poll_piece(cx) {
                Poll::Ready(Piece::Data(next)) => {
                    all.get_or_insert_with(|| BytesMut::from(&*first)).extend_from_slice(&next);
                }
                Poll::Ready(piece) => {
                    self.behind = Some(piece);
                    break;
                }
                Poll::Pending => break,
            }
        }
        Poll::Ready(Piece::Data(all.map_or(first, BytesMut::freeze)))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Piece::Broken),
                None => return Poll::Ready(Piece::End),
            };
            self.begun |= frame.data_ref().is_none_or(|data| !data.is_empty());
            match frame.into_data().map_err(|frame| frame.into_trailers()) {
                Ok(data) => return Poll::Ready(Piece::Data(data)),
                Err(Ok(trailers)) => return Poll::Ready(Piece::Trailers(trailers)),
                Err(Err(_)) => {}
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
        let ends = self.behind.is_none() && self.body.is_end_stream();
        let last = self.waiting.is_empty() && ends;
        Poll::Ready(self.stream.send_data(piece, last).is_ok() && !last)
    }
}

impl<B> Advance for RefCell<Upload<B>>
where
    B: Body<Data = Bytes> + Unpin,
{
    fn advance(&self, cx: &mut Context<'_>) {
        // Who asks for the answer again hears of it, for it breaks off with the upload.
        let _ = self.borrow_mut().advance(cx);
    }
}
