//! Handshakes that come to nothing, and stops.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use super::{REQUEST, expect_answer, secured};
use crate::support::pki::Authority;
use crate::support::tls::trusting;
use crate::support::{Balancer, Client, Http2, Running, Sample, gate, get, until};

/// The first bytes of a handshake: a record of 512 bytes begins, and its message of 508.
const BEGINNING: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];

fn with(flags: &[(&str, &str)]) -> (Authority, Sample, Running) {
    let authority = Authority::new();
    let pair = authority.signs(&["localhost"]);
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).secured(&[&pair]);
    let balancer = flags.iter().fold(balancer, |balancer, (name, value)| balancer.flag(name, value));
    (authority, backend, balancer.start())
}

#[test]
fn http_in_the_clear_is_answered_with_what_to_do() {
    let (_authority, _backend, balancer) = with(&[("--access-log", "-")]);
    let answer = get(balancer.address, "/").expect_status(400);
    assert!(answer.text().contains("write https://"), "{}", answer.text());
    assert!(answer.header("proxy-status").unwrap().contains("malformed_request"), "{answer:?}");
    balancer.said("\"status\":400");
}

#[test]
fn what_is_neither_http_nor_tls_is_refused_and_others_do_not_notice() {
    let (authority, _backend, balancer) = secured();
    let garbage: [&[u8]; 4] = [
        b"\0\x01\x02 nothing that we know",
        // Records that hold no handshake, or too much, or none of this protocol.
        &[22, 3, 1, 0, 5, 99, 99, 99, 99, 99],
        &[22, 3, 1, 255, 255, 1],
        &[22, 9, 9, 0, 1, 1],
    ];
    for bytes in garbage {
        let mut client = Client::to(balancer.address);
        client.send(bytes);
        // What is said of it, be it an alert or an answer, is followed by the end.
        client.remains();
    }
    expect_answer(&mut Client::secure(balancer.address, &Arc::new(trusting(&authority))));
}

#[test]
fn a_handshake_that_stalls_is_cut() {
    let (_authority, _backend, balancer) = with(&[("--header-timeout", "300ms"), ("--log-level", "debug")]);
    let mut silent = Client::to(balancer.address);
    let mut slow = Client::to(balancer.address);
    slow.send(BEGINNING);
    silent.expect_end();
    slow.expect_end();
    balancer.said_times("no TLS: not in time", 2);
}

#[test]
fn a_client_that_says_nothing_after_its_handshake_is_cut() {
    let (authority, _backend, balancer) = with(&[("--header-timeout", "300ms")]);
    let config = Arc::new(trusting(&authority));
    let mut silent = Client::secure(balancer.address, &config);
    let mut slow = Client::secure(balancer.address, &config);
    slow.send("GET / HT");
    silent.expect_end();
    slow.answer().expect_status(408);
    slow.expect_end();
    let mut silent = Http2::secure(balancer.address, trusting(&authority));
    assert!(silent.ended_by_the_other_side().is_ok(), "a GOAWAY without an error");
}

#[test]
fn clients_that_leave_amid_a_handshake_give_back_their_seats() {
    let (authority, _backend, balancer) = with(&[("--max-connections", "4")]);
    let config = Arc::new(trusting(&authority));
    for round in 0..50 {
        for count in 0..4 {
            let mut stream = TcpStream::connect(balancer.address).unwrap();
            // It may be turned away while the last ones are noticed to be gone.
            let _ = stream.write_all(&BEGINNING[..(round + count * 3) % BEGINNING.len()]);
        }
    }
    until("there is a seat", || match Client::secure_to(balancer.address, "localhost", &config) {
        Ok(mut client) => {
            expect_answer(&mut client);
            true
        }
        Err(_) => false,
    });
}

#[test]
fn a_client_for_whom_there_is_no_seat_is_closed_at_once() {
    let (authority, _backend, balancer) = with(&[("--max-connections", "1")]);
    let config = Arc::new(trusting(&authority));
    let mut client = Client::secure(balancer.address, &config);
    let mut other = TcpStream::connect(balancer.address).unwrap();
    let _ = other.read(&mut [0; 16]);
    expect_answer(&mut client);
}

#[test]
fn a_stop_lets_running_requests_finish_and_says_farewell() {
    let (opener, gate) = gate();
    let backend = crate::support::Backend::that(move |mut transport| {
        gate.wait();
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let authority = Authority::new();
    let pair = authority.signs(&["localhost"]);
    let balancer = Balancer::before(&[backend.address]).secured(&[&pair]).start();
    let config = Arc::new(trusting(&authority));
    let mut idle = Client::secure(balancer.address, &config);
    let mut busy = Client::secure(balancer.address, &config);
    busy.send(REQUEST);
    until("its request is there", || backend.requests() == 1);
    balancer.signal("TERM");
    assert_eq!(idle.rest(), b"", "a farewell, and no word else");
    opener.open();
    assert_eq!(busy.answer().expect_status(200).text(), "ok");
    assert_eq!(busy.rest(), b"");
    assert!(balancer.ended().success());
}

#[test]
fn a_stop_does_not_wait_for_handshakes_for_ever() {
    let (_authority, _backend, balancer) = with(&[("--drain-timeout", "300ms"), ("--header-timeout", "1h")]);
    let mut client = Client::to(balancer.address);
    client.send(BEGINNING);
    let mut silent = Client::to(balancer.address);
    // Both are let in when a third one is answered.
    get(balancer.address, "/").expect_status(400);
    balancer.signal("TERM");
    client.expect_end();
    silent.expect_end();
    assert!(balancer.ended().success());
}
