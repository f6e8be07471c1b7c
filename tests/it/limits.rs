//! What is larger than the operator allows is refused, said to be so, and never passed on as if it were whole.

use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use crate::support::{Backend, Balancer, Client, PATIENCE, Sample, expect_reason, get, request};

const SMALL_ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
/// The smallest limit on heads that the balancer takes.
const HEAD: usize = 8192;

/// A backend, and what came on each of its connections behind the first head, once that connection has ended.
fn recording() -> (Backend, Receiver<Vec<u8>>) {
    let (bodies, came) = channel();
    let backend = Backend::that(move |mut transport| {
        let _ = bodies.send(transport.rest());
    });
    (backend, came)
}

/// A request whose head has so many bytes in all.
fn head_of(size: usize) -> String {
    let start = "GET / HTTP/1.1\r\nHost: test\r\nX-Long: ";
    let long = "a".repeat(size - start.len() - "\r\n\r\n".len());
    format!("{start}{long}\r\n\r\n")
}

fn head_with_lines(count: usize) -> String {
    let lines: String = (1..count).map(|line| format!("X-{line}: a\r\n")).collect();
    format!("GET / HTTP/1.1\r\nHost: test\r\n{lines}\r\n")
}

#[test]
fn a_head_that_is_too_large_is_refused_before_a_backend_sees_it() {
    let backend = Backend::answers(SMALL_ANSWER);
    let balancer = Balancer::before(&[backend.address]).flag("--max-header-size", "8KiB").start();
    let mut client = Client::to(balancer.address);
    client.send(head_of(5 * HEAD));
    let answer = expect_reason(client.answer(), 431, "head_too_large");
    assert_eq!(answer.header("connection"), Some("close"));
    let date = answer.header("date").expect("a date, which answers with a clock must have");
    assert!(httpdate::parse_http_date(date).is_ok(), "{date}");
    client.expect_end();
    assert_eq!(backend.requests(), 0);
}

#[test]
fn a_head_that_never_ends_is_refused() {
    let balancer = Balancer::before(&[Backend::refuses()]).start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\nX-Long: ");
    client.send("a".repeat(512 * 1024));
    expect_reason(client.answer(), 431, "head_too_large");
    client.expect_end();
}

#[test]
fn a_head_just_within_the_limit_passes() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--max-header-size", "8192").start();
    let mut client = Client::to(balancer.address);
    for _ in 0..3 {
        client.send(head_of(HEAD));
        client.answer().expect_status(200);
    }
}

#[test]
fn a_head_may_be_as_large_as_the_largest_limit() {
    let backend = Backend::answers(SMALL_ANSWER);
    let balancer = Balancer::before(&[backend.address]).flag("--max-header-size", "1048576").start();
    for size in [500 << 10, 1000 << 10] {
        request(balancer.address, &head_of(size)).expect_status(200);
    }
}

#[test]
fn a_head_may_have_as_many_lines_as_the_limit_says_and_no_more() {
    let backend = Backend::answers(SMALL_ANSWER);
    let balancer = Balancer::before(&[backend.address]).flag("--max-headers", "10").start();
    request(balancer.address, &head_with_lines(10)).expect_status(200);
    expect_reason(request(balancer.address, &head_with_lines(11)), 431, "head_too_large");
    let default = Balancer::before(&[backend.address]).start();
    request(default.address, &head_with_lines(100)).expect_status(200);
    expect_reason(request(default.address, &head_with_lines(101)), 431, "head_too_large");
    assert_eq!(backend.requests(), 2);
}

/// RFC 9112 section 3: a target that is too long must be told from a head that is.
#[test]
fn a_target_that_is_too_long_is_refused_with_414_whatever_the_limit_on_heads() {
    let long = "a".repeat(70_000);
    for limit in [HEAD, 65_536, 1 << 20] {
        let balancer = Balancer::before(&[Backend::refuses()]);
        let balancer = balancer.flag("--max-header-size", &limit.to_string()).start();
        let answer = request(balancer.address, &format!("GET /{long} HTTP/1.1\r\nHost: test\r\n\r\n"));
        expect_reason(answer, 414, "target_too_long");
    }
}

#[test]
fn an_upload_that_says_it_is_too_large_is_refused_before_a_backend_sees_it() {
    let backend = Backend::answers(SMALL_ANSWER);
    let balancer = Balancer::before(&[backend.address]).flag("--max-body-size", "1000").start();
    for _ in 0..20 {
        let mut client = Client::to(balancer.address);
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 900000\r\n\r\n");
        // A client that writes all before it reads must learn why it was refused all the same.
        client.send(vec![b'a'; 900_000]);
        let answer = expect_reason(client.answer(), 413, "body_too_large");
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(client.rest(), b"", "a reset could overtake the answer");
    }
    assert_eq!(backend.requests(), 0);
}

#[test]
fn a_client_that_asks_first_is_not_told_to_send_what_is_too_large() {
    let balancer = Balancer::before(&[Backend::refuses()]).flag("--max-body-size", "1000").start();
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().status, 413, "the first head is the last");
}

#[test]
fn an_upload_of_just_the_size_that_is_allowed_passes() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--max-body-size", "10").start();
    let mut client = Client::to(balancer.address);
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n0123456789");
    assert!(client.answer().expect_status(200).text().ends_with("\n\n0123456789"));
    let head = "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n"));
    assert!(client.answer().expect_status(200).text().ends_with("\n\n0123456789"));
}

#[test]
fn a_chunked_upload_that_becomes_too_large_is_refused_and_never_ends_for_the_backend() {
    let (backend, came) = recording();
    let balancer = Balancer::before(&[backend.address]).flag("--max-body-size", "10").start();
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("4\r\n0123\r\n7\r\n456789a\r\n0\r\n\r\n");
    expect_reason(client.answer(), 413, "body_too_large");
    client.expect_end();
    let came = came.recv_timeout(PATIENCE).expect("the connection to the backend ends");
    assert!(!came.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&came));
}

#[test]
fn an_upload_whose_frame_never_ends_is_refused_and_never_ends_for_the_backend() {
    for (start, endless) in [("0\r\nX-Endless: ", b'a'), ("0\r\n", b'\t'), ("5;extension=", b'a')] {
        let (tell, came) = channel();
        let backend = Backend::that(move |mut transport| {
            let _ = tell.send(transport.read_chunk().expect("the first chunk"));
            let _ = tell.send(transport.rest());
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        assert_eq!(came.recv_timeout(PATIENCE).expect("a chunk"), b"first");
        client.send(start);
        client.send([endless; 100 * 1024]);
        expect_reason(client.answer(), 400, "malformed_request");
        client.expect_end();
        let came = came.recv_timeout(PATIENCE).expect("the connection to the backend ends");
        assert!(!came.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&came));
    }
}

#[test]
fn an_upload_that_becomes_too_large_while_it_is_answered_cuts_the_answer() {
    let (backend, came) = {
        let (bodies, came) = channel();
        let backend = Backend::that(move |mut transport| {
            transport.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
            let _ = bodies.send(transport.rest());
        });
        (backend, came)
    };
    let balancer = Balancer::before(&[backend.address]).flag("--max-body-size", "10").start();
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n");
    client.head().expect_status(200);
    assert_eq!(client.bytes(10), b"5\r\nfirst\r\n");
    client.send("7\r\n456789a\r\n0\r\n\r\n");
    client.expect_end();
    let came = came.recv_timeout(PATIENCE).expect("the connection to the backend ends");
    assert!(!came.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&came));
}

#[test]
fn one_client_too_many_is_told_to_come_again_and_is_served_when_another_has_left() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--max-connections", "2").start();
    let mut seated: Vec<_> = (0..2).map(|_| Client::to(balancer.address)).collect();
    for client in &mut seated {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        client.answer().expect_status(200);
    }
    let mut refused = Client::to(balancer.address);
    let answer = expect_reason(refused.answer(), 503, "too_many_connections");
    assert_eq!((answer.header("retry-after"), answer.header("connection")), (Some("1"), Some("close")));
    refused.expect_end();
    balancer.said("clients turned away: 1; as many are connected as --max-connections,");
    seated[1].send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    seated[1].answer().expect_status(200);

    drop(seated.pop());
    let deadline = Instant::now() + PATIENCE;
    while get(balancer.address, "/").status == 503 {
        assert!(Instant::now() < deadline, "the seat is not given back");
    }
    seated[0].send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    seated[0].answer().expect_status(200);
}

#[test]
fn an_answer_whose_head_is_too_large_is_not_passed_on() {
    let long = Backend::that(|mut transport| {
        transport.send(format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "a".repeat(2 * HEAD)));
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[long.address]).flag("--max-header-size", "8192").start();
    expect_reason(get(balancer.address, "/"), 502, "bad_answer");
    let many = Backend::that(|mut transport| {
        transport.send(format!("HTTP/1.1 204 No Content\r\n{}\r\n", "X-Many: a\r\n".repeat(11)));
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[many.address]).flag("--max-headers", "10").start();
    expect_reason(get(balancer.address, "/"), 502, "bad_answer");
}

#[test]
fn a_head_request_that_is_refused_before_its_end_gets_a_head_alone() {
    let (backend, _came) = recording();
    let balancer = Balancer::before(&[backend.address]).flag("--max-header-size", "8KiB").start();
    for (head, status) in [
        (head_of(HEAD + 1).replacen("GET", "HEAD", 1), "431"),
        ("HEAD / HTTP/1.1\r\nHost: a\r\nX(: y\r\n\r\n".to_owned(), "400"),
    ] {
        let mut client = Client::to(balancer.address);
        client.send(head);
        let answer = String::from_utf8(client.rest()).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("content-length: ") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}
