//! The second hop: one client's connection, from its first byte to its last.

use std::future::poll_fn;
use std::io;
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
use tokio::task::spawn_local;

use crate::config::Listener;
use crate::connect::{Peeked, Socket, Stream};
use crate::proxy::{Alarm, Client, Error, Phase, Shared, handle, last_words};

use super::park::park;
use super::team::{Refusal, Seat};
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
    /// A deadline passed.
    Due(Phase),
    /// The process stops and no request is under way, but one may have begun to come.
    Draining,
}

/// A listener as one worker's clients find it.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) listener: Rc<Listener>,
    /// Which of the doors it is: the same at all workers.
    pub(super) index: usize,
}

/// A client who was let in: where it came from, through which door, and its seat.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) shared: Rc<Shared>,
    pub(super) door: Rc<Door>,
    pub(super) address: SocketAddr,
    pub(super) _seat: Seat,
}

impl Arrival {
    /// Serves the client in a task of its own.
    pub(super) fn spawn(self, socket: Socket) {
        self.resume(Stream::Clear(socket));
    }

    /// The same for one who was parked.
    pub(super) fn resume(self, stream: Stream) {
        spawn_local(async move {
            let client = new_client(Rc::clone(&self.shared), &self.door, self.address);
            if let Some(stream) = serve(&client, stream).await {
                drop(client);
                park(self, stream);
            }
        });
    }
}

fn new_client(shared: Rc<Shared>, door: &Door, address: SocketAddr) -> Rc<Client> {
    let alarm = Alarm::on(&shared.clock);
    Rc::new(Client::new(shared, address, Rc::clone(&door.listener), alarm))
}

/// Serves requests until the connection ends, or is idle long enough to be parked: then it comes back.
async fn serve(client: &Rc<Client>, mut stream: Stream) -> Option<Stream> {
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
async fn speak(client: &Rc<Client>, stream: Stream, read_ahead: Bytes) -> (Stop, Bytes, Stream) {
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
    (stop, parts.read_buf, parts.io.into_inner().into_inner())
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
        Some(Error::Malformed("its head is not one of HTTP/1.1"))
    } else {
        None
    }
}

/// Says why nothing more will be said, and parts.
async fn refuse(client: &Client, stream: Stream, error: &Error) {
    tracing::debug!("{}: {error}", client.address());
    part(&client.shared, stream, &last_words(error, client)).await;
}

/// Parts, with these words, from a client that may still be sending, and need not be reading. To close at once would
/// reset the connection, and the reset can overtake the answer (RFC 9112 section 9.6).
async fn part(shared: &Shared, mut stream: Stream, words: &[u8]) {
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
pub(super) fn has_bytes(stream: &Stream) -> bool {
    stream.socket().peek() == Peeked::Bytes
}

/// Refuses a client that is not let in. Without time to part from it, it gets the words that its system takes at once.
pub(super) fn turn_away(
    shared: Rc<Shared>,
    door: &Door,
    socket: Socket,
    (address, error): (SocketAddr, Error),
    time: Option<Refusal>,
) {
    let client = new_client(shared, door, address);
    let Some(time) = time else {
        // Whether it takes them is its own affair.
        let _ = SockRef::from(&socket).send(&last_words(&error, &client));
        return;
    };
    spawn_local(async move {
        refuse(&client, Stream::Clear(socket), &error).await;
        drop(time);
    });
}
