//! The bytes of a connection, whatever carries them: TCP or a Unix socket, in the clear or over TLS.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

/// Bytes that are cheaper to copy than to hand to the system in pieces.
const FEW: usize = 2048;

/// Without a byte for so long, the system asks the other end whether it is there still,
const QUIET: Duration = Duration::from_secs(60);
/// and again after so long each,
const ASKED_AGAIN: Duration = Duration::from_secs(10);
/// and takes it for gone when it has answered none of so many.
const UNANSWERED: u32 = 3;

/// Lets the system find out that a TCP connection's other end has vanished without a word, though nothing is to be sent (RFC 9293
/// section 3.8.4).
///
/// # Errors
/// What the system says.
pub fn set_keepalive(socket: &socket2::Socket) -> io::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(QUIET).with_interval(ASKED_AGAIN).with_retries(UNANSWERED);
    socket.set_tcp_keepalive(&keepalive)
}

/// A connection as the system gives it.
#[derive(Debug)]
pub enum Socket {
    /// Across a network.
    Tcp(TcpStream),
    /// Within this machine.
    Unix(UnixStream),
}

/// A connection's bytes as its two ends mean them.
#[derive(Debug)]
pub enum Stream {
    /// As they are.
    Clear(Socket),
    /// Encrypted.
    Tls(Box<TlsStream<Socket>>),
}

/// What the system knows of a socket before anything is read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peeked {
    /// Nothing has come.
    Nothing,
    /// Bytes wait.
    Bytes,
    /// The other end closed it, or it broke.
    Closed,
}

impl Peeked {
    /// Looks at what the system holds of a socket, without taking it.
    pub fn of(socket: &socket2::Socket) -> Self {
        match socket.peek(&mut [MaybeUninit::uninit()]) {
            Ok(0) => Self::Closed,
            Ok(_) => Self::Bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Self::Nothing,
            Err(_) => Self::Closed,
        }
    }
}

impl Socket {
    /// Looks at what the system holds, without taking it.
    pub fn peek(&self) -> Peeked {
        Peeked::of(&SockRef::from(self))
    }

    /// Looks as [`Self::peek`] does, if the runtime was told that there is something. Where nothing is, it forgets that: a read
    /// that filled its buffer leaves it in that belief.
    pub fn peek_if_ready(&self) -> Peeked {
        let peek = || match self.peek() {
            Peeked::Nothing => Err(io::ErrorKind::WouldBlock.into()),
            peeked => Ok(peeked),
        };
        let peeked = match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, peek),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, peek),
        };
        peeked.unwrap_or(Peeked::Nothing)
    }

    /// Waits for the next byte without taking it. None is told at the end, and of a Unix socket.
    ///
    /// # Errors
    /// What the system says.
    pub async fn first_byte(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        Ok(self.look_ahead(&mut byte).await?.filter(|seen| *seen > 0).map(|_| byte[0]))
    }

    /// Waits for the next bytes without taking them, and tells how many there are: none at the end. Nothing is told of a
    /// Unix socket.
    ///
    /// # Errors
    /// What the system says.
    pub async fn look_ahead(&self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Tcp(stream) => stream.peek(bytes).await.map(Some),
            Self::Unix(_) => Ok(None),
        }
    }

    /// Whether the runtime was told that there is something to read.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Whether the runtime was told, since all was read, that there is something to read. Costs no system call.
    pub fn is_told_of(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, || Ok(())),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, || Ok(())),
        }
        .is_ok()
    }

    /// Which of our addresses it is at, across a network and if the system tells.
    pub fn local_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(stream) => Some(stream.local_addr().ok()?.ip().to_canonical()),
            Self::Unix(_) => None,
        }
    }

    /// Takes it from its runtime, so that another can have it.
    ///
    /// # Errors
    /// What the system says.
    pub fn into_system(self) -> io::Result<socket2::Socket> {
        Ok(match self {
            Self::Tcp(stream) => stream.into_std()?.into(),
            Self::Unix(stream) => OwnedFd::from(stream.into_std()?).into(),
        })
    }

    /// Gives a socket that does not block to this thread's runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn from_system(socket: socket2::Socket) -> io::Result<Self> {
        if socket.domain()? == Domain::UNIX {
            UnixStream::from_std(OwnedFd::from(socket).into()).map(Self::Unix)
        } else {
            TcpStream::from_std(socket.into()).map(Self::Tcp)
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Stream {
    /// What carries the bytes.
    pub fn socket(&self) -> &Socket {
        match self {
            Self::Clear(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Whether it is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether it holds bytes of the other end, which its socket does not any more, or knows that no more come.
    pub fn has_read_ahead(&self) -> bool {
        match self {
            Self::Clear(_) => false,
            Self::Tls(stream) => !stream.get_ref().1.wants_read(),
        }
    }

    /// The certificate that the other end showed, in DER.
    pub fn certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Clear(_) => None,
            Self::Tls(stream) => stream.get_ref().1.peer_certificates()?.first().map(AsRef::as_ref),
        }
    }

    /// Makes its end a reset, with which goes what is not sent yet: for an end that takes nothing, to which the system would offer what
    /// is on the way again and again, for a quarter of an hour; and for one that would take an orderly end for that of what it was
    /// told. A Unix socket knows no resets.
    pub fn cut(&self) {
        // It fails only if the connection is gone already.
        let _ = SockRef::from(self.socket()).set_linger(Some(Duration::ZERO));
    }

    /// Writes slices in the cheapest way that can take them.
    pub fn write_slices(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let [slice] = slices {
            return Pin::new(self).poll_write(cx, slice);
        }
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if length > FEW {
            return Pin::new(self).poll_write_vectored(cx, slices);
        }
        let mut room = [MaybeUninit::uninit(); FEW];
        let mut bytes = ReadBuf::uninit(&mut room);
        slices.iter().for_each(|slice| bytes.put_slice(slice));
        Pin::new(self).poll_write(cx, bytes.filled())
    }
}

/// Hands a call on to whichever stream it is.
macro_rules! on_each {
    ($self:ident, $kind:ident { $($variant:ident),+ }, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            $($kind::$variant($stream) => { let $stream = Pin::new($stream); $call })+
        }
    };
}

macro_rules! passes_bytes {
    ($kind:ident { $($variant:ident),+ }) => {
        impl AsyncRead for $kind {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                on_each!(self, $kind { $($variant),+ }, stream => stream.poll_read(cx, buf))
            }
        }

        impl AsyncWrite for $kind {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                on_each!(self, $kind { $($variant),+ }, stream => stream.poll_write(cx, bytes))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                if let [slice] = slices {
                    // Nothing is gathered, so the cheaper call will do: it is what TLS asks for each time.
                    return self.poll_write(cx, slice);
                }
                on_each!(self, $kind { $($variant),+ }, stream => stream.poll_write_vectored(cx, slices))
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                on_each!(self, $kind { $($variant),+ }, stream => stream.poll_flush(cx))
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                on_each!(self, $kind { $($variant),+ }, stream => stream.poll_shutdown(cx))
            }
        }
    };
}

passes_bytes!(Socket { Tcp, Unix });
passes_bytes!(Stream { Clear, Tls });
