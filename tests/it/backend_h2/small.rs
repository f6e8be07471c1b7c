//! A message in each frame, faster than the other end takes them.

use std::collections::HashMap;
use std::net::TcpListener;
use std::thread;

use hyper::StatusCode;
use tokio::sync::watch;

use crate::support::h2_backend::H2Backend;
use crate::support::{Balancer, Client, Opener, frame, gate, head, settings};

use super::before;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// What fits a window of 256 KiB.
const MESSAGES: usize = 60_000;
const MESSAGE: &[u8] = b"1234";

/// Answers a request with all messages at once, and opens the gate when the other end has read them. Before that it
/// answers a check, on another connection.
fn sends_small_frames(opener: Opener) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut connections = listener.incoming().map_while(Result::ok).map(Client::over);
        let mut check = connections.next().expect("a check");
        begin(&mut check);
        check.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x88]));
        let mut connection = connections.next().expect("a request");
        begin(&mut connection);
        let head = frame(HEADERS, END_HEADERS, 1, &[0x88]);
        connection.send([head, frame(DATA, 0, 1, MESSAGE).repeat(MESSAGES)].concat());
        connection.send(frame(PING, 0, 0, &[1; 8]));
        while connection.frame_of(PING).payload != [1; 8] {}
        opener.open();
        connection.send(frame(DATA, END_STREAM, 1, b""));
        thread::park();
    });
    format!("h2c://{address}")
}

/// Reads what comes up to a request.
pub(super) fn begin(connection: &mut Client) {
    connection.bytes(24);
    connection.send([frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat());
    assert_eq!(connection.frame_of(HEADERS).stream, 1);
}

#[test]
fn small_messages_of_a_backend_that_come_faster_than_the_client_takes_them_are_no_flood() {
    let (opener, opened) = gate();
    let balancer = Balancer::before(&[]).flag("--backend", &sends_small_frames(opener));
    let balancer = balancer.flag("--health-interval", "1h").start();
    balancer.said("is healthy");
    let mut client = Client::to(balancer.address);
    let no_window = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let request = head(1, &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]);
    client.send([&settings()[..24], &no_window, &frame(SETTINGS, ACK, 0, &[]), &request].concat());
    opened.wait();
    let window = 0x00ff_0000_u32.to_be_bytes();
    client.send([frame(WINDOW_UPDATE, 0, 0, &window), frame(WINDOW_UPDATE, 0, 1, &window)].concat());
    assert!(client.body_of(1) == MESSAGE.repeat(MESSAGES), "something else came");
}

#[test]
fn small_messages_for_a_backend_that_come_faster_than_it_takes_them_are_no_flood_to_it() {
    const MESSAGES: usize = 8000;
    let (open, opened) = watch::channel(false);
    let backend = H2Backend::that(move |mut exchange| {
        let (open, mut opened) = (open.clone(), opened.clone());
        async move {
            if exchange.head.uri().path() == "/open" {
                open.send_replace(true);
                return exchange.answer(StatusCode::OK, "");
            }
            opened.wait_for(|open| *open).await.expect("the sender is here");
            let length = exchange.read().await.0.len();
            exchange.answer(StatusCode::OK, length.to_string());
        }
    });
    let balancer = before(&[&backend]);
    balancer.said("is healthy");
    let mut client = Client::to(balancer.address);
    let fields =
        |method, path| [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a")];
    client.send([settings(), frame(SETTINGS, ACK, 0, &[])].concat());
    // From here on there is room for all of it.
    client.frame_of(WINDOW_UPDATE);
    // The streams take turns, so that no two frames of one are neighbours.
    let mut all = Vec::new();
    for stream in [1, 3, 5, 7] {
        let mut head = head(stream, &fields("POST", "/"));
        head[4] = END_HEADERS;
        all.extend(head);
    }
    let turn = [1, 3, 5, 7].map(|stream| frame(DATA, 0, stream, MESSAGE)).concat();
    all.extend(turn.repeat(MESSAGES / 4 - 1));
    all.extend([1, 3, 5, 7].map(|stream| frame(DATA, END_STREAM, stream, MESSAGE)).concat());
    all.extend(frame(PING, 0, 0, &[0; 8]));
    client.send(all);
    // All of it has come by then.
    while client.frame_of(PING).flags != ACK {}
    client.send(head(9, &fields("GET", "/open")));
    let mut bodies = HashMap::new();
    while bodies.len() < 4 {
        let frame = client.frame();
        if frame.kind == DATA && !frame.payload.is_empty() {
            bodies.insert(frame.stream, String::from_utf8(frame.payload).unwrap());
        }
    }
    let each = (MESSAGES / 4 * MESSAGE.len()).to_string();
    assert!(bodies.values().all(|length| *length == each), "{bodies:?}");
    assert_eq!(backend.connections(), 1);
}
