//! Targets that others pass and hyper refuses.

use bytes::Bytes;

/// Percent-encodes the bytes of a path or query, as far as it is here, that crate `http` takes for none of a target's: as a browser
/// would have sent them. Tells whether there were some.
pub(in crate::server) fn escape(request: &mut Bytes) -> bool {
    let Some(start) = request.iter().position(|byte| *byte == b' ') else { return false };
    let (before, rest) = request.split_at(start + 1);
    let length = rest.iter().position(|byte| matches!(byte, b' ' | b'\r' | b'\n')).unwrap_or(rest.len());
    let (target, behind) = rest.split_at(length);
    if target.first() != Some(&b'/') || !target.iter().any(is_unescaped) {
        return false;
    }
    let mut all = before.to_vec();
    for byte in target {
        match byte {
            byte if is_unescaped(byte) => all.extend(format!("%{byte:02X}").bytes()),
            byte => all.push(*byte),
        }
    }
    all.extend_from_slice(behind);
    *request = all.into();
    true
}

/// Whether it is one of those bytes.
pub(super) fn is_unescaped(byte: &u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_escaped_and_nothing_else_of_its_request() {
        let mut request = Bytes::from("GET /a<b`?c={\"d\":1}&e=%22> HTTP/1.1\r\nHost: a\r\nX: \"<>\r\n\r\n");
        assert!(escape(&mut request));
        assert_eq!(request, "GET /a%3Cb%60?c={%22d%22:1}&e=%22%3E HTTP/1.1\r\nHost: a\r\nX: \"<>\r\n\r\n");
        assert!(!escape(&mut request));
        let mut part = Bytes::from("\r\nGET /<");
        assert!(escape(&mut part));
        assert_eq!(part, "\r\nGET /%3C");
        for other in ["GET http://a/< HTTP/1.1\r\n", "G`T / HTTP/1.1\r\n", "GET", ""] {
            assert!(!escape(&mut Bytes::from(other)), "{other}");
        }
    }
}
