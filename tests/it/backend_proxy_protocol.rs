//! Backends that are told whom a connection is for, by the PROXY protocol.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::support::pki::{Authority, Folder};
use crate::support::tls::trusting;
use crate::support::{Balancer, Client, Http2, lacks_ipv6};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A backend that answers every request and tells, for each connection, all that came before the first of them, and that.
fn tells() -> (SocketAddr, Receiver<(Vec<u8>, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            thread::spawn(move || serve(stream, |header, head| drop(tell.send((header, head)))));
        }
    });
    (address, told)
}

fn serve(mut stream: TcpStream, tell: impl Fn(Vec<u8>, String)) {
    let (mut bytes, mut requests) = (Vec::new(), 0);
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte) {
        bytes.push(byte[0]);
        let begin = bytes.windows(4).position(|window| window == b"GET " || window == b"HEAD");
        let Some(begin) = begin.filter(|_| bytes.ends_with(b"\r\n\r\n")) else { continue };
        if requests == 0 {
            tell(bytes[..begin].to_vec(), String::from_utf8(bytes[begin..].to_vec()).unwrap());
        }
        requests += 1;
        bytes.clear();
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

/// What came before the first request that is not a check.
fn of_request(told: &Receiver<(Vec<u8>, String)>) -> Vec<u8> {
    let mut all = told.iter();
    all.find(|(_, head)| !head.starts_with("GET /health ")).expect("a request").0
}

fn of_check(told: &Receiver<(Vec<u8>, String)>) -> Vec<u8> {
    let mut all = told.iter();
    all.find(|(_, head)| head.starts_with("GET /health ")).expect("a check").0
}

fn ask(client: &mut Client) {
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    client.answer().expect_status(200);
}

#[test]
fn version_1_is_a_line_with_both_addresses_and_a_check_has_none() {
    let (backend, told) = tells();
    let balancer = Balancer::before(&[backend]).flag("--backend-proxy-protocol", "v1").start();
    assert_eq!(of_check(&told), b"PROXY UNKNOWN\r\n");
    balancer.said("is healthy");
    let mut client = Client::to(balancer.address);
    let (from, to) = (client.stream().local_addr().unwrap(), balancer.address);
    ask(&mut client);
    let line = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", from.port(), to.port());
    assert_eq!(String::from_utf8(of_request(&told)).unwrap(), line);
}

#[test]
fn version_2_is_binary_and_a_check_is_local() {
    let (backend, told) = tells();
    let balancer = Balancer::before(&[backend]).flag("--backend-proxy-protocol", "v2").start();
    assert_eq!(of_check(&told), [SIGNATURE, &[0x20, 0, 0, 0]].concat());
    balancer.said("is healthy");
    let mut client = Client::to(balancer.address);
    let (from, to) = (client.stream().local_addr().unwrap(), balancer.address);
    ask(&mut client);
    let [from, to] = [from, to].map(|address| address.port().to_be_bytes());
    let expected = [SIGNATURE, &[0x21, 0x11, 0, 12], &[127, 0, 0, 1], &[127, 0, 0, 1], &from, &to].concat();
    assert_eq!(of_request(&told), expected);
}

#[test]
fn who_came_to_one_of_many_addresses_is_told_by_that_one() {
    let ours = Ipv4Addr::new(127, 0, 0, 2);
    for wildcard in ["0.0.0.0:0", "[::]:0"] {
        if wildcard.contains("::") && lacks_ipv6() {
            continue;
        }
        let (backend, told) = tells();
        let balancer = Balancer::before(&[backend]).flag("--listen", wildcard);
        let balancer = balancer.flag("--backend-proxy-protocol", "v1").start();
        let address = SocketAddr::from((ours, balancer.address.port()));
        let mut client = Client::to(address);
        let from = client.stream().local_addr().unwrap();
        ask(&mut client);
        let line = format!("PROXY TCP4 {} {ours} {} {}\r\n", from.ip(), from.port(), address.port());
        assert_eq!(String::from_utf8(of_request(&told)).unwrap(), line);
        Http2::to(address).get("/").expect_status(200);
        let line = String::from_utf8(of_request(&told)).unwrap();
        assert!(line.contains(&format!(" {ours} ")), "{line}");
        let (authority, (backend, told)) = (Authority::new(), tells());
        let pair = authority.signs(&["localhost"]);
        let secured = Balancer::before(&[backend]).secured_on(wildcard, &[&pair]);
        let secured = secured.flag("--backend-proxy-protocol", "v1").start();
        let address = SocketAddr::from((ours, secured.address.port()));
        Http2::secure(address, trusting(&authority)).get("/").expect_status(200);
        let line = String::from_utf8(of_request(&told)).unwrap();
        assert!(line.contains(&format!(" {ours} ")), "{line}");
    }
}

#[test]
fn ipv6_is_told_as_such() {
    if lacks_ipv6() {
        return;
    }
    let (backend, told) = tells();
    let balancer = Balancer::before(&[backend]).flag("--listen", "[::1]:0");
    let balancer = balancer.flag("--backend-proxy-protocol", "v1").start();
    let mut client = Client::to(balancer.address);
    let from = client.stream().local_addr().unwrap();
    ask(&mut client);
    let line = format!("PROXY TCP6 ::1 ::1 {} {}\r\n", from.port(), balancer.address.port());
    assert_eq!(String::from_utf8(of_request(&told)).unwrap(), line);
}

#[test]
fn a_client_without_an_address_is_not_made_one_up() {
    let (backend, told) = tells();
    let folder = Folder::new();
    let socket = folder.path("listener");
    let listen = format!("127.0.0.1:0,unix:{}", socket.display());
    let balancer = Balancer::bare().env("LOADBALANCER_LISTEN", &listen).flag("--health-path", "/health");
    let balancer = balancer.flag("--backend", &backend.to_string()).flag("--backend-proxy-protocol", "v1");
    let _balancer = balancer.start();
    let mut client = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    client.read_exact(&mut [0; 12]).unwrap();
    assert_eq!(of_request(&told), b"PROXY UNKNOWN\r\n");
}

#[test]
fn a_connection_that_was_made_for_one_client_is_never_used_for_another() {
    let (backend, told) = tells();
    let balancer = Balancer::before(&[backend]).flag("--backend-proxy-protocol", "v1").start();
    let mut clients = [Client::to(balancer.address), Client::to(balancer.address)];
    for _ in 0..3 {
        for client in &mut clients {
            ask(client);
            let header = String::from_utf8(of_request(&told)).unwrap();
            let port = client.stream().local_addr().unwrap().port();
            assert!(header.contains(&format!(" {port} ")), "{header} is not for {port}");
        }
    }
}
