//! Interim answers (1xx, RFC 9110 section 15.2): hyper's client reads past them, a proxy must forward them.

use hyper::Response;

/// More bytes of interim heads than this, before an answer, are too many.
const MOST: usize = 64 * 1024;
const STARTS: [&[u8; 10]; 2] = [b"HTTP/1.1 1", b"HTTP/1.0 1"];
const END: &[u8] = b"\r\n\r\n";

/// Whether an answer that starts with these bytes may be an interim one. hyper passes over empty lines before it.
pub(super) fn may_start(bytes: &[u8]) -> bool {
    // Of most it is told by their tenth byte.
    if let [b'H', _, _, _, _, _, _, _, _, b'2'..=b'9', ..] = bytes {
        return false;
    }
    let is_empty_line = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let head = &bytes[bytes.iter().take_while(|byte| is_empty_line(byte)).count()..];
    STARTS.iter().any(|start| head.iter().zip(*start).all(|(own, other)| own == other))
}

/// Collects interim heads as the bytes of an answer pass.
#[derive(Debug, Default)]
pub(super) struct InterimHeads {
    watching: bool,
    /// Bytes of complete heads so far.
    seen: usize,
    /// Of the head that is not complete yet.
    partial: Vec<u8>,
    /// In so many bytes of it no end was found.
    searched: usize,
    /// Complete, rewritten, not taken yet.
    ready: Vec<u8>,
}

impl InterimHeads {
    pub(super) fn watch(&mut self) {
        self.watching = true;
        self.seen = 0;
        self.partial.clear();
        self.searched = 0;
    }

    pub(super) fn is_watching(&self) -> bool {
        self.watching
    }

    /// Whether so many came, and no answer, that none can be expected.
    pub(super) fn are_too_many(&self) -> bool {
        self.watching && self.seen + self.partial.len() > MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ready)
    }

    /// Takes a head that was read by somebody else; tells whether it was `100 Continue`.
    pub(super) fn add(&mut self, head: &Response<()>) -> bool {
        self.watching = true;
        let code = head.status().as_u16();
        let mut bytes =
            format!("HTTP/1.1 {code} {}\r\n", head.status().canonical_reason().unwrap_or_default())
                .into_bytes();
        let fields = head.headers().iter();
        for (name, value) in fields.filter(|(name, _)| !is_hop_by_hop(name.as_str())) {
            push_field(name.as_str(), value.as_bytes(), &mut bytes);
        }
        bytes.extend_from_slice(b"\r\n");
        // As if they had come as bytes, so that one bound holds for both.
        self.seen += bytes.len();
        if code != 100 && code != 101 {
            self.ready.extend_from_slice(&bytes);
        }
        code == 100
    }

    /// Looks at more bytes of the answer; tells whether `100 Continue` was among them.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> bool {
        self.partial.extend_from_slice(bytes);
        let mut continued = false;
        let mut begin = 0;
        while self.watching && may_start(&self.partial[begin..]) {
            let heads = &self.partial[begin..];
            let from = std::mem::take(&mut self.searched).saturating_sub(END.len() - 1);
            let Some(end) = memchr::memmem::find(&heads[from..], END) else {
                self.searched = heads.len();
                break;
            };
            let head = &heads[..from + end + END.len()];
            begin += head.len();
            self.seen += head.len();
            match rewrite(head, &mut self.ready) {
                Some(101) => self.watching = false,
                code => continued |= code == Some(100),
            }
        }
        self.watching = self.watching && may_start(&self.partial[begin..]);
        match self.watching {
            true => drop(self.partial.drain(..begin)),
            false => self.partial = Vec::new(),
        }
        continued
    }
}

/// Writes an interim head as a client should get it, without what concerns only our connection to the backend;
/// `100` and `101` are not written, for hyper sends the former and an upgrade is no interim answer.
fn rewrite(head: &[u8], to: &mut Vec<u8>) -> Option<u16> {
    // hyper, which reads it too, knows how many it may have.
    let lines = head.iter().filter(|byte| **byte == b'\n').count();
    let mut headers = vec![httparse::EMPTY_HEADER; lines];
    let mut parsed = httparse::Response::new(&mut headers);
    parsed.parse(head).ok()?;
    let code = parsed.code?;
    if code == 100 || code == 101 {
        return Some(code);
    }
    to.extend_from_slice(format!("HTTP/1.1 {code} {}\r\n", parsed.reason.unwrap_or_default()).as_bytes());
    let named = named_by_connection(parsed.headers);
    let is_named = |name: &str| named.binary_search(&name.to_ascii_lowercase().into_bytes()).is_ok();
    for field in parsed.headers.iter().filter(|field| !is_hop_by_hop(field.name)) {
        if named.is_empty() || !is_named(field.name) {
            push_field(field.name, field.value, to);
        }
    }
    to.extend_from_slice(b"\r\n");
    Some(code)
}

fn push_field(name: &str, value: &[u8], to: &mut Vec<u8>) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        to.extend_from_slice(part);
    }
}

/// Whether a field is for one hop (RFC 9110 section 7.6.1).
fn is_hop_by_hop(name: &str) -> bool {
    const HOP_BY_HOP: [&str; 7] = [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop))
}

/// The names of fields that are for one hop because `Connection` says so, in order: a head may have many of either.
fn named_by_connection(fields: &[httparse::Header<'_>]) -> Vec<Vec<u8>> {
    let connections = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("connection"));
    let named = connections.flat_map(|field| field.value.split(|byte| *byte == b','));
    let mut named: Vec<_> = named.map(|name| name.trim_ascii().to_ascii_lowercase()).collect();
    named.sort_unstable();
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(parts: &[&[u8]]) -> (bool, Vec<u8>, bool) {
        let mut heads = InterimHeads::default();
        heads.watch();
        let mut continued = false;
        for part in parts {
            continued |= heads.feed(part);
        }
        (continued, heads.take(), heads.is_watching())
    }

    #[test]
    fn early_hints_are_kept_without_what_concerns_the_connection() {
        let answer =
            b"HTTP/1.1 103 Early Hints\r\nX-Hop: 1\r\nLink: </a>\r\nConnection: x, x-hop\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(
            fed(&[answer]),
            (false, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_vec(), false)
        );
    }

    #[test]
    fn a_head_may_come_byte_by_byte() {
        let answer: Vec<&[u8]> =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 No\r\n"
                .chunks(1)
                .collect();
        assert_eq!(fed(&answer), (true, b"HTTP/1.1 102 Processing\r\n\r\n".to_vec(), false));
    }

    #[test]
    fn a_head_that_is_none_hides_none_behind_it() {
        let answer = b"HTTP/1.1 103 Early Hints\r\na b: c\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        assert_eq!(fed(&[answer]), (true, Vec::new(), true));
    }

    #[test]
    fn interim_heads_become_too_many_unless_the_answer_comes() {
        let flood = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(MOST / 16);
        for (last, too_many) in [(&b""[..], true), (b"HTTP/1.1 20", false), (b"HTTP/1.1 10", true)] {
            let mut heads = InterimHeads::default();
            heads.watch();
            assert!(!heads.are_too_many());
            heads.feed(&[&flood, last].concat());
            assert_eq!(heads.are_too_many(), too_many, "{last:?}");
        }
    }

    #[test]
    fn an_endless_interim_head_is_too_many() {
        let mut heads = InterimHeads::default();
        heads.watch();
        heads.feed(b"HTTP/1.1 103 ");
        assert!(!heads.are_too_many());
        heads.feed(&[b'x'; MOST]);
        assert!(heads.are_too_many());
    }

    #[test]
    fn whatever_hyper_passes_over_is_an_interim_head() {
        let answer = b"\r\nHTTP/1.0 103 Early Hints\r\nLink: </a>\r\n\r\n\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\nHTTP/1.0 200 OK\r\n\r\n";
        for size in [1, 2, 3, 7, answer.len()] {
            let parts: Vec<_> = answer.chunks(size).collect();
            let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_vec();
            assert_eq!(fed(&parts), (true, hints, false), "{size}");
        }
    }
}
