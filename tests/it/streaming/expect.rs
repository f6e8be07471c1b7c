//! `Expect: 100-continue` (RFC 9110 section 10.1.1).

use std::sync::mpsc::channel;

use crate::support::{Backend, Balancer, Client, PATIENCE, Transport, gate};

const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn the_backends_word_to_go_on_reaches_the_client_and_then_the_body_the_backend() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        tell.send(transport.header("expect").map(str::to_owned)).unwrap();
        transport.send("HTTP/1.1 100 Continue\r\n\r\n");
        create(transport);
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(HEAD);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap().as_deref(), Some("100-continue"));
    assert_eq!(client.head().status, 100);
    client.send("hello");
    assert_eq!(client.head().status, 201, "one word is enough");
}

#[test]
fn a_refusal_reaches_the_client_in_place_of_the_word_to_go_on() {
    for refusal in ["417 Expectation Failed", "403 Forbidden", "200 OK"] {
        let backend = Backend::that(move |mut transport| {
            transport.send(format!("HTTP/1.1 {refusal}\r\nContent-Length: 2\r\n\r\nno"));
            transport.wait_for_end();
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(HEAD);
        let answer = client.head();
        assert_eq!(answer.status.to_string(), refusal[..3], "the first thing that comes");
        assert_eq!(client.with_body(answer).text(), "no");
    }
}

#[test]
fn a_refused_body_is_not_taken_for_the_next_request() {
    let (backend, heads) =
        Backend::tells("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let refusing = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[refusing.address, backend.address]).start();
    let mut client = Client::to(balancer.address);
    let body = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = body.len();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    ));
    client.answer().expect_status(403);
    // A client that does not care for the answer sends what it announced; whether it is read or not, it is a body.
    let _ = client.try_send(body);
    client.finish();
    client.expect_end();
    assert_eq!((refusing.requests(), backend.requests(), heads.try_iter().count()), (1, 0, 0));
}

#[test]
fn a_backend_that_does_not_know_of_expectations_gets_the_body_after_a_moment() {
    let backend = Backend::that(create);
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(HEAD);
    assert_eq!(client.head().status, 100, "so that the client goes on");
    client.send("hello");
    assert_eq!(client.head().status, 201);
}

#[test]
fn a_client_that_does_not_wait_for_the_word_is_served_too() {
    let backend = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 100 Continue\r\n\r\n");
        create(transport);
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(format!("{HEAD}hello"));
    client.answer().expect_status(201);
}

#[test]
fn an_answer_that_comes_with_the_word_to_go_on_does_not_swallow_it() {
    let backend = echoes_behind("HTTP/1.1 100 Continue\r\n\r\n");
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(HEAD);
    assert_eq!(client.head().status, 100);
    let answer = client.head();
    client.send("hello");
    assert_eq!(client.with_body(answer).expect_status(200).text(), "hello");
}

#[test]
fn an_answer_that_comes_in_place_of_the_word_to_go_on_may_last_longer_than_the_body() {
    let backend = echoes_behind("");
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(HEAD);
    let answer = client.head();
    client.send("hello");
    assert_eq!(client.with_body(answer).expect_status(200).text(), "hello");
}

#[test]
fn a_client_that_keeps_its_body_for_it_has_its_answer_owes_nothing_of_it() {
    let backend = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n");
        for _ in 0..13 {
            transport.send("x");
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
        transport.wait_for_end();
    });
    // Five seconds may pass before anybody is too slow.
    let balancer = Balancer::before(&[backend.address]).flag("--min-data-rate", "1B/s").start();
    let mut client = Client::to(balancer.address);
    client.send(HEAD);
    assert_eq!(client.answer().expect_status(200).body.len(), 13);
}

#[test]
fn hints_may_come_before_the_word_to_go_on() {
    let (opener, gate) = gate();
    let backend = Backend::that(move |mut transport| {
        transport.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        gate.wait();
        transport.send("HTTP/1.1 100 Continue\r\n\r\n");
        create(transport);
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(HEAD);
    let hints = client.head();
    assert_eq!((hints.status, hints.header("link")), (103, Some("</a>")));
    opener.open();
    assert_eq!(client.head().status, 100);
    client.send("hello");
    client.answer().expect_status(201);
}

/// Takes the body and answers.
fn create(mut transport: Transport) {
    assert_eq!(transport.read_body(), b"hello");
    transport.send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    transport.wait_for_end();
}

/// Says this, begins its answer, and then reads the body that it answers with.
fn echoes_behind(word: &'static str) -> Backend {
    Backend::that(move |mut transport| {
        transport.send(format!("{word}HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
        let body = transport.read_body();
        transport.send([b"5\r\n", &*body, b"\r\n0\r\n\r\n"].concat());
        transport.wait_for_end();
    })
}
