//! A request's body on its way to a backend.

use std::error::Error as StdError;
use std::io;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};

use crate::connect::Connection;
use crate::snapshot::Settings;

use super::client::Mark;
use super::fields::clean_trailers;
use super::mirror::Copy;
use super::phase::Phase;
use super::treated::change_trailers;
use super::{Client, Error, Misframed};

/// A connection to a backend.
pub(super) type BackendConnection = Connection<RequestBody>;

/// A request's body on its way to a backend; nothing if it has none. As small as can be, for requests are moved often.
#[derive(Debug, Default)]
pub struct RequestBody(Option<Box<Content>>);

#[derive(Debug)]
enum Content {
    Upload(Upload),
    /// That of a copy, which has all come, for its client.
    Whole(Bytes, Rc<Client>),
}

#[derive(Debug)]
struct Upload {
    /// None when it is let go of.
    incoming: Option<Incoming>,
    client: Rc<Client>,
    /// How many bytes are still allowed.
    allowance: u64,
    /// A copy of it, for another pool.
    copy: Option<Box<Copy>>,
    /// The place of the route that changes its head, and so its trailers, if one does.
    changed_by: Option<(Arc<Settings>, usize)>,
    ended: bool,
    /// Whether hyper is to have it until the answer is with the client.
    outlasts_answer: bool,
}

/// The body of a request could not be passed on; the client's connection knows why.
#[derive(Debug, thiserror::Error)]
#[error("the request's body could not be passed on")]
pub struct UploadStopped;

impl RequestBody {
    pub(super) fn new(incoming: Incoming, client: &Rc<Client>) -> Self {
        if is_all_here(&incoming) {
            return Self(None);
        }
        let allowance = client.shared.body_limit().unwrap_or(u64::MAX);
        client.set_held(true);
        let upload = Upload {
            incoming: Some(incoming),
            client: Rc::clone(client),
            allowance,
            copy: None,
            changed_by: None,
            ended: false,
            outlasts_answer: false,
        };
        Self(Some(Box::new(Content::Upload(upload))))
    }

    /// One that is all there.
    pub(super) fn whole(bytes: Bytes, client: &Rc<Client>) -> Self {
        Self((!bytes.is_empty()).then(|| Box::new(Content::Whole(bytes, Rc::clone(client)))))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether its end has come, which hyper does not remember of one in chunks.
    pub(super) fn has_ended(&self) -> bool {
        match self.0.as_deref() {
            Some(Content::Upload(upload)) => upload.ended || upload.is_end_stream(),
            Some(Content::Whole(..)) => false,
            None => true,
        }
    }

    /// Lets so many bytes pass, and no more.
    pub(super) fn allow(&mut self, limit: Option<u64>) {
        if let Some(Content::Upload(upload)) = self.0.as_deref_mut() {
            upload.allowance = limit.unwrap_or(u64::MAX);
        }
    }

    /// Lets the route at this place change its trailers as it changes the head.
    pub(super) fn is_changed_by(&mut self, settings: &Arc<Settings>, route: usize) {
        if let Some(Content::Upload(upload)) = self.0.as_deref_mut() {
            upload.changed_by = Some((Arc::clone(settings), route));
        }
    }

    /// Nothing of it is let go of before the answer is with the client: of a request that could become a tunnel hyper forgets what
    /// it has not written yet when nobody wants the rest of its body.
    pub(super) fn outlast_answer(&mut self) {
        if let Some(Content::Upload(upload)) = self.0.as_deref_mut() {
            upload.outlasts_answer = true;
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
            Some(Content::Whole(bytes, client)) => {
                let bytes = mem::take(bytes);
                wait_for_the_answer(client);
                self.0 = None;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.0.as_deref() {
            Some(Content::Upload(upload)) => upload.is_end_stream(),
            Some(Content::Whole(..)) => false,
            None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.as_deref() {
            Some(Content::Upload(upload)) => upload.size_hint(),
            Some(Content::Whole(bytes, _)) => SizeHint::with_exact(bytes.len() as u64),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Upload {
    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(SizeHint::default, Incoming::size_hint)
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.incoming.as_mut().map_or(Poll::Ready(None), |incoming| Pin::new(incoming).poll_frame(cx))
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadStopped>>> {
        if self.client.is(Mark::Withheld) {
            self.client.set_held(false);
            return Poll::Pending;
        }
        self.client.set(Mark::Asked, true);
        let polled = self.poll_incoming(cx);
        self.note_waiting(polled.is_pending());
        match polled {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(self.pass(frame))),
            Poll::Ready(Some(Err(error))) => {
                self.client.set_fault(broken_upload(&error));
                Poll::Ready(Some(Err(UploadStopped)))
            }
            // hyper takes a stream that its client resets without an error for one that ended.
            Poll::Ready(None) if self.client.is(Mark::Stream) && !self.is_end_stream() => {
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

    fn note_waiting(&self, waits: bool) {
        let client = &self.client;
        if !waits {
            client.set(Mark::Answered, false);
        }
        client.set_starved(waits);
        client.set_held(!waits);
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
            clean_trailers(trailers, self.client.shared.view().snapshot.settings.config.request_id.as_ref());
            if let Some((settings, route)) = &self.changed_by {
                change_trailers(trailers, &settings.config.routes[*route].treatment.request_headers);
            }
        }
        if let (Some(copy), Some(data)) = (&mut self.copy, frame.data_ref())
            && !copy.add(data)
        {
            self.copy = None;
        }
        self.client.count_in(bytes);
        if frame.is_trailers() || self.incoming.as_ref().is_none_or(is_all_here) {
            self.end();
        } else {
            self.client.progress();
        }
        Ok(frame)
    }

    fn end(&mut self) {
        // Whoever has it may keep it until the answer has ended.
        self.client.set_held(false);
        if mem::replace(&mut self.ended, true) {
            return;
        }
        wait_for_the_answer(&self.client);
        if let Some(copy) = self.copy.take() {
            copy.send();
        }
        self.client.set(Mark::Watched, true);
    }

    /// Of a stream that was reset before any of its body was asked for, only the body knows why.
    #[cold]
    fn look_for_a_fault(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(polled)) = self.poll_incoming(cx) {
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
        self.client.set_held(false);
        self.client.set(Mark::Answered, false);
        if !self.ended {
            if self.is_late() {
                self.client.set_fault(Error::UploadTimeout);
            } else if self.client.is(Mark::Stream) && self.client.phase() == Phase::Connect {
                self.look_for_a_fault();
            }
            self.client.set(Mark::Awaited, self.client.is(Mark::Starved));
            self.client.set_starved(false);
            self.client.set(Mark::Passing, true);
            // hyper passes over a body of which it has all, if it knows where it ends.
            if !(self.client.is(Mark::Whole) && self.size_hint().exact().is_some()) {
                self.client.set(Mark::Unread, true);
            }
            if self.outlasts_answer || self.client.is(Mark::Stream) {
                self.client.keep_unread(self.incoming.take());
            }
        }
    }
}

/// Whether no byte of it is to come. Clients of HTTP/2 may end it behind its last byte, for which hyper does not ask a body whose
/// length it was told.
fn is_all_here(incoming: &Incoming) -> bool {
    incoming.is_end_stream() || incoming.size_hint().exact() == Some(0)
}

/// All was sent: from now on it is the backend that is waited for, be it for the rest of an answer that has begun.
fn wait_for_the_answer(client: &Client) {
    client.mark_sent(true);
    match client.phase() {
        Phase::Upload => client.enter(Phase::Response),
        Phase::Answer => client.progress(),
        _ => {}
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
