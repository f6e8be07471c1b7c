//! Requests that are sent together.
//!
//! To hand bytes to the system costs several times as much when the program that gets them sleeps, and must be woken on
//! another core, as when it is still at work on the last ones. So a busy worker first reads what has come, and then sends in
//! one go what follows from it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::mem::take;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

use hyper::body::{Body, Bytes};

use super::counted::Counted;
use super::driver::Driver;

/// With fewer requests under way each is sent at once: seldom would another follow it, and waiting costs a little, too.
const FEW: usize = 8;
/// No more wait than these: what is known of their connections is still in the caches.
const MANY: usize = 32;

/// One worker's requests that wait to be sent.
#[derive(Debug)]
pub struct Outbox<B: Body + 'static> {
    /// Those of clients that left are gone.
    waiting: RefCell<Vec<Weak<Driver<B>>>>,
    /// The task that empties it.
    courier: RefCell<Option<Waker>>,
    under_way: Cell<usize>,
}

impl<B: Body + 'static> Default for Outbox<B> {
    fn default() -> Self {
        Self { waiting: RefCell::default(), courier: RefCell::default(), under_way: Cell::new(0) }
    }
}

impl<B> Outbox<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Sends what is put in, for as long as it is polled. It is to be a task of the worker's own: as such it runs behind all
    /// that the runtime found to have come. Until it does, nothing waits.
    pub async fn deliver(&self) {
        poll_fn(|cx| -> Poll<()> {
            self.courier.borrow_mut().get_or_insert_with(|| cx.waker().clone());
            self.empty();
            Poll::Pending
        })
        .await;
    }

    /// A request waits for its answer from now on, until what is given is dropped.
    pub(super) fn begin(&self) -> Counted<'_> {
        Counted::one_more(&self.under_way)
    }

    /// Lets the request that a driver was given be sent together with others, unless it had better be sent at once.
    pub(super) fn take(&self, driver: &Rc<Driver<B>>) -> bool {
        let courier = self.courier.borrow();
        let Some(courier) = courier.as_ref().filter(|_| self.under_way.get() >= FEW) else { return false };
        let waiting = {
            let mut waiting = self.waiting.borrow_mut();
            waiting.push(Rc::downgrade(driver));
            waiting.len()
        };
        match waiting {
            1 => courier.wake_by_ref(),
            MANY.. => self.empty(),
            _ => {}
        }
        true
    }

    fn empty(&self) {
        let mut waiting = take(&mut *self.waiting.borrow_mut());
        waiting.drain(..).filter_map(|driver| driver.upgrade()).for_each(|driver| driver.drive_aside());
        // The next ones need no new memory.
        *self.waiting.borrow_mut() = waiting;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::Context;
    use std::time::Duration;

    use http_body_util::Empty;
    use hyper::Request;
    use socket2::SockRef;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::runtime::Builder;
    use tokio::task::yield_now;

    use super::*;
    use crate::connect::http1::Http1;
    use crate::connect::relay::Relay;
    use crate::connect::{Broken, HeadLimits, Socket, Stream};

    #[test]
    fn who_waits_hears_of_it_when_the_backend_has_gone_before_the_request() {
        for reset in [true, false] {
            let runtime = Builder::new_current_thread().enable_io().build().unwrap();
            let is_back = runtime.block_on(send_to_one_that_goes(reset));
            // Of one that was closed in order it is known that nothing was sent.
            assert_eq!(is_back, !reset);
        }
    }

    /// Whether a request is given back whose backend resets or closes its connection while it waits.
    async fn send_to_one_that_goes(reset: bool) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut backend, _) = listener.accept().await.unwrap();
        let outbox = Rc::new(Outbox::<Empty<Bytes>>::default());
        let mut deliver = pin!(outbox.deliver());
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(deliver.as_mut().poll(cx).is_pending());
        let limits = HeadLimits { size: 16384, headers: 100 };
        let over = Http1::over(Stream::Clear(Socket::Tcp(stream)), limits, Rc::clone(&outbox));
        let mut connection = over.await.unwrap();
        let mut first = Some(Request::new(Empty::new()));
        backend.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        connection.send(&mut first, None, true, |_| None::<()>).await.unwrap();
        assert!(connection.settle());
        // What nobody has read would make any end a reset.
        assert!(backend.read(&mut [0; 1024]).await.unwrap() > 0);

        let _others: Vec<_> = (0..FEW).map(|_| outbox.begin()).collect();
        let (mut request, task) = (Some(Request::new(Empty::new())), Arc::new(Relay::default()));
        let mut sent = Box::pin(connection.send(&mut request, None, true, |_| None::<()>));
        let waker = Waker::from(Arc::clone(&task));
        assert!(sent.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(outbox.waiting.borrow().len(), 1);

        if reset {
            SockRef::from(&backend).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(backend);
        if !reset {
            // The runtime hears of it.
            yield_now().await;
        }
        assert!(deliver.as_mut().poll(cx).is_pending());
        assert!(task.was_called() && outbox.waiting.borrow().is_empty());
        let answer = sent.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(matches!(answer, Poll::Ready(Err(Ok(Broken::Http1(_))))), "{answer:?}");
        drop(sent);
        request.is_some()
    }
}
