//! The bytes of one client's connection, and what must happen as they pass.

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connect::{Doorbell, Peeked, Stream};
use crate::proxy::{Client, Mark, Misframed, Phase};

use super::framing::{Framing, Refusal};

/// A client's connection. It notes when a request begins, gives hyper one at a time and none that has two meanings, puts
/// interim answers before the final one, and keeps hyper from answering what is not a request, because our own answer
/// says more.
#[derive(Debug)]
pub(super) struct ClientTransport {
    stream: Stream,
    doorbell: Doorbell,
    /// What was read before and not used.
    read_ahead: Bytes,
    framing: Framing,
    /// hyper asked for a request while the answer before it had not gone out.
    is_asked: bool,
    /// Why a request was refused before hyper had its head.
    refusal: Option<Refusal>,
    client: Rc<Client>,
}

impl ClientTransport {
    pub(super) fn new(stream: Stream, read_ahead: Bytes, client: Rc<Client>) -> Self {
        let (doorbell, framing) = (Doorbell::default(), Framing::default());
        Self { stream, doorbell, read_ahead, framing, is_asked: false, refusal: None, client }
    }

    /// The connection, what was read of it and not used, and why a request was refused before hyper had its head.
    pub(super) fn into_parts(self) -> (Stream, Bytes, Option<Refusal>) {
        (self.stream, self.read_ahead, self.refusal)
    }

    /// Whether hyper is answering though no request is under way: only its own answer to a malformed one can be that.
    fn is_automatic(&self) -> bool {
        matches!(self.client.phase(), Phase::Idle | Phase::Head)
    }

    /// Sends the interim answers that wait.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut interim = self.client.interim().borrow_mut();
            if interim.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &interim))?;
            interim.drain(..written);
        }
    }

    /// Looks whether the client has left, which ends the request under way: nobody wants its answer any more.
    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.poll_peek(cx)? {
            Poll::Pending | Poll::Ready(Peeked::Nothing) => Ok(()),
            Poll::Ready(Peeked::Closed) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Ready(Peeked::Bytes) if self.stream.is_tls() && self.read_ahead.is_empty() => {
                self.look_inside(cx)
            }
            // It sent its next request already; that it leaves will be seen when it is read.
            Poll::Ready(Peeked::Bytes) => {
                self.client.set(Mark::Watched, false);
                Ok(())
            }
        }
    }

    /// What the system holds, once that is something. Until then the runtime is to call: that it believes in more does not do.
    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Peeked>> {
        let Self { stream, doorbell, .. } = self;
        loop {
            let polled = doorbell.poll(cx, |cx| stream.socket().poll_read_ready(cx));
            if stream.is_tls() {
                // It may have deciphered more than was taken.
                doorbell.distrust();
            }
            ready!(polled)?;
            match stream.socket().peek_if_ready() {
                Peeked::Nothing => {}
                peeked => return Poll::Ready(Ok(peeked)),
            }
        }
    }

    /// What waits in a TLS connection may be a request, a farewell, or nothing to a request: it is read to find out.
    fn look_inside(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut bytes = [0; 512];
        let mut buf = ReadBuf::new(&mut bytes);
        if self.poll_stream(cx, &mut buf)?.is_ready() {
            if buf.filled().is_empty() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            self.read_ahead = Bytes::copy_from_slice(buf.filled());
            self.client.set(Mark::Watched, false);
        }
        Ok(())
    }

    /// Reads from the socket what belongs to the request under way, and keeps the rest.
    fn poll_socket(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.poll_stream(cx, buf))?;
        let bytes = &buf.filled()[before..];
        let passed = self.pass(bytes);
        let taken = *passed.as_ref().unwrap_or(&0);
        if taken < bytes.len() {
            self.read_ahead = Bytes::copy_from_slice(&bytes[taken..]);
            buf.set_filled(before + taken);
        }
        Poll::Ready(passed.map(drop))
    }

    fn poll_stream(&mut self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, doorbell, .. } = self;
        doorbell.poll(cx, |cx| Pin::new(stream).poll_read(cx, buf))
    }

    fn use_read_ahead(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let mut bytes = self.read_ahead.clone();
        bytes.truncate(buf.remaining());
        let taken = self.pass(&bytes)?;
        buf.put_slice(&bytes[..taken]);
        self.read_ahead.advance(taken);
        Ok(())
    }

    /// How many of the bytes belong to the request under way.
    fn pass(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before_body = self.framing.is_before_body();
        self.framing.feed(bytes).map_err(|refusal| {
            self.refusal = before_body.then_some(refusal);
            io::Error::new(io::ErrorKind::InvalidData, Misframed(refusal))
        })
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(written) => self.client.took(*written.as_ref().unwrap_or(&0)),
            Poll::Pending => self.client.set_blocked(true),
        }
    }
}

impl AsyncRead for ClientTransport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.client.phase() == Phase::Flush && self.framing.is_between() {
            // hyper would answer one request after the other, and hold answers without end that their client does not take.
            self.is_asked = true;
            return Poll::Pending;
        }
        let before = buf.filled().len();
        match self.read_ahead.is_empty() {
            true => ready!(self.poll_socket(cx, buf))?,
            false => self.use_read_ahead(buf)?,
        }
        let has_begun = buf.filled().len() > before && !self.framing.is_before_a_line();
        if self.client.phase() == Phase::Idle && has_begun {
            self.client.enter(Phase::Head);
        }
        self.client.set(Mark::Whole, self.framing.is_between());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientTransport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_automatic() {
            return Poll::Ready(Ok(bytes.len()));
        }
        if self.poll_interim(cx)?.is_pending() {
            self.client.set_blocked(true);
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_automatic() {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        if self.poll_interim(cx)?.is_pending() {
            self.client.set_blocked(true);
            return Poll::Pending;
        }
        let written = self.stream.write_slices(cx, slices);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper asks for this only when it has nothing left to write: the answer is with the client's system.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_interim(cx))?;
        let flushed = Pin::new(&mut self.stream).poll_flush(cx)?;
        if flushed.is_pending() {
            // TLS holds some.
            self.client.set_blocked(true);
            return Poll::Pending;
        }
        if self.client.is(Mark::Blocked) {
            self.client.took(0);
        }
        if self.client.phase() == Phase::Flush {
            if self.client.is(Mark::Given) {
                self.client.took_answer();
            }
            if self.client.is(Mark::Passing) {
                // The answer is with the client.
                drop(self.client.take_unread());
            }
            // Nobody is idle amid a body: what comes next would be taken for a request.
            if !self.framing.is_amid_body() {
                self.client.enter(Phase::Idle);
                if mem::take(&mut self.is_asked) {
                    cx.waker().wake_by_ref();
                }
            }
        } else if self.client.is(Mark::Watched) {
            self.watch(cx)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Nothing: the connection's task knows how to part from a client.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
