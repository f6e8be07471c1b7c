//! What of a head needs work: one walk through its lines tells, and most heads have little of it.

use hyper::header::{HeaderMap, HeaderValue};

use super::super::fields::{KEEP_ALIVE, PROXY_CONNECTION, is_claim};

/// A kind of field that needs work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Exactly one is needed.
    Host = 1,
    /// There is more than one.
    Hosts = 1 << 1,
    Connection = 1 << 2,
    /// For one hop, by other names than `Connection`.
    HopByHop = 1 << 3,
    Upgrade = 1 << 4,
    Te = 1 << 5,
    TransferEncoding = 1 << 6,
    Expect = 1 << 7,
    /// Says what only we may say.
    Claim = 1 << 8,
    Length = 1 << 9,
    /// There is more than one, or one that is not written as we would write it.
    Lengths = 1 << 10,
    Via = 1 << 11,
    /// Says who the client is.
    Authorization = 1 << 12,
}

/// The kinds of fields that a head has: a set of bits, which is cheaper to fill than as many flags.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen(u16);

impl Seen {
    /// What there is, and the first host.
    pub(super) fn in_head(headers: &HeaderMap) -> (Self, Option<&HeaderValue>) {
        let (mut seen, mut host) = (Self::default(), None);
        for (name, value) in headers {
            match kind(name.as_str()) {
                None => {}
                Some(Kind::Host) if host.is_some() => seen.add(Kind::Hosts),
                Some(Kind::Host) => host = Some(value),
                Some(Kind::Length) => {
                    let odd = seen.has(Kind::Length) || !is_plain_number(value.as_bytes());
                    seen.add(if odd { Kind::Lengths } else { Kind::Length });
                }
                Some(kind) => seen.add(kind),
            }
        }
        (seen, host)
    }

    /// Whether there is a field of this kind.
    pub(super) fn has(self, kind: Kind) -> bool {
        self.0 & kind as u16 != 0
    }

    /// Whether there is any that is for one hop.
    pub(super) fn has_hop_by_hop(self) -> bool {
        use Kind::{Connection, HopByHop, Te, TransferEncoding, Upgrade};
        [Connection, HopByHop, TransferEncoding, Te, Upgrade].into_iter().any(|kind| self.has(kind))
    }

    fn add(&mut self, kind: Kind) {
        self.0 |= kind as u16;
    }
}

/// Whether it is a number that could be written in no other way, and has few enough digits for 64 bits.
fn is_plain_number(value: &[u8]) -> bool {
    match value {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 19 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Most names are told by their length.
fn kind(name: &str) -> Option<Kind> {
    match name.len() {
        2 if name == "te" => Some(Kind::Te),
        3 if name == "via" => Some(Kind::Via),
        4 if name == "host" => Some(Kind::Host),
        6 if name == "expect" => Some(Kind::Expect),
        7 if name == "upgrade" => Some(Kind::Upgrade),
        9 if name == "forwarded" => Some(Kind::Claim),
        10 if name == "connection" => Some(Kind::Connection),
        10 if name == KEEP_ALIVE => Some(Kind::HopByHop),
        13 if name == "authorization" => Some(Kind::Authorization),
        14 if name == "content-length" => Some(Kind::Length),
        16 if name == PROXY_CONNECTION => Some(Kind::HopByHop),
        17 if name == "transfer-encoding" => Some(Kind::TransferEncoding),
        _ => is_claim(name).then_some(Kind::Claim),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_walk_tells_every_kind_of_field_and_nothing_of_the_others() {
        let all = [
            ("te", Kind::Te),
            ("via", Kind::Via),
            ("expect", Kind::Expect),
            ("upgrade", Kind::Upgrade),
            ("forwarded", Kind::Claim),
            ("authorization", Kind::Authorization),
            ("x-forwarded-for", Kind::Claim),
            ("connection", Kind::Connection),
            ("keep-alive", Kind::HopByHop),
            ("proxy-connection", Kind::HopByHop),
            ("content-length", Kind::Length),
            ("transfer-encoding", Kind::TransferEncoding),
        ];
        for (name, its) in all {
            let mut headers = HeaderMap::new();
            headers.insert("user-agent", HeaderValue::from_static("x"));
            headers.insert(name, HeaderValue::from_static("1"));
            let (seen, host) = Seen::in_head(&headers);
            assert_eq!((seen.0, host), (its as u16, None), "{name}");
        }
    }

    #[test]
    fn a_second_host_and_a_second_length_are_seen() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("host", "a"), ("content-length", "1")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let (seen, host) = Seen::in_head(&headers);
        assert!(!seen.has(Kind::Hosts) && !seen.has(Kind::Lengths) && seen.has(Kind::Length));
        assert_eq!(host.map(HeaderValue::as_bytes), Some(&b"a"[..]));
        headers.append("host", HeaderValue::from_static("a"));
        headers.insert("content-length", HeaderValue::from_static("1, 1"));
        let seen = Seen::in_head(&headers).0;
        assert!(seen.has(Kind::Hosts) && seen.has(Kind::Lengths));
    }
}
