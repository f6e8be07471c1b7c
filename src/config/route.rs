//! Routes: which requests they are for, and what is done with those.

use std::fmt::{self, Display, Formatter};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use super::access::{Networks, Rate};
use super::listen::ListenerId;
use super::pattern::Pattern;
use super::status::StatusRange;

/// A match, and what is done with the requests that it holds for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Unique among routes.
    pub name: Arc<str>,
    /// Which requests it is for.
    pub when: Match,
    /// What is done with them.
    pub action: Action,
    /// How.
    pub treatment: Treatment,
}

/// Which requests a route is for. All parts must hold; an empty list holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Routes of a higher priority are looked at first, however specific others are.
    pub priority: i32,
    /// One of these hosts.
    pub hosts: Vec<HostMatch>,
    /// One of these paths.
    pub paths: Vec<PathMatch>,
    /// One of these methods.
    pub methods: Vec<Method>,
    /// All of these.
    pub conditions: Vec<Condition>,
    /// A client in one of these networks.
    pub clients: Option<Networks<()>>,
    /// One of these listeners.
    pub listeners: Vec<ListenerId>,
}

/// A host, in lower case and without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostMatch {
    /// This one.
    Exact(Arc<str>),
    /// Any with one label or more before this, which begins with a dot: `.example.com` for `*.example.com`.
    Under(Arc<str>),
}

/// A path, as the request has it, without its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// This one: `/login`.
    Exact(Arc<str>),
    /// This one and all below it: `/api/*` holds for `/api` and `/api/x`, not for `/apix`. Kept without `/*`; empty for
    /// all paths.
    Prefix(Arc<str>),
    /// Segment for segment: `/users/{id}/posts` and `/files/{rest...}`, where the last takes all that is left.
    Template(Arc<[Segment]>),
    /// A regular expression that the whole path must match: `~ /v[0-9]+/.*`.
    Regex(Pattern),
}

impl Display for PathMatch {
    /// As it is written in a file.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Prefix(path) => write!(f, "{path}/*"),
            Self::Regex(pattern) => write!(f, "~ {}", pattern.text()),
            Self::Template(segments) => segments.iter().try_for_each(|segment| match segment {
                Segment::Literal(text) => write!(f, "/{text}"),
                Segment::Capture(name) => write!(f, "/{{{name}}}"),
                Segment::Rest(name) => write!(f, "/{{{name}...}}"),
            }),
        }
    }
}

/// A segment of a path's template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// These bytes.
    Literal(Arc<str>),
    /// Any one that is not empty, by this name.
    Capture(Arc<str>),
    /// All that is left, by this name.
    Rest(Arc<str>),
}

/// Something about a part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The part.
    pub part: Part,
    /// What must hold of it.
    pub test: Test,
}

/// A part of a request that may have several values: one that passes the test is enough.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// A header line.
    Header(HeaderName),
    /// A parameter of the query.
    Query(Arc<str>),
    /// A cookie.
    Cookie(Arc<str>),
}

/// What must hold of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// There is one.
    Present,
    /// There is none.
    Absent,
    /// It is this.
    Is(Arc<str>),
    /// It matches as a whole.
    Matches(Pattern),
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes to one of these pools. Never empty.
    Forward(Split),
    /// The client is sent elsewhere.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
        /// Where to; `{name}` stands for what the path's template or regular expression captured, `{host}`, `{path}` and
        /// `{query}` for those of the request.
        to: Arc<str>,
    },
    /// It is answered as it is written here.
    Answer {
        /// With this status.
        status: StatusCode,
        /// Of this media type.
        content_type: HeaderValue,
        /// With this body, which all answers share.
        body: Bytes,
    },
}

/// How requests are divided between pools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Never empty; weights are not all 0.
    pub shares: Vec<Share>,
    /// A cookie that keeps a client at its share, which is its name.
    pub cookie: Option<Arc<str>>,
    /// Only backends whose tags have these values.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
}

/// A pool's share of a route's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its place among the pools.
    pub pool: usize,
    /// Beside those of the others.
    pub weight: u32,
}

/// How a route's requests and their answers are treated. What is not set is as for all routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Treatment {
    /// A new path; the same placeholders as for a redirect, and `{rest}` for what stood where a prefix had its `*`.
    pub rewrite: Option<Arc<str>>,
    /// A new `Host`.
    pub host: Option<HeaderValue>,
    /// Changes of the request's head.
    pub request_headers: Changes,
    /// Changes of the answer's head.
    pub answer_headers: Changes,
    /// To the end of the answer's head.
    pub response_timeout: Option<Duration>,
    /// Without progress of a body.
    pub body_timeout: Option<Duration>,
    /// Bytes of a request's body.
    pub body_limit: Option<NonZeroU64>,
    /// When a request is sent again.
    pub retry: Retry,
    /// Requests of one client address on this route.
    pub rate: Option<Rate>,
    /// A copy of some requests goes to another pool; its answers are dropped.
    pub mirror: Option<Mirror>,
    /// Bodies in place of ours and of backends', by status.
    pub error_pages: Vec<ErrorPage>,
}

/// Changes of a head: lines are removed, then set (in place of others of their name), then added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names.
    pub remove: Vec<HeaderName>,
    /// In place of others.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Beside others.
    pub add: Vec<(HeaderName, HeaderValue)>,
}

/// When a request that failed is sent to another backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Backends that may see a request.
    pub attempts: NonZeroU32,
    /// Statuses of an answer that count as a failure, for requests that may be repeated.
    pub statuses: Vec<StatusCode>,
}

/// A copy of requests for another pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Its place among the pools.
    pub pool: usize,
    /// Of 100.
    pub percent: u8,
}

/// What is shown in place of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage {
    /// The statuses that it is for.
    pub statuses: StatusRange,
    /// Of this media type.
    pub content_type: HeaderValue,
    /// The page, which all answers share.
    pub body: Bytes,
}

impl Route {
    /// One that takes all requests to the first of the pools.
    pub fn to_first_pool(name: &str) -> Self {
        let split = Split { shares: vec![Share { pool: 0, weight: 1 }], cookie: None, tags: Vec::new() };
        Self {
            name: name.into(),
            when: Match::default(),
            action: Action::Forward(split),
            treatment: Treatment::default(),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: NonZeroU32::new(3).expect("three is not zero"), statuses: Vec::new() }
    }
}
