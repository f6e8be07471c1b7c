//! What is unusual and has one reading passes, and reaches the backend with exactly one framing.

use std::sync::mpsc::channel;

use super::{ANSWER, GET, POST};
use crate::support::{Backend, Balancer, Client, PATIENCE, Transport, get};

/// The bytes of each request that the backend got, when these come on one connection of a client.
fn received(bytes: &str, size: usize, count: usize) -> Vec<String> {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        loop {
            let mut request = transport.head.clone();
            request += &raw_body(&mut transport);
            let _ = tell.send(request);
            transport.send(ANSWER);
            if !transport.read_head() {
                return;
            }
        }
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    bytes.as_bytes().chunks(size).for_each(|piece| client.send(piece));
    (0..count)
        .map(|_| {
            assert_eq!(client.answer().expect_status(200).text(), "ok");
            told.recv_timeout(PATIENCE).expect("a request")
        })
        .collect()
}

/// The body as its chunks joined, or as its length says.
fn raw_body(transport: &mut Transport) -> String {
    let head = transport.head.to_ascii_lowercase();
    let framings =
        head.matches("\r\ncontent-length:").count() + head.matches("\r\ntransfer-encoding:").count();
    assert!(framings <= 1, "{head}");
    if head.contains("\r\ntransfer-encoding: chunked\r\n") {
        let (body, trailers) = transport.read_chunks();
        return String::from_utf8(body).unwrap() + "|" + &trailers;
    }
    String::from_utf8(transport.read_body()).unwrap()
}

#[test]
fn requests_that_follow_each_other_closely_are_told_apart_however_they_are_cut() {
    let chunked = format!("{POST}Transfer-Encoding: Chunked\r\n\r\n");
    let requests = [
        format!("{GET}\r\n"),
        format!("{chunked}A;a=\"b;c\"\r\n0123456789\r\n00\r\nX-Sum: 1\r\n\r\n"),
        format!("{POST}Content-Length: 38\r\n\r\nGET /hidden HTTP/1.1\r\nHost: hidden\r\n\r\n"),
        format!("\r\n{POST}content-length:  0 \r\n\r\n"),
        format!("{chunked}26\r\nGET /hidden HTTP/1.1\r\nHost: hidden\r\n\r\n\r\n0\r\n\r\n"),
        format!("{GET}Connection: close\r\n\r\n"),
    ];
    let all = requests.concat();
    for size in [all.len(), 1, 7, 64] {
        let seen = received(&all, size, requests.len());
        let ends = ["\r\n\r\n", "0123456789|", "\r\n\r\n", "\r\n\r\n", "\r\n\r\n|\r\n", "\r\n\r\n"];
        for ((request, seen), end) in requests.iter().zip(&seen).zip(ends) {
            let line = request.trim_start().lines().next().unwrap();
            assert!(
                seen.starts_with(line) && (seen.ends_with(end) || seen.contains(end)),
                "{request:?} became {seen:?}"
            );
            assert_eq!(seen.contains("/hidden"), request.contains("/hidden"), "{seen:?}");
        }
    }
}

#[test]
fn a_host_that_is_written_otherwise_than_in_the_target_is_the_same() {
    for (target, host) in [
        ("http://example.org/", "EXAMPLE.org"),
        ("http://example.org/", "example.org:80"),
        ("http://example.org:80/", "example.org"),
        ("https://example.org/", "example.org:443"),
        ("http://[::1]:81/", "[::1]:81"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let seen = received(&request, request.len(), 1).remove(0).to_ascii_lowercase();
        assert_eq!(seen.matches("\r\nhost: ").count(), 1, "{seen}");
    }
}

#[test]
fn a_client_that_waits_for_100_continue_is_asked_for_its_chunks() {
    let (backend, heads) = Backend::tells(ANSWER);
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(format!("{POST}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"));
    assert_eq!(client.head().status, 100);
    client.send(format!("2\r\nhi\r\n0\r\n\r\n{GET}\r\n"));
    client.answer().expect_status(200);
    client.answer().expect_status(200);
    for _ in 0..2 {
        heads.recv_timeout(PATIENCE).expect("a head");
    }
}

#[test]
fn what_follows_an_answer_that_its_client_is_slow_to_read_waits_for_it() {
    for size in [6 << 20, 7 << 20, 8 << 20] {
        let backend = Backend::that(move |mut transport| {
            if transport.head.starts_with("GET /other ") {
                return transport.send(ANSWER);
            }
            transport.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"));
            transport.send(vec![b'a'; size]);
            transport.wait_for_end();
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(format!("{GET}\r\nnonsense\n\n"));
        let head = client.head().expect_status(200);
        // The balancer has only one worker, which meanwhile sends what the client's system takes.
        for _ in 0..20 {
            get(balancer.address, "/other").expect_status(200);
        }
        let body = client.with_body(head).body;
        assert!(body.len() == size && body.iter().all(|byte| *byte == b'a'), "another answer is within");
        let answer = client.answer().expect_status(400);
        assert!(answer.text().contains("without a carriage return"), "{}", answer.text());
    }
}

#[test]
fn a_target_with_bytes_that_a_browser_would_have_encoded_reaches_the_backend_with_them_encoded() {
    let request =
        |method: &str, target: &str, rest: &str| format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{rest}");
    let all = [
        request("GET", "/?filter={\"a\":1}", "\r\n"),
        request(
            "POST",
            "/a<b>c`d?e",
            "X: \"<>\r\nContent-Length: 35\r\n\r\nGET /?\"hidden HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        request("GET", "/plain", "\r\n"),
        request("GET", "/?<>", "\r\n"),
    ]
    .concat();
    let targets = ["/?filter={%22a%22:1}", "/a%3Cb%3Ec%60d?e", "/plain", "/?%3C%3E"];
    for size in [all.len(), 1, 20] {
        let seen = received(&all, size, targets.len());
        for (seen, target) in seen.iter().zip(targets) {
            assert_eq!(seen.split(' ').nth(1), Some(target));
        }
        assert!(
            seen[1].contains("\"<>\r\n") && seen[1].ends_with("GET /?\"hidden HTTP/1.1\r\nHost: a\r\n\r\n")
        );
    }
}
