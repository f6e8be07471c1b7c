//! Heads that are far larger than most.

use std::sync::mpsc::channel;

use super::*;
use crate::support::{gate, until};

/// Requests at one time.
const MANY: usize = 300;

/// What a backend answers.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A request with a head of nearly as many bytes as are taken.
fn large(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: {}\r\n\r\n", "x".repeat(60_000))
}

#[test]
fn connections_that_carried_large_heads_are_kept_and_what_those_took_is_not() {
    let (opener, gate) = gate();
    let backend = Backend::that(move |mut transport| {
        loop {
            if transport.head.starts_with("GET /held ") {
                gate.wait();
            }
            transport.send(OK);
            if !transport.read_head() {
                return;
            }
        }
    });
    let balancer = Balancer::before(&[backend.address]).flag("--workers", "1").start();
    let small = || get(balancer.address, "/").expect_status(200);
    small();
    let before = balancer.memory();
    for _ in 0..2 {
        let mut clients: Vec<_> = (0..MANY).map(|_| Client::to(balancer.address)).collect();
        clients.iter_mut().for_each(|client| client.send(large("/held")));
        // All of them wait, each on a connection of its own, which is one of the first round in the second.
        until("each has come", || backend.requests() == MANY);
        (0..MANY).for_each(|_| opener.open());
        clients.iter_mut().for_each(|client| drop(client.answer().expect_status(200)));
        drop(clients);
        let mut grown = 0;
        until("what they took is given back", || {
            small();
            grown = balancer.memory().saturating_sub(before);
            grown < MANY * 64
        });
    }
    assert_eq!(backend.requests(), MANY);
}

#[test]
fn that_a_backend_closes_is_seen_though_a_large_head_was_the_last() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        transport.send(OK);
        transport.finish();
        transport.wait_for_end();
        let _ = tell.send(());
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(large("/"));
    client.answer().expect_status(200);
    told.recv_timeout(PATIENCE).expect("it is closed here, too");
}
