//! Who was let in: the first steps of a client's connection, up to its first request.

mod park;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use socket2::SockRef;
use tokio::task::spawn_local;
use tokio_rustls::{TlsAcceptor, TlsStream};

use crate::config::Listener;
use crate::connect::{Peeked, Socket, Stream};
use crate::proxy::{Alarm, Client, Entrance, Error, Shared, before_due, last_words, note_refusal};

use super::farewell::{close, part, refuse};
use super::opened::Opened;
use super::team::{LastWord, Seat};
use super::tls::{Asked, HTTP_2, Tls};
use super::{connection, http2, proxy_protocol};

pub(super) use park::{at_a_stop, or_at_a_stop};

use park::park;

/// What a client sends first that speaks TLS (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// An opened listener as one worker's clients find it.
#[derive(Debug)]
pub(super) struct Door {
    /// What all workers know of it.
    pub(super) opened: Arc<Opened>,
    pub(super) entrance: Rc<Entrance>,
}

impl Door {
    /// One worker's door to what was opened.
    pub(super) fn to(opened: Arc<Opened>) -> Self {
        let entrance = Entrance::open(opened.listener.clone(), opened.id.clone(), opened.demands());
        let entrance = Rc::new(entrance);
        if opened.is_closed() {
            entrance.close();
        }
        Self { opened, entrance }
    }

    pub(super) fn listener(&self) -> &Listener {
        &self.opened.listener
    }
}

/// A client who was let in: where it came from, through which door, and its seat.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) shared: Rc<Shared>,
    pub(super) door: Rc<Door>,
    pub(super) address: SocketAddr,
    pub(super) seat: Seat,
    /// The number of the demands that it met.
    met: u32,
}

impl Arrival {
    /// Who has just come.
    pub(super) fn new(shared: Rc<Shared>, door: Rc<Door>, address: SocketAddr, seat: Seat) -> Self {
        Self { shared, door, address, seat, met: 0 }
    }

    /// Whether more is asked of who comes by now.
    fn is_outdated(&self) -> bool {
        self.door.entrance.asks_more_than(self.met)
    }

    /// Serves the client in a task of its own.
    pub(super) fn spawn(self, socket: Socket) {
        match self.shared.must_be_introduced(self.address.ip(), self.door.listener()) {
            true => drop(spawn_local(self.hear_of(socket))),
            false => self.begin(socket),
        }
    }

    /// Lets a proxy say whom it speaks for.
    async fn hear_of(mut self, mut socket: Socket) {
        let client = self.client();
        client.alarm().wakes_me().await;
        let error = match in_time(&client, proxy_protocol::read(&mut socket)).await {
            Some(Ok(address)) => {
                self.address = address.unwrap_or(self.address);
                match self.seat.introduce(self.address.ip()) {
                    Ok(()) => return self.begin(socket),
                    Err(error) => {
                        let time = self.seat.last_word();
                        return turn_away(self.shared, &self.door, socket, (self.address, error), time);
                    }
                }
            }
            Some(Err(None)) => return,
            Some(Err(Some(error))) => error,
            None => Error::HeadTimeout,
        };
        // It has not spoken HTTP yet, so nothing is said in it.
        tracing::debug!("{}: {error}", client.address());
        note_refusal(&error, &client, 0);
    }

    fn begin(self, socket: Socket) {
        match &self.door.opened.tls {
            None => {
                let client = self.client();
                spawn_local(self.speak_http1(client, Stream::Clear(socket)));
            }
            Some(tls) => {
                let tls = Arc::clone(tls);
                spawn_local(self.secure(socket, tls));
            }
        }
    }

    async fn secure(mut self, socket: Socket, tls: Arc<Tls>) {
        let client = self.client();
        client.alarm().wakes_me().await;
        // Boxed, for it is large and soon over.
        let (stream, met) = match Box::pin(in_time(&client, shake_hands(socket, (&tls, &self.shared)))).await
        {
            Some(Ok(secured)) => secured,
            Some(Err(NoTls::Clear(socket))) => {
                let mut seen = [0; proxy_protocol::KNOWN_BY];
                let known = socket.look_ahead(&mut seen).await;
                let error = Error::Malformed(match known {
                    Ok(Some(_)) if proxy_protocol::is_header(&seen) => proxy_protocol::UNEXPECTED,
                    _ => "it came in the clear to a port that speaks TLS: write https://",
                });
                return Box::pin(refuse(&client, Stream::Clear(socket), &error, b"")).await;
            }
            Some(Err(NoTls::Handshake(error, socket))) => {
                client.shared.tally.handshake_failed();
                tls.tell_refused(client.address(), &error);
                if let Some(socket) = socket {
                    // Its request may be on its way already, and a reset for that would overtake the alert that says why.
                    Box::pin(part(&client.shared, Stream::Clear(socket), b"")).await;
                }
                return;
            }
            None => {
                client.shared.tally.handshake_failed();
                tracing::debug!("{}: no TLS: not in time", client.address());
                return;
            }
        };
        self.met = met;
        client.met(met);
        let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
        let stream = Stream::Tls(stream);
        // Boxed all, for the task is as large as the largest of them, whichever it becomes.
        match speaks_http2 {
            true => {
                client.identify(&stream);
                client.note_reached(&stream);
                Box::pin(http2::serve(&client, stream, Bytes::new())).await;
                self.shared.note_freed();
            }
            false => Box::pin(self.speak_http1(client, stream)).await,
        }
    }

    /// Serves the client whenever it has something to say, and parks it meanwhile.
    ///
    /// What a parked client costs is little more than this future. So it keeps each thing in one place: what is an argument
    /// of an `async fn`, or bound across an `await`, has several.
    fn speak_http1(self, client: Rc<Client>, stream: Stream) -> impl Future<Output = ()> {
        let (mut first, mut stream) = (Some(client), Some(stream));
        async move {
            loop {
                // Who comes amid a stop and says nothing yet has no more time than who is idle then.
                if first.take_if(|_| self.is_waited_for(stream.as_ref())).is_none() {
                    let Some(served) = self.serve(first.take(), stream.take()) else { break };
                    stream = served.await;
                    self.shared.note_freed();
                }
                let Some(idle) = &stream else { return };
                if !park(&self, idle).await {
                    break;
                }
                tracing::debug!("{} is unparked", self.address);
            }
            if let Some(left) = stream.take() {
                Box::pin(close(&self.shared, left)).await;
            }
        }
    }

    /// Whether a stop waits for the first word of a client with this stream. The system is asked, for the runtime takes
    /// sockets that are accepted for readable.
    fn is_waited_for(&self, stream: Option<&Stream>) -> bool {
        let is_silent =
            |stream: &Stream| !stream.has_read_ahead() && stream.socket().peek_if_ready() == Peeked::Nothing;
        self.shared.is_draining() && stream.is_some_and(is_silent)
    }

    /// Serves the client until it is idle, which gives its stream back. Boxed, for that is large, and its memory is free as
    /// soon as it is over.
    fn serve(
        &self,
        client: Option<Rc<Client>>,
        stream: Option<Stream>,
    ) -> Option<Pin<Box<impl Future<Output = Option<Stream>> + use<>>>> {
        let stream = stream?;
        let client = client.unwrap_or_else(|| self.client());
        Some(Box::pin(connection::serve(client, stream)))
    }

    fn client(&self) -> Rc<Client> {
        let client = new_client(Rc::clone(&self.shared), &self.door, self.address);
        client.met(self.met);
        client
    }
}

/// Refuses a client that is not let in. Without time to part from it, it gets the words that its system takes at once.
pub(super) fn turn_away(
    shared: Rc<Shared>,
    door: &Door,
    socket: Socket,
    (address, error): (SocketAddr, Error),
    time: Option<LastWord>,
) {
    let client = new_client(shared, door, address);
    if door.opened.tls.is_some() {
        // Nothing that we could say before a handshake would be understood, and one costs more than a seat.
        return note_refusal(&error, &client, 0);
    }
    let Some(time) = time else {
        // Whether it takes them is its own affair.
        let _ = SockRef::from(&socket).send(&last_words(&error, &client, b""));
        return;
    };
    spawn_local(async move {
        refuse(&client, Stream::Clear(socket), &error, b"").await;
        drop(time);
    });
}

fn new_client(shared: Rc<Shared>, door: &Door, address: SocketAddr) -> Rc<Client> {
    let alarm = Alarm::on(&shared.clock);
    Rc::new(Client::new(shared, address, Rc::clone(&door.entrance), alarm))
}

/// The future's result, or nothing if the client's deadline came first. A stop leaves it no more time than who is idle: from
/// then, or from when it came if that is later. A handshake takes two or three round trips, so whoever goes on with one will be
/// through, from the other end of the world, too.
async fn in_time<T>(client: &Client, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let hurried = poll_fn(|cx| {
        if let Some(leaving) = client.shared.leaving() {
            client.alarm().tighten(at_a_stop(leaving, &client.shared));
        }
        future.as_mut().poll(cx)
    });
    before_due(client, hurried).await
}

/// Why a client does not speak TLS with us.
enum NoTls {
    /// It does not try.
    Clear(Socket),
    /// It was not understood, or did not like what we have; with its socket if it is told so by an alert.
    Handshake(io::Error, Option<Socket>),
}

/// Gives the number of the demands that the client met, too.
async fn shake_hands(
    socket: Socket,
    (tls, shared): (&Tls, &Shared),
) -> Result<(Box<TlsStream<Socket>>, u32), NoTls> {
    if socket
        .first_byte()
        .await
        .map_err(|error| NoTls::Handshake(error, None))?
        .is_some_and(|byte| byte != HANDSHAKE)
    {
        return Err(NoTls::Clear(socket));
    }
    let Asked { config, demands } = in_step(tls, shared).await;
    let accepted = TlsAcceptor::from(config).accept(socket).into_fallible().await;
    accepted.map(|stream| (Box::new(TlsStream::Server(stream)), demands)).map_err(|(error, socket)| {
        let says_why = error.get_ref().is_some_and(|error| error.is::<rustls::Error>());
        NoTls::Handshake(error, says_why.then_some(socket))
    })
}

/// What is asked in a handshake that begins now. Settings of which it came with certificates are waited for: what their routes rely on is
/// asked, and what those of the ones before relied on is not.
async fn in_step(tls: &Tls, shared: &Shared) -> Asked {
    loop {
        match tls.asked_as_of(shared.view().snapshot.as_of) {
            Some(asked) => return asked,
            None => shared.clock.sleep(1).await,
        }
    }
}
