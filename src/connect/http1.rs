//! One HTTP/1.1 connection to a backend, which carries one request at a time.
//!
//! hyper splits such a connection into a sender and a driver that is meant to run in a task of its own. Ours has no
//! task: whoever uses the connection drives it, so that a request never waits for the scheduler. What the driver feeds
//! (the answer and its body) is polled with a waker that does nothing, because it can only have changed while the
//! driver ran; and the driver's own waker is a [`Relay`], which is deaf to what we cause ourselves.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWrite;
use tokio::task::coop::has_budget_remaining;

use super::connection::GIVEN;
use super::relay::Relay;
use super::{AnswerBody, Broken, Flow, HeadLimits, Provenance, Stream, Transport};

type Driver<B> = http1::Connection<TokioIo<Transport>, B>;

/// A connection to a backend that carries one request at a time.
#[derive(Debug)]
pub struct Http1<B: Body + 'static> {
    sender: SendRequest<B>,
    driver: Driver<B>,
    ended: bool,
    flow: Rc<Flow>,
    reused: bool,
    relay: Arc<Relay>,
    waker: Waker,
}

impl<B> Http1<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Speaks HTTP/1.1 over a fresh connection.
    pub(super) async fn over(stream: Stream, limits: HeadLimits) -> hyper::Result<Self> {
        let flow = Rc::new(Flow::default());
        let transport = TokioIo::new(Transport::new(stream, Rc::clone(&flow)));
        let mut builder = http1::Builder::new();
        builder.max_header_size(limits.size);
        if let Some(bytes) = limits.large_buffer() {
            builder.max_buf_size(bytes);
        }
        if let Some(headers) = limits.headers_off_the_stack() {
            builder.max_headers(headers);
        }
        let (sender, driver) = builder.handshake(transport).await?;
        let relay = Arc::new(Relay::default());
        let waker = Waker::from(Arc::clone(&relay));
        Ok(Self { sender, driver, ended: false, flow, reused: false, relay, waker })
    }

    pub(super) fn flow(&self) -> &Rc<Flow> {
        &self.flow
    }

    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }

    /// See [`Connection::send`](super::Connection::send).
    pub(super) async fn send<E>(
        &mut self,
        request: &mut Option<Request<B>>,
        provenance: Option<&Provenance>,
        note: bool,
        mut watch: impl FnMut(&mut Context<'_>) -> Option<E>,
    ) -> Result<Response<AnswerBody>, Result<Broken, E>> {
        self.flow.begin(note, provenance);
        // The request itself would wake the driver, which is about to run anyway.
        self.relay.ignore();
        let mut answer = pin!(self.sender.try_send_request(request.take().expect(GIVEN)));
        let Self { driver, ended, relay, waker, .. } = self;
        let mut known = false;
        poll_fn(|cx| {
            // It is one task that waits for one answer.
            match std::mem::replace(&mut known, true) {
                true => relay.pass_on(),
                false => relay.pass_on_to(cx.waker()),
            }
            *ended = *ended || Pin::new(&mut *driver).poll(&mut Context::from_waker(waker)).is_ready();
            if let Poll::Ready(answer) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Poll::Ready(match answer {
                    Ok(answer) => Ok(answer.map(AnswerBody::Http1)),
                    Err(mut failed) => {
                        *request = failed.take_message();
                        Err(Ok(failed.into_error().into()))
                    }
                });
            }
            if !has_budget_remaining() {
                // The answer may be there, but a spent budget hides it and woke only the waker that does nothing.
                cx.waker().wake_by_ref();
            }
            match watch(cx) {
                Some(stop) => Poll::Ready(Err(Err(stop))),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// The next frame of an answer's body, which must be this connection's.
    pub(super) fn poll_body(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let silent = &mut Context::from_waker(Waker::noop());
        self.relay.ignore();
        let mut polled = Pin::new(&mut *body).poll_frame(silent);
        if polled.is_pending() && !self.ended {
            self.relay.pass_on_to(cx.waker());
            self.drive();
            self.relay.ignore();
            polled = Pin::new(body).poll_frame(silent);
        }
        match &polled {
            Poll::Pending => self.relay.pass_on_to(cx.waker()),
            Poll::Ready(_) => self.relay.remember(),
        }
        polled
    }

    /// Whether the last exchange is over and another may begin. Settles what is left of the last one.
    pub(super) fn settle(&mut self) -> bool {
        self.relay.remember();
        if !self.sender.is_ready() {
            self.drive();
        }
        self.reused = true;
        !self.ended && self.sender.is_ready() && !self.flow.owes()
    }

    /// Whether the backend still keeps this idle connection, as far as the runtime knows. With `probe` the system is
    /// asked, which costs a system call and leaves a smaller gap.
    pub(super) fn is_alive(&mut self, probe: bool) -> bool {
        if probe || self.relay.was_called() {
            self.flow.probe(probe);
            self.drive();
            self.flow.probe(false);
        }
        !self.ended && self.sender.is_ready() && !self.flow.owes()
    }

    /// The socket and what was read ahead, after a `101 Switching Protocols`.
    pub(super) fn into_upgraded(self) -> (Stream, Bytes) {
        let parts = self.driver.into_parts();
        (parts.io.into_inner().into_inner(), parts.read_buf)
    }

    /// Closes it, and tells a backend behind TLS that this is the end, if that can be done without waiting.
    pub(super) fn part(self) {
        let (mut stream, _) = self.into_upgraded();
        if stream.is_tls() {
            let _ = Pin::new(&mut stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }

    fn drive(&mut self) {
        // How it ended is told through the answer or its body, where it can be acted upon.
        let cx = &mut Context::from_waker(&self.waker);
        self.ended = self.ended || Pin::new(&mut self.driver).poll(cx).is_ready();
    }
}
