//! How far a request may go: in no circle, and no further than its client says (RFC 9110 sections 7.6.2 and 7.6.3).

use hyper::header::{HeaderMap, MAX_FORWARDS};
use hyper::{Method, Request};

use crate::connect::Provenance;

use super::Error;

/// How often a request may have come through a balancer like this one. A chain of several is legitimate, and so is a cache
/// between two visits to the same one.
const MOST_VISITS: usize = 10;

/// Refuses a request that has come through us too often.
#[cold]
pub(super) fn check_circle(headers: &HeaderMap) -> Result<(), Error> {
    if Provenance::visits(headers) < MOST_VISITS { Ok(()) } else { Err(Error::LoopDetected) }
}

/// Whether a request may go no further, so that we answer it. From how far another may go, one is taken.
#[inline]
pub(super) fn ends<B>(request: &mut Request<B>) -> Result<bool, Error> {
    // With other methods the field means nothing.
    match *request.method() {
        Method::OPTIONS | Method::TRACE => take_one(request),
        _ => Ok(false),
    }
}

#[cold]
fn take_one<B>(request: &mut Request<B>) -> Result<bool, Error> {
    let mut limits = request.headers().get_all(MAX_FORWARDS).iter();
    let Some(limit) = limits.next() else { return Ok(false) };
    let limit = limit.as_bytes();
    if limit.is_empty() || !limit.iter().all(u8::is_ascii_digit) || limits.next().is_some() {
        return Err(Error::Malformed("its Max-Forwards is not a number"));
    }
    // Of more than we can count to, what is left is the most that we can.
    let left = match str::from_utf8(limit).ok().and_then(|digits| digits.parse::<u64>().ok()) {
        Some(limit) => limit.checked_sub(1),
        None => Some(u64::MAX),
    };
    match left {
        Some(left) => {
            request.headers_mut().insert(MAX_FORWARDS, left.into());
            Ok(false)
        }
        None if request.method() == Method::TRACE => Err(Error::TraceRefused),
        None => Ok(true),
    }
}
