//! The bytes of one connection to a backend, and what can be told from watching them pass.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::interim::{self, InterimHeads};
use super::line_ends::LineEnds;
use super::sent::SentHead;
use super::{Doorbell, Peeked, Stream};

/// What was seen on a connection to a backend since the request under way began.
#[derive(Debug, Default)]
pub struct Flow {
    answered: Cell<bool>,
    continued: Cell<bool>,
    probing: Cell<bool>,
    interim: RefCell<InterimHeads>,
    has_interim: Cell<bool>,
    flooded: Cell<bool>,
    noting: Cell<bool>,
    sent: RefCell<SentHead>,
}

impl Flow {
    /// Whether a byte of an answer has come.
    pub fn answered(&self) -> bool {
        self.answered.get()
    }

    /// Whether the backend asked for the request's body with `100 Continue`.
    pub fn continued(&self) -> bool {
        self.continued.get()
    }

    /// The 1xx heads that came since last asked, ready to be sent to a client; `100 Continue` is not among them.
    pub fn take_interim(&self) -> Option<Vec<u8>> {
        self.has_interim.replace(false).then(|| self.interim.borrow_mut().take())
    }

    /// The head of the request under way, if it was to be noted.
    pub fn sent(&self) -> Option<Request<()>> {
        self.sent.borrow().read()
    }

    /// A request begins; `note` its head if it may have to be sent again.
    pub(super) fn begin(&self, note: bool) {
        self.answered.set(false);
        self.continued.set(false);
        self.noting.set(note);
        self.sent.borrow_mut().forget();
    }

    fn sends(&self, bytes: &[u8]) {
        if self.noting.replace(false) {
            self.sent.borrow_mut().note(bytes);
        }
    }

    /// Whether interim answers came without end. Nothing more is read then.
    pub fn is_flooded(&self) -> bool {
        self.flooded.get()
    }

    /// An interim head came that was not read from bytes.
    pub(super) fn heard_interim(&self, head: &Response<()>) {
        self.answered.set(true);
        let mut interim = self.interim.borrow_mut();
        let continued = interim.add(head);
        self.continued.set(self.continued.get() || continued);
        self.has_interim.set(!interim.is_empty());
        self.flooded.set(interim.are_too_many());
    }

    /// The head of the answer came, and was not read from bytes.
    pub(super) fn heard_answer(&self) {
        self.answered.set(true);
    }

    pub(super) fn probe(&self, probing: bool) {
        self.probing.set(probing);
    }

    fn received(&self, bytes: &[u8]) {
        let first = !self.answered.replace(true);
        if first && interim::may_start(bytes) {
            self.interim.borrow_mut().watch();
        } else if first || !self.interim.borrow().is_watching() {
            return;
        }
        let mut interim = self.interim.borrow_mut();
        let continued = interim.feed(bytes);
        self.continued.set(self.continued.get() || continued);
        self.has_interim.set(!interim.is_empty());
        self.flooded.set(interim.are_too_many());
    }
}

/// A connection to a backend whose answers are watched for 1xx heads, which hyper swallows.
#[derive(Debug)]
pub struct Transport {
    stream: Stream,
    flow: Rc<Flow>,
    doorbell: Doorbell,
    line_ends: LineEnds,
}

impl Transport {
    /// Watches `stream` and writes what it sees to `flow`.
    pub fn new(stream: Stream, flow: Rc<Flow>) -> Self {
        Self { stream, flow, doorbell: Doorbell::default(), line_ends: LineEnds::default() }
    }

    /// The connection itself, for an upgrade.
    pub fn into_inner(self) -> Stream {
        self.stream
    }

    /// Whether the system already knows that the backend closed, though the runtime was not told yet. Bytes mean the
    /// same, unless they can be read and turn out to be TLS's own.
    #[cold]
    fn was_closed(&self, cx: &mut Context<'_>) -> bool {
        let socket = self.stream.socket();
        match socket.peek() {
            Peeked::Nothing => false,
            Peeked::Bytes => !self.stream.is_tls() || socket.poll_read_ready(cx).is_pending(),
            Peeked::Closed => true,
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.flow.probing.get() && self.was_closed(cx) {
            return Poll::Ready(Ok(()));
        }
        if self.flow.flooded.get() {
            // hyper would read on and on within one step; now that ends, and whoever waits looks why.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let Self { stream, doorbell, .. } = &mut *self;
        ready!(doorbell.poll(cx, |cx| Pin::new(stream).poll_read(cx, buf)))?;
        if buf.filled().len() > before {
            let bytes = &buf.filled()[before..];
            let first = !self.flow.answered();
            self.flow.received(bytes);
            let looked = self.line_ends.feed(bytes, first);
            looked.map_err(|bare| io::Error::new(io::ErrorKind::InvalidData, bare))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.flow.sends(bytes);
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.flow.sends(slices.first().map_or(&[], |first| first));
        self.stream.write_slices(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Nothing: closing the socket says the same with one system call less.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
