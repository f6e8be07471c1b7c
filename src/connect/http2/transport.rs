//! The bytes of a backend's HTTP/2 connection.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connect::frames::{Frames, put_small_together};

use super::{Status, Stream};

/// A stream whose small frames are put together before h2 sees them.
#[derive(Debug)]
pub(super) struct Transport {
    stream: Stream,
    received: Frames,
    status: Rc<Status>,
}

impl Transport {
    /// Tells the status which streams end.
    pub(super) fn new(stream: Stream, status: Rc<Status>) -> Self {
        Self { stream, received: Frames::default(), status }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, received, status } = &mut *self;
        status.ends.begin_read();
        let before = buf.filled().len();
        ready!(Pin::new(stream).poll_read(cx, buf))?;
        let Ok(length) = put_small_together(received, &mut buf.filled_mut()[before..], |head| {
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
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
