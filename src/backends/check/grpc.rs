//! gRPC's own check, for backends that answer nothing else: they break off a plain GET.
//!
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use hyper::{Method, Request};

use crate::backends::health::GrpcReply;

/// An empty message: how all that the backend serves is.
const HOW_IS_ALL: &[u8] = &[0; 5];
/// A message whose field `status` is `SERVING`.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Makes a request the question.
pub(super) fn ask(request: &mut Request<Full<Bytes>>) {
    *request.method_mut() = Method::POST;
    *request.body_mut() = Full::new(Bytes::from_static(HOW_IS_ALL));
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
}

/// What is said by the fields, the trailers and the message of an answer whose status of HTTP is 200.
pub(super) fn reply(fields: &HeaderMap, message: &[u8]) -> GrpcReply {
    let status = fields.get(GRPC_STATUS).and_then(|status| status.to_str().ok()?.parse().ok());
    match (status, message) {
        (Some(0), SERVING) => GrpcReply::Serving,
        (Some(0), [0, 0, 0, 0, 2, 0x08, 2]) => GrpcReply::Said("NOT_SERVING"),
        (Some(0), [0, 0, 0, 0, 2, 0x08, 3]) => GrpcReply::Said("SERVICE_UNKNOWN"),
        // What is 0 need not be written.
        (Some(0), [0, 0, 0, 0, 0] | [0, 0, 0, 0, 2, 0x08, 0]) => GrpcReply::Said("UNKNOWN"),
        (Some(0), []) => GrpcReply::Said("nothing"),
        (Some(0), _) => GrpcReply::Said("something that is no ServingStatus"),
        (Some(status), _) => GrpcReply::Status(status),
        (None, _) => GrpcReply::NoStatus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_serves_says_so() {
        for (code, message, wanted) in [
            ("0", SERVING, GrpcReply::Serving),
            ("0", &[0, 0, 0, 0, 2, 0x08, 2], GrpcReply::Said("NOT_SERVING")),
            ("0", HOW_IS_ALL, GrpcReply::Said("UNKNOWN")),
            ("0", b"", GrpcReply::Said("nothing")),
            ("0", b"SERVING", GrpcReply::Said("something that is no ServingStatus")),
            ("12", b"", GrpcReply::Status(12)),
            ("13", SERVING, GrpcReply::Status(13)),
            ("fine", SERVING, GrpcReply::NoStatus),
        ] {
            let fields = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static(code))]);
            assert_eq!(reply(&fields, message), wanted, "{code} {message:?}");
        }
        assert_eq!(reply(&HeaderMap::new(), SERVING), GrpcReply::NoStatus);
    }
}
