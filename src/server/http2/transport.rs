//! The bytes of a client's HTTP/2 connection, and the watch over what it sends too much of.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connect::Stream;
use crate::connect::frames::{Backlog, Frames, put_small_together};
use crate::proxy::Clock;

use super::PREFACE;
use super::flood::{Allowances, Kind, RST_STREAM, SETTINGS, goaway};
use super::given::Given;

/// In a RST_STREAM.
const PROTOCOL_ERROR: u32 = 1;

/// A stream before which some bytes were read already. When its client floods us, what it sends is no longer heard, and
/// hyper may say no more than the rest of the frame that it is amid; then it is told that the connection broke.
#[derive(Debug)]
pub(super) struct Transport<'a> {
    stream: &'a mut Stream,
    read_ahead: Bytes,
    clock: &'a Clock,
    received: Frames,
    sent: Frames,
    allowances: Allowances,
    backlog: Backlog,
    record: &'a Record,
}

/// What is to be known of a connection after hyper is through with it.
#[derive(Debug, Default)]
pub(super) struct Record {
    flood: Cell<Option<Kind>>,
    /// Streams that were reset, and how many were when that was last asked.
    resets: Cell<u32>,
    resets_known: Cell<Option<u32>>,
    /// Set whenever a stream is reset for what its client sent on it.
    refused: Cell<bool>,
    /// Whether the client has begun a frame or a head and not ended it.
    amid: Cell<bool>,
    /// The newest stream.
    newest: Cell<u32>,
    /// Whether the client would take our next word for a frame.
    between: Cell<bool>,
    /// Set whenever bytes go out.
    written: Cell<bool>,
    /// Set while the system takes no more bytes for the client.
    blocked: Cell<bool>,
    /// What it was given of answers.
    given: Rc<Given>,
}

impl Record {
    /// What the client sends too much of, if anything.
    pub(super) fn flood(&self) -> Option<Kind> {
        self.flood.get()
    }

    /// Whether streams were reset since this was last asked, or it is asked for the first time.
    pub(super) fn may_go_on(&self) -> bool {
        let resets = Some(self.resets.get());
        self.resets_known.replace(resets) != resets
    }

    /// Whether the client took bytes since last asked.
    pub(super) fn has_written(&self) -> bool {
        self.written.replace(false)
    }

    /// Whether a stream was reset for what its client sent on it, since last asked.
    pub(super) fn has_refused(&self) -> bool {
        self.refused.get() && self.refused.take()
    }

    /// Whether what the client sent last is a part of a frame, or of a head in several.
    pub(super) fn is_amid_frame(&self) -> bool {
        self.amid.get()
    }

    /// Whether the client takes nothing of what waits for it.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// What it was given of answers and has not taken.
    pub(super) fn given(&self) -> &Rc<Given> {
        &self.given
    }

    /// What is still to be said to a client that floods us.
    pub(super) fn last_words(&self) -> Option<[u8; 17]> {
        self.between.get().then(|| goaway(self.newest.get()))
    }
}

impl<'a> Transport<'a> {
    pub(super) fn new(
        stream: &'a mut Stream,
        read_ahead: Bytes,
        clock: &'a Clock,
        record: &'a Record,
    ) -> Self {
        let (received, sent) = (Frames::after(PREFACE.len()), Frames::default());
        let (allowances, backlog) = (Allowances::new(clock.age()), Backlog::default());
        Self { stream, read_ahead, clock, received, sent, allowances, backlog, record }
    }

    /// Looks at bytes that came, puts small frames together, and tells how many bytes they are then.
    fn take_in(&mut self, bytes: &mut [u8]) -> Result<usize, Kind> {
        let (record, clock, allowances) = (self.record, self.clock, &mut self.allowances);
        let length = put_small_together(&mut self.received, bytes, |head, behind| {
            self.backlog.came();
            if head.kind == SETTINGS {
                record.given.note_settings(head, behind);
            }
            if let Some(stream) = head.begins().filter(|stream| *stream > record.newest.get()) {
                record.newest.set(stream);
            }
            allowances.received(head, || clock.age())
        })?;
        record.amid.set(!self.received.is_between());
        Ok(length)
    }

    fn note_sent(&mut self, cx: &Context<'_>, mut bytes: &[u8]) {
        self.record.written.set(true);
        self.backlog.went_out(cx);
        while !bytes.is_empty() {
            let Some(head) = self.sent.next(&mut bytes) else { return };
            self.allowances.sent(head);
            if head.kind == RST_STREAM
                && let Some(code) = bytes.first_chunk()
            {
                self.note_reset(cx, u32::from_be_bytes(*code));
            }
        }
    }

    #[cold]
    fn note_reset(&mut self, cx: &Context<'_>, code: u32) {
        self.record.resets.update(|resets| resets.wrapping_add(1));
        if code == PROTOCOL_ERROR {
            self.record.refused.set(true);
        }
        if let Err(kind) = self.allowances.broke_off(code, || self.clock.age()) {
            self.record.flood.set(Some(kind));
            // hyper is told of the end when it reads or writes the next time.
            cx.waker().wake_by_ref();
        }
    }

    /// Ends a connection that is to end, once it can be said.
    fn poll_end(&self) -> Poll<io::Error> {
        match self.sent.is_between() {
            true => {
                self.record.between.set(true);
                Poll::Ready(io::ErrorKind::ConnectionAborted.into())
            }
            // hyper goes on writing, and is told then.
            false => Poll::Pending,
        }
    }

    fn is_ending(&self) -> bool {
        self.record.flood.get().is_some()
    }
}

impl AsyncRead for Transport<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_ending() {
            return self.poll_end().map(Err);
        }
        if self.backlog.is_full() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if self.read_ahead.is_empty() {
            ready!(Pin::new(&mut *self.stream).poll_read(cx, buf))?;
        } else {
            let length = self.read_ahead.len().min(buf.remaining());
            buf.put_slice(&self.read_ahead[..length]);
            self.read_ahead.advance(length);
        }
        match self.take_in(&mut buf.filled_mut()[before..]) {
            Ok(length) => buf.set_filled(before + length),
            Err(kind) => {
                self.record.flood.set(Some(kind));
                return self.poll_end().map(Err);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_ending() {
            if let Poll::Ready(error) = self.poll_end() {
                return Poll::Ready(Err(error));
            }
            bytes = &bytes[..self.sent.remainder(bytes)];
        }
        let polled = Pin::new(&mut *self.stream).poll_write(cx, bytes);
        self.record.blocked.set(polled.is_pending());
        let written = ready!(polled)?;
        self.note_sent(cx, &bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_ending() {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return self.poll_write(cx, first.map_or(&[], |slice| slice));
        }
        let polled = self.stream.write_slices(cx, slices);
        self.record.blocked.set(polled.is_pending());
        let written = ready!(polled)?;
        let mut left = written;
        for slice in slices {
            let part = left.min(slice.len());
            self.note_sent(cx, &slice[..part]);
            left -= part;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_ending()
            && let Poll::Ready(error) = self.poll_end()
        {
            return Poll::Ready(Err(error));
        }
        let polled = Pin::new(&mut *self.stream).poll_flush(cx);
        // TLS takes what the system does not.
        self.record.blocked.set(polled.is_pending());
        let flushed = ready!(polled);
        self.backlog.went_out(cx);
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}
