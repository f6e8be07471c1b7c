//! The PROXY protocol: a proxy before us says whom it speaks for, in a header before the first byte of the client's own.
//!
//! <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>

use std::io;
use std::net::SocketAddr;

use ppp::{v1, v2};
use tokio::io::AsyncReadExt;

use crate::connect::Socket;
use crate::proxy::Error;

/// What a header of version 1 begins with, the fewest bytes and the most that it has.
const V1: &[u8] = b"PROXY ";
const V1_LEAST: usize = "PROXY UNKNOWN\r\n".len();
const V1_MOST: usize = 107;
/// What a header of version 2 has at least, and the most that we take: addresses, names, certificates' subjects.
const V2_LEAST: usize = 16;
const V2_MOST: usize = 4096;
/// Version and command.
const V2_LOCAL: u8 = 0x20;

/// What bytes at the beginning of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A header.
    Complete {
        /// How many of the bytes it has.
        length: usize,
        /// The client, unless it is the one who sent the header, or unknown.
        client: Option<SocketAddr>,
    },
    /// All of them belong to a header, and so do at least as many more.
    Partial(usize),
    /// No header, nor the beginning of one.
    Bad(&'static str),
}

/// What is wrong with a connection that begins with a header which nobody expects.
pub(super) const UNEXPECTED: &str =
    "it begins with a PROXY header, and --proxy-protocol-from does not name who sent it";

/// Bytes by which a header is known.
pub(super) const KNOWN_BY: usize = v2::PROTOCOL_PREFIX.len();

/// Whether bytes are, or begin with, those by which a header is known.
pub(super) fn is_header(bytes: &[u8]) -> bool {
    bytes.starts_with(V1) || bytes.starts_with(v2::PROTOCOL_PREFIX)
}

/// Parses what a connection begins with.
pub fn parse(bytes: &[u8]) -> Parsed {
    if begins(bytes, V1) {
        parse_v1(bytes)
    } else if begins(bytes, v2::PROTOCOL_PREFIX) {
        parse_v2(bytes)
    } else {
        Parsed::Bad("it does not begin with one")
    }
}

fn begins(bytes: &[u8], prefix: &[u8]) -> bool {
    let length = bytes.len().min(prefix.len());
    bytes[..length] == prefix[..length]
}

fn parse_v1(bytes: &[u8]) -> Parsed {
    // It is parsed when it is whole: ppp takes some that are not for broken, and some that are broken for not whole.
    let within = &bytes[..bytes.len().min(V1_MOST)];
    let Some(end) = memchr::memchr(b'\n', within) else {
        return match bytes.len() {
            V1_MOST.. => Parsed::Bad("its line has no end"),
            length => Parsed::Partial(V1_LEAST.saturating_sub(length).max(1)),
        };
    };
    let line = &bytes[..=end];
    match v1::Header::try_from(line) {
        Ok(header) if header.header.len() == line.len() => {
            let client = match header.addresses {
                v1::Addresses::Unknown => None,
                v1::Addresses::Tcp4(ip) => Some((ip.source_address, ip.source_port).into()),
                v1::Addresses::Tcp6(ip) => Some((ip.source_address, ip.source_port).into()),
            };
            Parsed::Complete { length: line.len(), client }
        }
        _ => Parsed::Bad("its line is malformed"),
    }
}

fn parse_v2(bytes: &[u8]) -> Parsed {
    if bytes.len() < V2_LEAST {
        // As long as nothing has come, it may be one of version 1.
        return Parsed::Partial(if bytes.is_empty() { V1_LEAST } else { V2_LEAST - bytes.len() });
    }
    let length = V2_LEAST + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if length > V2_MOST {
        return Parsed::Bad("it is too long");
    }
    if bytes[12] == V2_LOCAL {
        // Of the sender itself, whatever family and addresses it names.
        return match length.checked_sub(bytes.len()) {
            Some(missing @ 1..) => Parsed::Partial(missing),
            _ => Parsed::Complete { length, client: None },
        };
    }
    match v2::Header::try_from(bytes) {
        Ok(header) if header.tlvs().all(|field| field.is_ok()) => {
            let client = match (header.command, header.protocol, header.addresses) {
                (v2::Command::Proxy, v2::Protocol::Stream, v2::Addresses::IPv4(ip)) => {
                    Some((ip.source_address, ip.source_port).into())
                }
                (v2::Command::Proxy, v2::Protocol::Stream, v2::Addresses::IPv6(ip)) => {
                    Some((ip.source_address, ip.source_port).into())
                }
                _ => None,
            };
            Parsed::Complete { length, client }
        }
        Err(v2::ParseError::Partial(..)) => Parsed::Partial(length - bytes.len()),
        _ => Parsed::Bad("its binary form is malformed"),
    }
}

/// Takes the header from a connection, and not one byte more: the client, unless it is who sent the header, or unknown.
///
/// # Errors
/// Why the connection cannot be served; nothing if there is nobody to serve.
pub(super) async fn read(socket: &mut Socket) -> Result<Option<SocketAddr>, Option<Error>> {
    let mut bytes = vec![0; V2_MOST];
    let mut taken = 0;
    loop {
        let seen = match socket.look_ahead(&mut bytes[taken..]).await.map_err(|_| None)? {
            Some(0) if taken == 0 => return Err(None),
            Some(0) => return Err(Some(Error::ProxyHeader("it broke off"))),
            Some(ahead) => taken + ahead,
            None => taken,
        };
        let (end, client) = match parse(&bytes[..seen]) {
            Parsed::Bad(reason) => return Err(Some(Error::ProxyHeader(reason))),
            Parsed::Complete { length, client } => (length, Some(client)),
            Parsed::Partial(missing) => (if seen > taken { seen } else { seen + missing }, None),
        };
        socket.read_exact(&mut bytes[taken..end]).await.map_err(|error| broke_off(&error, taken))?;
        if let Some(client) = client {
            return Ok(client);
        }
        taken = end;
    }
}

fn broke_off(error: &io::Error, taken: usize) -> Option<Error> {
    (error.kind() == io::ErrorKind::UnexpectedEof && taken > 0).then_some(Error::ProxyHeader("it broke off"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, addresses: &[u8], fields: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len() + fields.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[command, family], &length, addresses, fields].concat()
    }

    fn good() -> Vec<(Vec<u8>, Option<&'static str>)> {
        let (v4, v6) =
            ([192, 0, 2, 9, 10, 0, 0, 1, 0xdb, 0x12, 0, 80], [[0; 32].as_slice(), &[0, 9, 0, 80]].concat());
        let line = |text: &str| text.as_bytes().to_vec();
        vec![
            (line("PROXY TCP4 192.0.2.9 10.0.0.1 56082 80\r\n"), Some("192.0.2.9:56082")),
            (line("PROXY TCP6 2001:db8::9 ::1 9 80\r\n"), Some("[2001:db8::9]:9")),
            (line("PROXY UNKNOWN\r\n"), None),
            (line("PROXY UNKNOWN and what it likes\r\n"), None),
            (v2(0x21, 0x11, &v4, &[]), Some("192.0.2.9:56082")),
            (v2(0x21, 0x11, &v4, &[0x04, 0, 3, 1, 2, 3]), Some("192.0.2.9:56082")),
            (v2(0x21, 0x21, &v6, &[]), Some("[::]:9")),
            (v2(0x20, 0x11, &v4, &[]), None),
            (v2(0x20, 0x00, &[], &[]), None),
            (v2(0x20, 0x11, &[], &[]), None),
            (v2(0x20, 0x41, &v4, &[0x04]), None),
            (v2(0x21, 0x31, &[7; 216], &[]), None),
            (v2(0x21, 0x12, &v4, &[]), None),
        ]
    }

    #[test]
    fn a_header_ends_where_the_clients_own_bytes_begin_and_is_known_by_each_of_its_bytes() {
        for (header, client) in good() {
            let client = client.map(|text| text.parse().unwrap());
            let expected = Parsed::Complete { length: header.len(), client };
            assert_eq!(parse(&[&header, &b"GET / HTTP/1.1\r\n"[..]].concat()), expected);
            for end in 0..header.len() {
                let Parsed::Partial(missing) = parse(&header[..end]) else {
                    panic!("{:?}", header[..end].escape_ascii().to_string())
                };
                assert!((1..=header.len() - end).contains(&missing), "{missing} after {end}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_seen_as_soon_as_can_be() {
        let long = format!("PROXY UNKNOWN {}", "x".repeat(V1_MOST));
        let lines = [
            "G",
            "PROXZ",
            "PROXY\t",
            "\r\nG",
            "PROXY TCP4\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
            "PROXY UNKNOWN\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
            "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY UNKNOWN\rx\n",
            &long,
        ];
        let v4 = [192, 0, 2, 9, 10, 0, 0, 1, 0xdb, 0x12, 0, 80];
        let binary = [
            v2(0x11, 0x11, &v4, &[]),
            v2(0x22, 0x11, &v4, &[]),
            v2(0x21, 0x41, &v4, &[]),
            v2(0x21, 0x13, &v4, &[]),
            v2(0x21, 0x11, &v4[1..], &[]),
            v2(0x21, 0x11, &v4, &[1, 0, 9, 0]),
            v2(0x21, 0x11, &v4, &[0; V2_MOST]),
        ];
        for bytes in lines.iter().map(|line| line.as_bytes()).chain(binary.iter().map(Vec::as_slice)) {
            assert!(matches!(parse(bytes), Parsed::Bad(_)), "{}: {:?}", bytes.escape_ascii(), parse(bytes));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_something_and_no_limit_is_passed(prefix in 0_usize..3, mut rest: Vec<u8>) {
            let mut bytes = [&b""[..], V1, v2::PROTOCOL_PREFIX][prefix].to_vec();
            bytes.append(&mut rest);
            match parse(&bytes) {
                Parsed::Complete { length, .. } => prop_assert!(length <= bytes.len()),
                Parsed::Partial(missing) => prop_assert!(missing > 0 && bytes.len() + missing <= V2_MOST),
                Parsed::Bad(_) => {}
            }
        }
    }
}
