//! What a request is known by to its backend, to its client and in the access log, where the settings name a header line for it.

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::fields::remove_like;

/// Bytes of an id that a trusted proxy has given.
const LONGEST: usize = 128;

/// A request's id.
#[derive(Debug)]
pub(super) struct RequestId {
    /// The header line that says it.
    name: HeaderName,
    id: HeaderValue,
}

impl RequestId {
    /// The id that came with a request, if whoever sent that is trusted, or a new one.
    pub(super) fn of(headers: &HeaderMap, name: &HeaderName, is_trusted: bool) -> Self {
        let given = given(headers, name).filter(|_| is_trusted);
        // A copy, for it may outlast what it was read with.
        let given = given.and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok());
        Self { name: name.clone(), id: given.unwrap_or_else(make) }
    }

    /// The id itself.
    pub(super) fn id(&self) -> &HeaderValue {
        &self.id
    }

    /// Says it in the head of a request, in place of what says it there, or would to a backend that takes `_` for `-`.
    pub(super) fn add_to_request(&self, headers: &mut HeaderMap) {
        remove_like(headers, &self.name);
        headers.insert(self.name.clone(), self.id.clone());
    }

    /// Says it in the head of an answer.
    pub(super) fn add_to_answer(&self, headers: &mut HeaderMap) {
        let mut id = self.id.clone();
        // No two are the same: HTTP/2 is not to remember it in place of what comes again (RFC 7541 section 7.1.3).
        id.set_sensitive(true);
        headers.insert(self.name.clone(), id);
    }
}

/// The id that a head says, if it says just one and that can stand in a log.
fn given<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let id = lines.next()?;
    let can_be_one = (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    (can_be_one && lines.next().is_none()).then_some(id)
}

/// By chance, so that no two of any balancers are the same; they are no secret, and can be guessed.
fn make() -> HeaderValue {
    let id = format!("{:032x}", fastrand::u128(..));
    HeaderValue::from_maybe_shared(Bytes::from(id)).expect("digits can stand in a header line")
}
