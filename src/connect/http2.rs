//! One HTTP/2 connection to a backend, which requests of one worker share.
//!
//! Its frames are read and written by a task of its own; what belongs to one exchange, bodies included, is done by
//! whoever runs that exchange, on its [`Http2Stream`].

mod download;
mod ends;
mod head;
mod stream;
mod transport;
mod upload;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use socket2::SockRef;
use tokio::sync::{Notify, oneshot};
use tokio::task::spawn_local;

use crate::config::Scheme;

use super::{Broken, DialError, HeadLimits, Peeked, Stream, Unshared};

pub(super) use download::Download;
pub(super) use stream::Http2Stream;

use ends::Ends;
use transport::Transport;

/// Requests that one connection carries at a time, if the backend does not allow fewer.
pub(super) const MOST_STREAMS: usize = 100;
/// Bytes of an answer that a backend may send before its client has taken any: what one exchange may hold of our memory.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Enough for all streams, so that clients that do not read hold up nobody else.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MOST_STREAMS as u32;
/// Bytes of a request's body that wait to be written.
const SEND_BUFFER: usize = 64 * 1024;
/// Requests that were given up of which h2 remembers, for a second each, that what still comes for them is no error. What comes
/// for those that it has forgotten is one, and too many of these would end the connection: of how many, it may not decide.
const REMEMBERED_RESETS: usize = 10 * MOST_STREAMS;
/// A connection on which so many requests in succession were given up may be dead, and nobody tell us: clients may be less
/// patient than we are.
const MOST_GIVEN_UP: u32 = 3;
/// What h2 may hold for the heads of small frames, beside their content: that of a window whose every byte came in a frame
/// of its own. When it holds more, it ends the connection, on which others wait.
const SMALL_FRAMES: usize = 256 * STREAM_WINDOW as usize;

/// A connection that carries several requests at a time.
#[derive(Debug)]
pub(super) struct Http2 {
    sender: RefCell<SendRequest<Bytes>>,
    scheme: Scheme,
    limits: HeadLimits,
    values: Unshared,
    status: Rc<Status>,
    /// A second name for the socket, to ask the system whether the backend has closed it.
    socket: OwnedFd,
    used: Cell<bool>,
    /// Which age the worker's clock had when it carried a request for the last time, as far as that was seen.
    used_at: Cell<Option<u64>>,
    /// For those who wait for room on any connection to the backend.
    freed: Rc<Notify>,
    /// Tells the driver when this is dropped, behind all else.
    _end: oneshot::Sender<()>,
}

/// What the driver tells.
#[derive(Debug, Default)]
struct Status {
    ended: Cell<bool>,
    /// Requests that it carries.
    streams: Cell<usize>,
    /// Whether it carried only one when it ended, which must then be why.
    lonely: Cell<bool>,
    most_streams: Cell<usize>,
    /// Heads and pieces of answers that have come, all in all.
    heard: Cell<u64>,
    /// Requests that were given up while they waited, in succession: on none was anything heard.
    given_up: Cell<u32>,
    /// Whether it is to be used no more, for a request waited while nobody heard anything.
    retired: Cell<bool>,
    ends: Ends,
}

impl Status {
    fn hear(&self) {
        self.heard.set(self.heard.get() + 1);
        self.given_up.set(0);
    }

    /// A request that waited since so much was heard is waited for no more, though its time was not over.
    fn give_up(&self, heard: u64) {
        if self.heard.get() == heard {
            self.given_up.set(self.given_up.get() + 1);
            self.retired.set(self.retired.get() || self.given_up.get() >= MOST_GIVEN_UP);
        }
    }
}

impl Http2 {
    /// Speaks HTTP/2 over a fresh connection. It is ready when the backend has said so, in its settings: then it is
    /// known that the backend speaks HTTP/2, and how many requests it takes. Each time that one has ended, `freed` tells.
    pub(super) async fn over(
        stream: Stream,
        limits: HeadLimits,
        freed: Rc<Notify>,
    ) -> Result<Rc<Self>, DialError> {
        let scheme = if stream.is_tls() { Scheme::Https } else { Scheme::H2c };
        let socket = stream.socket().as_fd().try_clone_to_owned()?;
        let status = Rc::new(Status::default());
        let (sender, mut connection) = Builder::new()
            .enable_push(false)
            // None until the backend's settings are known.
            .initial_max_send_streams(0)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(limits.size).unwrap_or(u32::MAX))
            .max_send_buffer_size(SEND_BUFFER)
            .data_frame_budget(SMALL_FRAMES)
            .max_concurrent_reset_streams(REMEMBERED_RESETS)
            .max_local_error_reset_streams(None)
            .handshake(Transport::new(stream, Rc::clone(&status)))
            .await
            .map_err(|error| unbegun(&error, scheme))?;
        let is_over = poll_fn(|cx| {
            let polled = Pin::new(&mut connection).poll(cx);
            match (polled, connection.max_concurrent_send_streams() > 0) {
                (Poll::Pending, true) => Poll::Ready(Ok(false)),
                (Poll::Pending, false) => Poll::Pending,
                // It speaks HTTP/2, and went away: the request that is to be sent hears of that, and is not sent.
                (Poll::Ready(ended), true) if !ended.as_ref().is_err_and(is_not_http2) => {
                    Poll::Ready(Ok(true))
                }
                (Poll::Ready(Ok(())), _) => Poll::Ready(Err(closed(scheme))),
                (Poll::Ready(Err(error)), _) => Poll::Ready(Err(unbegun(&error, scheme))),
            }
        })
        .await?;
        status.most_streams.set(connection.max_concurrent_send_streams());
        status.ended.set(is_over);
        let (end, ended) = oneshot::channel();
        if !is_over {
            spawn_local(drive(connection, Rc::clone(&status), ended));
        }
        Ok(Rc::new(Self {
            sender: RefCell::new(sender),
            scheme,
            limits,
            values: Unshared::default(),
            status,
            socket,
            used: Cell::new(false),
            used_at: Cell::new(None),
            freed,
            _end: end,
        }))
    }

    /// Whether it can never carry another request.
    pub(super) fn is_gone(&self) -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        self.status.ended.get()
            || self.status.retired.get()
            // After a GOAWAY, or the last stream number.
            || matches!(self.sender.borrow_mut().poll_ready(cx), Poll::Ready(Err(_)))
    }

    /// Whether the system knows that the backend has closed it, or may close it, though the runtime was not told yet: bytes
    /// that nobody waits for may be a goodbye. If they are not, they are read in a moment, and the next request finds it free.
    pub(super) fn may_be_closed(&self) -> bool {
        match Peeked::of(&SockRef::from(&self.socket)) {
            Peeked::Nothing => false,
            Peeked::Bytes => self.status.streams.get() == 0,
            Peeked::Closed => true,
        }
    }

    /// Whether it can carry one more request now.
    pub(super) fn has_room(&self) -> bool {
        self.status.streams.get() < self.most_streams()
    }

    /// Whether it carries a request.
    pub(super) fn is_busy(&self) -> bool {
        self.status.streams.get() > 0
    }

    /// How many requests it may carry at a time.
    pub(super) fn most_streams(&self) -> usize {
        self.status.most_streams.get().min(MOST_STREAMS)
    }

    /// Whether it has carried no request since before `limit`, looked at now and then; both are ages of the worker's clock.
    pub(super) fn is_idle_since_before(&self, limit: u64, age: u64) -> bool {
        if self.is_busy() || self.used_at.get().is_none() {
            self.used_at.set(Some(age));
        }
        self.used_at.get().is_some_and(|used_at| used_at < limit)
    }
}

/// Reads and writes frames until the connection has ended or nobody uses it any more.
async fn drive(
    mut connection: Connection<Transport, Bytes>,
    status: Rc<Status>,
    mut end: oneshot::Receiver<()>,
) {
    poll_fn(|cx| {
        if Pin::new(&mut connection).poll(cx).is_ready() {
            status.lonely.set(status.streams.get() == 1);
            return Poll::Ready(());
        }
        status.most_streams.set(connection.max_concurrent_send_streams());
        if pin!(&mut end).poll(cx).is_pending() {
            return Poll::Pending;
        }
        // It says goodbye, if that can be done without waiting.
        let _ = Pin::new(&mut connection).poll(cx);
        Poll::Ready(())
    })
    .await;
    status.ended.set(true);
}

/// Whether the backend cannot be spoken to, though its settings came.
fn is_not_http2(error: &h2::Error) -> bool {
    error.is_library() || Broken::tls_fault_of(error).is_some()
}

/// What the want of settings means.
fn unbegun(error: &h2::Error, scheme: Scheme) -> DialError {
    match Broken::tls_fault_of(error) {
        Some(fault) => DialError::Tls(fault),
        None if error.is_library() => DialError::NotHttp2,
        None => closed(scheme),
    }
}

/// What an end before the settings means. Who has chosen HTTP/2 by ALPN speaks it; in the clear that is not known.
fn closed(scheme: Scheme) -> DialError {
    if scheme == Scheme::Https { DialError::Closed } else { DialError::ClosedInClear }
}
