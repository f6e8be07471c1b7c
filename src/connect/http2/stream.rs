//! One exchange on a connection that others share.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Request, Response, StatusCode};

use super::super::connection::GIVEN;
use super::super::{AnswerBody, Broken, Flow, Provenance};
use super::upload::Upload;
use super::{Http2, head};

/// One stream. Dropped before its answer is through, it is reset, so that the backend notices.
#[derive(Debug)]
pub struct Http2Stream<B> {
    connection: Rc<Http2>,
    reused: bool,
    flow: Rc<Flow>,
    upload: Option<Upload<B>>,
    head: Option<Request<()>>,
}

/// The body of an answer on its way out of a stream.
#[derive(Debug)]
pub struct Download {
    stream: RecvStream,
    /// Bytes that are still to come, if the head told how many.
    left: Option<u64>,
    /// Whether it has no content whatever its head tells: it answers a HEAD, or its status says so.
    bodiless: bool,
    data_ended: bool,
}

impl Http2 {
    /// A stream for one request.
    pub(in super::super) fn stream<B>(self: &Rc<Self>) -> Http2Stream<B> {
        self.streams.set(self.streams.get() + 1);
        self.idle_since.set(None);
        let reused = self.used.replace(true);
        let connection = Rc::clone(self);
        Http2Stream { connection, reused, flow: Rc::default(), upload: None, head: None }
    }
}

impl<B> Drop for Http2Stream<B> {
    fn drop(&mut self) {
        self.connection.streams.set(self.connection.streams.get() - 1);
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
                Err(Ok(error))
            }
            Err(Err(stop)) => {
                let status = &self.connection.status;
                // A connection on which no answer came all that time may be dead, and nobody tell us.
                status.retired.set(status.retired.get() || status.heard.get() == heard);
                Err(Err(stop))
            }
        }
    }

    fn begin(
        &mut self,
        request: &mut Option<Request<B>>,
        provenance: Option<&Provenance>,
    ) -> Result<ResponseFuture, Broken> {
        let (parts, body) = request.take().expect(GIVEN).into_parts();
        let original = Request::from_parts(parts, ());
        let head = head::of(&original, provenance, self.connection.scheme, &self.connection.values)?;
        let ended = body.is_end_stream();
        let begun = self.connection.sender.borrow_mut().send_request(head, ended);
        match begun {
            Ok((answer, stream)) => {
                self.upload = Some(Upload::new(body, stream, ended));
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
        self.upload.as_mut().map_or(Ok(()), |upload| upload.advance(cx))
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
        let body = |stream| Download { stream, left: length, bodiless, data_ended: false };
        Ok(response.map(|stream| AnswerBody::Http2(Box::new(body(stream)))))
    }

    /// Whether nothing more of the request is to be sent.
    pub(in super::super) fn is_sent(&self) -> bool {
        self.upload.as_ref().is_none_or(Upload::is_over)
    }

    /// The request, if its body is still whole.
    fn untouched(&mut self) -> Option<Request<B>> {
        let body = self.upload.take()?.into_untouched()?;
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
        let polled = body.poll_frame(cx);
        if polled.is_ready() {
            self.connection.status.hear();
        }
        polled
    }
}

impl Download {
    pub(in super::super) fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    /// Whether all of the content has come: only trailers or the end may follow.
    pub(in super::super) fn has_all(&self) -> bool {
        self.bodiless || self.left == Some(0) || self.is_end_stream()
    }

    pub(in super::super) fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if !self.data_ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    let length = data.len();
                    self.left = self.left.map(|left| left.saturating_sub(length as u64));
                    // The client's side holds one piece and asks for the next when that is gone.
                    let _ = self.stream.flow_control().release_capacity(length);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(self.ended_early(error)),
                None => self.data_ended = true,
            }
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(error) => Poll::Ready(self.ended_early(error)),
        }
    }

    /// RFC 9113 section 8.1: a backend that wants no more of the request resets the stream without an error, behind an
    /// answer that is whole. Behind the stream's end h2 passes over a reset; before, only the length tells that it is whole.
    fn ended_early(&self, error: h2::Error) -> Option<Result<Frame<Bytes>, Broken>> {
        let whole = error.is_remote() && error.reason() == Some(Reason::NO_ERROR);
        (!whole || !self.has_all()).then(|| Err(error.into()))
    }
}

/// Whether the backend says that it has not begun to act upon the request: it refused the stream, or went away and named
/// an earlier one as the last (RFC 9113 section 8.7).
fn is_refused(error: &Broken) -> bool {
    match error {
        Broken::Http2(error) => {
            error.is_remote()
                && (error.is_go_away() || error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM))
        }
        _ => false,
    }
}
