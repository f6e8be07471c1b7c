//! The bodies that pass: a request's on its way to a backend, an answer's on its way to the client.

use std::error::Error as StdError;
use std::io;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};

use crate::balance::Lease;
use crate::connect::{AnswerBody, Connection, Connections, unshare};

use super::client::Mark;
use super::exchange::Exchange;
use super::fields::clean_trailers;
use super::mirror::Copy;
use super::phase::Phase;
use super::spent::Spent;
use super::{Client, Error, Misframed};

/// A connection to a backend.
pub(super) type BackendConnection = Connection<RequestBody>;

/// A request's body on its way to a backend; nothing if it has none. As small as can be, for requests are moved often.
#[derive(Debug, Default)]
pub struct RequestBody(Option<Box<Content>>);

#[derive(Debug)]
enum Content {
    Upload(Upload),
    /// That of a copy, which has all come.
    Whole(Bytes),
}

#[derive(Debug)]
struct Upload {
    incoming: Incoming,
    client: Rc<Client>,
    /// How many bytes are still allowed.
    allowance: u64,
    /// A copy of it, for another pool.
    copy: Option<Box<Copy>>,
    ended: bool,
}

/// The body of a request could not be passed on; the client's connection knows why.
#[derive(Debug, thiserror::Error)]
#[error("the request's body could not be passed on")]
pub struct UploadStopped;

impl RequestBody {
    pub(super) fn new(incoming: Incoming, client: &Rc<Client>) -> Self {
        if incoming.is_end_stream() {
            return Self(None);
        }
        let allowance = client.shared.body_limit().unwrap_or(u64::MAX);
        let upload = Upload { incoming, client: Rc::clone(client), allowance, copy: None, ended: false };
        Self(Some(Box::new(Content::Upload(upload))))
    }

    /// One that is all there.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self((!bytes.is_empty()).then(|| Box::new(Content::Whole(bytes))))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Lets so many bytes pass, and no more.
    pub(super) fn allow(&mut self, limit: Option<u64>) {
        if let Some(Content::Upload(upload)) = self.0.as_deref_mut() {
            upload.allowance = limit.unwrap_or(u64::MAX);
        }
    }

    /// Gathers what passes for a copy, which is sent when all has passed.
    pub(super) fn copy_to(&mut self, copy: Box<Copy>) {
        if let Some(Content::Upload(upload)) = self.0.as_deref_mut() {
            upload.copy = Some(copy);
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = UploadStopped;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadStopped>>> {
        match self.0.as_deref_mut() {
            Some(Content::Upload(upload)) => upload.poll_frame(cx),
            Some(Content::Whole(bytes)) => {
                let bytes = mem::take(bytes);
                self.0 = None;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.0.as_deref() {
            Some(Content::Upload(upload)) => upload.incoming.is_end_stream(),
            Some(Content::Whole(_)) => false,
            None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.as_deref() {
            Some(Content::Upload(upload)) => upload.incoming.size_hint(),
            Some(Content::Whole(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Upload {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadStopped>>> {
        if self.client.is(Mark::Withheld) {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        self.client.set_starved(polled.is_pending());
        match polled {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(self.pass(frame))),
            Poll::Ready(Some(Err(error))) => {
                self.client.set_fault(broken_upload(&error));
                Poll::Ready(Some(Err(UploadStopped)))
            }
            // hyper takes a stream that its client resets without an error for one that ended.
            Poll::Ready(None) if self.client.is(Mark::Stream) && !self.incoming.is_end_stream() => {
                self.client.set_fault(Error::ClientGone);
                Poll::Ready(Some(Err(UploadStopped)))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn pass(&mut self, mut frame: Frame<Bytes>) -> Result<Frame<Bytes>, UploadStopped> {
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.allowance.checked_sub(bytes) {
            Some(left) => self.allowance = left,
            None => {
                self.client.set_fault(Error::BodyTooLarge);
                return Err(UploadStopped);
            }
        }
        if let Some(trailers) = frame.trailers_mut() {
            clean_trailers(trailers);
        }
        if let (Some(copy), Some(data)) = (&mut self.copy, frame.data_ref())
            && !copy.add(data)
        {
            self.copy = None;
        }
        self.client.count_in(bytes);
        if frame.is_trailers() || self.incoming.is_end_stream() {
            self.end();
        } else {
            self.client.progress();
        }
        Ok(frame)
    }

    /// From now on it is the backend that is waited for, unless it has begun to answer.
    fn end(&mut self) {
        self.ended = true;
        self.client.mark_sent(true);
        if let Some(copy) = self.copy.take() {
            copy.send();
        }
        self.client.set(Mark::Watched, true);
        if self.client.phase() == Phase::Upload {
            self.client.enter(Phase::Response);
        }
    }

    /// Of a stream that was reset before any of its body was asked for, only the body knows why.
    #[cold]
    fn look_for_a_fault(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(polled)) = Pin::new(&mut self.incoming).poll_frame(cx) {
            if let Err(error) = polled {
                return self.client.set_fault(broken_upload(&error));
            }
        }
    }

    /// Whether it is why an answer that has begun does not go on. Who takes no answer may have a reason to send nothing.
    fn is_late(&self) -> bool {
        let client = &self.client;
        client.is(Mark::Starved)
            && client.is_due()
            && client.phase() == Phase::Answer
            && !client.is(Mark::Blocked)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.ended {
            if self.is_late() {
                self.client.set_fault(Error::UploadTimeout);
            } else if self.client.is(Mark::Stream) && self.client.phase() == Phase::Connect {
                self.look_for_a_fault();
            }
            self.client.set_starved(false);
            // hyper passes over a body of which it has all, if it knows where it ends.
            if !(self.client.is(Mark::Whole) && self.incoming.size_hint().exact().is_some()) {
                self.client.set(Mark::Unread, true);
            }
        }
    }
}

/// A body ends early because its client left, or because what it sent is not a body.
fn broken_upload(error: &hyper::Error) -> Error {
    const NO_BODY: Error = Error::Malformed("its body is not framed as its head says");
    let of_stream = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    if of_stream.is_some_and(|error| error.is_library() && error.is_reset()) {
        return NO_BODY;
    }
    let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    if let Some(Misframed(reason)) = cause.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref())
    {
        return Error::Malformed(reason);
    }
    match cause.map(io::Error::kind) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => NO_BODY,
        _ => Error::ClientGone,
    }
}

/// An answer's body on its way to the client. It ends the exchange when it is dropped: it returns the connection to the
/// backend, gives up the lease and writes the access log, so that nothing depends on the handler still running.
#[derive(Debug)]
pub struct Body {
    source: Source,
    exchange: Option<Exchange>,
}

#[derive(Debug)]
enum Source {
    Empty,
    Text(Option<Bytes>),
    Backend(Download),
}

#[derive(Debug)]
struct Download {
    incoming: AnswerBody,
    connection: Option<BackendConnection>,
    connections: Rc<Connections<RequestBody>>,
    client: Rc<Client>,
    ended: bool,
    /// Boxed, because a body is moved more than once, and few break.
    broken: Option<Box<Error>>,
    lease: Lease,
}

impl Body {
    /// Of an upgrade, whose exchange goes on in the tunnel.
    pub(super) fn empty() -> Self {
        Self { source: Source::Empty, exchange: None }
    }

    /// Of an answer that is all in its head.
    pub(super) fn nothing(exchange: Exchange) -> Self {
        Self { source: Source::Empty, exchange: Some(exchange) }
    }

    pub(super) fn bytes(bytes: Bytes, exchange: Exchange) -> Self {
        Self { source: Source::Text(Some(bytes)), exchange: Some(exchange) }
    }

    pub(super) fn from_backend(
        incoming: AnswerBody,
        connection: BackendConnection,
        connections: Rc<Connections<RequestBody>>,
        lease: Lease,
        exchange: Exchange,
    ) -> Self {
        let client = Rc::clone(exchange.client());
        let connection = Some(connection);
        let download =
            Download { incoming, connection, connections, client, ended: false, broken: None, lease };
        Self { source: Source::Backend(download), exchange: Some(exchange) }
    }

    /// It is let go of before its client was given all that came of it.
    pub fn cut(&mut self) {
        let is_whole = !matches!(&self.source, Source::Backend(download) if !download.is_whole());
        if let Some(exchange) = self.exchange.as_mut().filter(|_| is_whole) {
            exchange.cut();
        }
    }

    /// It ends early, as this says: the backend may be to blame.
    #[cold]
    fn break_off(&mut self, say: impl FnOnce(&mut Exchange) -> bool) {
        if let (Source::Backend(download), Some(exchange)) = (&self.source, &mut self.exchange)
            && say(exchange)
        {
            download.blame(exchange.began_well());
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.source {
            Source::Empty => Poll::Ready(None),
            Source::Text(text) => {
                let text = text.take();
                if let (Some(text), Some(exchange)) = (&text, &self.exchange)
                    && !exchange.client().is(Mark::Stream)
                {
                    exchange.client().count_out(text.len() as u64);
                }
                Poll::Ready(text.map(|text| Ok(Frame::data(text))))
            }
            Source::Backend(download) => match download.poll_frame(cx) {
                Poll::Ready(Some(Err(error))) => {
                    self.break_off(|exchange| exchange.failed(&error));
                    Poll::Ready(Some(Err(error)))
                }
                polled => polled,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty | Source::Text(None) => true,
            Source::Text(Some(_)) => false,
            Source::Backend(download) => download.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty | Source::Text(None) => SizeHint::with_exact(0),
            Source::Text(Some(text)) => SizeHint::with_exact(text.len() as u64),
            Source::Backend(download) => download.incoming.size_hint(),
        }
    }
}

impl Download {
    /// Whether the client's side was given all that it asks for: with HTTP/1.1 it asks for nothing behind the last promised byte.
    fn is_whole(&self) -> bool {
        self.has_ended() || !self.client.is(Mark::Stream) && self.incoming.has_all()
    }

    fn has_ended(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }

    /// The connection goes where it can be used again.
    fn put_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.connections.put(connection, self.client.shared.clock.now());
        }
    }

    /// Waits aside for the end of an answer of which the client has all, so that its stream need not be reset.
    #[cold]
    fn wait_for_the_end(self) {
        let Self { incoming: body, connection, connections, client, .. } = self;
        if let Some(connection) = connection
            && !connection.is_sending()
            && !client.shared.is_over()
        {
            Spent { body, connection, connections, lease: None }.let_go(&client);
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(*error)));
        }
        let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
        match connection.poll_body(&mut self.incoming, cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                // Nothing may ask for the end of a body once its trailers or its last promised byte have come.
                self.ended = frame.is_trailers() || self.incoming.is_end_stream();
                if let Some(trailers) = frame.trailers_mut() {
                    clean_trailers(trailers);
                }
                if !self.client.is(Mark::Stream) {
                    self.client.count_out(frame.data_ref().map_or(0, |data| data.len() as u64));
                    self.client.progress();
                } else if let Some(trailers) = frame.trailers_mut() {
                    unshare(trailers);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.connection = None;
                let error = self.client.take_fault().unwrap_or(Error::AnswerBroken(error));
                // hyper would drop what it has not sent yet, the head not excepted: it gets a turn to send it.
                self.broken = Some(Box::new(error));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                if self.client.is(Mark::Stream) {
                    self.client.set_blocked(false);
                }
                Poll::Pending
            }
        }
    }

    /// That it did not come to its end is the backend's fault. The head counted as an answer; if it was a good one, that is
    /// taken back.
    #[cold]
    fn blame(&self, began_well: bool) {
        let shared = &self.client.shared;
        self.lease.score().failed();
        if began_well {
            shared.tally.broke_off();
            self.lease.broke_off();
        }
    }

    /// Whoever drives the client's connection wants no more of it.
    #[cold]
    fn cut(&mut self) {
        self.client.set(Mark::CutShort, true);
        let Some(mut connection) = self.connection.take() else { return };
        // hyper lets go of a stream that was reset before it asks for more, and only the upload knows why it was.
        if self.client.is(Mark::Stream) && !self.client.is_due() {
            let _ = connection.poll_body(&mut self.incoming, &mut Context::from_waker(Waker::noop()));
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let has_ended = match &mut self.source {
            Source::Backend(download) if !download.is_whole() => {
                download.cut();
                return self.break_off(Exchange::cut);
            }
            Source::Backend(download) => {
                let has_ended = download.has_ended();
                if has_ended {
                    download.put_back();
                }
                has_ended
            }
            _ => true,
        };
        if let Some(exchange) = &mut self.exchange {
            exchange.completed();
        }
        if !has_ended && let Source::Backend(download) = mem::replace(&mut self.source, Source::Empty) {
            download.wait_for_the_end();
        }
    }
}
