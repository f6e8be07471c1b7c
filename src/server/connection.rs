//! The second hop: one client's connection, from its first byte to its last.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use futures::future::select;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use crate::proxy::{Alarm, Client, Error, Phase, Shared, handle, last_words};

use super::framing::{Refusal, explain};
use super::park::park;
use super::team::Seat;
use super::transport::ClientTransport;

/// How many milliseconds a client that we part from has to take our last words and to stop sending, and how many bytes it
/// may send meanwhile.
const LINGER: u64 = 2000;
const LINGER_BYTES: usize = 1 << 20;

/// How a connection stopped being one that hyper drives.
enum Stop {
    /// hyper is through with it.
    Over(hyper::Result<()>),
    /// No request came for a while.
    Idle,
    /// A request could be read in two ways.
    Refused(Refusal),
    /// A deadline passed.
    Due(Phase),
    /// The process stops and no request is under way, but one may have begun to come.
    Draining,
}

/// Serves a client in a task of its own.
pub(super) fn spawn(shared: Rc<Shared>, stream: TcpStream, address: SocketAddr, seat: Seat) {
    spawn_local(async move {
        let client = Rc::new(Client::new(Rc::clone(&shared), address, Alarm::on(&shared.clock)));
        if let Some(stream) = serve(&client, stream).await {
            drop(client);
            park(shared, stream, address, seat);
        }
    });
}

/// Serves requests until the connection ends, or is idle long enough to be parked: then it comes back.
async fn serve(client: &Rc<Client>, mut stream: TcpStream) -> Option<TcpStream> {
    let mut read_ahead = Bytes::new();
    loop {
        let (stop, unused, socket) = speak(client, stream, read_ahead).await;
        stream = socket;
        match stop {
            Stop::Over(Ok(())) => {
                if let Some(tunnel) = client.take_tunnel() {
                    tunnel.run(stream, &unused).await;
                } else if client.has_unread() || !unused.is_empty() || has_bytes(&stream) {
                    part(&client.shared, stream, b"").await;
                }
                return None;
            }
            Stop::Over(Err(error)) => {
                if let Some(error) = malformed(&error, &unused, client.shared.head_limits.size) {
                    refuse(client, stream, &error).await;
                }
                return None;
            }
            Stop::Refused(refusal) => {
                refuse(client, stream, &Error::Malformed(refusal)).await;
                return None;
            }
            Stop::Due(Phase::Head) if !unused.is_empty() => {
                refuse(client, stream, &Error::HeadTimeout).await;
                return None;
            }
            Stop::Due(_) => return None,
            Stop::Idle if unused.is_empty() => return Some(stream),
            Stop::Draining if unused.is_empty() && !has_bytes(&stream) => return None,
            Stop::Idle | Stop::Draining => {
                client.enter(Phase::Head);
                read_ahead = unused;
            }
        }
    }
}

/// Lets hyper drive the connection until something stops that.
async fn speak(client: &Rc<Client>, stream: TcpStream, read_ahead: Bytes) -> (Stop, Bytes, TcpStream) {
    let shared = &client.shared;
    let transport = TokioIo::new(ClientTransport::new(stream, read_ahead, Rc::clone(client)));
    let service = {
        let client = Rc::clone(client);
        service_fn(move |request| handle(Rc::clone(&client), request))
    };
    let mut builder = http1::Builder::new();
    let mut draining = shared.is_draining();
    // Our own deadlines are cheaper than hyper's, and tell a slow head from an idle client. So is our own watch for a
    // client that leaves while its request is answered: without `half_close`, hyper reads ahead to find out.
    builder.header_read_timeout(None).half_close(true);
    builder.keep_alive(!draining).max_header_size(shared.head_limits.size);
    if let Some(headers) = shared.head_limits.headers_off_the_stack() {
        builder.max_headers(headers);
    }
    let mut connection = builder.serve_connection(transport, service);
    let mut known = false;
    let stop = poll_fn(|cx| {
        if !known {
            client.alarm().wakes(cx.waker());
            known = true;
        }
        if let Poll::Ready(over) = Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(Stop::Over(over));
        }
        if shared.is_draining() && !draining {
            draining = true;
            if matches!(client.phase(), Phase::Idle | Phase::Head) {
                // hyper would close, though a part of a head may have come: what comes is answered, then it is over.
                return Poll::Ready(Stop::Draining);
            }
            Pin::new(&mut connection).graceful_shutdown();
            cx.waker().wake_by_ref();
        }
        check_deadline(client)
    })
    .await;
    let parts = connection.into_parts();
    let (stream, read_ahead, refusal) = parts.io.into_inner().into_parts();
    (refusal.map_or(stop, Stop::Refused), join(parts.read_buf, read_ahead), stream)
}

/// What hyper had and did not use, and what it had not been given.
fn join(first: Bytes, second: Bytes) -> Bytes {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second,
        (_, true) => first,
        _ => [first, second].concat().into(),
    }
}

/// Runs after hyper has done what it could: a deadline that the handler could answer for is no longer due.
fn check_deadline(client: &Client) -> Poll<Stop> {
    match client.phase() {
        _ if !client.is_due() => Poll::Pending,
        Phase::Idle => Poll::Ready(Stop::Idle),
        phase => Poll::Ready(Stop::Due(phase)),
    }
}

/// What a client did wrong, if hyper ended the connection because it did. `unused` is what it sent of the head.
fn malformed(error: &hyper::Error, unused: &[u8], limit: usize) -> Option<Error> {
    if error.is_parse_too_large() {
        // RFC 9112 section 3: a long target must be told from a long head. hyper does so only when the limit on heads
        // would allow both.
        let line = unused.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let target = line.len() >= limit || error.to_string().contains("URI");
        Some(if target { Error::TargetTooLong } else { Error::HeadTooLarge })
    } else if error.is_parse() {
        let told = error.to_string();
        let known = || match told {
            told if told.contains("transfer-encoding") => {
                "it has a Transfer-Encoding, which HTTP/1.0 does not know"
            }
            told if told.contains("URI") => "its target is not one",
            _ => "its head is not one of HTTP/1.1",
        };
        Some(Error::Malformed(explain(unused).unwrap_or_else(known)))
    } else {
        None
    }
}

/// Says why nothing more will be said, and parts.
async fn refuse(client: &Client, stream: TcpStream, error: &Error) {
    tracing::debug!("{}: {error}", client.address());
    if !matches!(client.phase(), Phase::Idle | Phase::Head) {
        // The answer before is not whole, and this must not be taken for a part of it.
        return;
    }
    part(&client.shared, stream, &last_words(error, client)).await;
}

/// Parts, with these words, from a client that may still be sending, and need not be reading. To close at once would
/// reset the connection, and the reset can overtake the answer (RFC 9112 section 9.6).
async fn part(shared: &Shared, mut stream: TcpStream, words: &[u8]) {
    let parted = pin!(async {
        stream.write_all(words).await?;
        stream.shutdown().await?;
        let mut buffer = vec![0; 16 * 1024];
        let mut left = LINGER_BYTES;
        while let read @ 1.. = stream.read(&mut buffer).await? {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
        io::Result::Ok(())
    });
    select(parted, pin!(shared.clock.sleep(LINGER))).await;
}

/// Whether the client has already sent more.
pub(super) fn has_bytes(stream: &TcpStream) -> bool {
    let mut byte = [MaybeUninit::uninit()];
    matches!(SockRef::from(stream).peek(&mut byte), Ok(1..))
}

/// Refuses a client when there are as many as we take.
pub(super) fn turn_away(shared: Rc<Shared>, stream: TcpStream, address: SocketAddr) {
    spawn_local(async move {
        let alarm = Alarm::on(&shared.clock);
        refuse(&Client::new(shared, address, alarm), stream, &Error::TooManyConnections).await;
    });
}
