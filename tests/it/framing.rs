//! Where a message ends, and what must not pass.

mod answers;
mod bodies;

use crate::support::{Backend, Balancer, Client, PATIENCE, get};

/// Each of these is refused with 400 and one line, the connection is closed, and no backend hears of it.
fn refused<T: AsRef<[u8]>>(requests: impl IntoIterator<Item = T>) {
    let (backend, heads) = Backend::tells("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let balancer = Balancer::before(&[backend.address]).start();
    for request in requests {
        let shown = request.as_ref().escape_ascii().to_string();
        let mut client = Client::to(balancer.address);
        client.send(&request);
        let answer = client.answer();
        assert_eq!(answer.status, 400, "{shown}");
        let line = answer.text();
        assert!(
            line.starts_with("the request is malformed: ") && line.lines().count() == 1,
            "{shown}: {line}"
        );
        assert_eq!(answer.header("connection"), Some("close"), "{shown}");
        let why = answer.header("proxy-status").expect("who broke it");
        assert!(why.contains("http_request_error") && why.contains("malformed_request"), "{shown}: {why}");
        client.finish();
        client.expect_end();
    }
    get(balancer.address, "/marker").expect_status(200);
    let first = heads.recv_timeout(PATIENCE).expect("the marker");
    assert!(first.starts_with("GET /marker "), "a backend saw {first}");
}

#[test]
fn what_does_not_begin_as_a_request_is_refused() {
    refused([
        "hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET / x HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTPS/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\r\n\r\n",
    ]);
}

#[test]
fn a_target_that_is_none_is_refused() {
    refused([
        "GET relative HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://user:secret@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\u{1} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n",
    ]);
}

#[test]
fn a_request_of_http_1_1_has_exactly_one_host_that_can_be_one() {
    refused([
        "GET / HTTP/1.1\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: caf\u{e9}\r\n\r\n",
    ]);
}

#[test]
fn a_header_line_that_could_be_read_two_ways_is_refused() {
    refused([
        "GET / HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\tc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX(A): b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\u{0}c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\u{0}A: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\u{8}c\r\n\r\n",
    ]);
}

#[test]
fn a_content_length_that_is_not_one_number_is_refused() {
    let lengths = ["", "+5", "-5", "5x", "0x5", "5 5", "5, 6", "5.0", "1e1", "18446744073709551616"];
    refused(
        lengths.map(|length| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nhello")),
    );
    refused([
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX: y\r\nContent-Length: 5\r\n\r\nhello",
    ]);
}

#[test]
fn a_transfer_coding_other_than_chunked_is_refused() {
    let codings = [
        "gzip",
        "identity",
        "xchunked",
        "chunked, gzip",
        "gzip, chunked",
        "chunked, chunked",
        "chun ked",
        "",
    ];
    refused(codings.map(|coding| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    }));
    refused([
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ]);
}

#[test]
fn the_request_before_a_malformed_one_is_answered_first() {
    let (backend, heads) = Backend::tells("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client
        .send("GET /good HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().expect_status(200).text(), "ok");
    client.answer().expect_status(400);
    client.finish();
    client.expect_end();
    get(balancer.address, "/marker");
    let heads: Vec<_> = (0..2).map(|_| heads.recv_timeout(PATIENCE).expect("two requests")).collect();
    assert!(heads[0].starts_with("GET /good ") && heads[1].starts_with("GET /marker "), "{heads:?}");
}

#[test]
fn empty_lines_before_a_request_are_passed_over() {
    let (backend, heads) = Backend::tells("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    // RFC 9112 section 2.2 asks for it, for the sake of old clients.
    client.send("\r\n\r\nGET /after HTTP/1.1\r\nHost: a\r\n\r\n");
    client.answer().expect_status(200);
    assert!(heads.recv_timeout(PATIENCE).unwrap().starts_with("GET /after HTTP/1.1\r\n"));
}
