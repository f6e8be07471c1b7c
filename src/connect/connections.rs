//! One worker's connections to one backend.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use hyper::body::{Body, Bytes};
use tokio::sync::Notify;

use super::counted::Counted;
use super::dial::Protocol;
use super::http1::Http1;
use super::http2::{Http2, MOST_STREAMS};
use super::idle::Idle;
use super::shared::Shared;
use super::{Behalf, Connection, DialError, HeadLimits, Outbox, Way};

/// More than are ever made: a connection of one's own.
pub const OWN: usize = usize::MAX;

/// What a request needs of its connection.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// To switch protocols, which only a connection of its own can.
    pub upgrade: bool,
    /// One that was made when there had been so many, or [`OWN`], for an older one has failed.
    pub since: Option<usize>,
    /// On whose behalf it is.
    pub behalf: Option<Behalf>,
    /// What heads of answers may hold.
    pub limits: HeadLimits,
    /// No client asks for it, so it may take a file that is kept from them.
    pub is_rare: bool,
}

/// One worker's connections to one backend: idle ones, and those that requests share.
#[derive(Debug)]
pub struct Connections<B: Body + 'static> {
    way: Arc<Way>,
    outbox: Rc<Outbox<B>>,
    idle: Idle<B>,
    shared: Shared,
    /// What the backend spoke last, or is known to speak.
    speaks: Cell<Option<Protocol>>,
    /// Streams that the newest shared connection had room for.
    room: Cell<usize>,
    dialling: Cell<usize>,
    waiting: Cell<usize>,
    /// How often nobody was to wait for answers any more.
    abandoned: Cell<u32>,
    /// Whether only requests that began before still know of it.
    retired: Cell<bool>,
    /// What heads of answers may hold, if that has changed since the first was made.
    limits: Cell<Option<HeadLimits>>,
    /// An attempt to connect has ended, well or not, or a stream.
    ended: Rc<Notify>,
}

impl<B> Connections<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// None yet, to this backend. What need not be sent at once goes through the `outbox`.
    pub fn to(way: &Arc<Way>, outbox: &Rc<Outbox<B>>) -> Self {
        Self {
            way: Arc::clone(way),
            outbox: Rc::clone(outbox),
            idle: Idle::default(),
            shared: Shared::default(),
            speaks: Cell::new(way.protocol()),
            room: Cell::new(MOST_STREAMS),
            dialling: Cell::new(0),
            waiting: Cell::new(0),
            abandoned: Cell::new(0),
            retired: Cell::new(false),
            limits: Cell::new(None),
            ended: Rc::default(),
        }
    }

    /// How the backend is reached.
    pub fn way(&self) -> &Arc<Way> {
        &self.way
    }

    /// A connection that the backend still keeps, with room for one more request. With `probe` the system is asked, which
    /// costs a system call and leaves a smaller gap.
    pub fn take(&self, probe: bool, upgrade: bool) -> Option<Connection<B>> {
        // One that was made for an upgrade, or for what a backend of HTTP/2 wants so, is not for all.
        let may_be_exclusive = upgrade || self.speaks.get() == Some(Protocol::Http1);
        let kept = if may_be_exclusive { self.idle.take(probe) } else { None };
        match kept {
            Some(connection) => Some(Connection::Exclusive(connection)),
            None if upgrade || self.speaks.get() == Some(Protocol::Http1) => None,
            None => self.stream(probe, 0),
        }
    }

    /// Connects, or waits for a connection that others make and that will have room. The caller sets the deadline: dropping
    /// the future ends the attempt.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn connect(&self, need: Need) -> Result<Connection<B>, DialError> {
        let newer = need.since.filter(|_| !need.upgrade);
        if let Some(connection) = newer.and_then(|since| self.stream(false, since)) {
            return Ok(connection);
        }
        while !need.upgrade && need.since != Some(OWN) && self.will_have_room() {
            let _waiting = Counted::one_more(&self.waiting);
            self.ended.notified().await;
            if let Some(connection) = self.stream(false, need.since.unwrap_or_default()) {
                return Ok(connection);
            }
        }
        let _dialling = (!need.upgrade).then(|| Dialling::begin(self));
        let connection = self.dial(need).await;
        if connection.is_err() && !need.upgrade {
            // Nobody is to wait for others that may fail as well.
            self.room.set(1);
        }
        connection
    }

    /// How many were made so far that requests share.
    pub fn made(&self) -> usize {
        self.shared.made()
    }

    /// Keeps a connection for the next request, if it can carry one. `age` is that of the worker's clock.
    pub fn put(&self, connection: Connection<B>, age: u64) {
        match connection {
            Connection::Exclusive(_) if self.way.is_told_the_client() => {}
            Connection::Exclusive(connection) if !self.go_by(connection.limits()) => {}
            Connection::Exclusive(connection) => self.idle.put(connection, age),
            // The others that share it keep it.
            Connection::Shared(stream) => stream.ends_at(age),
        }
        if self.retired.get() {
            self.idle.clear();
        }
    }

    /// Closes what was idle since before `limit`, and what its backend closed. Both are ages of the worker's clock.
    pub fn sweep(&self, limit: u64, age: u64) {
        self.idle.sweep(limit);
        self.shared.sweep(limit, age);
    }

    /// Whether there are some that carry no request.
    pub fn has_idle(&self) -> bool {
        !self.idle.is_empty() || self.shared.any_is_idle()
    }

    /// Closes those that carry no request, and tells how many they were.
    pub fn give_up_idle(&self) -> usize {
        self.idle.clear() + self.shared.give_up_idle()
    }

    /// Closes those that carry no request, and lets nobody share the others any more.
    pub fn clear(&self) {
        self.idle.clear();
        self.shared.clear();
    }

    /// No request that begins from now on finds it, nor whoever closes what was idle for long: none is kept any more.
    pub fn retire(&self) {
        self.retired.set(true);
        self.clear();
    }

    /// Nobody is to wait for the answers any more that are waited for now.
    pub fn abandon(&self) {
        self.abandoned.update(|times| times.wrapping_add(1));
    }

    /// How often that was so.
    pub fn abandoned(&self) -> u32 {
        self.abandoned.get()
    }

    /// Makes no more use of those that go by other limits than these: each keeps those that it began with.
    pub fn keep_to(&self, limits: HeadLimits) {
        self.clear();
        self.limits.set(Some(limits));
    }

    fn go_by(&self, limits: HeadLimits) -> bool {
        self.limits.get().is_none_or(|known| known == limits)
    }

    fn stream(&self, probe: bool, since: usize) -> Option<Connection<B>> {
        self.shared.stream(probe, since).map(|stream| Connection::Shared(Box::new(stream)))
    }

    /// Whether connections are being made that are likely to have room for one more.
    fn will_have_room(&self) -> bool {
        let shares = self.speaks.get() != Some(Protocol::Http1) && self.may_be_shared();
        shares && self.waiting.get() + self.dialling.get() < self.dialling.get() * self.room.get()
    }

    fn may_be_shared(&self) -> bool {
        !self.way.is_told_the_client() && !self.retired.get()
    }

    async fn dial(&self, need: Need) -> Result<Connection<B>, DialError> {
        if need.upgrade && self.way.protocol() == Some(Protocol::Http2) {
            return Err(DialError::CannotSwitch);
        }
        let (stream, protocol) = self.way.open(&need).await?;
        if !need.upgrade {
            self.speaks.set(Some(protocol));
        }
        match protocol {
            Protocol::Http1 => {
                let connection = Http1::over(stream, need.limits, Rc::clone(&self.outbox));
                let connection = connection.await.map_err(std::io::Error::other)?;
                Ok(Connection::Exclusive(Box::new(connection)))
            }
            Protocol::Http2 => {
                let connection = Http2::over(stream, need.limits, Rc::clone(&self.ended)).await?;
                self.room.set(connection.most_streams());
                let stream = connection.stream();
                if self.may_be_shared() && self.go_by(need.limits) {
                    self.shared.add(connection);
                }
                Ok(Connection::Shared(Box::new(stream)))
            }
        }
    }
}

/// An attempt to connect. Those who wait hear of its end, however it ended.
struct Dialling<'a> {
    _counted: Counted<'a>,
    ended: &'a Notify,
}

impl<'a> Dialling<'a> {
    fn begin<B: Body>(connections: &'a Connections<B>) -> Self {
        Self { _counted: Counted::one_more(&connections.dialling), ended: &connections.ended }
    }
}

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        self.ended.notify_waiters();
    }
}
