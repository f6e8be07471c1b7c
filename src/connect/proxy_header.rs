//! The PROXY protocol towards backends: the client's address, said before anything else.

use std::io;
use std::net::{IpAddr, SocketAddr};

use ppp::v2::{Addresses, Builder, Command, Protocol, Version};
use tokio::io::AsyncWriteExt;

use crate::config::ProxyVersion;

use super::Socket;

/// On whose behalf a connection is made, for backends that are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behalf {
    /// Where the client connected from.
    pub client: SocketAddr,
    /// Where it connected to.
    pub listener: SocketAddr,
}

/// Says on whose behalf the connection is; without one, that it is on our own.
pub(super) async fn send(
    socket: &mut Socket,
    version: ProxyVersion,
    behalf: Option<Behalf>,
) -> io::Result<()> {
    socket.write_all(&header(version, behalf)?).await
}

fn header(version: ProxyVersion, behalf: Option<Behalf>) -> io::Result<Vec<u8>> {
    match version {
        ProxyVersion::V1 => Ok(text(behalf).into_bytes()),
        ProxyVersion::V2 => binary(behalf),
    }
}

fn text(behalf: Option<Behalf>) -> String {
    let Some((from, to)) = behalf.map(of_one_family) else { return "PROXY UNKNOWN\r\n".to_owned() };
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port())
}

fn binary(behalf: Option<Behalf>) -> io::Result<Vec<u8>> {
    match behalf.map(of_one_family) {
        Some(addresses) => {
            Builder::with_addresses(Version::Two | Command::Proxy, Protocol::Stream, addresses).build()
        }
        None => Builder::with_addresses(
            Version::Two | Command::Local,
            Protocol::Unspecified,
            Addresses::Unspecified,
        )
        .build(),
    }
}

/// A header names two addresses of one family; where they differ, IPv4 is written as IPv6 does.
fn of_one_family(behalf: Behalf) -> (SocketAddr, SocketAddr) {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    let (from, to) = (canonical(behalf.client), canonical(behalf.listener));
    if from.is_ipv4() == to.is_ipv4() { (from, to) } else { (mapped(from), mapped(to)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behalf(client: &str, listener: &str) -> Option<Behalf> {
        Some(Behalf { client: client.parse().expect("one"), listener: listener.parse().expect("one") })
    }

    #[test]
    fn both_addresses_are_of_one_family() {
        for (client, listener, line) in [
            ("192.0.2.1:5", "198.51.100.2:80", "PROXY TCP4 192.0.2.1 198.51.100.2 5 80\r\n"),
            ("[2001:db8::1]:5", "[2001:db8::2]:80", "PROXY TCP6 2001:db8::1 2001:db8::2 5 80\r\n"),
            ("192.0.2.1:5", "[::]:80", "PROXY TCP6 ::ffff:192.0.2.1 :: 5 80\r\n"),
            ("[::ffff:192.0.2.1]:5", "192.0.2.2:80", "PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\n"),
        ] {
            assert_eq!(text(behalf(client, listener)), line);
        }
        assert_eq!(text(None), "PROXY UNKNOWN\r\n");
    }

    #[test]
    fn the_binary_header_is_that_of_the_specification() {
        const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
        let four = binary(behalf("192.0.2.1:258", "198.51.100.2:80")).expect("a header");
        let addresses = [192, 0, 2, 1, 198, 51, 100, 2, 1, 2, 0, 80];
        assert_eq!(four, [SIGNATURE, &[0x21, 0x11, 0, 12], &addresses].concat());
        let six = binary(behalf("[::1]:1", "[::2]:2")).expect("a header");
        assert_eq!(six[..16], *[SIGNATURE, &[0x21, 0x21, 0, 36]].concat());
        assert_eq!(binary(None).expect("a header"), [SIGNATURE, &[0x20, 0, 0, 0]].concat());
    }
}
