//! The half of an HTTP/1.1 connection that reads and writes.
//!
//! hyper splits a connection into a sender and a driver that is meant to run in a task of its own. Ours has no task: whoever
//! uses the connection drives it, or, when a worker is busy, its [outbox](super::Outbox) does. The driver's own waker is a
//! [`Relay`], which is deaf to what we cause ourselves.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use hyper::body::{Body, Bytes};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::relay::Relay;
use super::{Advance, Flow, Stream, Transport};

type Connection<B> = http1::Connection<TokioIo<Transport>, B>;

/// Reads and writes what a connection's sender asks for.
#[derive(Debug)]
pub(super) struct Driver<B: Body + 'static> {
    /// None once it was let go.
    connection: RefCell<Option<Connection<B>>>,
    ended: Cell<bool>,
    flow: Rc<Flow>,
    relay: Arc<Relay>,
    waker: Waker,
}

impl<B> Driver<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) fn of(connection: Connection<B>, flow: Rc<Flow>) -> Self {
        let relay = Arc::new(Relay::default());
        let waker = Waker::from(Arc::clone(&relay));
        Self { connection: RefCell::new(Some(connection)), ended: Cell::new(false), flow, relay, waker }
    }

    /// What was seen on the wire.
    pub(super) fn flow(&self) -> &Rc<Flow> {
        &self.flow
    }

    /// Where its wake-ups go.
    pub(super) fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Whether nothing more can come of it. How it ended is told through the answer or its body, where it can be acted upon.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Reads and writes what can be now.
    pub(super) fn drive(&self) {
        if !self.ended.get()
            && let Some(connection) = &mut *self.connection.borrow_mut()
        {
            let polled = Pin::new(connection).poll(&mut Context::from_waker(&self.waker));
            self.ended.set(polled.is_ready());
        }
    }

    /// Writes a request for a task that waits for its answer, and wakes that only if it has come, or never will.
    pub(super) fn drive_aside(&self) {
        self.drive();
        if self.ended.get() || self.flow.answered() || !self.flow.has_begun() {
            self.relay.call();
        }
    }

    /// Closes what has ended, which gives a request back that it had not begun to send: hyper keeps one when it finds that a
    /// backend has closed in order.
    pub(super) fn let_go(&self) {
        drop(self.connection.take());
    }

    /// The socket and what was read ahead, unless it was let go.
    pub(super) fn into_upgraded(self) -> Option<(Stream, Bytes)> {
        let parts = self.connection.into_inner()?.into_parts();
        Some((parts.io.into_inner().into_inner(), parts.read_buf))
    }
}

impl<B> Advance for Driver<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn advance(&self, cx: &mut Context<'_>) {
        self.relay.pass_on_to(cx.waker());
        self.drive();
    }
}
