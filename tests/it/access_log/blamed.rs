//! Once a backend has begun to answer, what its client does wrong with the rest of the request is still the client's fault.

use std::net::SocketAddr;
use std::sync::mpsc::channel;

use h2::Reason;
use hyper::Request;
use serde_json::json;

use super::{Log, facts};
use crate::support::{
    Backend, Balancer, Client, Http2, PATIENCE, Running, Sample, Stream, head, settings, until,
};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n";
const COUNTED: &str = "Content-Length: 100\r\n\r\nabcd";
const MOST: usize = 100;

/// How an upload begins, what is done then, and what the log calls it.
type Deed<F> = (&'static str, F, &'static str, &'static str);

#[test]
fn a_client_that_breaks_its_upload_is_to_blame_though_the_backend_answers_already() {
    let large = format!("{:x}\r\n{}\r\n", MOST, "x".repeat(MOST));
    let deeds: [Deed<&dyn Fn(Client)>; 4] = [
        (COUNTED, &drop, "client_gone", "CD"),
        (COUNTED, &Client::reset, "client_gone", "CD"),
        (CHUNKED, &|client| says(client, "zz\r\n"), "malformed_request", "PR"),
        (CHUNKED, &|client| says(client, &large), "body_too_large", "PR"),
    ];
    for (body, deed, reason, termination) in deeds {
        let sample = Sample::start("one");
        let (balancer, log) = logging(sample.address());
        let mut client = Client::to(balancer.address);
        client.send(format!("POST /echo HTTP/1.1\r\nHost: test\r\n{body}"));
        client.head();
        deed(client);
        let line = log.wait_for_a_line();
        assert_eq!(facts(&line), json!([200, sample.address(), 1, reason, termination]));
    }
}

#[test]
fn a_client_that_breaks_the_upload_of_a_stream_is_to_blame_though_the_backend_answers_already() {
    let deeds: [Deed<fn(&mut Stream)>; 3] = [
        ("0", Stream::cancel, "client_gone", "CD"),
        ("0", |stream| drop(stream.send(vec![b'x'; MOST], false)), "body_too_large", "PR"),
        ("5", Stream::finish, "malformed_request", "PR"),
    ];
    for (length, deed, reason, termination) in deeds {
        let sample = Sample::start("one");
        let (balancer, log) = logging(sample.address());
        let mut client = Http2::to(balancer.address);
        let mut stream = begin(&mut client, "/echo", length);
        stream.head();
        deed(&mut stream);
        let line = log.wait_for_a_line();
        assert_eq!(facts(&line), json!([200, sample.address(), 1, reason, termination]));
    }
}

#[test]
fn a_body_of_a_stream_that_is_not_as_long_as_its_head_says_is_malformed_before_the_answer_too() {
    for sent in [false, true] {
        let stalling = Backend::stalls();
        let (balancer, log) = logging(stalling.address);
        let mut client = Http2::to(balancer.address);
        let mut stream = begin(&mut client, "/", "5");
        until("the backend has it", || !sent || stalling.requests() == 1);
        stream.finish();
        let line = log.wait_for_a_line();
        let told = json!([line["status"], line["reason"], line["termination"]]);
        assert_eq!(told, json!([400, "malformed_request", "PR"]));
    }
}

#[test]
fn a_stream_that_its_client_resets_without_an_error_amid_its_upload_does_not_look_whole() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| tell.send(transport.rest()).unwrap());
    let (balancer, log) = logging(backend.address);
    let mut client = Http2::to(balancer.address);
    let mut stream = begin(&mut client, "/", "0");
    until("the backend has it", || backend.requests() == 1);
    stream.reset(Reason::NO_ERROR);
    let line = log.wait_for_a_line();
    assert_eq!(facts(&line), json!([499, backend.address, 1, "client_gone", "CD"]));
    let body = told.recv_timeout(PATIENCE).expect("the end of the backend's connection");
    assert!(!body.ends_with(b"0\r\n\r\n"), "{body:?}");
}

#[test]
fn a_client_that_falls_silent_amid_its_upload_is_to_blame_though_the_backend_answers_already() {
    let sample = Sample::start("one");
    let (balancer, log) = logging(sample.address());
    let mut client = Client::to(balancer.address);
    client.send(format!("POST /echo HTTP/1.1\r\nHost: test\r\n{COUNTED}"));
    client.head();
    let expected = json!([200, sample.address(), 1, "upload_timeout", "cD"]);
    assert_eq!(facts(&log.wait_for_a_line()), expected);

    let (balancer, log) = logging(sample.address());
    let mut client = Http2::to(balancer.address);
    let mut stream = begin(&mut client, "/echo", "0");
    stream.head();
    assert_eq!(facts(&log.wait_for_a_line()), expected);
}

#[test]
fn nobody_was_sent_what_a_client_that_left_is_told() {
    let stalling = Backend::stalls();
    let (balancer, log) = logging(stalling.address);
    let mut client = Client::to(balancer.address);
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\n{COUNTED}"));
    until("the backend has it", || stalling.requests() == 1);
    drop(client);
    let line = log.wait_for_a_line();
    assert_eq!(facts(&line), json!([499, stalling.address, 1, "client_gone", "CD"]));
    assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&json!(4), &json!(0)));
}

fn logging(backend: SocketAddr) -> (Running, Log) {
    let log = Log::new();
    let balancer = Balancer::before(&[backend]).flag("--max-body-size", &MOST.to_string());
    let balancer = balancer.flag("--body-timeout", "500ms").flag("--access-log", log.path());
    (balancer.start(), log)
}

/// Says this and stays until it is cut.
fn says(mut client: Client, text: &str) {
    client.send(text);
    client.remains();
}

/// Sends a head, which tells this length unless it is 0, and the first four bytes of a body.
fn begin(client: &mut Http2, path: &str, length: &str) -> Stream {
    let request = Request::post(format!("http://test{path}"));
    let request = if length == "0" { request } else { request.header("content-length", length) };
    let mut stream = client.begin(request.body(()).unwrap());
    stream.send("abcd", false).unwrap();
    stream
}

#[test]
fn streams_whose_connection_their_client_spoilt_are_cut_for_that_and_it_has_not_gone() {
    let backend = Backend::stalls();
    let (balancer, log) = logging(backend.address);
    let mut client = Client::to(balancer.address);
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")];
    client.send([settings(), head(1, &fields)].concat());
    until("it came", || backend.requests() == 1);
    client.send(head(3, &[&fields[..], &[("x", "\u{7f}")]].concat()));
    const GOAWAY: u8 = 7;
    client.frame_of(GOAWAY);
    log.wait_for_a_line();
    until("both have a line", || log.lines().len() == 2);
    let lines = log.lines();
    let of_stream = lines.iter().find(|line| line["method"] == "GET").expect("the stream's");
    assert_eq!(facts(of_stream), json!([400, backend.address, 1, "malformed_request", "PR"]));
    assert!(lines.iter().all(|line| line["reason"] == "malformed_request"), "{lines:?}");
}
