//! Bytes that pass both ways between the two ends of a tunnel.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connect::is_of_the_other_end;

/// Bytes that wait in each direction.
const BUFFER: usize = 16 * 1024;

/// How a direction came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// All was said, and the other end was told so.
    Whole,
    /// Nobody takes more of it; what comes the other way may be that end's last words.
    Unheard,
    /// It broke off. What had been read was passed on.
    BrokenOff,
}

/// One direction.
struct Way {
    buffer: Box<[u8]>,
    /// Where what is to be written begins and ends.
    waiting: (usize, usize),
    /// Whether more may wait with who writes it.
    unflushed: bool,
    /// What the last read told, if it was the last.
    told: Option<io::Result<()>>,
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
    let (mut there, mut back) = (Way::behind(of_one), Way::behind(of_other));
    let ends = poll_fn(|cx| {
        let ends = [there.poll(cx, one, other)?, back.poll(cx, other, one)?];
        match ends {
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

impl Way {
    fn behind(read_ahead: &[u8]) -> Self {
        let mut buffer = read_ahead.to_vec();
        buffer.resize(BUFFER.max(read_ahead.len()), 0);
        let waiting = (0, read_ahead.len());
        Self { buffer: buffer.into_boxed_slice(), waiting, unflushed: false, told: None, end: None }
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
                Poll::Ready(Err(error)) if is_of_the_other_end(&error) => Some(End::Unheard),
                Poll::Ready(Err(error)) => return Err(error),
            };
        }
        Ok(self.end.map_or(Poll::Pending, Poll::Ready))
    }

    /// Errors are those of writing.
    fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<End>> {
        loop {
            while self.waiting.0 < self.waiting.1 {
                let written =
                    ready!(Pin::new(&mut *to).poll_write(cx, &self.buffer[self.waiting.0..self.waiting.1]))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.waiting.0 += written;
                self.unflushed = true;
            }
            if let Some(told) = &self.told {
                if told.is_ok() {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    return Poll::Ready(Ok(End::Whole));
                }
                ready!(Pin::new(&mut *to).poll_flush(cx))?;
                return Poll::Ready(Ok(End::BrokenOff));
            }
            let mut read = ReadBuf::new(&mut self.buffer);
            match Pin::new(&mut *from).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if read.filled().is_empty() => self.told = Some(Ok(())),
                Poll::Ready(Ok(())) => self.waiting = (0, read.filled().len()),
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
}
