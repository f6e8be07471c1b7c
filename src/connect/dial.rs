//! Opening a connection to a backend.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use hyper::body::{Body, Bytes};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Connection, Flow, Socket, Stream, Transport};

/// hyper keeps room for this many header lines on the stack; any other number costs an allocation for each message.
const HEADERS_ON_THE_STACK: usize = 100;

/// What a backend may send as the head of an answer.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes.
    pub size: usize,
    /// Lines.
    pub headers: usize,
}

impl HeadLimits {
    /// The number of header lines to tell hyper, if it must be told.
    pub fn headers_off_the_stack(self) -> Option<usize> {
        (self.headers != HEADERS_ON_THE_STACK).then_some(self.headers)
    }
}

/// Connects to a backend. The caller sets the deadline: dropping the future ends the attempt.
///
/// # Errors
/// What the system says: refused, unreachable, out of files or ports.
pub async fn dial<B>(address: SocketAddr, limits: HeadLimits) -> io::Result<Connection<B>>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let flow = Rc::new(Flow::default());
    let transport = TokioIo::new(Transport::new(Stream::Clear(Socket::Tcp(stream)), Rc::clone(&flow)));
    let mut builder = http1::Builder::new();
    builder.max_header_size(limits.size);
    if let Some(headers) = limits.headers_off_the_stack() {
        builder.max_headers(headers);
    }
    let (sender, driver) = builder.handshake(transport).await.map_err(io::Error::other)?;
    Ok(Connection::new(sender, driver, flow))
}
