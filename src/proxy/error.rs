//! All that can go wrong with a request, and what each means to whom.

use std::io::{self, ErrorKind};

use hyper::StatusCode;

use crate::connect::{Broken, DialError, TlsFault, is_our_want};
use crate::telemetry::is_want_of_files;

/// Why a request did not end as its client wished. A closed list: each case has one row in [`Error::row`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not HTTP/1.1 as RFC 9112 has it.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// The head of the request has too many bytes or lines.
    #[error("the head of the request is larger than this proxy takes")]
    HeadTooLarge,
    /// The target of the request is too long.
    #[error("the target of the request is longer than this proxy takes")]
    TargetTooLong,
    /// The client did not finish the head of its request in time.
    #[error("the head of the request did not come in time")]
    HeadTimeout,
    /// The client did not go on with the body of its request in time.
    #[error("the body of the request did not come in time")]
    UploadTimeout,
    /// The body of the request is larger than the operator allows.
    #[error("the body of the request is larger than this proxy takes")]
    BodyTooLarge,
    /// The client asked for a tunnel to a host of its choice.
    #[error("this proxy opens no tunnels (CONNECT)")]
    ConnectMethod,
    /// The request may go no further than to us, and is to be reflected by whom it ends at.
    #[error("this proxy reflects no requests (TRACE), and this one may go no further")]
    TraceRefused,
    /// The request has come through us so often that it would come again and again.
    #[error("the request goes round in circles: it came through this proxy before")]
    LoopDetected,
    /// The client's network is one that the operator refuses.
    #[error("this proxy does not serve clients of your network")]
    Denied,
    /// The client sends more requests than the operator allows each; the number of seconds until it may send one again.
    #[error("more requests came from your address than this proxy takes")]
    ClientRate(u64),
    /// The client sends more requests than a route takes of each; the number of seconds until it may send one again.
    #[error("more requests came from your address than this proxy takes here")]
    RouteRate(u64),
    /// More requests come than the operator allows in all; the number of seconds until one may come again.
    #[error("more requests came than this proxy takes")]
    TotalRate(u64),
    /// The client has as many connections as the operator allows each.
    #[error("as many connections of your address are open as this proxy takes")]
    ClientConnections,
    /// The client asked for a tunnel of a kind that we do not know.
    #[error("this proxy opens no tunnels but for WebSocket")]
    UnknownProtocol,
    /// The client went away before its answer was complete.
    #[error("the client went away")]
    ClientGone,
    /// The client stopped taking its answer.
    #[error("the client stopped reading its answer")]
    ClientStalled,
    /// As many clients are connected as the operator allows.
    #[error("as many clients are connected as this proxy takes")]
    TooManyConnections,
    /// Who must begin with a PROXY header did not, or with a bad one.
    #[error("the connection must begin with a PROXY header: {0}")]
    ProxyHeader(&'static str),
    /// The client sends frames of HTTP/2 that bring no request on, and does not stop.
    #[error("the client floods its connection with {0} frames")]
    Flood(&'static str),
    /// More is asked of who connects than its client was asked when it did.
    #[error("more is asked of who connects than when this connection began: connect anew")]
    OutdatedConnection,
    /// No route holds for the request.
    #[error("nothing is here for this host, path and kind of request")]
    NoRoute,
    /// All backends that would be used are down.
    #[error("no backend for this request is healthy")]
    NoBackend,
    /// There are no backends, or all were taken out: by an operator, a weight of 0 or the tags of a route.
    #[error("no backend is in service for this request")]
    NoneInService,
    /// All backends that may be used have as many requests as they may have.
    #[error("all backends have as many requests as they may have")]
    BackendsFull,
    /// The backend could not be connected to.
    #[error("the backend cannot be reached: {0}")]
    Connect(#[source] io::Error),
    /// We have no file or port left for a connection to a backend.
    #[error("this proxy has no means left to reach a backend: {0}")]
    Exhausted(#[source] io::Error),
    /// The backend did not accept a connection in time.
    #[error("the backend did not accept a connection in time")]
    ConnectTimeout,
    /// The backend's certificate cannot be trusted.
    #[error("the backend is not who it should be: {0}")]
    BadCertificate(TlsFault),
    /// The backend and we did not agree upon TLS.
    #[error("the backend cannot be spoken to: {0}")]
    TlsFailed(TlsFault),
    /// The backend was to speak HTTP/2 and did not begin to.
    #[error("the backend did not begin to speak HTTP/2")]
    NotHttp2,
    /// The request is to switch protocols, and the backend speaks HTTP/2 without TLS.
    #[error("the backend speaks HTTP/2, on which this proxy cannot switch protocols")]
    CannotSwitch,
    /// The backend closed the connection before the head of its answer was complete.
    #[error("the backend closed the connection before it answered")]
    Closed(#[source] Broken),
    /// The backend's answer is not HTTP/1.1, or its head is too large.
    #[error("the backend's answer is not one that this proxy can pass on")]
    BadAnswer(#[source] Broken),
    /// The backend switched protocols without having been asked to, or before it had all of the request.
    #[error("the backend switched protocols unasked, or amid the request")]
    UnaskedUpgrade,
    /// The backend answered a request for a WebSocket as if it were any other, or switched to something else.
    #[error("the backend did not agree to the WebSocket that it was asked for")]
    UpgradeIgnored,
    /// The backend sent interim answers and did not stop.
    #[error("the backend sent interim answers without end")]
    TooManyInterim,
    /// The backend's answer has a transfer coding other than `chunked`.
    #[error("the backend's answer has a transfer coding that nobody asked for")]
    UnaskedCoding,
    /// The backend's answer has both a length and a transfer coding.
    #[error("the backend's answer has both a Content-Length and a Transfer-Encoding")]
    TwoFramings,
    /// The backend did not take the body of the request in time.
    #[error("the backend stopped reading the request")]
    BackendStalled,
    /// The backend did not answer in time.
    #[error("the backend did not answer in time")]
    ResponseTimeout,
    /// The backend was found to be gone, or to hang, while its answer was waited for.
    #[error("the backend was found dead before it answered")]
    FoundDead,
    /// The backend's connection broke amid the body of its answer.
    #[error("the backend's answer broke off{}", how(.0))]
    AnswerBroken(#[source] Broken),
    /// The backend did not go on with the body of its answer in time.
    #[error("the backend's answer did not go on in time")]
    AnswerTimeout,
    /// The backend's connection broke while it was a tunnel.
    #[error("the backend broke off the tunnel")]
    TunnelBroken,
    /// No byte passed a tunnel in time.
    #[error("nothing passed the tunnel in time")]
    TunnelTimeout,
    /// We stopped, and the request took longer than that may last.
    #[error("this proxy stopped before the answer was complete")]
    Stopped,
}

/// What is wrong with the framing of a request, as the error of a read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misframed(pub &'static str);

/// Who broke a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The one who asked.
    Client,
    /// The one who was to answer.
    Backend,
    /// This program or its settings.
    Us,
}

/// What an error means to whom.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Who broke the request.
    pub fault: Fault,
    /// What the client is told, if it can still be told; else what only the log tells.
    pub status: StatusCode,
    /// A stable word for logs and metrics.
    pub reason: &'static str,
    /// The error type of `Proxy-Status` (RFC 9209 section 2.3).
    pub proxy_status: &'static str,
    /// HAProxy's two letters for it: who ended the request, and when.
    pub termination: &'static str,
}

/// The reasons that there are, as the table of [`Error::row`] has them: tests/tidy.rs compares.
#[rustfmt::skip]
pub const REASONS: &[&str] = &[
    "malformed_request", "head_too_large", "target_too_long", "head_timeout", "upload_timeout",
    "body_too_large", "connect_refused", "trace_refused", "loop_detected", "denied", "client_rate",
    "route_rate", "total_rate", "client_connections", "unknown_protocol", "client_gone", "client_stalled",
    "too_many_connections", "proxy_header", "flood", "outdated_connection", "no_route", "no_backend",
    "none_in_service", "backends_full", "connect_failed", "exhausted", "connect_timeout", "bad_certificate", "tls_failed",
    "not_http2", "cannot_switch", "backend_closed", "bad_answer", "unasked_upgrade", "upgrade_ignored",
    "too_many_interim", "unasked_coding", "two_framings", "backend_stalled", "response_timeout",
    "found_dead", "answer_broken", "answer_timeout", "tunnel_broken", "tunnel_timeout", "stopped",
];

impl Error {
    /// Whether there was no file left for a connection.
    pub(super) fn is_want_of_files(&self) -> bool {
        matches!(self, Self::Exhausted(error) if is_want_of_files(error))
    }

    /// What an attempt to connect failed of.
    pub(super) fn of_dial(error: DialError) -> Self {
        match error {
            DialError::Connect(error) if is_our_want(&error) => Self::Exhausted(error),
            DialError::Connect(error) => Self::Connect(error),
            DialError::Tls(fault) => Self::of_tls(fault),
            DialError::Full => Self::ConnectTimeout,
            DialError::NotHttp2 | DialError::ClosedInClear => Self::NotHttp2,
            DialError::Closed => Self::Closed(Broken::Unbegun),
            DialError::CannotSwitch => Self::CannotSwitch,
        }
    }

    pub(super) fn of_tls(fault: TlsFault) -> Self {
        if fault.is_certificate() { Self::BadCertificate(fault) } else { Self::TlsFailed(fault) }
    }

    /// The one table that maps each case to what it means.
    #[rustfmt::skip]
    pub fn row(&self) -> Row {
        use Fault::{Backend, Client, Us};
        let (fault, status, reason, proxy_status, termination) = match self {
            Self::Malformed(_)       => (Client,  400, "malformed_request",  "http_request_error",                 "PR"),
            Self::HeadTooLarge       => (Client,  431, "head_too_large",     "http_request_error",                 "PR"),
            Self::TargetTooLong      => (Client,  414, "target_too_long",    "http_request_error",                 "PR"),
            Self::HeadTimeout        => (Client,  408, "head_timeout",       "http_request_error",                 "cR"),
            Self::UploadTimeout      => (Client,  408, "upload_timeout",     "http_request_error",                 "cD"),
            Self::BodyTooLarge       => (Client,  413, "body_too_large",     "http_request_denied",                "PR"),
            Self::ConnectMethod      => (Client,  405, "connect_refused",    "http_request_denied",                "PR"),
            Self::TraceRefused       => (Client,  405, "trace_refused",      "http_request_denied",                "PR"),
            Self::LoopDetected       => (Us,      508, "loop_detected",      "proxy_loop_detected",                "PR"),
            Self::Denied             => (Client,  403, "denied",             "http_request_denied",                "PR"),
            Self::ClientRate(_)      => (Client,  429, "client_rate",        "http_request_denied",                "PR"),
            Self::RouteRate(_)       => (Client,  429, "route_rate",         "http_request_denied",                "PR"),
            Self::TotalRate(_)       => (Us,      429, "total_rate",         "http_request_denied",                "PR"),
            Self::ClientConnections  => (Client,  429, "client_connections", "connection_limit_reached",           "PC"),
            Self::UnknownProtocol    => (Client,  501, "unknown_protocol",   "http_request_denied",                "PR"),
            Self::ClientGone         => (Client,  499, "client_gone",        "http_request_error",                 "CD"),
            Self::ClientStalled      => (Client,  499, "client_stalled",     "connection_write_timeout",           "cD"),
            Self::TooManyConnections => (Us,      503, "too_many_connections", "connection_limit_reached",         "PC"),
            Self::ProxyHeader(_)     => (Client,  400, "proxy_header",       "http_request_error",                 "PR"),
            Self::Flood(_)           => (Client,  429, "flood",              "http_request_denied",                "PR"),
            Self::OutdatedConnection => (Us,      421, "outdated_connection", "http_request_denied",               "PR"),
            Self::NoRoute            => (Client,  404, "no_route",           "destination_not_found",              "PR"),
            Self::NoBackend          => (Backend, 503, "no_backend",         "destination_unavailable",            "SC"),
            Self::NoneInService      => (Us,      503, "none_in_service",    "destination_unavailable",            "SC"),
            Self::BackendsFull       => (Us,      503, "backends_full",      "connection_limit_reached",           "SC"),
            Self::Connect(error) if is_refusal(error)    => (Backend, 503, "connect_failed", "connection_refused",        "SC"),
            Self::Connect(error) if is_unroutable(error) => (Backend, 503, "connect_failed", "destination_ip_unroutable", "SC"),
            Self::Connect(_)                             => (Backend, 503, "connect_failed", "destination_unavailable",   "SC"),
            Self::Exhausted(_)       => (Us,      503, "exhausted",          "proxy_internal_error",               "RC"),
            Self::ConnectTimeout     => (Backend, 504, "connect_timeout",    "connection_timeout",                 "sC"),
            Self::BadCertificate(_)  => (Backend, 502, "bad_certificate",    "tls_certificate_error",              "SC"),
            Self::TlsFailed(_)       => (Backend, 502, "tls_failed",         "tls_protocol_error",                 "SC"),
            Self::NotHttp2           => (Backend, 502, "not_http2",          "http_protocol_error",                "SC"),
            Self::CannotSwitch       => (Us,      501, "cannot_switch",      "http_upgrade_failed",                "PH"),
            Self::Closed(_)          => (Backend, 502, "backend_closed",     "connection_terminated",              "SH"),
            Self::BadAnswer(_)       => (Backend, 502, "bad_answer",         "http_protocol_error",                "PH"),
            Self::UnaskedUpgrade     => (Backend, 502, "unasked_upgrade",    "http_upgrade_failed",                "PH"),
            Self::UpgradeIgnored     => (Backend, 502, "upgrade_ignored",    "http_upgrade_failed",                "PH"),
            Self::TooManyInterim     => (Backend, 502, "too_many_interim",   "http_protocol_error",                "PH"),
            Self::UnaskedCoding      => (Backend, 502, "unasked_coding",     "http_response_transfer_coding",      "PH"),
            Self::TwoFramings        => (Backend, 502, "two_framings",       "http_protocol_error",                "PH"),
            Self::BackendStalled     => (Backend, 504, "backend_stalled",    "connection_write_timeout",           "sD"),
            Self::ResponseTimeout    => (Backend, 504, "response_timeout",   "http_response_timeout",              "sH"),
            Self::FoundDead          => (Backend, 504, "found_dead",         "destination_unavailable",            "sH"),
            Self::AnswerBroken(_)    => (Backend, 502, "answer_broken",      "http_response_incomplete",           "SD"),
            Self::AnswerTimeout      => (Backend, 504, "answer_timeout",     "connection_read_timeout",            "sD"),
            Self::TunnelBroken       => (Backend, 502, "tunnel_broken",      "connection_terminated",              "SD"),
            Self::TunnelTimeout      => (Us,      504, "tunnel_timeout",     "connection_timeout",                 "cD"),
            Self::Stopped            => (Us,      503, "stopped",            "proxy_internal_error",               "KD"),
        };
        let status = StatusCode::from_u16(status).expect("the table holds statuses");
        Row { fault, status, reason, proxy_status, termination }
    }
}

/// How an answer broke off, where the words for that say what to do.
fn how(broken: &Broken) -> String {
    if let Broken::NoFarewell = broken { format!(": {broken}") } else { String::new() }
}

fn is_refusal(error: &io::Error) -> bool {
    error.kind() == ErrorKind::ConnectionRefused
}

fn is_unroutable(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable)
}
