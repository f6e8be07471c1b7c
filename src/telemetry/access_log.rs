//! The access log: one JSON object on one line for each request, and for each client that is refused before it made one.
//!
//! Workers format lines into a buffer of their own and hand full buffers to one writer thread through a bounded queue.
//! A worker never waits for the disk: when the queue is full, the buffer's lines are dropped and counted.

mod sink;
mod writer;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Version};
use serde::Serialize;

pub use sink::check;
pub use writer::{Buffer, Writer};

/// Bytes of a target, a host or an agent that are logged, at most, before JSON escapes any.
const MOST: usize = 2048;
/// Bytes of a character in UTF-8 that are not all of it.
const LARGEST_PART: usize = 3;

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To standard output.
    Stdout,
    /// To the end of a file, which is created if missing.
    File(PathBuf),
}

/// One request's line while it is being gathered.
#[derive(Debug)]
pub struct Entry {
    began: Instant,
    /// After how long its answer's head was there to be sent.
    answered: Option<Duration>,
    at: SystemTime,
    listener: Arc<str>,
    client: SocketAddr,
    /// What it is known by, if requests have ids.
    id: Option<HeaderValue>,
    /// For whom the client speaks, if it is a trusted proxy that says so.
    origin: Option<IpAddr>,
    /// Unless no head came that can be read.
    method: Option<Method>,
    version: Option<Version>,
    path: String,
    host: Option<HeaderValue>,
    agent: Option<HeaderValue>,
    route: Option<Arc<str>>,
    pool: Option<Arc<str>>,
    backend: Option<Arc<str>>,
    attempts: u32,
    status: u16,
    reason: Option<&'static str>,
    termination: &'static str,
}

/// A request's line as it is written.
#[derive(Serialize)]
struct Line<'a> {
    /// Seconds since 1970, UTC, when the head had come, or was refused.
    ts: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
    listener: &'a str,
    client: Sender,
    /// The proxy that it came through, as far as we see: only if it is not the client itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    /// Empty, as the path is, when no head came that can be read: `jq` matches text against text, but fails on a null.
    method: &'a str,
    path: &'a str,
    /// As the request's head came.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    backend: Option<&'a str>,
    attempts: u32,
    bytes_in: u64,
    bytes_out: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_us: Option<u128>,
    duration_us: u128,
    reason: Option<&'static str>,
    termination: &'static str,
}

/// Who sent a request: seldom it is known only by its address, without a port.
#[derive(Serialize)]
#[serde(untagged)]
enum Sender {
    Connected(SocketAddr),
    Named(IpAddr),
}

impl Entry {
    /// Of a request whose head has come by this listener.
    pub fn begin<B>(listener: Arc<str>, client: SocketAddr, request: &Request<B>) -> Self {
        let (headers, uri) = (request.headers(), request.uri());
        let authority = || HeaderValue::from_str(uri.authority()?.as_str()).ok();
        Self {
            method: Some(request.method().clone()),
            version: Some(request.version()),
            path: shortened(uri.path_and_query().map_or("", PathAndQuery::as_str)).to_owned(),
            host: headers.get(HOST).cloned().or_else(authority),
            agent: headers.get(USER_AGENT).cloned(),
            ..Self::without_head(listener, client)
        }
    }

    /// Of a client whose request's head did not come, or cannot be read.
    pub fn without_head(listener: Arc<str>, client: SocketAddr) -> Self {
        Self {
            began: Instant::now(),
            answered: None,
            at: SystemTime::now(),
            listener,
            client,
            id: None,
            origin: None,
            method: None,
            version: None,
            path: String::new(),
            host: None,
            agent: None,
            route: None,
            pool: None,
            backend: None,
            attempts: 0,
            status: 0,
            reason: None,
            termination: "--",
        }
    }

    /// The client speaks for this address, which can be its own.
    pub fn on_behalf_of(mut self, origin: IpAddr) -> Self {
        self.origin = Some(origin).filter(|origin| *origin != self.client.ip());
        self
    }

    /// It has an id.
    pub fn is_known_by(&mut self, id: &HeaderValue) {
        self.id = Some(id.clone());
    }

    /// Its route was found.
    pub fn takes(&mut self, route: &Arc<str>) {
        self.route = Some(Arc::clone(route));
    }

    /// Its pool was chosen.
    pub fn goes_to(&mut self, pool: &Arc<str>) {
        self.pool = Some(Arc::clone(pool));
    }

    /// A backend was chosen.
    pub fn attempt(&mut self, backend: &Arc<str>) {
        self.backend = Some(Arc::clone(backend));
        self.attempts += 1;
    }

    /// The client gets an answer with this status.
    pub fn answered(&mut self, status: u16) {
        self.status = status;
        self.answered = Some(self.began.elapsed());
    }

    /// The backend that was chosen last.
    pub fn backend(&self) -> Option<&str> {
        self.backend.as_deref()
    }

    /// It did not end well. A status that was sent stays.
    pub fn failed(&mut self, status: u16, reason: &'static str, termination: &'static str) {
        self.reason = Some(reason);
        self.termination = termination;
        if self.status == 0 {
            self.status = status;
        }
    }

    /// The line, with its line end.
    pub fn end(&self, bytes_in: u64, bytes_out: u64) -> Vec<u8> {
        let line = Line {
            ts: self.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            request_id: self.id.as_ref().map(text),
            listener: &self.listener,
            client: self.origin.map_or(Sender::Connected(self.client), Sender::Named),
            peer: self.origin.map(|_| self.client),
            method: self.method.as_ref().map_or("", Method::as_str),
            path: &self.path,
            protocol: self.version.map(name),
            host: self.host.as_ref().map(text),
            user_agent: self.agent.as_ref().map(text),
            status: self.status,
            route: self.route.as_deref(),
            pool: self.pool.as_deref(),
            backend: self.backend.as_deref(),
            attempts: self.attempts,
            bytes_in,
            bytes_out,
            answered_us: self.answered.as_ref().map(Duration::as_micros),
            duration_us: self.began.elapsed().as_micros(),
            reason: self.reason,
            termination: self.termination,
        };
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

fn name(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MOST)]
}

fn text(value: &HeaderValue) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    // A character that this cut breaks begins no earlier than at the bound, and reading makes nothing shorter.
    match String::from_utf8_lossy(&bytes[..bytes.len().min(MOST + LARGEST_PART)]) {
        Cow::Borrowed(text) => shortened(text).into(),
        Cow::Owned(mut text) => {
            text.truncate(shortened(&text).len());
            text.into()
        }
    }
}
