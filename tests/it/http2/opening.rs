//! How a connection begins.

use super::telling;
use crate::support::{Balancer, Client, Http2, Sample, head, settings};

const GOAWAY: u8 = 7;
const GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];

#[test]
fn the_first_requests_may_come_in_one_packet_with_the_preface() {
    let (_backend, _told, balancer) = telling();
    let mut client = Client::to(balancer.address);
    let heads: Vec<u8> = (0..5).flat_map(|number| head(number * 2 + 1, &GET)).collect();
    client.send([settings(), heads].concat());
    let mut left = 5;
    while left > 0 {
        let frame = client.frame();
        // The last frame of an answer's body ends its stream.
        left -= i32::from(frame.kind == 0 && frame.flags & 1 > 0);
    }
}

#[test]
fn the_preface_may_come_byte_by_byte() {
    let (_backend, _told, balancer) = telling();
    let mut client = Client::to(balancer.address);
    for byte in [settings(), head(1, &GET)].concat() {
        client.send([byte]);
    }
    assert_eq!(client.body_of(1), b"ok");
}

#[test]
fn the_preface_may_come_in_any_two_pieces() {
    let (_backend, _told, balancer) = telling();
    let bytes = [settings(), head(1, &GET)].concat();
    for cut in 1..settings().len() {
        let mut client = Client::to(balancer.address);
        client.send(&bytes[..cut]);
        // Others are answered meanwhile, so that the first piece is read alone.
        Http2::to(balancer.address).get("/").expect_status(200);
        client.send(&bytes[cut..]);
        assert_eq!(client.body_of(1), b"ok", "cut at {cut}");
    }
}

#[test]
fn what_only_begins_like_the_preface_is_refused() {
    let (backend, _told, balancer) = telling();
    for bytes in
        ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "PRI * HTTP/2.0\r\nHost: a\r\n\r\n", "PRI / HTTP/2.0\r\n\r\n"]
    {
        let mut client = Client::to(balancer.address);
        client.send(bytes);
        // An HTTP/1.1 answer or a GOAWAY, then the end.
        let said = client.remains();
        assert!(said.starts_with(b"HTTP/1.1 400 ") || said.contains(&GOAWAY), "{bytes:?}: {said:?}");
    }
    let mut client = Client::to(balancer.address);
    client.send("PRI * HTTP/1.1\r\nHost: a\r\n\r\n");
    client.answer().expect_status(400);
    assert_eq!(backend.requests(), 0);
}

#[test]
fn http_2_may_follow_on_a_connection_that_carried_http_1_1() {
    // Nobody does; but what is read is read in one way, and nothing is lost.
    let (_backend, _told, balancer) = telling();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().expect_status(200).text(), "ok");
    client.send([settings(), head(1, &GET)].concat());
    assert_eq!(client.body_of(1), b"ok");
}

#[test]
fn a_client_that_makes_no_request_is_told_to_go() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--header-timeout", "300ms").start();
    let mut client = Http2::to(balancer.address);
    assert!(client.ended_by_the_other_side().is_ok(), "a GOAWAY without an error");
    let mut client = Client::to(balancer.address);
    client.send(&settings()[..10]);
    client.remains();
    let mut client = Client::to(balancer.address);
    client.send(&settings()[..20]);
    client.remains();
}

#[test]
fn a_client_that_is_idle_for_too_long_is_told_to_go() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--client-idle-timeout", "300ms").start();
    let mut client = Http2::to(balancer.address);
    client.get("/").expect_status(200);
    assert!(client.ended_by_the_other_side().is_ok(), "a GOAWAY without an error");
    // One whose request takes longer than that is not idle.
    let mut client = Http2::to(balancer.address);
    client.get("/delay/1000").expect_status(200);
}
