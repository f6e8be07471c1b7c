//! What a backend is told of a request beside what its client said: who sent it, and how.
//!
//! hyper keeps a head as a map. To put these fields into one and to write them out of it again costs more than a thousand
//! instructions for each request; behind the bytes of a head they cost little more than to copy them.

use std::net::IpAddr;

use hyper::Version;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, VIA};

/// Who sent a request.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Whether it came in the clear or over TLS.
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// To which host it was sent.
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Bytes of its lines, beside the host.
const ROOM: usize = 160;
/// What each octet of an address is written as, with the dot behind it, and how many bytes that are.
const OCTETS: [([u8; 4], usize); 256] = octets();

/// Who sent a request, and how it came.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// Who sent it.
    pub client: IpAddr,
    /// Whether it came over TLS.
    pub tls: bool,
    /// The host that it was sent to.
    pub host: HeaderValue,
    /// The version of HTTP that it came by.
    pub version: Version,
}

impl Provenance {
    /// The fields that tell of it. One more `Via` is added to those of proxies before us (RFC 9110 section 7.6.3); of the
    /// others there are none yet.
    const FIELDS: [HeaderName; 4] = [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, VIA];

    /// How often a request came through a balancer like this one before, as its `Via` tells.
    pub fn visits(headers: &HeaderMap) -> usize {
        let entries =
            headers.get_all(VIA).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        entries.filter(|entry| is_ours(entry)).count()
    }

    /// Whether a field of this name tells of it.
    pub fn is_told_by(name: &HeaderName) -> bool {
        Self::FIELDS.contains(name)
    }

    /// Adds its fields to a head.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        headers.insert(X_FORWARDED_FOR, address(self.client));
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(self.proto()));
        headers.insert(X_FORWARDED_HOST, self.host.clone());
        headers.append(VIA, HeaderValue::from_static(self.via()));
    }

    /// Writes its fields as lines, and the empty one behind them that ends a head.
    pub(super) fn write(&self, lines: &mut Vec<u8>) {
        lines.reserve(ROOM + self.host.len());
        lines.extend_from_slice(b"x-forwarded-for: ");
        write_address(self.client, lines);
        lines.extend_from_slice(match self.tls {
            true => b"\r\nx-forwarded-proto: https\r\nx-forwarded-host: ",
            false => b"\r\nx-forwarded-proto: http\r\nx-forwarded-host: ",
        });
        lines.extend_from_slice(self.host.as_bytes());
        lines.extend_from_slice(b"\r\nvia: ");
        lines.extend_from_slice(self.via().as_bytes());
        lines.extend_from_slice(b"\r\n\r\n");
    }

    fn proto(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    fn via(&self) -> &'static str {
        match self.version {
            Version::HTTP_10 => "1.0 loadbalancer",
            Version::HTTP_2 => "2.0 loadbalancer",
            _ => "1.1 loadbalancer",
        }
    }
}

/// Whether an entry of `Via` names us: a version, a name, and whatever else.
fn is_ours(entry: &[u8]) -> bool {
    let mut words = entry.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.nth(1) == Some(b"loadbalancer")
}

/// An address as a field has it.
pub fn address(ip: IpAddr) -> HeaderValue {
    let mut text = Vec::new();
    write_address(ip, &mut text);
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).expect("an address is visible ASCII")
}

/// Writes an address in the usual way. That of most clients is written without the machinery of `format!`.
fn write_address(ip: IpAddr, text: &mut Vec<u8>) {
    let IpAddr::V4(ip) = ip else {
        text.extend_from_slice(ip.to_string().as_bytes());
        return;
    };
    let mut all = [0; "255.255.255.255.".len()];
    let mut end = 0;
    for octet in ip.octets() {
        let (digits, length) = OCTETS[usize::from(octet)];
        // All of them, for a slice of one to three bytes would cost a call.
        all[end..end + digits.len()].copy_from_slice(&digits);
        end += length;
    }
    text.extend_from_slice(&all[..end - 1]);
}

const fn octets() -> [([u8; 4], usize); 256] {
    let mut all = [([0; 4], 0); 256];
    let mut octet = 0;
    while octet < all.len() {
        let hundreds = b'0' + (octet / 100) as u8;
        let tens = b'0' + (octet / 10 % 10) as u8;
        let ones = b'0' + (octet % 10) as u8;
        all[octet] = match octet {
            100.. => ([hundreds, tens, ones, b'.'], 4),
            10.. => ([tens, ones, b'.', 0], 3),
            _ => ([ones, b'.', 0, 0], 2),
        };
        octet += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_address_is_written_as_usual(ip: IpAddr) {
            let (value, text) = (address(ip), ip.to_string());
            prop_assert_eq!(value.to_str().ok(), Some(text.as_str()));
        }

        #[test]
        fn lines_and_map_say_the_same(client: IpAddr, tls: bool, version in 0..3_usize) {
            let version = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2][version];
            let told = Provenance { client, tls, host: HeaderValue::from_static("a.example:81"), version };
            let mut lines = b"GET / HTTP/1.1\r\n".to_vec();
            told.write(&mut lines);
            let mut fields = [httparse::EMPTY_HEADER; 8];
            let mut head = httparse::Request::new(&mut fields);
            prop_assert_eq!(head.parse(&lines), Ok(httparse::Status::Complete(lines.len())));
            let mut headers = HeaderMap::new();
            told.add_to(&mut headers);
            prop_assert_eq!(headers.len(), head.headers.len());
            for field in head.headers.iter() {
                prop_assert_eq!(headers[field.name].as_bytes(), field.value);
                prop_assert!(Provenance::is_told_by(&field.name.parse().expect("a name")));
            }
        }
    }
}
