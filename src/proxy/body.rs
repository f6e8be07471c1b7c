//! An answer's body on its way to the client.

use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};

use crate::balance::Lease;
use crate::connect::{AnswerBody, Broken, Connections, Way, unshare};
use crate::telemetry::Seldom;

use super::client::Mark;
use super::exchange::Exchange;
use super::fields::clean_trailers;
use super::request_body::{BackendConnection, RequestBody};
use super::spent::Spent;
use super::{Client, Error, grpc};

/// An answer's body on its way to the client. It ends the exchange when it is dropped: it returns the connection to the
/// backend, gives up the lease and writes the access log, or leaves the line with the client until the last is out, so that nothing
/// depends on the handler still running.
#[derive(Debug)]
pub struct Body {
    source: Source,
    exchange: Option<Exchange>,
}

#[derive(Debug)]
enum Source {
    Empty,
    Text(Option<Bytes>),
    Backend(Download),
}

#[derive(Debug)]
struct Download {
    incoming: AnswerBody,
    connection: Option<BackendConnection>,
    connections: Rc<Connections<RequestBody>>,
    client: Rc<Client>,
    ended: bool,
    /// Boxed, because a body is moved more than once, and few break.
    broken: Option<Box<Error>>,
    lease: Lease,
}

impl Body {
    /// Of an upgrade, whose exchange goes on in the tunnel.
    pub(super) fn empty() -> Self {
        Self { source: Source::Empty, exchange: None }
    }

    /// Of an answer that is all in its head.
    pub(super) fn nothing(exchange: Exchange) -> Self {
        Self { source: Source::Empty, exchange: Some(exchange) }
    }

    pub(super) fn bytes(bytes: Bytes, exchange: Exchange) -> Self {
        Self { source: Source::Text(Some(bytes)), exchange: Some(exchange) }
    }

    pub(super) fn from_backend(
        incoming: AnswerBody,
        connection: BackendConnection,
        connections: Rc<Connections<RequestBody>>,
        lease: Lease,
        exchange: Exchange,
    ) -> Self {
        let client = Rc::clone(exchange.client());
        let connection = Some(connection);
        let download =
            Download { incoming, connection, connections, client, ended: false, broken: None, lease };
        Self { source: Source::Backend(download), exchange: Some(exchange) }
    }

    /// It is let go of before its client was given all that came of it.
    pub fn cut(&mut self) {
        let is_whole = !matches!(&self.source, Source::Backend(download) if !download.is_whole());
        if let Some(exchange) = self.exchange.as_mut().filter(|_| is_whole) {
            exchange.cut();
        }
    }

    /// Whether it is that of a gRPC call which nothing has come of for too long.
    fn is_late_call(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.is_grpc() && exchange.client().is_due())
    }

    /// It ends early for this: to a gRPC caller with a status, to others by a reset.
    #[cold]
    fn end_with(&mut self, error: Error) -> Result<Frame<Bytes>, Error> {
        self.break_off(|exchange| exchange.failed(&error));
        if !self.exchange.as_ref().is_some_and(Exchange::is_grpc) {
            return Err(error);
        }
        self.source = Source::Empty;
        let row = error.row();
        Ok(Frame::trailers(grpc::trailers(row.status.as_u16(), row.reason)))
    }

    /// It ends early, as this says: the backend may be to blame.
    #[cold]
    fn break_off(&mut self, say: impl FnOnce(&mut Exchange) -> bool) {
        if let (Source::Backend(download), Some(exchange)) = (&self.source, &mut self.exchange)
            && say(exchange)
        {
            download.blame(exchange.began_well());
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        match &mut this.source {
            Source::Empty => Poll::Ready(None),
            Source::Text(text) => {
                let text = text.take();
                if let (Some(text), Some(exchange)) = (&text, &this.exchange)
                    && !exchange.client().is(Mark::Stream)
                {
                    exchange.client().count_out(text.len() as u64);
                }
                Poll::Ready(text.map(|text| Ok(Frame::data(text))))
            }
            Source::Backend(download) => match download.poll_frame(cx, this.exchange.as_ref()) {
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(this.end_with(error))),
                Poll::Pending if this.is_late_call() => {
                    // Its client sends nothing, or its backend does.
                    let client_is = this.exchange.as_ref().is_some_and(|it| it.client().is(Mark::Starved));
                    let error = if client_is { Error::UploadTimeout } else { Error::AnswerTimeout };
                    Poll::Ready(Some(this.end_with(error)))
                }
                polled => polled,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty | Source::Text(None) => true,
            Source::Text(Some(_)) => false,
            Source::Backend(download) => download.incoming.gives_nothing(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty | Source::Text(None) => SizeHint::with_exact(0),
            Source::Text(Some(text)) => SizeHint::with_exact(text.len() as u64),
            Source::Backend(download) => download.incoming.size_hint(),
        }
    }
}

impl Download {
    /// Whether the client's side was given all that it asks for: with HTTP/1.1 it asks for nothing behind the last promised byte.
    fn is_whole(&self) -> bool {
        self.ended
            || self.incoming.gives_nothing()
            || !self.client.is(Mark::Stream) && self.incoming.has_all()
    }

    fn has_ended(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }

    /// The connection goes where it can be used again.
    fn put_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.connections.put(connection, self.client.shared.clock.age());
        }
    }

    /// Waits aside for the end of an answer of which the client has all, so that its stream need not be reset.
    #[cold]
    fn wait_for_the_end(self) {
        let Self { incoming: body, connection, connections, client, .. } = self;
        if let Some(connection) = connection
            && !connection.is_sending()
            && !client.shared.is_over()
        {
            Spent { body, connection, connections, lease: None, began_well: false }.let_go(&client);
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        exchange: Option<&Exchange>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(*error)));
        }
        let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
        let polled = connection.poll_body(&mut self.incoming, cx);
        if self.client.is(Mark::Starved) && connection.has_sent() {
            // Nobody asks its client for more.
            self.client.set_starved(false);
        }
        match polled {
            Poll::Ready(Some(Ok(mut frame))) => {
                // Nothing may ask for the end of a body once its trailers or its last promised byte have come.
                self.ended = frame.is_trailers() || self.incoming.is_end_stream();
                if let Some(trailers) = frame.trailers_mut() {
                    let view = self.client.shared.view();
                    clean_trailers(trailers, view.snapshot.settings.config.request_id.as_ref());
                    if let Some(treated) = exchange.and_then(Exchange::treated) {
                        treated.finish_trailers(trailers);
                    }
                }
                if !self.client.is(Mark::Stream) {
                    self.client.count_out(frame.data_ref().map_or(0, |data| data.len() as u64));
                    // While its client takes none of them, that more of them come is no progress.
                    if !self.client.is(Mark::Blocked) {
                        self.client.progress();
                    }
                } else if let Some(trailers) = frame.trailers_mut() {
                    unshare(trailers);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.connection = None;
                if let Broken::NoFarewell = error {
                    tell_of_no_farewell(self.connections.way(), &error);
                }
                let error = self.client.take_fault().unwrap_or(Error::AnswerBroken(error));
                // hyper would drop what it has not sent yet, the head not excepted: it gets a turn to send it.
                self.broken = Some(Box::new(error));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                if self.client.is(Mark::Stream) {
                    self.client.set_blocked(false);
                }
                Poll::Pending
            }
        }
    }

    /// That it did not come to its end is the backend's fault.
    #[cold]
    fn blame(&self, began_well: bool) {
        self.lease.broke_off(began_well);
        if began_well {
            self.client.shared.tally.broke_off();
        }
    }

    /// Whoever drives the client's connection wants no more of it.
    #[cold]
    fn cut(&mut self) {
        self.client.set(Mark::CutShort, true);
        let Some(mut connection) = self.connection.take() else { return };
        // hyper lets go of a stream that was reset before it asks for more, and only the upload knows why it was.
        if self.client.is(Mark::Stream) && !self.client.is_due() {
            let _ = connection.poll_body(&mut self.incoming, &mut Context::from_waker(Waker::noop()));
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let has_ended = match &mut self.source {
            Source::Backend(download) if !download.is_whole() => {
                download.cut();
                return self.break_off(Exchange::cut);
            }
            Source::Backend(download) => {
                let has_ended = download.has_ended();
                if has_ended {
                    download.put_back();
                }
                has_ended
            }
            _ => true,
        };
        if let Some(exchange) = &mut self.exchange {
            exchange.given();
        }
        if !has_ended && let Source::Backend(download) = mem::replace(&mut self.source, Source::Empty) {
            download.wait_for_the_end();
        }
    }
}

/// Tells, once in a while, why answers break off that may be whole to others: no check does.
#[cold]
fn tell_of_no_farewell(way: &Way, broken: &Broken) {
    static SELDOM: Seldom = Seldom::new();
    SELDOM.add(1);
    let Some(count) = SELDOM.to_say(Instant::now()) else { return };
    let others = match count {
        1 => String::new(),
        count => format!("; answers that ended so since this was said last: {count}"),
    };
    tracing::warn!("{} broke off an answer: {broken}{others}", way.url.name());
}
