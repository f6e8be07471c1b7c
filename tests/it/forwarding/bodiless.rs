//! Answers that have no body though their heads may speak of one (RFC 9112 section 6.3).

use crate::support::{Answer, Backend, Balancer, Client};

/// Asks twice on one connection, so that a byte too many or too few shows: the first answer's head.
fn asked_twice(method: &str, answer: &'static str) -> Answer {
    let backend = Backend::answers(answer);
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send(&request);
    let first = client.head();
    client.send(&request);
    let second = client.head();
    assert_eq!((first.status, second.status, backend.requests()), (second.status, first.status, 1));
    client.finish();
    assert_eq!(client.rest(), b"");
    first
}

#[test]
fn the_answer_to_head_keeps_its_length_and_has_no_body() {
    let answer = asked_twice("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n");
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("12345")));
}

#[test]
fn the_answer_to_head_may_speak_of_chunks() {
    assert_eq!(asked_twice("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").status, 200);
}

#[test]
fn the_answer_to_head_may_leave_its_length_out() {
    let answer = asked_twice("HEAD", "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n");
    assert_eq!((answer.header("x-a"), answer.header("content-length")), (Some("b"), None));
}

#[test]
fn no_content_has_none_and_no_length() {
    let answer = asked_twice("GET", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n");
    assert_eq!(
        (answer.status, answer.header("x-a"), answer.header("content-length")),
        (204, Some("b"), None)
    );
    assert_eq!(answer.header("transfer-encoding"), None, "RFC 9112 section 6.1 forbids it");
    for method in ["GET", "HEAD"] {
        let answer = asked_twice(method, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
        let length = answer.header("content-length");
        assert_eq!((answer.status, length), (204, None), "{method}: RFC 9110 section 8.6 forbids it");
    }
}

#[test]
fn not_modified_keeps_its_validators_and_has_no_body() {
    let answer = asked_twice("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 77\r\n\r\n");
    assert_eq!((answer.status, answer.header("etag")), (304, Some("\"x\"")));
    assert_eq!(answer.header("transfer-encoding"), None);
}

#[test]
fn an_empty_body_is_one() {
    let answer = asked_twice("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("0")));
}
