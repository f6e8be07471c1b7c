//! Answers whose framing is a lie: what is too much is never taken for the answer to somebody else (response
//! smuggling).

use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::{REQUEST, before_one_that_sends, expect_reason, expect_sanity};
use crate::support::{Answer, Backend, Balancer, Client, PATIENCE, Running, get, request};

const SMUGGLED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsmuggled\n";

/// Sends a request, expects the answer, and that what was behind it is taken for no other one: not by this client,
/// nor by the next.
fn expect_no_smuggling(answer: String, ask: &str, expect: &str) {
    let (backend, balancer) = before_one_that_sends(answer);
    let mut client = Client::to(balancer.address);
    client.send(ask);
    let head = client.head();
    let head = if ask.starts_with("HEAD") { head } else { client.with_body(head) };
    assert_eq!(String::from_utf8_lossy(&head.body), expect);
    client.send(REQUEST);
    assert_eq!(client.answer().expect_status(200).text(), "sane\n");
    expect_sanity_of_all(&backend, balancer.address);
}

fn expect_sanity_of_all(backend: &Backend, balancer: std::net::SocketAddr) {
    assert_eq!(get(balancer, "/").expect_status(200).text(), "sane\n");
    assert_eq!(backend.requests(), 3, "connections");
}

#[test]
fn more_than_the_content_length_says_is_dropped_with_its_connection() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst";
    expect_no_smuggling(format!("{answer}{SMUGGLED}"), REQUEST, "first");
    expect_no_smuggling(format!("{answer}\r\n"), REQUEST, "first");
    let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    expect_no_smuggling(format!("{empty}{SMUGGLED}"), REQUEST, "");
}

#[test]
fn a_liar_is_asked_again_and_again_without_harm() {
    let backend = Backend::lies_about_content_length();
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    for _ in 0..20 {
        client.send(REQUEST);
        assert_eq!(client.answer().expect_status(200).text(), "first");
    }
    assert_eq!(backend.requests(), 20, "each on a connection of its own");
}

/// Wherever the surplus falls in a read of the balancer, or just behind it.
#[test]
fn surplus_is_dropped_wherever_a_read_ends() {
    const SIZES: [usize; 12] =
        [1, 100, 4051, 8149, 8150, 8151, 8192, 16_341, 16_384, 65_536, 131_072, 400_000];
    for size in SIZES {
        let body = "a".repeat(size);
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {size:06}\r\n\r\n{body}{SMUGGLED}");
        expect_no_smuggling(answer, REQUEST, &body);
    }
}

#[test]
fn what_follows_the_last_chunk_is_dropped_with_its_connection() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n";
    expect_no_smuggling(format!("{answer}{SMUGGLED}"), REQUEST, "first");
}

#[test]
fn a_body_where_none_may_be_is_dropped_with_its_connection() {
    for head in ["204 No Content", "304 Not Modified"] {
        expect_no_smuggling(format!("HTTP/1.1 {head}\r\n\r\n{SMUGGLED}"), REQUEST, "");
        let length = SMUGGLED.len();
        expect_no_smuggling(
            format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{SMUGGLED}"),
            REQUEST,
            "",
        );
        let chunked = format!("Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n{SMUGGLED}");
        expect_no_smuggling(format!("HTTP/1.1 {head}\r\n{chunked}"), REQUEST, "");
    }
    let head = REQUEST.replace("GET", "HEAD");
    expect_no_smuggling(format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst{SMUGGLED}"), &head, "");
}

#[test]
fn an_answer_to_a_request_that_was_not_sent_is_never_given_to_the_next() {
    const TIMES: usize = 20;
    let ((open, gate), (sent, surplus)) = (channel::<()>(), channel());
    let gate = Mutex::new(gate);
    let backend = Backend::that(move |mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
        gate.lock().unwrap().recv().expect("the test goes on");
        transport.send(SMUGGLED);
        let _ = sent.send(());
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    for _ in 0..TIMES {
        client.send(REQUEST);
        assert_eq!(client.answer().expect_status(200).text(), "first");
        open.send(()).unwrap();
        surplus.recv_timeout(PATIENCE).expect("the surplus was sent");
    }
    assert_eq!(backend.requests(), TIMES, "each on a connection of its own");
}

#[test]
fn lengths_that_differ_are_told_as_502() {
    for lengths in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: -5",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: 99999999999999999999",
        "Content-Length: ",
    ] {
        let (backend, balancer) =
            before_one_that_sends(format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nfirst!"));
        let mut client = Client::to(balancer.address);
        client.send(REQUEST);
        let answer = client.head();
        assert_eq!(answer.status, 502, "{lengths:?}");
        expect_reason(client.with_body(answer), 502, "bad_answer");
        expect_sanity(&backend, &balancer);
    }
}

#[test]
fn a_length_that_is_repeated_is_passed_on_once() {
    for lengths in ["Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5, 5"] {
        let (_backend, balancer) =
            before_one_that_sends(format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nfirst"));
        let mut client = Client::to(balancer.address);
        client.send(REQUEST);
        let answer = client.head();
        // RFC 9112 section 6.3: either refused or mended.
        if answer.status != 502 {
            assert_eq!(answer.header("content-length"), Some("5"), "{lengths:?}");
            assert_eq!(client.bytes(5), b"first");
        }
    }
}

#[test]
fn an_answer_with_a_length_and_chunks_is_told_as_502() {
    for length in [0, 3, 5, 500] {
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let (backend, balancer) = before_one_that_sends(format!("{head}5\r\nfirst\r\n0\r\n\r\n"));
        expect_reason(request(balancer.address, REQUEST), 502, "two_framings");
        expect_sanity(&backend, &balancer);
    }
}

/// They would reach the client without the name of their coding, or never end.
#[test]
fn codings_that_nobody_asked_for_are_told_as_502() {
    for coding in ["gzip, chunked", "gzip", "chunked, gzip", "chunked, chunked", "identity", "chunkedd"] {
        let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n");
        let backend =
            Backend::that(move |mut transport| transport.send(format!("{head}5\r\nfirst\r\n0\r\n\r\n")));
        let balancer = Balancer::before(&[backend.address]).start();
        assert_eq!(get(balancer.address, "/").status, 502, "{coding}");
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_is_passed_on_in_chunks() {
    let backend = Backend::that(|mut transport| transport.send("HTTP/1.1 200 OK\r\n\r\nfirst"));
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    for _ in 0..2 {
        client.send(REQUEST);
        let answer = client.answer().expect_status(200);
        assert_eq!((answer.header("transfer-encoding"), answer.text()), (Some("chunked"), "first"));
    }
}

/// The head of the answer to such a request.
fn head(balancer: &Running, method: &str) -> Answer {
    let mut client = Client::to(balancer.address);
    client.send(REQUEST.replace("GET", method));
    client.head()
}

#[test]
fn an_answer_whose_length_is_none_is_not_passed_on_though_it_has_no_body() {
    for (method, status) in
        [("HEAD", "200 OK"), ("HEAD", "404 Not Found"), ("GET", "304 Not Modified"), ("GET", "200 OK")]
    {
        for length in ["x", "+9", "-1", "", "99999999999999999999999", "5, 6", "5,", "0x5"] {
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
            let (backend, balancer) = before_one_that_sends(answer);
            expect_reason(head(&balancer, method), 502, "bad_answer");
            expect_sanity(&backend, &balancer);
        }
    }
}

#[test]
fn a_length_is_passed_on_once_and_without_zeros_before_it() {
    for (method, length, expected) in [
        ("HEAD", "02", "2"),
        ("GET", "02", "2"),
        ("HEAD", "2, 002", "2"),
        ("HEAD", "2\r\nContent-Length: 2", "2"),
        ("GET", "2\r\nContent-Length: 2", "2"),
        ("HEAD", "000", "0"),
        ("HEAD", "18446744073709551615", "18446744073709551615"),
    ] {
        let body = if method == "GET" { "ok" } else { "" };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        let (_backend, balancer) = before_one_that_sends(answer);
        let answer = head(&balancer, method).expect_status(200);
        assert_eq!(answer.header("content-length"), Some(expected), "{method} {length}");
    }
}
