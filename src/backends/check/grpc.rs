//! gRPC's own check, for backends that answer nothing else: they break off a plain GET.
//!
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use hyper::{Method, Request, StatusCode};

/// Where it is asked; whoever checks this path asks in gRPC.
const PATH: &str = "/grpc.health.v1.Health/Check";
/// An empty message: how all that the backend serves is.
const HOW_IS_ALL: &[u8] = &[0; 5];
/// A message whose field `status` is `SERVING`.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

pub(super) fn is_asked(path: &str) -> bool {
    path == PATH
}

/// Makes a request the question.
pub(super) fn ask(request: &mut Request<Full<Bytes>>) {
    *request.method_mut() = Method::POST;
    *request.body_mut() = Full::new(Bytes::from_static(HOW_IS_ALL));
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
}

/// The status of HTTP that says the same as an answer of gRPC: its status, its fields and trailers, and its message.
pub(super) fn status(status: StatusCode, fields: &HeaderMap, message: &[u8]) -> StatusCode {
    if status != StatusCode::OK {
        return status;
    }
    match fields.get(GRPC_STATUS).map(HeaderValue::as_bytes) {
        Some(b"0") if message.starts_with(SERVING) => StatusCode::OK,
        // NOT_SERVING, and UNAVAILABLE.
        Some(b"0" | b"14") => StatusCode::SERVICE_UNAVAILABLE,
        // It has no such check.
        Some(b"12") => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_serves_is_healthy() {
        for (code, message, wanted) in [
            ("0", SERVING, 200),
            ("0", &[0, 0, 0, 0, 2, 0x08, 2][..], 503),
            ("0", b"", 503),
            ("12", b"", 501),
            ("14", b"", 503),
            ("13", SERVING, 500),
        ] {
            let fields = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static(code))]);
            assert_eq!(status(StatusCode::OK, &fields, message), wanted, "{code} {message:?}");
        }
        assert_eq!(status(StatusCode::OK, &HeaderMap::new(), SERVING), 500);
        assert_eq!(status(StatusCode::NOT_FOUND, &HeaderMap::new(), b""), 404);
    }
}
