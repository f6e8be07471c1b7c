//! The bytes of one connection to a backend, and what can be told from watching them pass.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::interim::{self, InterimHeads};
use super::line_ends::LineEnds;
use super::sent::SentHead;
use super::{Doorbell, Peeked, Provenance, Stream};

/// The empty line at the end of a head.
const END: &[u8] = b"\r\n";
/// What the lines of one long host took beyond this is given back when they are forgotten.
const KEEP: usize = 1024;
/// Heads of up to so many bytes, as such that have many cookies, leave hyper's buffer of a size that an idle connection may have.
const USUAL_HEAD: usize = 16 * 1024;

/// What was seen on a connection to a backend since the request under way began.
#[derive(Debug, Default)]
pub struct Flow {
    answered: Cell<bool>,
    continued: Cell<bool>,
    probing: Cell<bool>,
    interim: RefCell<InterimHeads>,
    has_interim: Cell<bool>,
    flooded: Cell<bool>,
    /// Nothing of the request under way was written yet.
    begins: Cell<bool>,
    noting: Cell<bool>,
    sent: RefCell<SentHead>,
    /// A head was larger than most, and hyper keeps a buffer of that size.
    is_bloated: Cell<bool>,
    /// What is added to its head, with the empty line that ends that.
    lines: RefCell<Vec<u8>>,
    /// Not all that was to be written is, though hyper may be through with the request.
    owes: Cell<bool>,
    /// A client was authenticated by it, so that whoever it carries next would be taken for that one.
    private: Cell<bool>,
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

    /// A request begins; `note` its head if it may have to be sent again. What is told beside it is not noted.
    pub(super) fn begin(&self, note: bool, provenance: Option<&Provenance>) {
        self.answered.set(false);
        self.continued.set(false);
        self.begins.set(true);
        self.noting.set(note);
        debug_assert!(self.lines.borrow().is_empty(), "the last request was forgotten");
        if let Some(provenance) = provenance {
            provenance.write(&mut self.lines.borrow_mut());
        }
    }

    /// A request is over: nothing is kept of it until the next, which may be a while.
    pub(super) fn forget(&self) {
        self.sent.borrow_mut().forget();
        let lines = &mut *self.lines.borrow_mut();
        lines.clear();
        lines.shrink_to(KEEP);
    }

    /// Whether a head that was sent left more memory with hyper than an idle connection should have.
    pub(super) fn is_bloated(&self) -> bool {
        self.is_bloated.get()
    }

    /// Whether a byte of the request under way is written.
    pub fn has_begun(&self) -> bool {
        !self.begins.get()
    }

    /// Whether a part of the last request is not written yet: the connection can carry no other.
    pub fn owes(&self) -> bool {
        self.owes.get()
    }

    /// A client is authenticated by this connection (NTLM): it carries no other request.
    pub fn become_private(&self) {
        self.private.set(true);
    }

    /// Whether it may carry no other request.
    pub(super) fn is_private(&self) -> bool {
        self.private.get()
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
    /// The rest of a head that hyper takes for written.
    unsent: Vec<u8>,
    /// Why what is written goes nowhere any more.
    unheard: Option<io::Error>,
}

impl Transport {
    /// Watches `stream` and writes what it sees to `flow`.
    pub fn new(stream: Stream, flow: Rc<Flow>) -> Self {
        Self {
            stream,
            flow,
            doorbell: Doorbell::default(),
            line_ends: LineEnds::default(),
            unsent: Vec::new(),
            unheard: None,
        }
    }

    /// The connection itself, for an upgrade.
    pub fn into_inner(self) -> Stream {
        self.stream
    }

    /// Writes the first bytes of a request, which with hyper are its whole head in a slice of its own, or what may be written
    /// behind what is left of them.
    fn begin_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.send_unsent(cx))?;
        let head = match slices {
            [head, ..] if self.flow.begins.get() => head,
            _ => return self.write_on(cx, slices),
        };
        let Self { stream, flow, unsent, .. } = self;
        if head.len() > USUAL_HEAD {
            flow.is_bloated.set(true);
        }
        if flow.noting.replace(false) {
            flow.sent.borrow_mut().note(head);
        }
        let lines = flow.lines.borrow();
        let written = if lines.is_empty() {
            ready!(stream.write_slices(cx, slices))?
        } else {
            let open = head.strip_suffix(END).ok_or_else(|| io::Error::other("a head has no end"))?;
            // Behind it comes the first piece of a body, which in chunks is three slices.
            let body = |index| slices.get(index).copied().unwrap_or(IoSlice::new(&[]));
            let all = [IoSlice::new(open), IoSlice::new(&lines), body(1), body(2), body(3)];
            let all = &all[..slices.len().min(all.len() - 1) + 1];
            let written = ready!(stream.write_slices(cx, all))?;
            let added = lines.len() - END.len();
            if written < head.len() + added {
                // hyper knows nothing of the lines, so it cannot be told how much of them is written.
                *unsent = [open, &lines].concat().split_off(written);
                head.len()
            } else {
                written - added
            }
        };
        flow.begins.set(false);
        Poll::Ready(Ok(written))
    }

    /// Writes what comes behind the first bytes. A backend that answers a request before it has read it all, and closes, makes
    /// writing fail while its answer lies there to be read: to hyper all is written then, and what is read tells the end.
    fn write_on(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.unheard.is_none() {
            match ready!(self.stream.write_slices(cx, slices)) {
                Err(error) if is_of_the_other_end(&error) => self.unheard = Some(error),
                written => return Poll::Ready(written),
            }
        }
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn send_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let unsent = mem::take(&mut self.unsent);
            let written = self.write_on(cx, &[IoSlice::new(&unsent)]);
            self.unsent = unsent;
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.drain(..written);
        }
        Poll::Ready(Ok(()))
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
        let read = ready!(doorbell.poll(cx, |cx| Pin::new(stream).poll_read(cx, buf)));
        let came = buf.filled().len() > before;
        let answered = self.flow.answered();
        // What an answer comes to without a length is all of it, unless the backend broke off: then the system told us of that, and
        // tells no more when it is read.
        // TLS has a word of its own for that.
        let is_reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
        let is_tls = self.stream.is_tls();
        let has_broken = |error: &mut io::Error| !answered || !is_tls && is_reset(error);
        if !came && let Some(error) = self.unheard.take_if(has_broken) {
            return Poll::Ready(Err(error));
        }
        read?;
        if came {
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
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // hyper has it flushed when it has nothing more to write.
        self.flow.owes.set(true);
        if self.flow.begins.get() || !self.unsent.is_empty() {
            return self.begin_write(cx, slices);
        }
        self.write_on(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.unsent.is_empty() {
            ready!(self.send_unsent(cx))?;
        }
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        self.flow.owes.set(false);
        match flushed {
            Err(error) if self.flow.has_begun() && is_of_the_other_end(&error) => {
                self.unheard.get_or_insert(error);
                Poll::Ready(Ok(()))
            }
            flushed => Poll::Ready(flushed),
        }
    }

    /// Nothing: closing the socket says the same with one system call less.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Whether writing failed because the other end had closed.
pub fn is_of_the_other_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use hyper::Version;
    use hyper::header::HeaderValue;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::super::Socket;
    use super::*;

    const HOST: &str = "a.example";
    const LINES: &str = "x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: a.example\r\nvia: 1.1 loadbalancer\r\n\r\n";

    fn provenance() -> Provenance {
        let client = [192, 0, 2, 1].into();
        Provenance { client, tls: false, host: HeaderValue::from_static(HOST), version: Version::HTTP_11 }
    }

    /// What a backend reads that takes only so much at a time, if a request's head and body are written as hyper does; and
    /// what was noted of the head.
    async fn read_of(head: &str, body: &str, at_a_time: usize) -> (String, Option<Request<()>>) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        socket2::SockRef::from(&ours).set_send_buffer_size(1).expect("a small buffer");
        let flow = Rc::new(Flow::default());
        let mut transport = Transport::new(Stream::Clear(Socket::Unix(ours)), Rc::clone(&flow));
        flow.begin(true, Some(&provenance()));
        let write = async {
            let mut left = [head.as_bytes(), body.as_bytes()];
            while left.iter().any(|piece| !piece.is_empty()) {
                let slices: Vec<_> =
                    left.iter().filter(|piece| !piece.is_empty()).map(|piece| IoSlice::new(piece)).collect();
                let written = poll_fn(|cx| Pin::new(&mut transport).poll_write_vectored(cx, &slices)).await;
                let mut written = written.expect("it is written");
                for piece in &mut left {
                    let of_it = written.min(piece.len());
                    *piece = &piece[of_it..];
                    written -= of_it;
                }
                assert_eq!(written, 0, "more was written than there was");
            }
            transport.flush().await.expect("it is flushed");
            drop(transport);
        };
        let read = async {
            let mut all = Vec::new();
            let mut bytes = vec![0; at_a_time];
            loop {
                match theirs.read(&mut bytes).await.expect("it can be read") {
                    0 => return String::from_utf8(all).expect("text"),
                    read => all.extend_from_slice(&bytes[..read]),
                }
            }
        };
        let ((), all) = futures::join!(write, read);
        (all, flow.sent())
    }

    #[tokio::test]
    async fn a_head_that_is_not_all_written_is_owed() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        socket2::SockRef::from(&ours).set_send_buffer_size(1).expect("a small buffer");
        let flow = Rc::new(Flow::default());
        let mut transport = Transport::new(Stream::Clear(Socket::Unix(ours)), Rc::clone(&flow));
        flow.begin(false, Some(&provenance()));
        let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(100_000));
        let written = poll_fn(|cx| Pin::new(&mut transport).poll_write(cx, head.as_bytes())).await;
        assert_eq!((written.ok(), flow.owes()), (Some(head.len()), true));
        let read = async { while theirs.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} };
        let write = async {
            transport.flush().await.expect("it is flushed");
            drop(transport);
        };
        futures::join!(read, write);
        assert!(!flow.owes());
    }

    #[tokio::test]
    async fn an_answer_is_read_though_the_backend_did_not_take_all_of_the_head() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        socket2::SockRef::from(&ours).set_send_buffer_size(1).expect("a small buffer");
        let mut transport = Transport::new(Stream::Clear(Socket::Unix(ours)), Rc::default());
        transport.flow.begin(false, Some(&provenance()));
        let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(100_000));
        let written = poll_fn(|cx| Pin::new(&mut transport).poll_write(cx, head.as_bytes())).await;
        assert_eq!(written.ok(), Some(head.len()));
        theirs.write_all(b"HTTP/1.1 431 ").await.expect("room for it");
        drop(theirs);
        transport.flush().await.expect("what is read tells the end");
        let mut answer = Vec::new();
        let _ = transport.read_to_end(&mut answer).await;
        assert_eq!(answer, b"HTTP/1.1 431 ");
    }

    #[tokio::test]
    async fn a_backend_reads_one_head_however_little_its_system_takes_at_a_time() {
        for length in [0, 1, 4000, 100_000] {
            for body in [0, 10, 50_000] {
                let field = "y".repeat(length);
                let open = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nx: {field}\r\n");
                let body = "b".repeat(body);
                let (all, noted) = read_of(&format!("{open}\r\n"), &body, 700).await;
                assert!(all == format!("{open}{LINES}{body}"), "{length} {}: {all:.300}", body.len());
                let noted = noted.expect("it was noted");
                assert_eq!(noted.headers().len(), 2, "what is told beside it is not noted");
            }
        }
    }
}
