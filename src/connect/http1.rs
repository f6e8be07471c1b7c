//! One HTTP/1.1 connection to a backend, which carries one request at a time.
//!
//! What its [`Driver`] feeds (the answer and its body) is polled with a waker that does nothing, because it can only have
//! changed while the driver ran.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::TRANSFER_ENCODING;
use hyper::{Request, Response, Version};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWrite;
use tokio::task::coop::has_budget_remaining;

use super::driver::Driver;
use super::{Advance, AnswerBody, Broken, Flow, HeadLimits, Outbox, Provenance, Stream, Transport};

/// A connection to a backend that carries one request at a time.
#[derive(Debug)]
pub struct Http1<B: Body + 'static> {
    sender: SendRequest<B>,
    driver: Rc<Driver<B>>,
    outbox: Rc<Outbox<B>>,
    reused: bool,
    /// Whether the backend has answered with HTTP/1.0. hyper would speak that from then on, in which a body has to say its
    /// length first: one that does not would be left out, and nobody told.
    is_old: bool,
    is_tls: bool,
    /// Whether nothing but the end of the connection tells where its last answer ends, and TLS has a word for that.
    is_open_ended: bool,
    limits: HeadLimits,
}

impl<B> Http1<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Speaks HTTP/1.1 over a fresh connection. What need not be sent at once goes through the `outbox`.
    pub(super) async fn over(
        stream: Stream,
        limits: HeadLimits,
        outbox: Rc<Outbox<B>>,
    ) -> hyper::Result<Self> {
        let (flow, is_tls) = (Rc::new(Flow::default()), stream.is_tls());
        let transport = TokioIo::new(Transport::new(stream, Rc::clone(&flow)));
        let mut builder = http1::Builder::new();
        builder.max_header_size(limits.size).max_buf_size(limits.buffer());
        if let Some(headers) = limits.headers_off_the_stack() {
            builder.max_headers(headers);
        }
        let (sender, connection) = builder.handshake(transport).await?;
        let driver = Rc::new(Driver::of(connection, flow));
        let (is_old, is_open_ended) = (false, false);
        Ok(Self { sender, driver, outbox, reused: false, is_old, is_tls, is_open_ended, limits })
    }

    /// What heads of its answers may hold.
    pub(super) fn limits(&self) -> HeadLimits {
        self.limits
    }

    pub(super) fn flow(&self) -> &Rc<Flow> {
        self.driver.flow()
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
        let Self { sender, driver, outbox, is_old, is_tls, is_open_ended, .. } = self;
        driver.flow().begin(note, provenance);
        // The request itself would wake the driver, which is about to run anyway.
        driver.relay().ignore();
        let _under_way = outbox.begin();
        let mut answer =
            pin!(sender.try_send_request(request.take().expect("a request is there to be sent")));
        let mut known = false;
        poll_fn(|cx| {
            // It is one task that waits for one answer.
            match std::mem::replace(&mut known, true) {
                true => driver.relay().pass_on(),
                false => {
                    driver.relay().pass_on_to(cx.waker());
                    // What may be sent again may also be sent a little later: its connection may close meanwhile.
                    if note && outbox.take(driver) {
                        return Poll::Pending;
                    }
                }
            }
            driver.drive();
            let silent = &mut Context::from_waker(Waker::noop());
            let mut polled = answer.as_mut().poll(silent);
            if polled.is_pending() && driver.has_ended() && has_budget_remaining() {
                // Now it is certain that no answer is there, but what was to be sent may be.
                driver.let_go();
                polled = answer.as_mut().poll(silent);
            }
            if let Poll::Ready(answer) = polled {
                return Poll::Ready(match answer {
                    Ok(answer) => {
                        *is_old = answer.version() < Version::HTTP_11;
                        *is_open_ended = *is_tls && has_open_end(&answer);
                        Ok(answer.map(AnswerBody::Http1))
                    }
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
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let silent = &mut Context::from_waker(Waker::noop());
        let relay = self.driver.relay();
        relay.ignore();
        let mut polled = Pin::new(&mut *body).poll_frame(silent);
        if polled.is_pending() && !self.driver.has_ended() {
            relay.pass_on_to(cx.waker());
            self.driver.drive();
            relay.ignore();
            polled = Pin::new(body).poll_frame(silent);
        }
        match &polled {
            Poll::Pending => relay.pass_on_to(cx.waker()),
            Poll::Ready(_) => relay.remember(),
        }
        polled.map_err(if self.is_open_ended { Broken::of_open_end } else { Broken::Http1 })
    }

    pub(super) fn advancing(&self) -> Weak<dyn Advance> {
        Rc::<Driver<B>>::downgrade(&self.driver)
    }

    /// Whether the last exchange is over and another may begin. Settles what is left of the last one.
    pub(super) fn settle(&mut self) -> bool {
        self.driver.relay().remember();
        if !self.sender.is_ready() {
            self.driver.drive();
        }
        self.reused = true;
        self.flow().forget();
        self.is_free() && !self.is_old && !self.flow().is_private()
    }

    /// The same connection, settled, without the memory that a large head took: hyper lets go of that only with all else that it
    /// knows. Nothing if it cannot be kept.
    pub(super) fn slim(self: Box<Self>) -> Option<Box<Self>> {
        if !self.flow().is_bloated() {
            return Some(self);
        }
        let (limits, outbox) = (self.limits, Rc::clone(&self.outbox));
        let (stream, ahead) = self.into_upgraded()?;
        // To speak anew waits for nobody.
        let slim = Self::over(stream, limits, outbox).now_or_never()?;
        let mut slim = Box::new(slim.ok().filter(|_| ahead.is_empty())?);
        slim.settle().then_some(slim)
    }

    /// Whether the backend still keeps this idle connection, as far as the runtime knows. With `probe` the system is
    /// asked, which costs a system call and leaves a smaller gap.
    pub(super) fn is_alive(&mut self, probe: bool) -> bool {
        if probe || self.driver.relay().was_called() {
            self.flow().probe(probe);
            self.driver.drive();
            self.flow().probe(false);
        }
        self.is_free()
    }

    /// The socket and what was read ahead, after a `101 Switching Protocols`.
    pub(super) fn into_upgraded(self) -> Option<(Stream, Bytes)> {
        Rc::into_inner(self.driver).expect("an outbox keeps no connection").into_upgraded()
    }

    /// Closes it, and tells a backend behind TLS that this is the end, if that can be done without waiting.
    pub(super) fn part(self) {
        if let Some((mut stream, _)) = self.into_upgraded()
            && stream.is_tls()
        {
            let _ = Pin::new(&mut stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }

    fn is_free(&self) -> bool {
        !self.driver.has_ended() && self.sender.is_ready() && !self.flow().owes()
    }
}

/// Whether neither a length nor a transfer coding tells where an answer ends.
fn has_open_end(answer: &Response<Incoming>) -> bool {
    answer.body().size_hint().exact().is_none() && !answer.headers().contains_key(TRANSFER_ENCODING)
}
