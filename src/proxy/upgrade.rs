//! Upgraded connections (RFC 9110 section 7.8): after a 101, bytes pass both ways until both sides have ended.

use std::future::{pending, poll_fn};
use std::io;
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::yield_now;

use crate::balance::Lease;
use crate::connect::{Stream, set_keepalive};

use super::client::Mark;
use super::exchange::Exchange;
use super::passage::pass;
use super::phase::Phase;
use super::{Client, Error};

/// Turns of all tasks in which the last bytes of a tunnel come to be written.
const TURNS: usize = 3;
/// Milliseconds in which what was said last before a tunnel broke off may get to the other side.
const LAST_WORDS: u64 = 1000;

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

    /// Its client left before it began.
    pub fn give_up(self) {
        self.backend.cut();
    }

    /// Passes bytes both ways until both sides have ended, the client's deadline comes or the time of a stop is over. `read_ahead` is
    /// what the client sent right behind its head. Tells whether the client was told the end of what the backend said: if it was not,
    /// its connection must not end in order, which would say so. Nor does the backend's.
    ///
    /// That holds for a tunnel that was quiet for too long, too: neither side has said that it is through, and there is nothing on the
    /// way that a reset could lose, but what the other side has not taken for as long.
    pub async fn run(mut self, client: impl AsyncRead + AsyncWrite + Unpin, read_ahead: &[u8]) -> bool {
        let facts = Rc::clone(self.exchange.client());
        facts.enter(Phase::Tunnel);
        // Its deadline may be far, and a listener's clients have it.
        let _ = set_keepalive(&SockRef::from(self.backend.socket()));
        let mut client = Metered::of(client, &facts, true);
        let mut backend = Metered::of(self.backend, &facts, false);
        let passed = async {
            facts.count_in(read_ahead.len() as u64);
            facts.count_out(self.read_ahead.len() as u64);
            pass(&mut client, &mut backend, (read_ahead, &self.read_ahead)).await
        };
        let passed = in_time(&facts, passed).await;
        if matches!(passed, Some(Err(_))) && facts.is(Mark::Stream) {
            // What passed last is with hyper, which would drop it: it gets a turn, and the connection another.
            for _ in 0..TURNS {
                yield_now().await;
            }
        }
        match passed {
            Some(Ok(_)) => self.exchange.completed(),
            // Whose end it was is known.
            Some(Err(_)) => {}
            None => facts.set_fault(facts.take_fault().unwrap_or(Error::TunnelTimeout)),
        }
        facts.set(Mark::BrokenOff, !matches!(passed, Some(Ok(_))));
        facts.wake_passage();
        if matches!(passed, Some(Err(_))) {
            // A reset drops what our system has yet to send, and the last words may say why.
            facts.alarm().set(LAST_WORDS);
            let _: Option<()> = in_time(&facts, pending()).await;
        }
        if !backend.is_told_all {
            backend.stream.cut();
        }
        matches!(passed, Some(Ok(_))) || client.is_told_all
    }
}

/// What comes of it, unless the client's deadline comes first, or the end of a stop.
async fn in_time<T>(client: &Client, passed: impl Future<Output = T>) -> Option<T> {
    let mut passed = pin!(passed);
    poll_fn(|cx| match passed.as_mut().poll(cx) {
        Poll::Ready(passed) => Poll::Ready(Some(passed)),
        Poll::Pending if client.is_due() || client.shared.is_over() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// One end, whose bytes put off the deadline and are counted, and which may break.
struct Metered<S> {
    stream: S,
    client: Rc<Client>,
    incoming: bool,
    /// It seems to have said all.
    is_at_end: bool,
    /// It was told that nothing more comes.
    is_told_all: bool,
}

impl<S> Metered<S> {
    fn of(stream: S, client: &Rc<Client>, incoming: bool) -> Self {
        Self { stream, client: Rc::clone(client), incoming, is_at_end: false, is_told_all: false }
    }

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
        if bytes == 0 && self.incoming && self.client.is(Mark::Stream) {
            // hyper tells it of a stream that was taken back, too. Who tells its client something knows, a turn later.
            if !mem::replace(&mut self.is_at_end, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.client.is(Mark::TakenBack) {
                return Poll::Ready(self.note(Err(io::ErrorKind::ConnectionReset.into())));
            }
        }
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
        self.is_told_all = shut.is_ok();
        Poll::Ready(self.note(shut))
    }
}
