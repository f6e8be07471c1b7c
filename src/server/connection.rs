//! The second hop: one client's connection, from its first byte to its last.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::connect::Stream;
use crate::proxy::{Client, Error, Mark, Phase, handle};

use super::farewell::{close, has_bytes, part, refuse};
use super::framing::{Refusal, UNESCAPED, escape, explain};
use super::http2;
use super::proxy_protocol::{UNEXPECTED, is_header};
use super::transport::ClientTransport;

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
    /// The client is to go and no request is under way, but one may have begun to come.
    Draining,
    /// The time of requests that still run is over.
    Cut,
}

/// Serves requests until the connection ends, or is to be parked: it comes back when it has been idle for long enough, or is
/// idle and to go, for its next request may be on its way.
pub(super) async fn serve(client: Rc<Client>, mut stream: Stream) -> Option<Stream> {
    let client = &client;
    let _left = Left(client);
    client.identify(&stream);
    client.note_reached(&stream);
    let mut read_ahead = Bytes::new();
    loop {
        let (stop, mut unused, socket) = speak(client, stream, read_ahead).await;
        stream = socket;
        client.lose_answer();
        match stop {
            Stop::Over(Ok(())) => {
                end(client, stream, &unused).await;
                return None;
            }
            Stop::Over(Err(_)) if is_between(client) && http2::may_begin(&unused) => {
                // It knew that we speak HTTP/2 (RFC 9113 section 3.3). Boxed, for its state is far larger than ours.
                Box::pin(http2::serve(client, stream, unused)).await;
                return None;
            }
            Stop::Over(Err(error)) => {
                if let Some(error) = malformed(&error, &unused, client.shared.head_limits().size) {
                    refuse(client, stream, &error, &unused).await;
                } else if client.was_cut_short() {
                    stream.cut();
                }
                return None;
            }
            Stop::Refused(UNESCAPED) if is_between(client) && escape(&mut unused) => read_ahead = unused,
            Stop::Refused(refusal) => {
                refuse(client, stream, &Error::Malformed(refusal_of(&unused, refusal)), &unused).await;
                return None;
            }
            Stop::Due(Phase::Head) if !is_blank(&unused) => {
                refuse(client, stream, &Error::HeadTimeout, &unused).await;
                return None;
            }
            Stop::Due(Phase::Head) => {
                close(&client.shared, stream).await;
                return None;
            }
            Stop::Cut if !client.was_cut_short() => return None,
            Stop::Due(_) | Stop::Cut => {
                if client.is(Mark::Blocked) || client.was_cut_short() {
                    stream.cut();
                }
                return None;
            }
            Stop::Idle | Stop::Draining if is_blank(&unused) => return Some(stream),
            Stop::Idle | Stop::Draining => {
                client.enter(Phase::Head);
                read_ahead = unused;
            }
        }
    }
}

/// Ends a connection that hyper is through with, after its tunnel if it becomes one.
async fn end(client: &Client, mut stream: Stream, unused: &[u8]) {
    if let Some(tunnel) = client.take_tunnel() {
        if !tunnel.run(&mut stream, unused).await {
            stream.cut();
        }
    } else if client.is(Mark::Unread) || !unused.is_empty() || says_more(client, &stream) {
        part(&client.shared, stream, b"").await;
    } else {
        close(&client.shared, stream).await;
    }
}

/// Sees to what is left when all is over, as when its client has left: an answer that is not out, and a tunnel that nobody takes,
/// for each holds the other.
struct Left<'a>(&'a Client);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.lose_answer();
        if let Some(tunnel) = self.0.take_tunnel() {
            tunnel.give_up();
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
    let mut draining = client.is_draining();
    // Our own deadlines are cheaper than hyper's, and tell a slow head from an idle client. So is our own watch for a
    // client that leaves while its request is answered: without `half_close`, hyper reads ahead to find out.
    builder.header_read_timeout(None).half_close(true);
    let limits = shared.head_limits();
    builder.keep_alive(!draining).max_header_size(limits.size).max_buf_size(limits.buffer());
    if let Some(headers) = limits.headers_off_the_stack() {
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
        client.advance_upload(cx);
        let is_to_go = client.is_draining();
        if is_to_go && shared.is_over() {
            if client.phase() == Phase::Flush {
                // hyper has the last of an answer, which nobody will write.
                client.set(Mark::CutShort, true);
            }
            return Poll::Ready(Stop::Cut);
        }
        // Amid the last of an answer, or of a word that it may switch, hyper might close without it, after it has read of a wish
        // to upgrade, and would call a switch the last answer; and an answer whose head has gone without a word of that is not the
        // last, for the next request may be on its way. When it is out, the client is between two, or through.
        let is_told_later = || match client.phase() {
            Phase::Answer | Phase::Flush => true,
            Phase::Idle | Phase::Head => false,
            _ => client.is(Mark::Switchable),
        };
        if is_to_go && !draining && !is_told_later() && !client.has_tunnel() {
            if client.is(Mark::Passing) {
                // Of a body that nobody wanted hyper may have a rest, which would be taken for the next request.
                client.set(Mark::Passing, false);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
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

/// Whether the answer before, if any, has gone out: hyper holds nothing of it.
fn is_between(client: &Client) -> bool {
    matches!(client.phase(), Phase::Idle | Phase::Head)
}

/// Whether bytes wait that a reset would answer. Of a client who said that no other request follows, the runtime's word is
/// enough that none came: to look would be a system call for each connection of one request.
fn says_more(client: &Client, stream: &Stream) -> bool {
    (!client.is(Mark::Last) || stream.socket().is_told_of()) && has_bytes(stream)
}

/// Whether nothing stands there, or only the empty lines that old clients send behind a body (RFC 9112 section 2.2).
fn is_blank(bytes: &[u8]) -> bool {
    bytes.chunks(2).all(|line| line == b"\r\n")
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

/// What is wrong with what came, which is something else where nothing of it is of HTTP.
fn refusal_of(unused: &[u8], refusal: Refusal) -> Refusal {
    if is_header(unused) { UNEXPECTED } else { refusal }
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
        Some(Error::Malformed(refusal_of(unused, explain(unused).unwrap_or_else(known))))
    } else {
        None
    }
}
