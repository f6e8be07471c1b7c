//! The streams of one connection: each in a task of its own, cut when its deadline passes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use hyper::rt;
use tokio::task::spawn_local;

use crate::proxy::Client;

/// What is known of a connection's streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: Cell<usize>,
    /// The one whose request was just handed to the handler; its task is about to be made.
    announced: RefCell<Option<Rc<Client>>>,
    /// The connection's task.
    connection: RefCell<Option<Waker>>,
}

/// Runs streams for hyper.
#[derive(Clone, Debug)]
pub(super) struct Executor(pub(super) Rc<Streams>);

/// Counts a stream as open until it is dropped.
struct Open(Rc<Streams>);

impl Streams {
    /// The next task is this stream's: hyper asks for it as soon as the handler was called.
    pub(super) fn announce(&self, stream: &Rc<Client>) {
        *self.announced.borrow_mut() = Some(Rc::clone(stream));
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
        let Some(client) = self.0.announced.take() else {
            // What comes after a stream's answer: a tunnel, whose other end has the deadline.
            spawn_local(async move {
                let _open = open;
                future.await;
            });
            return;
        };
        spawn_local(async move {
            let _open = open;
            let mut future = pin!(future);
            client.alarm().wakes_me().await;
            // A deadline that the handler can answer for is no longer due after it ran; what still is, is cut.
            poll_fn(|cx| match future.as_mut().poll(cx) {
                Poll::Pending if !client.is_due() => Poll::Pending,
                _ => Poll::Ready(()),
            })
            .await;
        });
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
