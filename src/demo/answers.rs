//! The sample backend's answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderName, HeaderValue, SERVER, TRAILER};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::time::sleep;

use super::bodies::{self, AnswerBody};
use super::request::{Ask, BadPath};

const X_BYTES: HeaderName = HeaderName::from_static("x-bytes");

type Answer = Response<AnswerBody>;

/// One sample backend: what its connections share.
pub(super) struct Backend {
    name: String,
    /// The name as a header, if it can be one.
    server: Option<HeaderValue>,
    failing: AtomicBool,
}

impl Backend {
    pub(super) fn new(name: String) -> Self {
        let server = HeaderValue::from_str(&name).ok();
        Self { name, server, failing: AtomicBool::new(false) }
    }

    pub(super) async fn answer(&self, mut request: Request<Incoming>) -> Answer {
        let asked = Ask::parse(request.uri().path());
        // Who expects a 100 (Continue) sends nothing unless it is asked for.
        if asked != Ok(Ask::Echo) && !request.headers().contains_key(EXPECT) {
            bodies::drain(request.body_mut()).await;
        }
        let mut answer = match asked {
            Ok(Ask::Name) => line(StatusCode::OK, &format!("hello from {}", self.name)),
            Ok(Ask::Health) => self.health(request.method()),
            Ok(Ask::SetHealth { failing }) => self.set_health(request.method(), failing),
            Ok(Ask::Status(code)) => status(code),
            Ok(Ask::Delay(pause)) => delay(pause).await,
            Ok(Ask::Bytes(count)) => sized(count),
            Ok(Ask::Chunked(count)) => chunked(count),
            Ok(Ask::Echo) => echo(request).await,
            Err(why @ BadPath::Unknown) => line(StatusCode::NOT_FOUND, &why.to_string()),
            Err(why @ BadPath::Value { .. }) => line(StatusCode::BAD_REQUEST, &why.to_string()),
        };
        if let Some(server) = &self.server {
            answer.headers_mut().insert(SERVER, server.clone());
        }
        answer
    }

    fn health(&self, method: &Method) -> Answer {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return not_allowed("GET, HEAD");
        }
        if self.failing.load(Ordering::Relaxed) {
            line(StatusCode::SERVICE_UNAVAILABLE, "failing")
        } else {
            line(StatusCode::OK, "ok")
        }
    }

    fn set_health(&self, method: &Method, failing: bool) -> Answer {
        if *method != Method::POST {
            return not_allowed("POST");
        }
        self.failing.store(failing, Ordering::Relaxed);
        let code = if failing { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        line(StatusCode::OK, &format!("/health answers {} from now on", code.as_str()))
    }
}

fn status(code: StatusCode) -> Answer {
    // RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5: these have no content.
    if matches!(code, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED) {
        return with_status(code, bodies::whole(Bytes::new()));
    }
    match code.canonical_reason() {
        Some(reason) => line(code, &format!("{} {reason}", code.as_str())),
        None => line(code, code.as_str()),
    }
}

async fn delay(pause: Duration) -> Answer {
    sleep(pause).await;
    line(StatusCode::OK, &format!("waited {} ms", pause.as_millis()))
}

fn sized(count: u64) -> Answer {
    let mut answer = text(StatusCode::OK, bodies::sized(count));
    answer.headers_mut().insert(CONTENT_LENGTH, count.into());
    answer
}

fn chunked(count: u64) -> Answer {
    let trailers = HeaderMap::from_iter([(X_BYTES, count.into())]);
    let mut answer = text(StatusCode::OK, bodies::chunked(count, trailers));
    answer.headers_mut().insert(TRAILER, X_BYTES.into());
    answer
}

async fn echo(request: Request<Incoming>) -> Answer {
    let (head, mut rest) = request.into_parts();
    let mut echoed = format!("{} {} {:?}\n", head.method, head.uri, head.version).into_bytes();
    for (name, value) in &head.headers {
        // A value need not be UTF-8.
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"] {
            echoed.extend_from_slice(part);
        }
    }
    echoed.push(b'\n');

    let size = rest.size_hint().exact().map(|rest| echoed.len() as u64 + rest);
    // RFC 9110, section 10.1.1: the client waits for 100 (Continue), and hyper sends that when the body is
    // asked for before the answer begins. For the others the answer begins at once.
    let first = if head.headers.contains_key(EXPECT) { rest.frame().await } else { None };
    let mut answer = text(StatusCode::OK, bodies::echo(echoed.into(), first, rest));
    if let Some(size) = size {
        answer.headers_mut().insert(CONTENT_LENGTH, size.into());
    }
    answer
}

fn not_allowed(allow: &'static str) -> Answer {
    let mut answer = line(StatusCode::METHOD_NOT_ALLOWED, &format!("method not allowed; expected {allow}"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    answer
}

fn line(code: StatusCode, what: &str) -> Answer {
    text(code, bodies::whole(format!("{what}\n")))
}

fn text(code: StatusCode, body: AnswerBody) -> Answer {
    let mut answer = with_status(code, body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

fn with_status(code: StatusCode, body: AnswerBody) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = code;
    answer
}
