//! The PROXY protocol: proxies before us say whom they speak for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{Answer, Backend, Balancer, Client, PATIENCE, Running};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const V1: &[u8] = b"PROXY TCP4 192.0.2.9 10.0.0.1 56082 80\r\n";
const PREFIX: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2.
fn v2(command: u8, family: u8, addresses: &[u8], fields: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len() + fields.len()).unwrap().to_be_bytes();
    [PREFIX, &[command, family], &length, addresses, fields].concat()
}

/// One from 192.0.2.9:56082.
fn v2_ip4(fields: &[u8]) -> Vec<u8> {
    v2(0x21, 0x11, &[192, 0, 2, 9, 10, 0, 0, 1, 0xdb, 0x12, 0, 80], fields)
}

/// A balancer that trusts these, a backend that tells what it gets.
fn house(from: &str, more: &[(&str, &str)]) -> (Running, Receiver<String>) {
    let (backend, told) = Backend::tells("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let balancer = Balancer::before(&[backend.address]).flag("--proxy-protocol-from", from);
    let balancer = balancer.flag("--log-level", "debug").flag("--access-log", "-");
    let balancer = more.iter().fold(balancer, |balancer, (name, value)| balancer.flag(name, value));
    (balancer.start(), told)
}

fn trusting() -> (Running, Receiver<String>) {
    house("127.0.0.0/8", &[])
}

/// Who a backend was told that it answers.
fn told_client(told: &Receiver<String>) -> String {
    let head = told.recv_timeout(PATIENCE).expect("a request").to_lowercase();
    let line = head.lines().find_map(|line| line.strip_prefix("x-forwarded-for: "));
    line.expect("the header").to_owned()
}

fn ask(address: std::net::SocketAddr, pieces: &[&[u8]]) -> Answer {
    let mut client = Client::to(address);
    for piece in pieces {
        client.send(piece);
    }
    client.answer().expect_status(200)
}

#[test]
fn a_client_is_who_the_header_says_however_it_comes() {
    let (balancer, told) = trusting();
    let ip6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[9], &[0; 16], &[0, 7, 0, 80]].concat();
    for (header, client) in [
        (V1.to_vec(), "192.0.2.9"),
        (b"PROXY TCP6 2001:db8::9 ::1 7 80\r\n".to_vec(), "2001:db8::9"),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 7 80\r\n".to_vec(), "192.0.2.7"),
        (v2_ip4(&[]), "192.0.2.9"),
        (v2(0x21, 0x21, &ip6, &[]), "2001:db8::9"),
        // An authority, no operation, and one that nobody knows.
        (v2_ip4(&[2, 0, 4, b't', b'e', b's', b't', 4, 0, 0, 0xe0, 0, 1, 9]), "192.0.2.9"),
        (v2_ip4(&[&[4, 0x0f, 0][..], &[0; 0xf00]].concat()), "192.0.2.9"),
    ] {
        ask(balancer.address, &[&[&header, GET].concat()]);
        assert_eq!(told_client(&told), client, "in one piece");
        ask(balancer.address, &[&header, GET]);
        assert_eq!(told_client(&told), client, "one after the other");
    }
    balancer.said(r#""client":"192.0.2.9:56082""#);
    balancer.said(r#""client":"[2001:db8::9]:7""#);
}

#[test]
fn a_header_may_come_byte_by_byte() {
    let (balancer, told) = trusting();
    for header in [V1.to_vec(), v2_ip4(&[4, 0, 2, 0, 0])] {
        let bytes = [&header, GET].concat();
        ask(balancer.address, &bytes.chunks(1).collect::<Vec<_>>());
        assert_eq!(told_client(&told), "192.0.2.9");
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_is_the_client() {
    let (balancer, told) = trusting();
    let addresses = [192, 0, 2, 9, 10, 0, 0, 1, 0xdb, 0x12, 0, 80];
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
        v2(0x20, 0x00, &[], &[]),
        v2(0x20, 0x11, &addresses, &[]),
        v2(0x21, 0x00, &[], &[]),
        v2(0x21, 0x31, &[b'x'; 216], &[]),
    ] {
        ask(balancer.address, &[&header, GET]);
        assert_eq!(told_client(&told), "127.0.0.1");
    }
}

#[test]
fn a_client_keeps_its_address_for_all_its_requests_parked_or_not() {
    let (balancer, told) = trusting();
    let mut client = Client::to(balancer.address);
    client.send(V1);
    for _ in 0..3 {
        client.send(GET);
        client.answer().expect_status(200);
        assert_eq!(told_client(&told), "192.0.2.9");
    }
    balancer.said("192.0.2.9:56082 is parked");
    client.send(GET);
    client.answer().expect_status(200);
    assert_eq!(told_client(&told), "192.0.2.9");
}

#[test]
fn who_must_send_a_header_and_does_not_is_closed_without_an_answer() {
    let (balancer, _told) = trusting();
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
    let bad: [&[u8]; 8] = [
        GET,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PROXY TCP4 192.0.2.9 10.0.0.1 56082\r\nGET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 192.0.2.999 10.0.0.1 1 2\r\n",
        &long,
        &v2(0x21, 0x11, &[0; 4], &[]),
        &v2_ip4(&[0; 4096]),
        &v2_ip4(&[1, 0, 9, 0]),
    ];
    for bytes in bad {
        let mut client = Client::to(balancer.address);
        client.send(bytes);
        client.expect_end();
    }
    balancer.said_times("must begin with a PROXY header", bad.len());
    balancer.said_times(r#""reason":"proxy_header""#, bad.len());
}

#[test]
fn a_client_that_is_refused_is_told_and_logged_by_its_own_address() {
    for (flag, value, status, reason) in [
        ("--deny", "192.0.2.0/24", 403, "denied"),
        ("--max-connections-per-client", "1", 429, "client_connections"),
    ] {
        let (balancer, _told) = house("127.0.0.1", &[(flag, value)]);
        let mut other = Client::to(balancer.address);
        if status == 429 {
            other.send([V1, GET].concat());
            other.answer().expect_status(200);
        }
        let mut client = Client::to(balancer.address);
        client.send([V1, GET].concat());
        let answer = client.answer().expect_status(status);
        assert_eq!(answer.header("connection"), Some("close"));
        client.expect_end();
        let line = balancer.said(&format!("\"reason\":\"{reason}\""));
        assert!(line.contains("\"client\":\"192.0.2.9:56082\""), "{line}");
    }
}

#[test]
fn a_header_that_breaks_off_is_closed_and_one_that_stalls_is_when_its_time_is_over() {
    let (balancer, _told) = house("127.0.0.1", &[("--header-timeout", "500ms")]);
    for part in [&V1[..20], &v2_ip4(&[])[..14], b""] {
        let mut client = Client::to(balancer.address);
        client.send(part);
        client.expect_end();
    }
    balancer.said_times(r#""reason":"head_timeout""#, 3);
    let mut client = Client::to(balancer.address);
    client.send(&V1[..20]);
    client.finish();
    client.expect_end();
    balancer.said("it broke off");
}

#[test]
fn a_header_may_come_before_http2() {
    let (balancer, told) = trusting();
    let mut client = Client::to(balancer.address);
    client.send(V1);
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    // HEADERS with GET / over http, and a host.
    client.send(b"\0\0\x09\x01\x05\0\0\0\x01\x82\x86\x84\x01\x04test");
    assert_eq!(told_client(&told), "192.0.2.9");
}

#[test]
fn a_header_comes_before_tls() {
    let made = rcgen::generate_simple_self_signed(["test".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("proxied-{name}-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = (file("cert", made.cert.pem()), file("key", made.signing_key.serialize_pem()));
    let (backend, told) = Backend::tells("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let balancer = Balancer::before(&[backend.address]).flag("--proxy-protocol-from", "127.0.0.1");
    let balancer = balancer.flag("--tls-cert", &certificate).flag("--tls-key", &key);
    let balancer = balancer.word("--tls-listen=127.0.0.1:0").start();
    let line = balancer.said("https://");
    let secure = line.split("https://").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
    for header in [V1.to_vec(), v2_ip4(&[])] {
        let mut session = ClientConnection::new(Arc::clone(&config), "test".try_into().unwrap()).unwrap();
        let mut socket = TcpStream::connect(secure.trim_end_matches(',')).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // In one packet with the first of the handshake.
        let mut first = header;
        session.write_tls(&mut first).unwrap();
        socket.write_all(&first).unwrap();
        let mut stream = StreamOwned::new(session, socket);
        stream.write_all(GET).unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        assert_eq!(told_client(&told), "192.0.2.9");
    }
}

#[test]
fn others_may_not_send_a_header() {
    let (balancer, _told) = house("192.0.2.0/24,::1", &[]);
    for header in [V1.to_vec(), v2_ip4(&[])] {
        let mut client = Client::to(balancer.address);
        client.send([&header, GET].concat());
        let told = client.answer().expect_status(400).text().to_owned();
        assert!(told.contains("a PROXY header, and --proxy-protocol-from does not name"), "{told}");
    }
    ask(balancer.address, &[GET]);
}

#[test]
fn who_comes_through_a_unix_socket_may_have_to_send_a_header() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("proxied-{}", std::process::id()));
    let (backend, told) = Backend::tells("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let balancer = Balancer::before(&[backend.address]).flag("--proxy-protocol-from", "unix");
    let balancer = balancer.word(&format!("--listen=unix:{}", path.display())).start();
    for header in [V1.to_vec(), v2_ip4(&[4, 0, 1, 0]), b"PROXY UNKNOWN\r\n".to_vec()] {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&[&header, GET].concat()).unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        let client = if header.starts_with(b"PROXY UNKNOWN") { "127.0.0.1" } else { "192.0.2.9" };
        assert_eq!(told_client(&told), client);
    }
    ask(balancer.address, &[GET]);
}

#[test]
fn what_is_no_network_is_refused_in_one_line() {
    let balancer = Balancer::bare().flag("--proxy-protocol-from", "10.0.0.0/33");
    let (status, said) = balancer.fail();
    assert_eq!(status, Some(2));
    assert_eq!(said.lines().count(), 1, "{said}");
    let expected = "--proxy-protocol-from 10.0.0.0/33: not a network; write ADDRESS or ADDRESS/BITS, for example 10.0.0.0/8";
    assert!(said.contains(expected), "{said}");
}
