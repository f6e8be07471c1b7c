//! A client's HTTP/2 connection (RFC 9113): hyper keeps its streams apart, each request is handled in a task of its own.
//!
//! To the rest of the program each stream is a [`Client`] with its own phase and deadline, so that a request is told
//! the same way whatever it came by.

mod flood;
mod given;
mod parting;
mod pieces;
mod streams;
mod transport;

use std::error::Error as _;
use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::connect::Stream;
use crate::proxy::{Client, Error, MOST_HELD, handle, note_refusal};

use super::arrival::or_at_a_stop;
use super::farewell::part;

use parting::{FAREWELL, Parting};
use pieces::Pieces;
use streams::Streams;
use transport::{Record, Transport};

/// What a client sends first that speaks HTTP/2 (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Requests of one client that are answered at the same time (RFC 9113 section 5.1.2 asks for at least 100).
const STREAMS: u32 = 128;
/// Bytes of a request's body, and of all of a connection's, that a client may send before a backend took them. Fewer backends
/// than [`MOST_HELD`] that do not read hold up no others, and a client's hold on our memory is bounded.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = MOST_HELD * STREAM_WINDOW;
/// Bytes of an answer that wait for a client.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that a client may begin and take back before they were looked at; more of them at once are an attack
/// (CVE-2023-44487). While we are kept from reading it may give up more than it may have at once, for each that it gives up makes room
/// for the next. How many that may be is up to its allowance, which is looked at first: this is more than that lets pass.
const PENDING_RESETS: usize = 500;

/// How far a head may go beyond the limit and still be refused in our words: beyond, it is not even kept, and hyper
/// answers with a bare 431.
const READ_TO_REFUSE: usize = 2;
/// What is wrong with what h2 ends a connection for.
const NOT_HTTP2: &str = "what came is not HTTP/2";

/// Whether a connection that begins with these bytes may be one of HTTP/2. They may be all that has come.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    bytes.starts_with(PREFACE) || (!bytes.is_empty() && PREFACE.starts_with(bytes))
}

/// Serves requests until the connection ends. `read_ahead` is what the client has sent already.
pub(super) async fn serve(client: &Rc<Client>, mut stream: Stream, read_ahead: Bytes) {
    let record = Record::default();
    let over = drive(client, &mut stream, read_ahead, &record).await;
    let words = match record.flood() {
        Some(kind) => {
            complain(client, &Error::Flood(kind.name()));
            record.last_words()
        }
        None => {
            if let Some(error) = over.as_ref().err().and_then(fault) {
                complain(client, &error);
            }
            None
        }
    };
    if record.is_blocked() {
        return stream.cut();
    }
    // To close on bytes that were not read, or that come late, would reset the connection, and our last word would be lost.
    part(&client.shared, stream, words.as_ref().map_or(&[], |words| words)).await;
}

/// What the client did wrong, if h2 ended the connection because it did.
fn fault(error: &hyper::Error) -> Option<Error> {
    let cause = error.source()?.downcast_ref::<h2::Error>().filter(|cause| cause.is_library())?;
    Some(match cause.reason() {
        // There was too much of something.
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Error::Flood("RST_STREAM, CONTINUATION or small"),
        _ => Error::Malformed(NOT_HTTP2),
    })
}

#[cold]
fn complain(client: &Client, error: &Error) {
    tracing::debug!("{}: {error}", client.address());
    note_refusal(error, client, 0);
}

/// Lets hyper drive the connection.
async fn drive(
    client: &Rc<Client>,
    stream: &mut Stream,
    read_ahead: Bytes,
    record: &Record,
) -> hyper::Result<()> {
    let shared = &client.shared;
    let streams = Rc::new(Streams::default());
    let service = service_fn(|request| {
        let stream = Rc::new(client.stream());
        streams.announce(&stream);
        let (answer, given) = (handle(Rc::clone(&stream), request), Rc::clone(record.given()));
        // Boxed, for hyper moves it about, and it is large.
        Box::pin(async move { answer.await.map(|answer| answer.map(|body| Pieces::of(body, stream, given))) })
    });
    let transport = TokioIo::new(Transport::new(stream, read_ahead, &shared.clock, record));
    let builder = builder(streams::Executor(Rc::clone(&streams)), shared.head_limits().size);
    let mut connection = pin!(builder.serve_connection(transport, service));
    client.alarm().wakes_me().await;
    let (mut idle, mut ending, mut parting) = (true, false, Parting::of(client, record));
    poll_fn(|cx| {
        let polled = poll_on(connection.as_mut(), record, cx);
        // While requests are under way, it may be one of those, which has a line of its own.
        if record.has_refused() && !streams.are_open() {
            complain(client, &Error::Malformed("its head is not one of HTTP/2"));
        }
        if let Poll::Ready(over) = polled {
            streams.end(over.as_ref().err().and_then(fault).as_ref());
            return Poll::Ready(over);
        }
        if record.flood().is_some() {
            // It may never take the rest of the frame that stands before our last word.
            if !mem::replace(&mut ending, true) {
                client.alarm().set(FAREWELL);
            }
            client.alarm().tighten(or_at_a_stop(FAREWELL, shared));
            return if client.is_due() { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        streams.wake(cx.waker());
        if idle == streams.are_open() {
            idle = !idle;
            match idle {
                true => parting.begin_to_wait(),
                false => parting.end_to_wait(),
            }
        }
        if !idle && parting.is_stuck() {
            let error = Error::ClientStalled;
            complain(client, &error);
            streams.end(Some(&error));
            return Poll::Ready(Ok(()));
        }
        if parting.has_begun {
            return if idle && parting.is_over() { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let due = idle && client.is_due();
        if due || client.is_draining() {
            if due && record.is_amid_frame() {
                complain(client, &Error::HeadTimeout);
            }
            parting.begin(idle);
            connection.as_mut().graceful_shutdown();
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}

/// Polls a connection, also where hyper 1.12 says that it is over: it says so of a CONNECT with a body, too, and goes on if it is asked
/// to, with the reset of that at first.
fn poll_on(
    mut connection: Pin<&mut impl Future<Output = hyper::Result<()>>>,
    record: &Record,
    cx: &mut Context<'_>,
) -> Poll<hyper::Result<()>> {
    loop {
        let over = ready!(connection.as_mut().poll(cx));
        if over.is_err() || !record.may_go_on() {
            return Poll::Ready(over);
        }
    }
}

/// What we allow clients, with heads of this size.
fn builder(executor: streams::Executor, head: usize) -> Builder<streams::Executor> {
    let mut builder = Builder::new(executor);
    builder
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(head * READ_TO_REFUSE).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS)
        // h2 would count for as long as the connection lives; how often it may make us break a stream off is up to its
        // allowance, too.
        .max_local_error_reset_streams(None)
        .enable_connect_protocol();
    builder
}
