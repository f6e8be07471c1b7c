//! Bodies pass as they come, in both directions.

mod both_ways;
mod expect;
mod leaving;
mod surplus;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use crate::support::{Backend, Balancer, Client, PATIENCE, Sample, gate, get};

const MIB: u64 = 1 << 20;
/// Far more than may be held in memory.
const LARGE: u64 = 64 * MIB;
/// Kilobytes that may be held in memory for one body, with room for what the allocator keeps.
const FEW: usize = 16 * 1024;
/// What may be on its way in the buffers of the system and of the balancer.
const BUFFERED: u64 = 64 * MIB;
const ENDLESS: u64 = 1024 * MIB;

#[test]
fn a_large_answer_passes_in_little_memory() {
    const PIECE: usize = 64 * 1024;
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    get(balancer.address, "/").expect_status(200);
    let before = balancer.most_memory();
    for path in ["bytes", "chunked"] {
        let mut client = Client::to(balancer.address);
        client.send(format!("GET /{path}/{LARGE} HTTP/1.0\r\n\r\n"));
        client.head().expect_status(200);
        let first = client.bytes(PIECE);
        for _ in 1..LARGE / PIECE as u64 {
            assert!(client.bytes(PIECE) == first, "something else passed");
        }
        client.expect_end();
    }
    let grown = balancer.most_memory() - before;
    assert!(grown < FEW, "{grown} kB were held");
}

#[test]
fn a_large_upload_passes_in_little_memory() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        let length = transport.header("content-length").map_or(0, |length| length.parse().unwrap());
        tell.send(transport.skip(length).unwrap()).unwrap();
        transport.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    });
    let balancer = Balancer::before(&[backend.address]).start();
    get(balancer.address, "/").expect_status(204);
    assert_eq!(told.recv_timeout(PATIENCE), Ok(0));
    let before = balancer.most_memory();
    let mut client = Client::to(balancer.address);
    client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n"));
    let piece = vec![b'x'; MIB as usize];
    (0..LARGE / MIB).for_each(|_| client.send(&piece));
    client.answer().expect_status(204);
    assert_eq!(told.recv_timeout(PATIENCE), Ok(LARGE));
    let grown = balancer.most_memory() - before;
    assert!(grown < FEW, "{grown} kB were held");
}

#[test]
fn an_upload_and_its_answer_pass_at_once_and_unchanged() {
    const SIZE: usize = 16 << 20;
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let sent: Arc<Vec<u8>> = Arc::new((0..SIZE).map(|index| (index % 251) as u8).collect());
    let mut client = Client::to(balancer.address);
    client.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"));
    let (body, mut stream) = (Arc::clone(&sent), client.stream().try_clone().unwrap());
    let sender = thread::spawn(move || std::io::Write::write_all(&mut stream, &body).expect("it is taken"));
    let answer = client.answer().expect_status(200);
    sender.join().unwrap();
    assert!(answer.body.ends_with(&sent), "something else came back");
}

#[test]
fn a_client_that_does_not_read_stops_its_backend() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        transport.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS}\r\n\r\n"));
        let piece = vec![b'x'; MIB as usize];
        let written = (0..ENDLESS / MIB).take_while(|_| transport.try_send(&piece).is_ok()).count();
        tell.send(written as u64 * MIB).unwrap();
    });
    let balancer = Balancer::before(&[backend.address]).flag("--body-timeout", "300ms").start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    // It is told when the balancer has given up on the client and closed both connections.
    let written = told.recv_timeout(PATIENCE).expect("the end of the backend's connection");
    assert!(written < BUFFERED, "{written} bytes were taken from the backend");
}

#[test]
fn a_backend_that_does_not_read_stops_its_client() {
    let (opener, gate) = gate();
    let backend = Backend::that(move |_transport| gate.wait());
    let balancer = Balancer::before(&[backend.address]).flag("--body-timeout", "300ms").start();
    let mut client = Client::to(balancer.address);
    client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {ENDLESS}\r\n\r\n"));
    let piece = vec![b'x'; MIB as usize];
    let written = (0..ENDLESS / MIB).take_while(|_| client.try_send(&piece).is_ok()).count() as u64 * MIB;
    assert!(written < BUFFERED, "{written} bytes were taken from the client");
    opener.open();
}

#[test]
fn each_part_of_an_answer_reaches_the_client_before_the_next_is_made() {
    for (framing, parts) in [
        ("Transfer-Encoding: chunked", ["3\r\none\r\n", "3\r\ntwo\r\n", "5\r\nthree\r\n0\r\n\r\n"]),
        ("Content-Length: 11", ["one", "two", "three"]),
        ("X-Framing: none", ["one", "two", "three"]),
    ] {
        let (opener, gate) = gate();
        let backend = Backend::that(move |mut transport| {
            transport.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
            for part in parts {
                gate.wait();
                transport.send(part);
            }
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        // HTTP/1.0 has no chunks, so that the bytes come as they are.
        client.send("GET / HTTP/1.0\r\n\r\n");
        client.head().expect_status(200);
        for part in ["one", "two", "three"] {
            opener.open();
            assert_eq!(client.bytes(part.len()), part.as_bytes(), "{framing}");
        }
        client.expect_end();
    }
}

#[test]
fn each_part_of_an_upload_reaches_the_backend_before_the_next_is_made() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        while let Some(chunk) = transport.read_chunk() {
            tell.send(chunk).unwrap();
        }
        transport.send("HTTP/1.1 204 No Content\r\n\r\n");
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for part in ["one", "two", "six"] {
        client.send(format!("3\r\n{part}\r\n"));
        assert_eq!(told.recv_timeout(PATIENCE).expect("the part"), part.as_bytes());
    }
    client.send("0\r\n\r\n");
    client.answer().expect_status(204);
}

#[test]
fn a_client_and_a_backend_may_talk_in_turns() {
    let backend = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while let Some(chunk) = transport.read_chunk() {
            let chunk = String::from_utf8(chunk).unwrap();
            transport.send(format!("7\r\n{chunk} too\r\n"));
        }
        transport.send("0\r\n\r\n");
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.head().expect_status(200);
    for part in ["one", "two", "six"] {
        client.send(format!("3\r\n{part}\r\n"));
        assert_eq!(client.chunk().expect("an answer to it"), format!("{part} too").as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.chunk(), None);
}
