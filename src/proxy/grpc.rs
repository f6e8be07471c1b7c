//! Our own answers to gRPC clients: they read a status of their own, and take an HTTP error for a broken connection.
//!
//! See "gRPC over HTTP/2" in the protocol's documents: an error without a message is one block of header fields that
//! ends the stream, with HTTP status 200.

use std::fmt::Write;

use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

const APPLICATION_GRPC: &[u8] = b"application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a request with this method and these fields is a call of a gRPC method, which is a POST. What we refused of others
/// would look agreed to, and CONNECT would open a tunnel.
pub(super) fn is_call(method: &Method, headers: &HeaderMap) -> bool {
    let rest = || headers.get(CONTENT_TYPE)?.as_bytes().strip_prefix(APPLICATION_GRPC);
    method == Method::POST && rest().is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The fields of an answer that say what the status and the sentence of an HTTP error do.
pub(super) fn fields(status: u16, sentence: &str) -> [(HeaderName, HeaderValue); 3] {
    let message = HeaderValue::from_str(&encode(sentence)).expect("what is not visible ASCII was encoded");
    [
        (CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
        (GRPC_STATUS, HeaderValue::from(code(status))),
        (GRPC_MESSAGE, message),
    ]
}

/// The trailers of an answer that broke off: its caller learns why, where a reset would look like its own doing or say nothing.
pub(super) fn trailers(status: u16, sentence: &str) -> HeaderMap {
    let [_, status, message] = fields(status, sentence);
    HeaderMap::from_iter([status, message])
}

/// The gRPC status that means the same as an HTTP status of ours.
fn code(status: u16) -> u16 {
    const CANCELLED: u16 = 1;
    const DEADLINE_EXCEEDED: u16 = 4;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const UNIMPLEMENTED: u16 = 12;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    match status {
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 | 405 => UNIMPLEMENTED,
        408 | 504 => DEADLINE_EXCEEDED,
        413 | 414 | 429 | 431 => RESOURCE_EXHAUSTED,
        499 => CANCELLED,
        421 | 502 | 503 => UNAVAILABLE,
        _ => INTERNAL,
    }
}

/// Percent-encoding as gRPC wants it: all but visible ASCII, and the sign itself.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.trim_end().bytes() {
        match byte {
            b'%' | ..=0x1f | 0x7f.. => drop(write!(encoded, "%{byte:02X}")),
            byte => encoded.push(char::from(byte)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_method_and_its_content_type() {
        let is_called = |method: Method, kind: &'static str| {
            is_call(&method, &HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]))
        };
        let is = |kind| is_called(Method::POST, kind);
        assert!(is("application/grpc") && is("application/grpc+proto") && is("application/grpc;x=y"));
        assert!(!is("application/grpc-web") && !is("application/json"));
        assert!(!is_call(&Method::POST, &HeaderMap::new()));
        for method in [Method::CONNECT, Method::GET, Method::OPTIONS] {
            assert!(!is_called(method, "application/grpc"));
        }
    }

    #[test]
    fn a_sentence_is_encoded_so_that_it_can_stand_in_a_header() {
        assert_eq!(encode("100% gone\nné\n"), "100%25 gone%0An%C3%A9");
    }
}
