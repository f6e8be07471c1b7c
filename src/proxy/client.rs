//! A client's connection, as its requests see it.

mod given;
mod marks;
mod uploads;
mod waiting;

use std::cell::{Cell, OnceCell, Ref, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::{self, Rc};
use std::sync::{Arc, Weak};
use std::task::{Context, Waker};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use memchr::memchr;

use crate::config::{Address, Listener, ListenerId};
use crate::connect::{Advance, Stream};
use crate::snapshot::Settings;
use crate::telemetry::access_log::Entry;

use super::deadline::Alarm;
use super::fields::is_like;
use super::forwarded::Origin;
use super::pace::Paces;
use super::phase::Phase;
use super::treated::takes_out;
use super::upgrade::Tunnel;
use super::websocket::Handshake;
use super::{Entrance, Error, Shared};

pub use marks::Mark;
pub use uploads::MOST_HELD;
pub use waiting::before_due;

use marks::Marks;
use uploads::Uploads;
use waiting::OwnDeadlines;

/// One client's connection. Shared by its transport, its requests and the task that drives them.
#[derive(Debug)]
pub struct Client {
    /// What all requests of the worker share.
    pub shared: Rc<Shared>,
    address: SocketAddr,
    entrance: Rc<Entrance>,
    /// The number of the demands that it met when it connected.
    met: Cell<u32>,
    /// Which of our addresses it connected to, if its listener is at all of them.
    reached: Cell<Option<IpAddr>>,
    /// Of the request under way, if it came through a trusted proxy.
    origin: RefCell<Option<Box<Origin>>>,
    /// Only if there was a least rate when one of its requests began.
    paces: OnceCell<Box<Paces>>,
    /// Of a connection with streams, and of each of those.
    uploads: OnceCell<Rc<Uploads>>,
    /// For how long of them all a stream was given time in place of what it had no room in.
    given_time: Cell<u64>,
    /// As `Client-Cert` gives it. Boxed, for few show one.
    certificate: OnceCell<Box<HeaderValue>>,
    alarm: Alarm,
    phase: Cell<Phase>,
    marks: Marks,
    sent_at: Cell<Option<Instant>>,
    own_deadlines: Cell<OwnDeadlines>,
    fault: RefCell<Option<Error>>,
    /// The line of the request whose answer is given.
    line: RefCell<Option<Box<Entry>>>,
    interim: RefCell<Vec<u8>>,
    /// The place of the route that takes lines out of those, while one does. A client may outlive its settings.
    treated_by: RefCell<Option<(Weak<Settings>, usize)>>,
    upload: RefCell<Option<rc::Weak<dyn Advance>>>,
    unread: RefCell<Option<Box<Incoming>>>,
    tunnel: RefCell<Option<Box<Tunnel>>>,
    /// Pieces of its answer that a stream was given, and that its client may have no room for.
    owed: Cell<u32>,
    /// The task that passes on to a stream what its tunnel says, or its answer, which has to hear what is taken.
    passage: RefCell<Option<Waker>>,
    handshake: RefCell<Option<Handshake>>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
}

impl Client {
    /// A client that has not said anything yet.
    pub fn new(shared: Rc<Shared>, address: SocketAddr, entrance: Rc<Entrance>, alarm: Alarm) -> Self {
        let ip = address.ip().to_canonical();
        let address = SocketAddr::new(ip, address.port());
        Self::made(shared, address, entrance, alarm)
    }

    /// A stream of this client's connection, with a phase and a deadline of its own.
    pub fn stream(&self) -> Self {
        let (shared, entrance) = (Rc::clone(&self.shared), Rc::clone(&self.entrance));
        let alarm = Alarm::on(&shared.clock);
        let stream = Self::made(shared, self.address, entrance, alarm);
        stream.set(Mark::Stream, true);
        stream.reached.set(self.reached.get());
        stream.met.set(self.met.get());
        let uploads = Rc::clone(self.uploads.get_or_init(Rc::default));
        stream.given_time.set(uploads.without_room(stream.shared.clock.now()));
        Self { certificate: self.certificate.clone(), uploads: OnceCell::from(uploads), ..stream }
    }

    fn made(shared: Rc<Shared>, address: SocketAddr, entrance: Rc<Entrance>, alarm: Alarm) -> Self {
        let client = Self {
            address,
            entrance,
            met: Cell::default(),
            reached: Cell::new(None),
            origin: RefCell::default(),
            paces: OnceCell::new(),
            uploads: OnceCell::new(),
            given_time: Cell::new(0),
            certificate: OnceCell::new(),
            alarm,
            phase: Cell::new(Phase::Idle),
            marks: Marks::default(),
            sent_at: Cell::new(None),
            own_deadlines: Cell::default(),
            fault: RefCell::default(),
            line: RefCell::default(),
            interim: RefCell::default(),
            treated_by: RefCell::default(),
            upload: RefCell::default(),
            unread: RefCell::default(),
            tunnel: RefCell::default(),
            owed: Cell::new(0),
            passage: RefCell::default(),
            handshake: RefCell::default(),
            bytes_in: Cell::new(0),
            bytes_out: Cell::new(0),
            shared,
        };
        client.enter(Phase::Head);
        client
    }

    /// Whether this holds.
    pub fn is(&self, mark: Mark) -> bool {
        self.marks.has(mark)
    }

    /// Notes whether this holds. For [`Mark::Starved`] and [`Mark::Blocked`] there is more to note.
    pub fn set(&self, mark: Mark, holds: bool) {
        self.marks.set(mark, holds);
    }

    /// Whether its last answer broke off, and an orderly end of the connection would hide that.
    pub fn was_cut_short(&self) -> bool {
        self.is(Mark::OpenEnded) && self.is(Mark::CutShort)
    }

    /// Where it connects from.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it connected to.
    pub fn listener(&self) -> &Listener {
        &self.entrance.listener
    }

    /// What that is called now: who is connected stays when it gets another name.
    pub(super) fn listener_name(&self) -> Arc<str> {
        let view = self.shared.view();
        let name = view.snapshot.settings.name_of(self.listener_id());
        Arc::clone(name.unwrap_or(&self.listener().name))
    }

    /// What routes know that by.
    pub(super) fn listener_id(&self) -> &ListenerId {
        &self.entrance.id
    }

    /// Notes which of our addresses it connected to: the system is asked only where the listener does not say.
    pub fn note_reached(&self, stream: &Stream) {
        if let Address::Ip(address) = &self.listener().address
            && address.ip().is_unspecified()
        {
            self.reached.set(stream.socket().local_ip());
        }
    }

    /// Which of our addresses it connected to, unless that is a Unix socket or not known.
    pub(super) fn reached(&self) -> Option<SocketAddr> {
        let address = self.listener().address.ip()?;
        match address.ip().is_unspecified() {
            true => Some(SocketAddr::new(self.reached.get()?, address.port())),
            false => Some(address),
        }
    }

    /// What it asks for if it names no host: the authority by which it came here (RFC 9112 section 3.3).
    pub(super) fn authority(&self) -> Option<String> {
        match &self.listener().address {
            Address::Unix(_) => Some("localhost".to_owned()),
            Address::Ip(_) => Some(self.reached()?.to_string()),
        }
    }

    /// Whether it is to go when it has its answer.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining() || self.entrance.is_closed() || self.is_outdated()
    }

    /// Notes the number of the demands that it met.
    pub fn met(&self, demands: u32) {
        self.met.set(demands);
    }

    /// Whether more is asked of who connects than it was asked: what routes rely on now need not be so of it.
    pub(super) fn is_outdated(&self) -> bool {
        self.entrance.asks_more_than(self.met.get())
    }

    /// The address of who sent the request under way: its own, or that of whom it speaks for.
    pub fn ip(&self) -> IpAddr {
        self.origin.borrow().as_ref().map_or(self.address.ip(), |origin| origin.client)
    }

    /// Whether the request under way came through a trusted proxy.
    pub(super) fn is_proxied(&self) -> bool {
        self.origin.borrow().is_some()
    }

    pub(super) fn origin(&self) -> Ref<'_, Option<Box<Origin>>> {
        self.origin.borrow()
    }

    pub(super) fn set_origin(&self, origin: Option<Origin>) {
        let mut present = self.origin.borrow_mut();
        if origin.is_some() || present.is_some() {
            *present = origin.map(Box::new);
        }
    }

    /// Whether it may see addresses of backends: who asks is on this machine, as far as can be known. A proxy here may ask for
    /// anybody, and what connects to a Unix socket is one, as a rule.
    pub fn is_local(&self) -> bool {
        let by_network = self.listener().address.ip().is_some();
        by_network && self.address.ip().is_loopback() && !self.is(Mark::Relayed)
    }

    /// Whether it speaks TLS to us, or to the trusted proxy that the request under way came through, as far as that says.
    pub(super) fn speaks_tls(&self) -> bool {
        let origin = self.origin.borrow();
        let proto = origin.as_ref().and_then(|origin| origin.proto.as_ref());
        proto.map_or(self.listener().tls, |proto| proto == "https")
    }

    /// Notes who it says it is, if it showed a certificate: only those that were asked for and found good are known.
    pub fn identify(&self, stream: &Stream) {
        if let Some(der) = stream.certificate() {
            // RFC 9440 section 2.2.
            let value = HeaderValue::from_maybe_shared(Bytes::from(format!(":{}:", STANDARD.encode(der))));
            let _ = self.certificate.set(Box::new(value.expect("base64 is visible ASCII")));
        }
    }

    /// The certificate that it showed, as `Client-Cert` gives it.
    pub fn certificate(&self) -> Option<&HeaderValue> {
        self.certificate.get().map(Box::as_ref)
    }

    /// Notes what was wrong with the request's body: hyper only tells that something was.
    pub(super) fn set_fault(&self, fault: Error) {
        *self.fault.borrow_mut() = Some(fault);
    }

    /// It took back its stream: what is under way is over.
    pub fn take_back(&self) {
        self.set_fault(Error::ClientGone);
        self.set(Mark::TakenBack, true);
        self.alarm.set(0);
    }

    /// If what is under way is cut, this is why, unless more is known.
    pub fn blame(&self, fault: Error) {
        self.fault.borrow_mut().get_or_insert(fault);
    }

    pub(super) fn take_fault(&self) -> Option<Error> {
        self.fault.take()
    }

    /// Interim answers to be sent to the client before anything else.
    pub fn interim(&self) -> &RefCell<Vec<u8>> {
        &self.interim
    }

    /// Lets the route of the request under way take lines out of heads of interim answers.
    pub(super) fn is_treated_by(&self, settings: &Arc<Settings>, route: usize) {
        *self.treated_by.borrow_mut() = Some((Arc::downgrade(settings), route));
        self.set(Mark::Treated, true);
    }

    /// Lets such answers of a backend be sent.
    #[cold]
    pub(super) fn pass_interim(&self, heads: &[u8]) {
        let treated_by = self.treated_by.borrow();
        let treated_by = treated_by.as_ref().filter(|_| self.is(Mark::Treated));
        let treated_by = treated_by.and_then(|(settings, route)| Some((settings.upgrade()?, *route)));
        let view = self.shared.view();
        let id = view.snapshot.settings.config.request_id.as_ref();
        let changes = treated_by
            .as_ref()
            .map(|(settings, route)| &settings.config.routes[*route].treatment.answer_headers);
        let is_left = |line: &&[u8]| {
            let name = &line[..memchr(b':', line).unwrap_or_default()];
            !changes.is_some_and(|changes| takes_out(changes, name))
                && !id.is_some_and(|id| is_like(name, id.as_str()))
        };
        let mut interim = self.interim.borrow_mut();
        let lines = heads.split_inclusive(|byte| *byte == b'\n').filter(is_left);
        lines.for_each(|line| interim.extend_from_slice(line));
    }

    /// What moves its upload on, if its answer has begun amid that.
    pub(super) fn set_upload(&self, upload: Option<rc::Weak<dyn Advance>>) {
        *self.upload.borrow_mut() = upload;
    }

    /// Moves its upload on while it takes no more of its answer, so that nobody asks for that, which would do it.
    pub fn advance_upload(&self, cx: &mut Context<'_>) {
        if self.is(Mark::Blocked)
            && let Some(upload) = self.upload.borrow().as_ref().and_then(rc::Weak::upgrade)
        {
            upload.advance(cx);
        }
    }

    /// Keeps a body of which nobody wants the rest.
    pub(super) fn keep_unread(&self, body: Option<Incoming>) {
        *self.unread.borrow_mut() = body.map(Box::new);
    }

    /// What was kept of it.
    pub fn take_unread(&self) -> Option<Box<Incoming>> {
        self.unread.take()
    }

    pub(super) fn set_tunnel(&self, tunnel: Box<Tunnel>) {
        *self.tunnel.borrow_mut() = Some(tunnel);
    }

    /// Notes the task that passes on to a stream what its tunnel says, or its answer.
    pub fn set_passage(&self, passage: &Waker) {
        *self.passage.borrow_mut() = Some(passage.clone());
    }

    /// Lets it hear that the tunnel has ended, or that some of the answer is taken.
    pub(super) fn wake_passage(&self) {
        if let Some(passage) = self.passage.take() {
            passage.wake();
        }
    }

    /// Whether the connection is to be a tunnel, once its client has been told so.
    pub fn has_tunnel(&self) -> bool {
        self.tunnel.borrow().is_some()
    }

    /// The other end, if the connection was upgraded.
    pub fn take_tunnel(&self) -> Option<Box<Tunnel>> {
        self.tunnel.take()
    }

    /// What is to come of the WebSocket that it asked for with CONNECT.
    pub(super) fn handshake(&self) -> &RefCell<Option<Handshake>> {
        &self.handshake
    }

    pub(super) fn count_in(&self, bytes: u64) {
        if let Some(paces) = self.paces.get() {
            paces.up.add(bytes);
        }
        self.bytes_in.set(self.bytes_in.get() + bytes);
    }

    pub(super) fn count_out(&self, bytes: u64) {
        self.bytes_out.set(self.bytes_out.get() + bytes);
    }

    pub(super) fn reset_counts(&self) {
        self.bytes_in.set(0);
        self.bytes_out.set(0);
    }

    /// Bytes of bodies from and to the client, in the exchange under way.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.bytes_in.get(), self.bytes_out.get())
    }
}
