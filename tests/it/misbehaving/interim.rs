//! Interim answers (1xx) without end or number.

use super::{REQUEST, at_first, expect_reason, expect_sanity};
use crate::support::{Backend, Balancer, Client, get};

const EARLY_HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n";
/// Far more of the client's memory, or ours, than early hints are worth.
const TOO_MUCH: usize = 256 * 1024;

#[test]
fn interim_answers_without_end_are_told_as_502_and_harm_nobody_else() {
    let older = "HTTP/1.0 103 Early Hints\r\n\r\n";
    let behind_a_line = "\r\nHTTP/1.1 102 Processing\r\n\r\n";
    let usual = ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n", EARLY_HINTS];
    for interim in usual.into_iter().chain([older, behind_a_line]) {
        let flood = interim.repeat(100);
        let backend = at_first(move |transport| while transport.try_send(&flood).is_ok() {});
        let balancer = Balancer::before(&[backend.address]).start();
        expect_reason(get(balancer.address, "/"), 502, "too_many_interim");
        expect_sanity(&backend, &balancer);
    }
}

#[test]
fn a_few_interim_answers_are_passed_on_and_a_flood_of_them_is_not() {
    for count in [100, 10_000] {
        let backend = Backend::that(move |mut transport| {
            transport.send(EARLY_HINTS.repeat(count));
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
            transport.wait_for_end();
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(REQUEST);
        let (mut passed, mut status) = (0, 103);
        while status < 200 {
            status = client.head().status;
            passed += usize::from(status == 103);
        }
        match count {
            100 => assert_eq!((passed, status), (count, 200)),
            _ => assert!(passed * EARLY_HINTS.len() < TOO_MUCH && status == 502, "{passed}, {status}"),
        }
    }
}

#[test]
fn an_answer_that_follows_interim_ones_at_once_is_whole() {
    let backend = Backend::that(|mut transport| {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
        transport.send(format!("{}{answer}{}", EARLY_HINTS.repeat(3), "a".repeat(100_000)));
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[backend.address]).start();
    assert_eq!(get(balancer.address, "/").expect_status(200).body.len(), 100_000);
}

#[test]
fn an_interim_answer_in_place_of_an_answer_is_none() {
    let backend = Backend::that(|mut transport| transport.send(EARLY_HINTS));
    let balancer = Balancer::before(&[backend.address]).start();
    expect_reason(get(balancer.address, "/"), 502, "backend_closed");
}

#[test]
fn a_switch_of_protocols_that_nobody_asked_for_is_told_as_502() {
    let backend = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n");
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother");
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    for _ in 0..2 {
        client.send(REQUEST);
        expect_reason(client.answer(), 502, "unasked_upgrade");
    }
}
