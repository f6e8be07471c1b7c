//! The streams of one connection: each in a task of its own, cut when its deadline passes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::rt;
use tokio::task::spawn_local;

use crate::proxy::{Client, Error, Mark, Phase, before_due};

use super::{NOT_HTTP2, STREAM_WINDOW};

/// Milliseconds for which a body is passed over that nobody wants.
const PASSED_OVER: u64 = 1000;

/// What is known of a connection's streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: Cell<usize>,
    /// Whose task is made next, if it is known.
    next: RefCell<Option<Next>>,
    /// Why those that are under way at the end of the connection are cut, if its client is to blame.
    cut_for: Cell<Option<fn() -> Error>>,
    /// The connection's task.
    connection: RefCell<Option<Waker>>,
}

/// A task that hyper is about to ask for.
#[derive(Debug)]
enum Next {
    /// That of a stream whose request was just handed to the handler.
    Stream(Rc<Client>),
    /// That of the tunnel which the stream that is at work becomes: it passes on what is said to the client.
    Tunnel(Rc<Client>),
}

/// Runs streams for hyper.
#[derive(Clone, Debug)]
pub(super) struct Executor(pub(super) Rc<Streams>);

/// Counts a stream as open until it is dropped.
struct Open(Rc<Streams>);

impl Streams {
    /// The next task is this stream's: hyper asks for it as soon as the handler was called.
    pub(super) fn announce(&self, stream: &Rc<Client>) {
        self.set_next(Some(Next::Stream(Rc::clone(stream))));
    }

    fn set_next(&self, next: Option<Next>) {
        *self.next.borrow_mut() = next;
    }

    /// The connection ends, because of this if anything: those under way are cut for it.
    pub(super) fn end(&self, fault: Option<&Error>) {
        self.cut_for.set(match fault {
            Some(Error::Malformed(_)) => Some(|| Error::Malformed(NOT_HTTP2)),
            Some(Error::ClientStalled) => Some(|| Error::ClientStalled),
            _ => None,
        });
    }

    /// Whether any is under way.
    pub(super) fn are_open(&self) -> bool {
        self.open.get() > 0
    }

    /// The task to wake when the last one ends.
    pub(super) fn wake(&self, waker: &Waker) {
        let mut connection = self.connection.borrow_mut();
        if !connection.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *connection = Some(waker.clone());
        }
    }
}

impl<F: Future<Output = ()> + 'static> rt::Executor<F> for Executor {
    fn execute(&self, future: F) {
        let open = Open::new(&self.0);
        let streams = Rc::clone(&self.0);
        // Boxed, for it is large, and tasks are moved and, what is worse, aligned: of large pieces the allocator has few that
        // are aligned so far.
        let future = Box::pin(future);
        match self.0.next.take() {
            Some(Next::Stream(client)) => drop(spawn_local(async move {
                let _open = open;
                run(future, &client, &streams).await;
            })),
            Some(Next::Tunnel(client)) => drop(spawn_local(async move {
                let _open = open;
                run_tunnel(future, &client).await;
            })),
            None => drop(spawn_local(async move {
                let _open = open;
                future.await;
            })),
        }
    }
}

/// Runs a stream to its end or its deadline.
async fn run(mut future: Pin<Box<impl Future<Output = ()>>>, client: &Rc<Client>, streams: &Streams) {
    client.alarm().wakes_me().await;
    let mut unread = Unread { body: None, left: STREAM_WINDOW as usize };
    // A deadline that the handler can answer for is no longer due after it ran; what still is, is cut.
    poll_fn(|cx| {
        streams.set_next(Some(Next::Tunnel(Rc::clone(client))));
        let polled = future.as_mut().poll(cx);
        streams.set_next(None);
        if polled.is_pending() {
            client.advance_upload(cx);
            let _ = unread.poll_end(client, cx);
        }
        match polled {
            Poll::Pending if !client.is_due() => Poll::Pending,
            Poll::Pending => {
                client.set(Mark::CutShort, true);
                Poll::Ready(())
            }
            Poll::Ready(()) => Poll::Ready(()),
        }
    })
    .await;
    if let Some(error) = streams.cut_for.get() {
        client.blame(error());
    }
    // With its last part h2 lets go of the stream, and resets it if it has not ended.
    drop(future);
    if unread.is_some(client) && !client.is(Mark::CutShort) {
        client.alarm().set(PASSED_OVER);
        before_due(client, poll_fn(|cx| unread.poll_end(client, cx))).await;
    }
}

/// A body of which nobody wants the rest. It is passed over as far as its client may have sent it before it had the answer: a reset
/// behind that is no error (RFC 9113 section 8.1), but curl before 8.0 takes it for one, and tells nothing of the answer.
struct Unread {
    body: Option<Box<Incoming>>,
    /// Bytes that are still passed over.
    left: usize,
}

impl Unread {
    fn is_some(&mut self, client: &Client) -> bool {
        if self.body.is_none() {
            self.body = client.take_unread();
        }
        self.body.is_some()
    }

    /// Passes over what has come of it. Ready where there is none, or none any more.
    fn poll_end(&mut self, client: &Client, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_some(client) {
            return Poll::Ready(());
        }
        while let Some(body) = &mut self.body {
            let frame = ready!(Pin::new(&mut **body).poll_frame(cx)).and_then(Result::ok);
            let bytes = frame.map(|frame| frame.data_ref().map_or(0, Bytes::len));
            match bytes.and_then(|bytes| self.left.checked_sub(bytes)) {
                Some(left) => self.left = left,
                None => self.body = None,
            }
        }
        Poll::Ready(())
    }
}

/// Passes on what a tunnel says to its client, whose other end has the deadline, until that has ended: what is left then has
/// another. Of a tunnel that broke off the client must not be told that it ended: hyper would say so, but a task that is dropped
/// resets the stream.
async fn run_tunnel(future: Pin<Box<impl Future<Output = ()>>>, client: &Client) {
    let mut telling = Some(future);
    poll_fn(|cx| {
        let has_ended = client.phase() == Phase::Flush;
        if client.is(Mark::BrokenOff) || has_ended && client.is_due() {
            return Poll::Ready(());
        }
        match has_ended {
            true => client.alarm().wakes(cx.waker()),
            false => client.set_passage(cx.waker()),
        }
        // Its other end waits until this is gone.
        if telling.as_mut().is_some_and(|telling| telling.as_mut().poll(cx).is_ready()) {
            telling = None;
        }
        // Who was told all may go on telling.
        let is_over = telling.is_none() && (has_ended || !client.is(Mark::ToldAll));
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    if !client.is(Mark::ToldAll) {
        // It took its stream back, which hyper tells the other end like any end of what it says.
        client.take_back();
    }
}

impl Open {
    fn new(streams: &Rc<Streams>) -> Self {
        streams.open.set(streams.open.get() + 1);
        Self(Rc::clone(streams))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        if let (0, Some(connection)) = (self.0.open.get(), &*self.0.connection.borrow()) {
            connection.wake_by_ref();
        }
    }
}
