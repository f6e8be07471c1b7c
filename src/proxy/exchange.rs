//! One request and its answer, from the head's last byte to the answer's: what must happen when it ends, however.

use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::{Body as _, Incoming};
use hyper::header::{HeaderMap, HeaderValue, SET_COOKIE};
use hyper::{Method, Request, Version};
use tracing::Level;

use crate::config::Config;
use crate::telemetry::access_log::Entry;

use super::affinity::Affinity;
use super::client::Mark;
use super::phase::Phase;
use super::request_id::RequestId;
use super::treated::Treated;
use super::{Client, Error, Fault, grpc};

/// A request under way. When it is dropped, the client's connection waits for the next one, and the access log has a line or gets it
/// when the last of the answer is out.
#[derive(Debug)]
pub(super) struct Exchange {
    client: Rc<Client>,
    /// Only while there is an access log, or what fails is told.
    entry: Option<Box<Entry>>,
    /// When it began, if it is one of those that are looked at and is not answered yet.
    began: Option<Instant>,
    /// The place of the pool that it goes to, once that is known.
    pool: Option<u32>,
    /// Only if its route says something of its answer.
    treated: Option<Box<Treated>>,
    /// Only if the settings name a header line for it.
    id: Option<Box<RequestId>>,
    /// Whether it is a call of a gRPC method, which HTTP/1.1 cannot carry.
    is_grpc: bool,
    /// Whether our own answer must leave its body out: with HTTP/1.1 hyper does so itself.
    wants_no_body: bool,
    /// Whether its answer began with a status that is no failure.
    began_well: bool,
    /// Whether it is known how it ended, which is told once.
    settled: bool,
}

impl Exchange {
    pub(super) fn begin(client: Rc<Client>, request: &Request<Incoming>) -> Self {
        // hyper may read on while the last of an answer waits, if it came before the end of its upload. That has its line, with its counts.
        if client.is(Mark::Given) {
            client.took_answer();
        }
        let is_told = client.shared.access_log.is_some() || tracing::enabled!(Level::DEBUG);
        let entry = is_told.then(|| {
            client.reset_counts();
            let listener = client.listener_name();
            Box::new(Entry::begin(listener, client.address(), request).on_behalf_of(client.ip()))
        });
        let began = look_at(&client, request);
        client.begin_exchange();
        let is_http2 = request.version() == Version::HTTP_2;
        let is_grpc = is_http2 && grpc::is_call(request.method(), request.headers());
        let wants_no_body = is_http2 && request.method() == Method::HEAD;
        client.set(Mark::Watched, request.body().is_end_stream());
        client.set(Mark::OpenEnded, request.version() == Version::HTTP_10);
        // hyper leaves there how it would be told of the switch, and nothing else.
        if !is_http2 && !request.extensions().is_empty() {
            client.set(Mark::Switchable, true);
        }
        client.enter(Phase::Connect);
        let (began_well, settled) = (false, false);
        Self {
            client,
            entry,
            began,
            pool: None,
            treated: None,
            id: None,
            is_grpc,
            wants_no_body,
            began_well,
            settled,
        }
    }

    pub(super) fn client(&self) -> &Rc<Client> {
        &self.client
    }

    /// It has an id.
    #[cold]
    pub(super) fn is_known_by(&mut self, id: RequestId) {
        if let Some(entry) = &mut self.entry {
            entry.is_known_by(id.id());
        }
        self.id = Some(Box::new(id));
    }

    /// What it is known by, if anything.
    pub(super) fn id(&self) -> Option<&RequestId> {
        self.id.as_deref()
    }

    /// Whether it is a call of a gRPC method.
    pub(super) fn is_grpc(&self) -> bool {
        self.is_grpc
    }

    /// Whether our own answer must leave its body out.
    pub(super) fn wants_no_body(&self) -> bool {
        self.wants_no_body
    }

    /// Its route was found.
    pub(super) fn takes(&mut self, config: &Config, route: usize) {
        if let Some(entry) = &mut self.entry {
            entry.takes(&config.routes[route].name);
        }
    }

    /// Its pool was chosen.
    pub(super) fn goes_to(&mut self, config: &Config, pool: usize) {
        self.pool = u32::try_from(pool).ok();
        if let Some(entry) = &mut self.entry {
            entry.goes_to(&config.pools[pool].name);
        }
    }

    /// The place of the pool that it goes to, if that is known.
    pub(super) fn pool(&self) -> Option<usize> {
        self.pool.map(|pool| pool as usize)
    }

    /// The cookie, if any, that keeps the client at the backend with this answer.
    pub(super) fn stays_at(&mut self, cookie: Option<HeaderValue>, headers: &mut HeaderMap) {
        match (&mut self.treated, cookie) {
            (Some(treated), cookie) => treated.stays_at(cookie),
            (None, Some(cookie)) => drop(headers.append(SET_COOKIE, cookie)),
            (None, None) => {}
        }
    }

    /// Notes what its route makes of its answer.
    pub(super) fn treat(&mut self, treated: Treated) {
        self.treated = Some(Box::new(treated));
    }

    /// Notes what ties it to a backend before its route changes its head.
    pub(super) fn is_tied(&mut self, affinity: Affinity) {
        if let Some(treated) = &mut self.treated {
            treated.set_affinity(affinity);
        }
    }

    /// What its route makes of its answer, if anything.
    pub(super) fn treated(&self) -> Option<&Treated> {
        self.treated.as_deref()
    }

    /// A backend was chosen.
    pub(super) fn attempt(&mut self, backend: &Arc<str>) {
        if let Some(entry) = &mut self.entry {
            entry.attempt(backend);
        }
    }

    /// The client gets an answer with this status.
    pub(super) fn answered(&mut self, status: u16) {
        if let Some(entry) = &mut self.entry {
            entry.answered(status);
        }
        self.began_well = begins_well(status);
        let tally = &self.client.shared.tally;
        tally.answered(status);
        if let Some(began) = self.began.take() {
            tally.took(began);
        }
        self.client.enter(Phase::Answer);
    }

    /// Whether it is one of those that are timed.
    pub(super) fn is_timed(&self) -> bool {
        self.began.is_some()
    }

    /// Whether its answer began with a status that is no failure.
    pub(super) fn began_well(&self) -> bool {
        self.began_well
    }

    /// The client's side of hyper was given all of the answer, which HTTP/1.1 has yet to write. What becomes of a stream's is known
    /// to who gives it in pieces.
    pub(super) fn given(&mut self) {
        if !mem::replace(&mut self.settled, true) && !self.client.is(Mark::Stream) {
            self.client.set(Mark::Given, true);
        }
    }

    /// It ended as it should.
    pub(super) fn completed(&mut self) {
        self.settled = true;
    }

    /// It did not end as the client wished. Tells whether that is news, and the backend is to blame for it.
    #[cold]
    pub(super) fn failed(&mut self, error: &Error) -> bool {
        if mem::replace(&mut self.settled, true) {
            return false;
        }
        self.client.tell_failure(error, self.entry.as_deref_mut());
        error.row().fault == Fault::Backend
    }

    /// It ended before all of its answer was given away. Tells the same.
    pub(super) fn cut(&mut self) -> bool {
        !self.settled && self.failed(&self.client.why_cut())
    }
}

/// Whether an answer with this status is no failure, as far as is known when it begins.
pub(super) fn begins_well(status: u16) -> bool {
    status < 500
}

/// Times a request and keeps it, if it is one of those that are looked at.
fn look_at(client: &Client, request: &Request<Incoming>) -> Option<Instant> {
    let tally = &client.shared.tally;
    tally.looks(client.shared.clock.now()).then(|| {
        let listener = client.listener_id().text();
        tally.recent().borrow_mut().keep(request, client.ip(), listener, client.speaks_tls());
        Instant::now()
    })
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(began) = self.began {
            // Its client has not waited for an answer.
            self.client.shared.tally.took(began);
        }
        self.cut();
        match self.client.is(Mark::Given) {
            true => self.client.keep_line(self.entry.take()),
            false => self.entry.iter().for_each(|entry| self.client.log(entry)),
        }
        self.client.set(Mark::Watched, false);
        self.client.set_upload(None);
        self.client.end_answer();
    }
}
