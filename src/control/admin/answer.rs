//! Answers of the admin API.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::control::desk::Desk;

use super::refused::{self, Refused};

/// An answer of the admin API: small, and made before it is sent.
pub(super) type Answer = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What tells the settings in force from others.
pub(super) fn revision_tag(desk: &Desk, revision: u64) -> String {
    format!("\"{}-{revision}\"", process(desk))
}

/// What tells a backend from what others make of it: the settings in force, and what operators said.
pub(super) fn backend_tag(desk: &Desk, backend: &crate::backends::Backend) -> String {
    let (process, revision) = (process(desk), desk.revision());
    let hold = backend.hold.map_or(String::new(), |hold| format!("-{hold}"));
    let weight = backend.weight.map_or(String::new(), |weight| format!("-{weight}"));
    format!("\"{process}-{revision}{hold}{weight}\"")
}

/// What tells this process from the one before and the next, which count for themselves: no two began at one moment.
fn process(desk: &Desk) -> String {
    let began = desk.began().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}", began.as_nanos())
}

/// An answer with a JSON body.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    respond(status, JSON, in_json(value))
}

/// The same with an entity tag (RFC 9110, section 8.8.3).
pub(super) fn tagged(mut answer: Answer, tag: &str) -> Answer {
    let tag = HeaderValue::from_str(tag).expect("a tag is of letters and digits");
    answer.headers_mut().insert(ETAG, tag);
    answer
}

fn in_json(value: &impl Serialize) -> Vec<u8> {
    let mut body = serde_json::to_vec_pretty(value).expect("what is shown has names for keys");
    body.push(b'\n');
    body
}

/// An answer with such a body.
pub(super) fn respond(status: StatusCode, media_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// The answer to a request that is refused.
pub(super) fn refuse(refused: &Refused) -> Answer {
    let (status, problem) = refused.problem();
    let mut answer = respond(status, PROBLEM, in_json(&problem));
    let headers = answer.headers_mut();
    match refused {
        Refused::Method(resource) => {
            let allowed = refused::methods(resource);
            headers.insert(ALLOW, HeaderValue::from_str(&allowed).expect("methods are words"));
        }
        Refused::NoToken => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"loadbalancer\""));
        }
        // RFC 6750, section 3.1.
        Refused::WrongToken => {
            let wrong = "Bearer realm=\"loadbalancer\", error=\"invalid_token\"";
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(wrong));
        }
        _ => {}
    }
    answer
}
