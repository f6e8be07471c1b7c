//! The bytes of a backend's HTTP/2 connection.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connect::frames::{Backlog, Frames, put_small_together};
use crate::connect::is_of_the_other_end;

use super::{Status, Stream};

/// A stream whose small frames are put together before h2 sees them.
#[derive(Debug)]
pub(super) struct Transport {
    stream: Stream,
    received: Frames,
    backlog: Backlog,
    status: Rc<Status>,
    /// Whether what is written goes nowhere any more.
    unheard: bool,
}

impl Transport {
    /// Tells the status which streams end.
    pub(super) fn new(stream: Stream, status: Rc<Status>) -> Self {
        Self { stream, received: Frames::default(), backlog: Backlog::default(), status, unheard: false }
    }

    /// A backend that answers and closes makes writing fail while its answers lie there to be read, and h2 would not read them: to
    /// it all is written then, and what is read tells the end. No other request is to come to this.
    fn unless_unheard<T>(
        &mut self,
        cx: &mut Context<'_>,
        all: impl FnOnce() -> T,
        write: impl FnOnce(Pin<&mut Stream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if !self.unheard {
            match ready!(write(Pin::new(&mut self.stream), cx)) {
                Err(error) if is_of_the_other_end(&error) => {
                    self.unheard = true;
                    self.status.retired.set(true);
                    cx.waker().wake_by_ref();
                }
                written => {
                    self.backlog.went_out(cx);
                    return Poll::Ready(written);
                }
            }
        }
        self.backlog.went_out(cx);
        Poll::Ready(Ok(all()))
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, received, backlog, status, .. } = &mut *self;
        status.ends.begin_read();
        if backlog.is_full() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(stream).poll_read(cx, buf))?;
        let Ok(length) = put_small_together(received, &mut buf.filled_mut()[before..], |head, _| {
            backlog.came();
            status.ends.look(head);
            Ok::<_, Infallible>(())
        });
        if received.is_between() {
            status.ends.end_frame();
        }
        buf.set_filled(before + length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.unless_unheard(cx, || bytes.len(), |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = || slices.iter().map(|slice| slice.len()).sum();
        self.unless_unheard(cx, all, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_unheard(cx, || (), |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream, UnixStream};

    use super::super::super::Socket;
    use super::*;

    /// A backend writes something and closes with something unread; ours is asked to write more before it reads.
    async fn read_behind_a_failed_write(ours: Socket, mut theirs: impl AsyncWrite + Unpin) {
        let mut transport = Transport::new(Stream::Clear(ours), Rc::default());
        transport.write_all(b"a request").await.expect("a socket that takes it");
        theirs.write_all(&[0, 0, 1, 0, 1, 0, 0, 0, 1, b'a']).await.expect("a socket that takes it");
        drop(theirs);
        // TCP tells only of the second that nobody is there.
        for _ in 0..3 {
            transport.write_all(b"more").await.expect("it is taken, and goes nowhere");
            transport.flush().await.expect("nothing is left to be written");
        }
        let mut read = [0; 10];
        transport.read_exact(&mut read).await.expect("what was written");
        assert_eq!(read[9], b'a');
        // Then comes the end, one way or the other.
        assert!(!matches!(transport.read(&mut read).await, Ok(1..)));
    }

    #[tokio::test]
    async fn an_answer_is_read_though_nothing_more_of_its_request_can_be_written() {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        read_behind_a_failed_write(Socket::Unix(ours), theirs).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let ours =
            TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        let (theirs, _) = listener.accept().await.expect("a connection");
        read_behind_a_failed_write(Socket::Tcp(ours), theirs).await;
    }
}
