//! Upgraded connections (RFC 9110 section 7.8): after a 101, bytes pass both ways until both sides have ended.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::yield_now;

use crate::balance::Lease;
use crate::connect::{Stream, set_keepalive};

use super::client::{Mark, before_due};
use super::exchange::Exchange;
use super::passage::pass;
use super::phase::Phase;
use super::{Client, Error};

/// Turns of all tasks in which the last bytes of a tunnel come to be written.
const TURNS: usize = 3;

/// The backend's end of an upgraded connection.
#[derive(Debug)]
pub struct Tunnel {
    pub(super) backend: Stream,
    /// What the backend sent right behind its head.
    pub(super) read_ahead: Bytes,
    pub(super) exchange: Exchange,
    pub(super) _lease: Lease,
}

impl Tunnel {
    /// Whose it is.
    pub(super) fn client(&self) -> &Rc<Client> {
        self.exchange.client()
    }

    /// Passes bytes both ways until both sides have ended or the client's deadline comes. `read_ahead` is what the
    /// client sent right behind its head.
    pub async fn run(mut self, client: impl AsyncRead + AsyncWrite + Unpin, read_ahead: &[u8]) {
        let facts = Rc::clone(self.exchange.client());
        facts.enter(Phase::Tunnel);
        // Its deadline may be far, and a listener's clients have it.
        let _ = set_keepalive(&SockRef::from(self.backend.socket()));
        let mut client = Metered { stream: client, client: Rc::clone(&facts), incoming: true };
        let mut backend = Metered { stream: self.backend, client: Rc::clone(&facts), incoming: false };
        let passed = async {
            facts.count_in(read_ahead.len() as u64);
            facts.count_out(self.read_ahead.len() as u64);
            pass(&mut client, &mut backend, (read_ahead, &self.read_ahead)).await
        };
        let passed = before_due(&facts, passed).await;
        if matches!(passed, Some(Err(_))) && facts.is(Mark::Stream) {
            // What passed last is with hyper, which would drop it: it gets a turn, and the connection another.
            for _ in 0..TURNS {
                yield_now().await;
            }
        }
        facts.wake_passage();
        match passed {
            Some(Ok(_)) => return self.exchange.completed(),
            // Whose end it was is known.
            Some(Err(_)) => {}
            None => facts.set_fault(facts.take_fault().unwrap_or(Error::TunnelTimeout)),
        }
        facts.set(Mark::BrokenOff, true);
    }
}

/// One end, whose bytes put off the deadline and are counted, and which may break.
struct Metered<S> {
    stream: S,
    client: Rc<Client>,
    incoming: bool,
}

impl<S> Metered<S> {
    fn note<T>(&self, passed: io::Result<T>) -> io::Result<T> {
        if passed.is_err() {
            self.client.set_fault(if self.incoming { Error::ClientGone } else { Error::TunnelBroken });
        }
        passed
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.note(read)?;
        let bytes = (buf.filled().len() - before) as u64;
        if self.incoming {
            self.client.count_in(bytes);
        } else {
            self.client.count_out(bytes);
        }
        // Of a stream that was taken back more may be read, which puts nothing off.
        if bytes > 0 && !self.client.is(Mark::TakenBack) {
            self.client.progress();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(self.note(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        Poll::Ready(self.note(flushed))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.incoming {
            self.client.set(Mark::ToldAll, true);
        }
        let shut = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        Poll::Ready(self.note(shut))
    }
}
