//! Bodies pass whole, as fast as both sides take them, and no faster.

use std::io::Write;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use hyper::Request;
use hyper::header::CONTENT_LENGTH;
use hyper::http::HeaderMap;

use super::{get, post};
use crate::support::pki::Authority;
use crate::support::tls::trusting;
use crate::support::{Backend, Balancer, Client, Http2, PATIENCE, Running, frame, gate, head, settings};

const LARGE: usize = 20_000_000;

const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// A backend that sends back what it gets, with the framing that it got it with.
fn echo() -> Backend {
    Backend::that(|mut transport| {
        loop {
            let body = transport.read_body();
            if transport.header("transfer-encoding").is_some() {
                transport.send(format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
                    body.len()
                ));
                transport.send(&body);
                transport.send("\r\n0\r\n\r\n");
            } else {
                transport.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
                transport.send(&body);
            }
            if !transport.read_head() {
                return;
            }
        }
    })
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|place| (place * 31 / 7) as u8).collect()
}

#[test]
fn large_bodies_pass_whole_in_both_directions() {
    let backend = echo();
    let authority = Authority::new();
    let pair = authority.signs(&["localhost"]);
    let clear = Balancer::before(&[backend.address]).start();
    let secured = Balancer::before(&[backend.address]).secured(&[&pair]).start();
    let body = bytes(LARGE);
    for is_secured in [false, true] {
        let mut client = match is_secured {
            true => Http2::secure(secured.address, trusting(&authority)),
            false => Http2::to(clear.address),
        };
        for length in [None, Some(LARGE)] {
            let mut request = post("/");
            if let Some(length) = length {
                request.headers_mut().insert("content-length", length.into());
            }
            let mut stream = client.begin(request);
            stream.send(body.clone(), true).expect("a body that is taken");
            let answer = stream.answer().expect_status(200);
            assert_eq!(answer.header("content-length").is_some(), length.is_some());
            assert!(answer.body == body, "something else came");
        }
    }
}

#[test]
fn small_messages_that_come_faster_than_the_backend_takes_them_are_no_flood() {
    let (opener, opened) = gate();
    let backend = Backend::that(move |mut transport| {
        opened.wait();
        let text = transport.read_body().len().to_string();
        transport.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()));
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    let mut request =
        head(1, &[(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")]);
    // It goes on behind its head.
    request[4] = END_HEADERS;
    let (message, last) = (frame(DATA, 0, 1, &[b'x'; 30]), frame(DATA, END_STREAM, 1, &[b'x'; 30]));
    client.send([settings(), frame(SETTINGS, ACK, 0, &[])].concat());
    // From here on there is room for all of it.
    client.frame_of(WINDOW_UPDATE);
    client.send([request, message.repeat(4999), last, frame(PING, 0, 0, &[0; 8])].concat());
    // All of it has come by then.
    client.frame_of(PING);
    opener.open();
    assert_eq!(String::from_utf8(client.body_of(1)), Ok("150000".to_owned()));
}

#[test]
fn bodies_of_many_streams_do_not_mix() {
    let backend = echo();
    let balancer = Balancer::before(&[backend.address]).start();
    // One answer is read after the other, so there must be room for those that wait.
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(1 << 30);
    let mut client = Http2::with(&builder, balancer.address);
    let mut streams: Vec<_> = (0..20).map(|_| client.begin(post("/"))).collect();
    for piece in 0..10 {
        for (number, stream) in streams.iter_mut().enumerate() {
            stream.send(format!("{number}-{piece} ").repeat(300), piece == 9).unwrap();
        }
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        let wanted: String = (0..10).map(|piece| format!("{number}-{piece} ").repeat(300)).collect();
        assert_eq!(stream.answer().expect_status(200).text(), wanted);
    }
}

#[test]
fn trailers_pass_both_ways() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        tell.send(transport.read_chunks()).unwrap();
        transport.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n");
        transport.send("2\r\nok\r\n0\r\nx-sum: 42\r\n\r\n");
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Http2::to(balancer.address);
    let request = Request::post("http://a/").header("te", "trailers").header("trailer", "x-check");
    let mut stream = client.begin(request.body(()).unwrap());
    stream.send("hello", false).unwrap();
    stream.finish_with(HeaderMap::from_iter([("x-check".parse().unwrap(), "7".parse().unwrap())]));
    let answer = stream.answer().expect_status(200);
    assert_eq!(answer.text(), "ok");
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "42".to_owned())]);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (b"hello".to_vec(), "x-check: 7\r\n\r\n".to_owned()));
}

#[test]
fn a_body_that_goes_on_after_the_head_streams_to_the_backend_and_its_answer_back() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while let Some(chunk) = transport.read_chunk() {
            transport.send(format!("{:x}\r\n", chunk.len()));
            transport.send(&chunk);
            transport.send("\r\n");
            tell.send(chunk).unwrap();
        }
        transport.send("0\r\n\r\n");
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Http2::to(balancer.address);
    let mut stream = client.begin(post("/"));
    stream.send("first", false).unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), b"first");
    stream.head();
    assert_eq!(stream.data().expect("a piece").unwrap(), "first");
    stream.send("second", false).unwrap();
    assert_eq!(stream.data().expect("a piece").unwrap(), "second");
    stream.finish();
    assert!(stream.data().is_none());
}

#[test]
fn a_body_that_ends_with_an_empty_frame_ends() {
    let backend = echo();
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Http2::to(balancer.address);
    for body in ["", "hello"] {
        let mut stream = client.begin(post("/"));
        if !body.is_empty() {
            stream.send(body, false).unwrap();
        }
        stream.finish();
        assert_eq!(stream.answer().expect_status(200).text(), body);
    }
}

#[test]
fn a_body_whose_length_was_told_has_come_with_its_last_byte() {
    let backend = Backend::that(|mut transport| {
        transport.read_body();
        // The time that it takes to answer is not the client's.
        thread::sleep(Duration::from_secs(1));
        transport.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    });
    let balancer = Balancer::before(&[backend.address]).flag("--body-timeout", "300ms").start();
    let mut client = Http2::to(balancer.address);
    for body in ["", "hello"] {
        let mut request = post("/");
        request.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        let mut stream = client.begin(request);
        if !body.is_empty() {
            stream.send(body, false).unwrap();
        }
        stream.finish();
        stream.answer().expect_status(204);
    }
}

/// A backend whose answer to `/endless` has no end, and to others is a word; and what it tells when it is let go.
fn endless() -> (Backend, std::sync::mpsc::Receiver<u64>) {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        while !transport.head.starts_with("GET /endless ") {
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            if !transport.read_head() {
                return;
            }
        }
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
        let mut sent = 0;
        while let Ok(written) = transport.stream().write(&[b'x'; 65536]) {
            sent += written as u64;
        }
        // The test may have seen enough.
        let _ = tell.send(sent);
    });
    (backend, told)
}

fn memory_of(running: &Running) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn streams_that_nobody_reads_cost_little_stop_no_others_and_are_broken_off() {
    let (backend, told) = endless();
    let balancer = Balancer::before(&[backend.address]).flag("--body-timeout", "2s");
    let balancer = balancer.flag("--access-log", "-").start();
    // Its windows are wide, so that it is each stream's own that closes.
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(1 << 30).initial_window_size(50_000);
    let mut client = Http2::with(&builder, balancer.address);
    client.get("/").expect_status(200);
    let before = memory_of(&balancer);
    let mut stalled: Vec<_> = (0..50).map(|_| client.ask(get("/endless"))).collect();
    stalled.iter_mut().for_each(|stream| drop(stream.head()));
    for _ in 0..20 {
        assert_eq!(client.get("/").expect_status(200).text(), "ok");
    }
    let grown = memory_of(&balancer).saturating_sub(before);
    assert!(grown < 50 * 400, "{grown} KiB for 50 streams");
    for stream in &mut stalled {
        stream.broken_off();
        told.recv_timeout(PATIENCE).expect("the backend is let go");
    }
    balancer.said_times("\"reason\":\"client_stalled\"", stalled.len());
    assert_eq!(client.get("/").expect_status(200).text(), "ok");
}

#[test]
fn an_answer_of_one_piece_that_its_client_has_no_room_for_is_broken_off_and_no_success() {
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let balancer = Balancer::before(&[backend.address]).flag("--body-timeout", "300ms");
    let balancer = balancer.flag("--access-log", "-").start();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let mut client = Http2::with(&builder, balancer.address);
    let mut stream = client.ask(get("/"));
    stream.head().0.expect_status(200);
    stream.broken_off();
    balancer.said("\"reason\":\"client_stalled\"");
}

#[test]
fn an_upload_that_its_backend_does_not_take_waits_at_the_client() {
    let (opener, gate) = gate();
    let backend = Backend::that(move |mut transport| {
        if transport.head.starts_with("POST /slow ") {
            gate.wait();
            let body = transport.read_chunks().0;
            transport.send(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", body.len()));
        }
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Http2::to(balancer.address);
    client.get("/").expect_status(200);
    let before = memory_of(&balancer);
    let mut slow = client.begin(post("/slow"));
    let sender = thread::spawn(move || {
        slow.send(bytes(LARGE), true).unwrap();
        slow
    });
    for _ in 0..20 {
        client.get("/").expect_status(200);
    }
    let grown = memory_of(&balancer).saturating_sub(before);
    assert!(grown < 8000, "{grown} KiB for one upload");
    opener.open();
    let mut slow = sender.join().unwrap();
    assert!(slow.answer().expect_status(200).text().starts_with(&LARGE.to_string()));
}

#[test]
fn an_answer_that_breaks_off_is_broken_off() {
    let backend = Backend::closes_mid_body();
    let balancer = Balancer::before(&[backend.address]).flag("--access-log", "-").start();
    let mut client = Http2::to(balancer.address);
    let error = client.ask(get("/")).try_answer().expect_err("half an answer");
    assert!(error.is_reset(), "{error:?}");
    balancer.said("\"reason\":\"answer_broken\"");
    // The connection goes on.
    assert!(client.ask(get("/")).try_answer().is_err_and(|error| error.is_reset()));
}

#[test]
fn a_backend_that_answers_before_it_has_read_the_request_is_heard() {
    let backend = Backend::answers_early();
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Http2::to(balancer.address);
    let mut stream = client.begin(post("/"));
    // It may have been asked to send no more by now.
    let _ = stream.send("hello", false);
    assert_eq!(stream.answer().expect_status(403).text(), "no\n");
    // RFC 9113 section 8.1: the client is asked to send no more, which is no error.
    assert_eq!(stream.broken_off(), h2::Reason::NO_ERROR);
}
