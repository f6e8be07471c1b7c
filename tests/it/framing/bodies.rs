//! Bodies of requests: where they end, and that nothing can hide behind that end.

use std::sync::mpsc::channel;

use crate::support::{Backend, Balancer, Client, PATIENCE, Sample, request};

#[test]
fn a_chunked_body_passes_however_it_was_cut() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Client::to(balancer.address);
    for body in [
        "5\r\nhello\r\n0\r\n\r\n",
        "2;a=b;c=\"d\"\r\nhe\r\n03\r\nllo\r\n000\r\n\r\n",
        "1\r\nh\r\n4\r\nello\r\n0;x\r\n\r\n",
    ] {
        client.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n{body}"));
        let answer = client.answer().expect_status(200);
        let (head, echoed) = answer.text().split_once("\n\n").unwrap();
        assert_eq!(echoed, "hello");
        assert!(head.contains("\ntransfer-encoding: chunked") && !head.contains("content-length"), "{head}");
    }
}

#[test]
fn a_body_of_a_known_length_passes_with_that_length() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Client::to(balancer.address);
    for body in ["", "x", "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let length = body.len();
        client.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"));
        let answer = client.answer().expect_status(200);
        let (head, echoed) = answer.text().split_once("\n\n").unwrap();
        assert_eq!(echoed, body);
        assert!(head.contains(&format!("\ncontent-length: {length}")), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
    }
}

#[test]
fn a_get_may_have_a_body() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let answer = request(balancer.address, "GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert!(answer.text().ends_with("\n\nhello"), "{}", answer.text());
}

#[test]
fn a_request_without_a_body_gets_no_framing_of_its_own() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    for method in ["GET", "DELETE"] {
        let answer = request(balancer.address, &format!("{method} /echo HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = answer.expect_status(200).text().to_owned();
        assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
    }
}

#[test]
fn an_empty_chunked_body_is_a_body() {
    let (backend, heads) = Backend::tells("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        client.answer().expect_status(200);
        let head = heads.recv_timeout(PATIENCE).unwrap().to_ascii_lowercase();
        assert_eq!(head.matches("transfer-encoding: chunked\r\n").count(), 1, "{head}");
    }
}

#[test]
fn the_trailers_of_a_request_pass() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        tell.send(transport.read_chunks()).unwrap();
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n",
    );
    client.answer().expect_status(200);
    let (body, trailers) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        (body.as_slice(), trailers.to_ascii_lowercase().as_str()),
        (b"hello".as_slice(), "x-sum: 42\r\n\r\n")
    );
}

#[test]
fn a_body_whose_chunks_are_none_is_refused_and_does_not_look_complete_to_the_backend() {
    for chunks in [
        "xyz\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
    ] {
        let (tell, told) = channel();
        let backend = Backend::that(move |mut transport| {
            tell.send(transport.read_chunk().unwrap()).unwrap();
            tell.send(transport.rest()).unwrap();
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n");
        assert_eq!(told.recv_timeout(PATIENCE).expect("the first chunk"), b"good");
        client.send(chunks);
        let answer = client.answer();
        assert_eq!((answer.status, answer.header("connection")), (400, Some("close")), "{chunks:?}");
        let text = answer.text();
        assert!(
            text.starts_with("the request is malformed: ") && text.lines().count() == 1,
            "{chunks:?}: {text}"
        );
        client.finish();
        client.expect_end();
        let seen = String::from_utf8(told.recv_timeout(PATIENCE).expect("the end of the upload")).unwrap();
        assert!(!seen.contains("0\r\n\r\n"), "{chunks:?} became {seen:?}");
    }
}
