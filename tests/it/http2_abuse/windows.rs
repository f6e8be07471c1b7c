//! Clients whose windows have no room for all that they asked for.

use std::iter::from_fn;

use crate::support::{Backend, Balancer, Opener, Running, gate};

use super::raw::{
    DATA, END_HEADERS, END_STREAM, Frame, HEADERS, OK, RST_STREAM, Raw, WINDOW_UPDATE, frame, get, setting,
};

/// A backend whose answer to `/gated` waits for a gate, and a balancer before it.
fn gated() -> (Backend, Opener, Running) {
    let (opener, gate) = gate();
    let backend = Backend::that(move |mut transport| match transport.head.split(' ').nth(1) {
        Some("/gated") => {
            gate.wait();
            transport.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        }
        Some("/chunks") => {
            transport.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
            transport.send("5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n");
        }
        Some(path) => {
            let length: usize = path[1..].parse().expect("a length");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            transport.send(head + &"x".repeat(length));
        }
        None => {}
    });
    let balancer = Balancer::before(&[backend.address]).flag("--body-timeout", "500ms");
    let balancer = balancer.flag("--access-log", "-").start();
    (backend, opener, balancer)
}

/// Makes room on a stream, or on the connection.
fn room(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

fn ask(raw: &mut Raw, stream: u32, path: &str) {
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &get(path)));
}

/// The frames that come up to the end of a stream, and how many bytes of an answer are in them.
fn to_its_end(raw: &mut Raw) -> (Vec<Frame>, usize) {
    let mut ended = false;
    let next = from_fn(|| {
        (!ended).then(|| {
            let frame = raw.frame().expect("the connection goes on");
            ended = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM > 0;
            frame
        })
    });
    let frames: Vec<_> = next.collect();
    let bytes = frames.iter().filter(|frame| frame.kind == DATA).map(|frame| frame.payload.len()).sum();
    (frames, bytes)
}

#[test]
fn an_answer_whose_last_piece_has_no_room_is_broken_off_and_its_connection_goes_on() {
    let (_backend, opener, balancer) = gated();
    let mut raw = Raw::with(balancer.address, &setting(4, 1));
    ask(&mut raw, 1, "/gated");
    for (stream, path) in [(3, "/100"), (5, "/chunks"), (7, "/17000"), (9, "/2")] {
        ask(&mut raw, stream, path);
    }
    let mut cut: Vec<_> = (0..4).map(|_| raw.expect(RST_STREAM).stream).collect();
    cut.sort_unstable();
    assert_eq!(cut, [3, 5, 7, 9]);
    balancer.said_times("\"reason\":\"client_stalled\"", 4);
    opener.open();
    assert_eq!(raw.expect(HEADERS).stream, 1);
    ask(&mut raw, 11, "/1");
    assert!(raw.expect(HEADERS).payload.starts_with(OK));
    assert_eq!(to_its_end(&mut raw).1, 1);
}

#[test]
fn an_answer_that_is_given_just_the_room_it_needs_is_whole() {
    let (_backend, _opener, balancer) = gated();
    let mut raw = Raw::with(balancer.address, &setting(4, 1));
    for (stream, path, length) in [(1, "/100", 100), (3, "/40000", 40_000), (5, "/chunks", 5)] {
        ask(&mut raw, stream, path);
        assert_eq!(raw.expect(DATA).payload.len(), 1);
        raw.send(&room(stream, length - 2));
        raw.catch_up();
        raw.send(&room(stream, 1));
        let (frames, _) = to_its_end(&mut raw);
        assert!(frames.iter().all(|frame| frame.kind != RST_STREAM), "{frames:?}");
        balancer.said(&format!("\"bytes_out\":{length},"));
    }
    assert_eq!(balancer.times_said("\"reason\":\""), 0);
}

#[test]
fn what_a_client_has_no_room_for_and_takes_back_was_not_given() {
    for window in [0, 1] {
        let (_backend, _opener, balancer) = gated();
        let mut raw = Raw::with(balancer.address, &setting(4, window));
        ask(&mut raw, 1, "/100");
        assert!(raw.expect(HEADERS).payload.starts_with(OK));
        if window > 0 {
            raw.expect(DATA);
        }
        raw.send(&super::reset(1));
        let line = balancer.said("\"path\":\"/100\"");
        assert!(line.contains("\"reason\":\"client_gone\""), "{line}");
    }
}

#[test]
fn a_connection_that_gives_no_room_to_the_last_of_its_answers_is_cut_whatever_waits_on_it() {
    let (_backend, _opener, balancer) = gated();
    // There is room on each stream, but on the connection for all but a little of the first two.
    let mut raw = Raw::to(balancer.address);
    ask(&mut raw, 1, "/gated");
    ask(&mut raw, 3, "/65000");
    assert_eq!(to_its_end(&mut raw).1, 65_000);
    ask(&mut raw, 5, "/600");
    assert_eq!(raw.expect(DATA).payload.len(), 535);
    ask(&mut raw, 7, "/100");
    assert_eq!(raw.expect(RST_STREAM).stream, 7);
    assert!(raw.frame().is_none(), "it is served still");
    // Of the stream, and of the connection.
    balancer.said_times("\"reason\":\"client_stalled\"", 2);
}
