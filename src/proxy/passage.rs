//! Bytes that pass both ways between the two ends of a tunnel.

use std::future::poll_fn;
use std::io;
use std::mem::{self, MaybeUninit};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connect::is_of_the_other_end;

/// Bytes that are read at once, and may wait in each direction.
const READ: usize = 16 * 1024;

/// How a direction came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// All was said, and the other end was told so.
    Whole,
    /// Nobody takes more of it; what comes the other way may be that end's last words. After a reset the system tells no more that
    /// they broke off.
    Unheard { reset: bool },
    /// It broke off. What had been read was passed on.
    BrokenOff,
}

/// One direction. It has memory only for what its end does not take: most tunnels are idle.
struct Direction {
    /// What is to be written.
    waiting: Bytes,
    /// Whether more may wait with who writes it.
    unflushed: bool,
    /// What the last read told, if it was the last.
    told: Option<io::Result<()>>,
    /// Whether that it ends tells nothing of whether all was said.
    is_doubtful: bool,
    end: Option<End>,
}

/// Passes bytes both ways until both directions have ended; an end that closes while it is written to is read to its end. What was
/// read of either before is passed first.
///
/// # Errors
/// A direction broke off, or was not heard to its end.
pub(super) async fn pass(
    one: &mut (impl AsyncRead + AsyncWrite + Unpin),
    other: &mut (impl AsyncRead + AsyncWrite + Unpin),
    (of_one, of_other): (&[u8], &[u8]),
) -> Result<(), io::Error> {
    let (mut there, mut back) = (Direction::behind(of_one), Direction::behind(of_other));
    let ends = poll_fn(|cx| {
        let goes = there.poll(cx, one, other)?;
        back.is_doubtful |= there.was_reset();
        let comes = back.poll(cx, other, one)?;
        there.is_doubtful |= back.was_reset();
        match [goes, comes] {
            [Poll::Ready(End::BrokenOff), _] | [_, Poll::Ready(End::BrokenOff)] => {
                Poll::Ready(Ok([End::BrokenOff; 2]))
            }
            [Poll::Ready(there), Poll::Ready(back)] => Poll::Ready(Ok([there, back])),
            _ => Poll::<io::Result<_>>::Pending,
        }
    });
    match ends.await? {
        [End::Whole, End::Whole] => Ok(()),
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

impl Direction {
    fn behind(read_ahead: &[u8]) -> Self {
        let waiting = Bytes::copy_from_slice(read_ahead);
        Self { waiting, unflushed: false, told: None, is_doubtful: false, end: None }
    }

    /// Errors are those that say nothing of either end.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<Poll<End>> {
        if self.end.is_none() {
            self.end = match self.poll_end(cx, from, to) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Ok(end)) => Some(end),
                Poll::Ready(Err(error)) if is_of_the_other_end(&error) => {
                    Some(End::Unheard { reset: error.kind() == io::ErrorKind::ConnectionReset })
                }
                Poll::Ready(Err(error)) => return Err(error),
            };
        }
        if let Some(End::Unheard { .. }) = self.end {
            self.pass_over(cx, from);
        }
        Ok(self.end.map_or(Poll::Pending, Poll::Ready))
    }

    fn was_reset(&self) -> bool {
        self.end == Some(End::Unheard { reset: true })
    }

    /// Takes what nobody hears: who says it may wait for that, and only then hear of the end.
    fn pass_over(&mut self, cx: &mut Context<'_>, from: &mut (impl AsyncRead + Unpin)) {
        self.waiting = Bytes::new();
        let mut room = [MaybeUninit::uninit(); READ];
        while self.told.is_none() {
            let mut read = ReadBuf::uninit(&mut room);
            match Pin::new(&mut *from).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
                Poll::Ready(told) => self.told = Some(told),
                Poll::Pending => return,
            }
        }
    }

    /// Errors are those of writing.
    fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<End>> {
        let mut room = [MaybeUninit::uninit(); READ];
        loop {
            while !self.waiting.is_empty() {
                let written = ready!(self.poll_write(cx, to, &self.waiting.clone()))?;
                self.waiting.advance(written);
            }
            self.waiting = Bytes::new();
            if let Some(told) = &self.told {
                if told.is_ok() && !self.is_doubtful {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    return Poll::Ready(Ok(End::Whole));
                }
                ready!(Pin::new(&mut *to).poll_flush(cx))?;
                return Poll::Ready(Ok(End::BrokenOff));
            }
            let mut read = ReadBuf::uninit(&mut room);
            match Pin::new(&mut *from).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if read.filled().is_empty() => self.told = Some(Ok(())),
                Poll::Ready(Ok(())) => {
                    let written = match self.poll_write(cx, to, read.filled())? {
                        Poll::Ready(written) => written,
                        Poll::Pending => 0,
                    };
                    self.waiting = Bytes::copy_from_slice(&read.filled()[written..]);
                }
                Poll::Ready(Err(error)) => self.told = Some(Err(error)),
                Poll::Pending => {
                    if mem::take(&mut self.unflushed) && Pin::new(&mut *to).poll_flush(cx)?.is_pending() {
                        self.unflushed = true;
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl AsyncWrite + Unpin),
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(to).poll_write(cx, bytes))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.unflushed = true;
        Poll::Ready(Ok(written))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socket2::SockRef;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;

    /// The two ends of a connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (near, far) = futures::join!(TcpStream::connect(address), listener.accept());
        (near.expect("it listens"), far.expect("it connects").0)
    }

    fn reset(stream: TcpStream) {
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an open socket");
        drop(stream);
    }

    #[tokio::test]
    async fn a_reset_that_a_write_meets_is_no_end_though_the_last_words_before_it_pass() {
        let ((mut client, mut ours), (mut theirs, mut backend)) = (pair().await, pair().await);
        client.write_all(b"hello").await.expect("room for it");
        backend.write_all(b"bye").await.expect("room for it");
        theirs.readable().await.expect("the last words");
        reset(backend);
        // Nothing but what is told by its end: that it has one is for who reads it to find.
        assert!(pass(&mut ours, &mut theirs, (b"", b"")).await.is_err());
        let mut heard = [0; 3];
        client.read_exact(&mut heard).await.expect("the last words");
        assert_eq!(&heard, b"bye");
        let mut more = [0; 1];
        let told = timeout(Duration::from_millis(100), client.read(&mut more)).await;
        assert!(told.is_err(), "it was told of an end: {told:?}");
    }

    #[tokio::test]
    async fn a_backend_that_waits_to_be_heard_hears_that_its_client_has_gone() {
        let ((mut client, mut ours), (mut theirs, mut backend)) = (pair().await, pair().await);
        let passing = pass(&mut ours, &mut theirs, (b"", b""));
        let talking = async {
            // Each says more than there is room for, and none is heard.
            let (said, told) = (vec![b'a'; 32 << 20], vec![b'b'; 32 << 20]);
            let talk = async { futures::join!(client.write_all(&said), backend.write_all(&told)) };
            assert!(timeout(Duration::from_millis(300), talk).await.is_err(), "all of it was heard");
            reset(client);
            // It says all before it listens.
            let _ = backend.write_all(&told).await;
            while backend.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
        };
        let passed = async {
            tokio::select! { passed = passing => passed, () = talking => panic!("it hears of an end") }
        };
        assert!(timeout(Duration::from_secs(20), passed).await.expect("an end").is_err());
    }
}
