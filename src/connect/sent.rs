//! The head of a request as it went out, from which it can be sent again.
//!
//! To note a head's bytes as they pass costs one copy; to keep a second `Request` for the rare case that the first is
//! lost with its connection would cost allocations for each.

use hyper::Request;

/// What a buffer has beyond this is given back when a head is forgotten.
const KEEP: usize = 4096;

/// The bytes of a request's head.
#[derive(Debug, Default)]
pub(super) struct SentHead(Vec<u8>);

impl SentHead {
    /// Notes the first bytes that a request's connection was given to write: with hyper they are the whole head.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        self.0.clear();
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
        self.0.shrink_to(KEEP);
    }

    /// The request that it is the head of; nothing if none was noted.
    pub(super) fn read(&self) -> Option<Request<()>> {
        let lines = self.0.iter().filter(|byte| **byte == b'\n').count();
        let mut fields = vec![httparse::EMPTY_HEADER; lines];
        let mut head = httparse::Request::new(&mut fields);
        head.parse(&self.0).ok().filter(httparse::Status::is_complete)?;
        let mut request = Request::builder().method(head.method?).uri(head.path?);
        for field in head.headers.iter() {
            request = request.header(field.name, field.value);
        }
        request.body(()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_back_as_it_was_sent() {
        let mut sent = SentHead::default();
        sent.note(b"DELETE /a?b=%20c HTTP/1.1\r\nhost: x\r\nx-two: 1\r\nx-two: \xff\r\nx-none: \r\n\r\n");
        let request = sent.read().expect("a head");
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("DELETE", "/a?b=%20c"));
        let values: Vec<_> =
            request.headers().get_all("x-two").iter().map(|value| value.as_bytes()).collect();
        assert_eq!(values, [&b"1"[..], b"\xff"]);
        assert_eq!(request.headers()["x-none"], "");
    }

    #[test]
    fn nothing_is_read_back_where_nothing_was_noted() {
        let mut sent = SentHead::default();
        assert!(sent.read().is_none());
        sent.note(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        sent.forget();
        assert!(sent.read().is_none());
    }
}
