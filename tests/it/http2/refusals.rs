//! The answers that are our own.

use std::net::SocketAddr;

use hyper::Request;

use super::{get, post, telling};
use crate::support::{Answer, Backend, Balancer, Client, Frame, Http2, Sample, frame, head, settings};

/// RFC 9113 section 6.
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn expect(answer: Answer, status: u16, reason: &str) -> Answer {
    let answer = answer.expect_status(status);
    let proxy_status = answer.header("proxy-status").expect("it says why");
    assert!(proxy_status.contains(&format!("details=\"{reason}\"")), "{proxy_status}");
    answer
}

fn before(backend: SocketAddr, flags: &[(&str, &str)]) -> crate::support::Running {
    let balancer = Balancer::before(&[backend]).flag("--access-log", "-");
    flags.iter().fold(balancer, |balancer, (name, value)| balancer.flag(name, value)).start()
}

#[test]
fn where_no_backend_can_be_reached_that_is_said() {
    let balancer = before(Backend::refuses(), &[]);
    let mut client = Http2::to(balancer.address);
    let answer = client.get("/").expect_status(503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("connection"), None);
    balancer.said(" is down");
    expect(client.get("/"), 503, "no_backend");
    balancer.said("\"reason\":\"no_backend\"");
}

#[test]
fn bodies_that_are_too_large_are_refused_and_other_streams_go_on() {
    let backend = Backend::that(|mut transport| {
        if transport.head.starts_with("POST /small ") {
            transport.read_body();
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        transport.wait_for_end();
    });
    let balancer = before(backend.address, &[("--max-body-size", "1000")]);
    let mut client = Http2::to(balancer.address);
    let told = Request::post("http://a/echo").header("content-length", "1001").body(()).unwrap();
    expect(client.begin(told).answer(), 413, "body_too_large");
    let mut stream = client.begin(post("/echo"));
    stream.send(vec![b'x'; 1001], false).unwrap();
    expect(stream.answer(), 413, "body_too_large");
    let mut stream = client.begin(post("/small"));
    stream.send(vec![b'x'; 1000], true).unwrap();
    stream.answer().expect_status(200);
    balancer.said_times("\"reason\":\"body_too_large\"", 2);
}

#[test]
fn heads_that_are_too_large_are_refused_and_other_streams_go_on() {
    let sample = Sample::start("one");
    let flags = [("--max-header-size", "8192"), ("--max-headers", "20")];
    let balancer = before(sample.address(), &flags);
    let mut client = Http2::to(balancer.address);
    let large = |size: usize| Request::get("http://a/").header("x-large", "x".repeat(size)).body(()).unwrap();
    expect(client.ask(large(9000)).answer(), 431, "head_too_large");
    balancer.said("\"reason\":\"head_too_large\"");
    client.ask(large(7000)).answer().expect_status(200);
    let many = |count: usize| {
        let request = (0..count)
            .fold(Request::get("http://a/"), |request, number| request.header(format!("x-{number}"), "1"));
        request.body(()).unwrap()
    };
    expect(client.ask(many(21)).answer(), 431, "head_too_large");
    client.ask(many(19)).answer().expect_status(200);
    let long = Request::get(format!("http://a/{}", "x".repeat(9000))).body(()).unwrap();
    expect(client.ask(long).answer(), 414, "target_too_long");
    // What is far too large is not even read, but refused all the same.
    client.ask(large(60_000)).answer().expect_status(431);
    client.get("/").expect_status(200);
}

#[test]
fn a_backend_that_is_broken_is_told_of() {
    for (backend, status, reason) in [
        (Backend::sends_garbage(), 502, "bad_answer"),
        (Backend::closes_before_the_head(), 502, "backend_closed"),
    ] {
        let balancer = before(backend.address, &[]);
        expect(Http2::to(balancer.address).get("/"), status, reason);
    }
}

#[test]
fn a_head_request_gets_no_body_with_its_refusal() {
    let balancer = before(Backend::refuses(), &[]);
    let request = Request::head("http://a/").body(()).unwrap();
    let answer = Http2::to(balancer.address).ask(request).answer();
    let length: usize = answer.header("content-length").expect("as a GET would have it").parse().unwrap();
    assert!(length > 0 && answer.expect_status(503).body.is_empty());
}

#[test]
fn a_backend_that_switches_protocols_unasked_is_told_of() {
    let backend = Backend::answers(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    );
    let balancer = before(backend.address, &[]);
    expect(Http2::to(balancer.address).ask(get("/")).answer(), 502, "unasked_upgrade");
    let (_backend, _told, balancer) = telling();
    Http2::to(balancer.address).get("/").expect_status(200);
}

#[test]
fn lengths_that_are_refused_over_http_1_1_are_refused() {
    let balancer = before(Backend::refuses(), &[]);
    let mut client = Http2::to(balancer.address);
    for (lengths, words) in [
        (&["5", "5"][..], "it has more than one Content-Length"),
        (&["005"], "its Content-Length begins with a zero"),
        (&["00"], "its Content-Length begins with a zero"),
    ] {
        let request = Request::post("http://a/echo");
        let request =
            lengths.iter().fold(request, |request, length| request.header("content-length", *length));
        let answer = expect(client.begin(request.body(()).unwrap()).answer(), 400, "malformed_request");
        assert_eq!(answer.text(), format!("the request is malformed: {words}\n"));
    }
    client.begin(post("/")).answer().expect_status(503);
}

#[test]
fn paths_that_are_not_percent_encoded_are_refused() {
    let balancer = before(Backend::refuses(), &[]);
    let mut client = Http2::to(balancer.address);
    for path in ["/\u{e9}", "/?\u{e9}"] {
        let answer = expect(client.get(path), 400, "malformed_request");
        let words = "its path has a byte that is not ASCII; a target is to be percent-encoded";
        assert_eq!(answer.text(), format!("the request is malformed: {words}\n"));
    }
    client.get("/%C3%A9").expect_status(503);
}

#[test]
fn a_target_of_nothing_but_a_fragment_is_refused() {
    const GET: [(&str, &str); 2] = [(":method", "GET"), (":scheme", "http")];
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let balancer = before(backend.address, &[]);
    for (number, (path, host)) in
        (1..).zip([("#", ":authority"), ("#x", ":authority"), ("#", "host"), ("#x", "host")])
    {
        let mut client = Client::to(balancer.address);
        let fields = [&GET[..], &[(":path", path), (host, "a")]].concat();
        client.send([settings(), head(1, &fields)].concat());
        balancer.said_times("\"reason\":\"malformed_request\"", number);
    }
    assert_eq!(backend.requests(), 0);
}

#[test]
fn who_still_sends_what_nobody_wants_has_a_moment_to_end_that() {
    let balancer = before(Backend::refuses(), &[]);
    balancer.said(" is down");
    let mut client = Client::to(balancer.address);
    client.send(settings());
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
    let begin = |stream| {
        let mut request = head(stream, &fields);
        request[4] = END_HEADERS;
        request
    };
    client.send(begin(1));
    assert!(!client.body_of(1).is_empty());
    // What would have been said behind the answer comes before what is said to this.
    client.send(frame(PING, 0, 0, &[0; 8]));
    let ends_well = |frame: &Frame| assert_ne!((frame.kind, frame.stream), (RST_STREAM, 1), "it is reset");
    while {
        let frame = client.frame();
        ends_well(&frame);
        frame.kind != PING
    } {}
    client.send([frame(0, END_STREAM, 1, b"hello"), begin(3)].concat());
    let reset = loop {
        let frame = client.frame();
        ends_well(&frame);
        if frame.kind == RST_STREAM {
            break frame;
        }
    };
    // Who does not is told that it would be for nothing: NO_ERROR.
    assert_eq!((reset.stream, &reset.payload[..]), (3, &[0; 4][..]));
}
