//! Backends that close their connection right behind an answer, while more of the request is to come.

use hyper::{Request, StatusCode};

use crate::support::h2_backend::H2Backend;
use crate::support::{Client, Http2, expect_reason, frame, head, settings};

use super::scene::Scene;
use super::small::begin;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` (RFC 7541 appendix A).
const OK: &[u8] = &[0x88];
/// `:status: 413` (RFC 7541 section 6.2.2).
const TOO_LARGE: &[u8] = &[8, 3, b'4', b'1', b'3'];
/// `a: b`.
const TRAILER: &[u8] = &[0, 1, b'a', 1, b'b'];
const POST: &str =
    "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n4\r\nsome\r\n";
const NO_BODY: &str = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n";

/// What the last of the streams to be served is told, and that the connection ends.
fn goodbye() -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[[0, 0, 0, 1], [0; 4]].concat())
}

#[test]
fn an_answer_whose_end_has_come_is_whole_though_its_connection_is_closed_amid_the_request() {
    let head = frame(HEADERS, END_HEADERS, 1, TOO_LARGE);
    let body = [&*head, &frame(DATA, 0, 1, b"wh"), &frame(DATA, END_STREAM, 1, b"ole")].concat();
    let trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, TRAILER);
    let behind = [&*head, &frame(DATA, 0, 1, b"whole"), &*trailers].concat();
    let scene = Scene::set();
    for (answer, text, has_trailer) in [
        (frame(HEADERS, END_HEADERS | END_STREAM, 1, TOO_LARGE), "", false),
        ([&*body, &*goodbye()].concat(), "whole", false),
        (body, "whole", false),
        (behind, "whole", true),
        ([head, trailers].concat(), "", true),
    ] {
        let trailer: Vec<_> = has_trailer.then(|| ("a".to_owned(), "b".to_owned())).into_iter().collect();
        let mut client = Client::to(scene.balancer.address);
        client.send(POST);
        let _connection = scene.answer_and_close(&answer);
        assert_eq!(client.answer().expect_status(413).text(), text);
        let mut client = Http2::to(scene.balancer.address);
        let mut stream = client.begin(Request::post("http://test/").body(()).unwrap());
        stream.send("some", false).unwrap();
        let _connection = scene.answer_and_close(&answer);
        let whole = stream.answer().expect_status(413);
        assert_eq!((whole.text(), &whole.trailers), (text, &trailer));
    }
    scene.says("null", 10);
}

#[test]
fn a_call_that_is_answered_by_its_status_alone_stays_so_though_its_connection_is_closed() {
    let scene = Scene::set();
    let mut client = Client::to(scene.balancer.address);
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
    let mut call =
        head(1, &[&fields[..], &[("content-type", "application/grpc"), ("te", "trailers")]].concat());
    call[4] = END_HEADERS;
    client.send([settings(), frame(SETTINGS, ACK, 0, &[]), call, frame(DATA, 0, 1, b"some")].concat());
    let _connection = scene.answer_and_close(&frame(HEADERS, END_HEADERS | END_STREAM, 1, OK));
    assert_eq!(client.frame_of(HEADERS).flags, END_HEADERS | END_STREAM);
    scene.says("null", 1);
}

#[test]
fn a_backend_that_closes_as_soon_as_it_spoke_http_2_is_no_stranger_to_that() {
    for (said, closes) in [(Vec::new(), true), (goodbye(), true), (goodbye(), false)] {
        let second = H2Backend::that(|exchange| async { exchange.answer(StatusCode::OK, "second") });
        let scene = Scene::beside(&[&second]);
        let mut client = Client::to(scene.balancer.address);
        client.send(NO_BODY);
        let mut connection = scene.accept();
        scene.at_once(|| {
            connection.send([frame(SETTINGS, 0, 0, &[]), said].concat());
            if closes {
                connection.finish();
            }
        });
        assert_eq!(client.answer().expect_status(200).text(), "second");
        // It is asked at once whether it is well.
        scene.answer();
        assert_eq!(scene.balancer.times_said("is down"), 0);
    }
}

#[test]
fn a_backend_that_closes_on_uploads_whose_clients_send_nothing_more_is_not_to_blame() {
    let second = H2Backend::that(|exchange| async { exchange.answer(StatusCode::OK, "second") });
    let scene = Scene::beside(&[&second]);
    for _ in 0..5 {
        let mut client = Client::to(scene.balancer.address);
        client.send(POST);
        let mut connection = scene.accept();
        begin(&mut connection);
        assert_eq!(connection.frame_of(DATA).payload, b"some");
        drop(connection);
        expect_reason(client.answer(), 502, "backend_closed");
    }
    assert_eq!(scene.balancer.times_said("is down"), 0);
}

/// A client that has had an answer, and the connection that it came on.
fn answered_once() -> (Scene, Client, Client) {
    let scene = Scene::set();
    let mut client = Client::to(scene.balancer.address);
    client.send(NO_BODY);
    let connection = scene.answer();
    client.answer().expect_status(200);
    (scene, client, connection)
}

#[test]
fn a_request_that_comes_with_the_goodbye_on_an_idle_connection_is_sent_on_another() {
    let (scene, mut client, mut connection) = answered_once();
    scene.at_once(|| {
        client.send(NO_BODY);
        // Any that comes may be served (RFC 9113 section 6.8).
        connection.send(frame(GOAWAY, 0, 0, &[[0x7f, 0xff, 0xff, 0xff], [0; 4]].concat()));
        connection.finish();
    });
    let _another = scene.answer();
    client.answer().expect_status(200);
}

#[test]
fn an_idle_connection_on_which_something_else_comes_with_a_request_carries_the_next_one() {
    let (scene, mut client, mut connection) = answered_once();
    scene.at_once(|| {
        client.send(NO_BODY);
        connection.send(frame(PING, 0, 0, &[0; 8]));
    });
    let _another = scene.answer();
    client.answer().expect_status(200);
    assert_eq!(connection.frame_of(PING).flags, ACK);
    client.send(NO_BODY);
    assert_eq!(connection.frame_of(HEADERS).stream, 3);
}

#[test]
fn an_answer_whose_end_has_not_come_never_looks_complete_when_its_connection_is_closed() {
    let head = frame(HEADERS, END_HEADERS, 1, OK);
    let mut cut = frame(DATA, END_STREAM, 1, b"wholewhole");
    cut.truncate(9 + 5);
    // The rest of the trailers is to come in a frame of its own.
    let trailers = [frame(DATA, 0, 1, b"whole"), frame(HEADERS, END_STREAM, 1, TRAILER)].concat();
    // No DATA belongs to the connection itself, and nobody looks at what comes behind.
    let garbage = [frame(DATA, 0, 0, b""), frame(DATA, END_STREAM, 1, b"whole")].concat();
    let scene = Scene::set();
    for rest in [cut, trailers, garbage, frame(DATA, 0, 1, b"whole")] {
        let mut client = Http2::to(scene.balancer.address);
        let mut stream = client.begin(Request::post("http://test/").body(()).unwrap());
        stream.send("some", false).unwrap();
        let _connection = scene.answer_and_close(&[&*head, &rest].concat());
        assert!(stream.try_answer().is_err());
    }
    scene.says("\"answer_broken\"", 4);
}
