//! One exchange on a connection that others share.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use h2::client::ResponseFuture;
use hyper::body::{Body, Frame};
use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Request, Response, StatusCode};

use super::super::{Advance, AnswerBody, Broken, Flow, Provenance};
use super::download::Download;
use super::upload::Upload;
use super::{Http2, head};

/// One stream. Dropped before its answer is through, it is reset, so that the backend notices.
#[derive(Debug)]
pub struct Http2Stream<B> {
    connection: Rc<Http2>,
    reused: bool,
    flow: Rc<Flow>,
    upload: Option<Rc<RefCell<Upload<B>>>>,
    head: Option<Request<()>>,
    /// How much was heard on the connection when it began to wait for its answer.
    waits_since: Option<u64>,
    /// Its number, if it is watched for its end.
    watched: Option<u32>,
}

impl Http2 {
    /// A stream for one request.
    pub(in super::super) fn stream<B>(self: &Rc<Self>) -> Http2Stream<B> {
        self.status.streams.set(self.status.streams.get() + 1);
        let reused = self.used.replace(true);
        let connection = Rc::clone(self);
        let (upload, head, waits_since, watched) = (None, None, None, None);
        Http2Stream { connection, reused, flow: Rc::default(), upload, head, waits_since, watched }
    }
}

impl<B> Drop for Http2Stream<B> {
    fn drop(&mut self) {
        let streams = &self.connection.status.streams;
        streams.set(streams.get() - 1);
        self.connection.freed.notify_waiters();
        if let Some(heard) = self.waits_since
            && self.waits_for_the_backend()
        {
            self.connection.status.give_up(heard);
        }
        if let Some(stream) = self.watched {
            self.connection.status.ends.forget(stream);
        }
    }
}

impl<B> Http2Stream<B> {
    /// Whether it is the backend that has to go on: not while more of the request is to come.
    fn waits_for_the_backend(&self) -> bool {
        !self.upload.as_ref().is_some_and(|upload| upload.borrow().is_starved())
    }
}

impl<B> Http2Stream<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
{
    pub(in super::super) fn flow(&self) -> &Rc<Flow> {
        &self.flow
    }

    pub(in super::super) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Its exchange is over, when the worker's clock has this age.
    pub(in super::super) fn ends_at(&self, age: u64) {
        self.connection.used_at.set(Some(age));
    }

    pub(in super::super) fn sent(&mut self) -> Option<Request<()>> {
        self.head.take()
    }

    pub(in super::super) async fn send<E>(
        &mut self,
        request: &mut Option<Request<B>>,
        provenance: Option<&Provenance>,
        note: bool,
        mut watch: impl FnMut(&mut Context<'_>) -> Option<E>,
    ) -> Result<Response<AnswerBody>, Result<Broken, E>> {
        let bodiless = request.as_ref().is_some_and(|request| request.method() == Method::HEAD);
        let mut answer = self.begin(request, provenance).map_err(Ok)?;
        let heard = self.connection.status.heard.get();
        self.waits_since = Some(heard);
        let polled = poll_fn(|cx| {
            if let Poll::Ready(answered) = self.poll_answer(&mut answer, cx) {
                return Poll::Ready(answered.map_err(Ok));
            }
            match watch(cx) {
                Some(stop) => Poll::Ready(Err(Err(stop))),
                None => Poll::Pending,
            }
        })
        .await;
        self.waits_since = None;
        match polled {
            Ok(response) => {
                self.head = self.head.take().filter(|_| note);
                self.receive(response, bodiless).map_err(Ok)
            }
            Err(Ok(error)) => {
                if is_refused(&error) {
                    *request = self.untouched();
                }
                self.head = self.head.take().filter(|_| note);
                Err(Ok(self.unless_of_others(error)))
            }
            Err(Err(stop)) => {
                let status = &self.connection.status;
                // A connection on which no answer came all that time may be dead, and nobody tell us.
                let may_be_dead = self.waits_for_the_backend() && status.heard.get() == heard;
                status.retired.set(status.retired.get() || may_be_dead);
                Err(Err(stop))
            }
        }
    }

    /// What ended the connection may have been sent in answer to any of its requests: h2 knows only of a stream's own end which
    /// it is.
    fn unless_of_others(&self, error: Broken) -> Broken {
        match error {
            Broken::Http2(error)
                if error.is_library() && error.is_go_away() && !self.connection.status.lonely.get() =>
            {
                Broken::Among(error)
            }
            error => error,
        }
    }

    fn begin(
        &mut self,
        request: &mut Option<Request<B>>,
        provenance: Option<&Provenance>,
    ) -> Result<ResponseFuture, Broken> {
        let (parts, body) = request.take().expect("a request is there to be sent").into_parts();
        let original = Request::from_parts(parts, ());
        let head = head::of(&original, provenance, self.connection.scheme, &self.connection.values)?;
        let ended = body.is_end_stream();
        // By a copy, which keeps to itself which stream it waits for: the sender itself is asked by others whether it is
        // ready, in whose place h2 would forget who waits for that stream.
        let begun = self.connection.sender.borrow().clone().send_request(head, ended);
        match begun {
            Ok((answer, stream)) => {
                if !ended {
                    let number = stream.stream_id().as_u32();
                    self.watched = Some(number);
                    self.connection.status.ends.watch(number);
                }
                self.upload = Some(Rc::new(RefCell::new(Upload::new(body, stream, ended))));
                self.head = Some(original);
                Ok(answer)
            }
            Err(error) => {
                *request = Some(original.map(|()| body));
                Err(error.into())
            }
        }
    }

    fn poll_answer(
        &mut self,
        answer: &mut ResponseFuture,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<RecvStream>, Broken>> {
        self.poll_upload(cx)?;
        while let Poll::Ready(Some(Ok(interim))) = answer.poll_informational(cx) {
            self.flow.heard_interim(&interim);
            self.connection.status.hear();
        }
        let answered = ready!(Pin::new(answer).poll(cx))?;
        self.flow.heard_answer();
        self.connection.status.hear();
        Poll::Ready(Ok(answered))
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        self.upload.as_ref().map_or(Ok(()), |upload| upload.borrow_mut().advance(cx))
    }

    fn receive(
        &mut self,
        response: Response<RecvStream>,
        bodiless: bool,
    ) -> Result<Response<AnswerBody>, Broken> {
        if response.headers().len() > self.connection.limits.headers {
            return Err(Broken::TooManyHeaders);
        }
        let bodiless =
            bodiless || matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let length =
            response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let has_ended = self.has_ended();
        let body = |stream| Download::of(stream, length, bodiless, has_ended);
        Ok(response.map(|stream| AnswerBody::Http2(Box::new(body(stream)))))
    }

    /// Whether it is watched and all of its answer has come.
    fn has_ended(&self) -> bool {
        self.watched.is_some_and(|stream| self.connection.status.ends.has_come(stream))
    }

    pub(in super::super) fn advancing(&self) -> Weak<dyn Advance> {
        match &self.upload {
            Some(upload) => Rc::downgrade(upload) as Weak<dyn Advance>,
            None => Weak::<RefCell<Upload<B>>>::new(),
        }
    }

    /// Whether nothing more of the request is to be sent.
    pub(in super::super) fn is_sent(&self) -> bool {
        self.upload.as_ref().is_none_or(|upload| upload.borrow().is_over())
    }

    /// The request, if its body is still whole.
    fn untouched(&mut self) -> Option<Request<B>> {
        let body = Rc::into_inner(self.upload.take()?)?.into_inner().into_untouched()?;
        Some(self.head.take()?.map(|()| body))
    }

    pub(in super::super) fn poll_body(
        &mut self,
        body: &mut Download,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Err(error) = self.poll_upload(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        let polled = body.poll_frame(|| self.has_ended(), cx);
        if polled.is_ready() {
            self.connection.status.hear();
        }
        polled
    }
}

/// Whether the backend has not begun to act upon the request. Who asks for it over HTTP/1.1 says so, too.
fn is_refused(error: &Broken) -> bool {
    error.is_refusal() || error.wants_http1()
}
