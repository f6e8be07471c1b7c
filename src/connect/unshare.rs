//! Values of heads that are kept for longer than the piece of memory in which they came.

use hyper::header::{
    AGE, AUTHORIZATION, CONTENT_LENGTH, COOKIE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LOCATION, SET_COOKIE,
};

/// Gives values memory of their own, before they are told by HTTP/2.
///
/// What was read is cut into values without a copy, each of which holds all of a read, and that is kilobytes. The table by
/// which HTTP/2 compresses heads (RFC 7541 section 2.3) remembers some dozens of values for as long as the connection
/// lives. It counts the bytes of each, but it would hold the reads.
pub fn unshare(headers: &mut HeaderMap) {
    for (name, value) in headers.iter_mut() {
        if is_remembered(name)
            && let Ok(mut own) = HeaderValue::from_bytes(value.as_bytes())
        {
            own.set_sensitive(value.is_sensitive());
            *value = own;
        }
    }
}

/// Whether h2 may put the field into its table. These it leaves out, for they are another each time.
fn is_remembered(name: &HeaderName) -> bool {
    ![
        AGE,
        AUTHORIZATION,
        CONTENT_LENGTH,
        COOKIE,
        ETAG,
        IF_MODIFIED_SINCE,
        IF_NONE_MATCH,
        LOCATION,
        SET_COOKIE,
    ]
    .contains(name)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::header::DATE;

    use super::*;

    #[test]
    fn a_value_that_is_remembered_does_not_hold_the_read_that_it_came_in() {
        let read = Bytes::from(b"Thu, 26 Nov 2026 09:00:00 GMT".repeat(2));
        let value = HeaderValue::from_maybe_shared(read.slice(..29)).expect("a value");
        let mut headers = HeaderMap::from_iter([(DATE, value.clone()), (DATE, value.clone())]);
        headers.append(HeaderName::from_static("x-id"), value);
        assert!(!read.is_unique());
        unshare(&mut headers);
        assert!(read.is_unique());
        assert!(headers.values().all(|value| value == "Thu, 26 Nov 2026 09:00:00 GMT"));
    }

    #[test]
    fn what_is_secret_stays_so() {
        let mut value = HeaderValue::from_static("a");
        value.set_sensitive(true);
        let mut headers = HeaderMap::from_iter([(DATE, value)]);
        unshare(&mut headers);
        assert!(headers[DATE].is_sensitive());
    }
}
