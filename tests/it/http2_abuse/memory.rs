//! What one client can make the balancer keep in memory.

use std::iter::repeat_n;

use crate::support::{Backend, Balancer, PATIENCE, Sample, Settings};

use super::raw::{
    DATA, END_HEADERS, END_STREAM, HEAD_TOO_LARGE, HEADERS, OK, RST_STREAM, Raw, frame, get, length, setting,
};
use super::{GROWTH, house, memory, most_memory, streams};

/// Kilobytes of an answer that wait for the client: what h2 holds of it, what was read of it from the backend.
const PER_STREAM: usize = 320;

/// As many requests as may be under way, each for this path.
fn all_at_once(raw: &mut Raw, path: &str) {
    for stream in streams().take(128) {
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &get(path)));
    }
}

#[test]
fn a_head_larger_than_is_allowed_is_refused_and_its_connection_goes_on() {
    let (_sample, balancer) = house();
    let mut raw = Raw::to(balancer.address);
    let mut fields = get("/");
    fields.extend([0x00, 1, b'x']);
    fields.extend(length(70_000));
    fields.extend(repeat_n(b'y', 70_000));
    let mut pieces = fields.chunks(16_384).peekable();
    let (mut kind, mut flags) = (HEADERS, END_STREAM);
    while let Some(piece) = pieces.next() {
        flags |= if pieces.peek().is_none() { END_HEADERS } else { 0 };
        raw.send(&frame(kind, flags, 1, piece));
        (kind, flags) = (super::CONTINUATION, 0);
    }
    assert!(raw.expect(HEADERS).payload.starts_with(HEAD_TOO_LARGE));
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &get("/")));
    assert!(raw.expect(HEADERS).payload.starts_with(OK));
}

#[test]
fn clients_that_ask_for_much_and_take_nothing_are_cut_and_cost_little_meanwhile() {
    let sample = Sample::start("b1");
    let balancer = Balancer::before(&[sample.address()]).flag("--body-timeout", "3s").start();
    let before = memory(&balancer);
    // Each stream of it may be sent nothing at all.
    let mut raw = Raw::with(balancer.address, &setting(4, 0));
    all_at_once(&mut raw, "/bytes/100000000");
    let (mut answered, mut cut, mut grown) = (0, 0, 0);
    while (answered, cut) != (128, 128) {
        let frame = raw.frame().expect("the connection goes on");
        match frame.kind {
            HEADERS => {
                assert!(frame.payload.starts_with(OK));
                answered += 1;
                grown = memory(&balancer).saturating_sub(before).max(grown);
            }
            RST_STREAM => cut += 1,
            _ => {}
        }
    }
    assert!(grown < 128 * PER_STREAM, "{grown} kB for 128 streams");
    // What is left of the connection is as good as new.
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 257, &get("/")));
    assert!(raw.expect(HEADERS).payload.starts_with(OK));
}

#[test]
fn answers_of_ours_that_nobody_takes_are_kept_once() {
    let sample = Sample::start("b1");
    let page = "x".repeat(1 << 20);
    let settings = Settings::that_say(&format!(
        r#"
        [listeners.web]
        address = "127.0.0.1:0"
        [pools]
        one = {{ backends = ["{}"] }}
        down = {{ backends = ["{}"] }}
        [routes.text]
        path = "/text"
        answer = {{ body = "{page}" }}
        [routes.one]
        pool = "one"
        error_pages = {{ "500-599" = {{ file = "page" }} }}
        [routes.down]
        path = "/down"
        pool = "down"
        error_pages = {{ "500-599" = {{ file = "page" }} }}
        "#,
        sample.address(),
        Backend::refuses(),
    ));
    settings.put("page", &page);
    let balancer = settings.balancer().start();
    // What one gave back would hide what the next one takes.
    let mut held = Vec::new();
    for path in ["/text", "/status/500", "/down"] {
        let before = memory(&balancer);
        let mut raw = Raw::with(balancer.address, &setting(4, 0));
        all_at_once(&mut raw, path);
        for _ in 0..128 {
            raw.expect(HEADERS);
        }
        let grown = memory(&balancer).saturating_sub(before);
        assert!(grown < GROWTH, "{grown} kB for 128 times {path}");
        held.push(raw);
    }
}

#[test]
fn a_client_that_does_not_read_is_cut_and_costs_little_meanwhile() {
    let sample = Sample::start("b1");
    let balancer =
        Balancer::before(&[sample.address()]).flag("--body-timeout", "3s").flag("--access-log", "-").start();
    let before = memory(&balancer);
    let mut raw = Raw::with(balancer.address, &setting(4, i32::MAX.cast_unsigned()));
    raw.send(&frame(super::WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    all_at_once(&mut raw, "/bytes/100000000");
    balancer.said_times(r#""reason":"client_stalled""#, 128);
    let grown = memory(&balancer).saturating_sub(before);
    assert!(grown < 128 * PER_STREAM, "{grown} kB for 128 streams");
    raw.expect(DATA);
}

#[test]
fn a_client_that_does_not_read_is_heard_no_more_before_what_is_said_to_its_mistakes_costs_much() {
    // Without a body, of streams that may have ended long ago; or without a path.
    let late = frame(DATA, 0, 0, &[]);
    let wrong = frame(HEADERS, END_HEADERS | END_STREAM, 0, &[0x82]);
    for (mistake, asked) in [(late, streams().nth(super::MANY)), (wrong, streams().next())] {
        let sample = Sample::start("b1");
        let balancer = Balancer::before(&[sample.address()]).flag("--body-timeout", "2s");
        let balancer = balancer.flag("--access-log", "-").start();
        let mut raw = Raw::with(balancer.address, &setting(4, i32::MAX.cast_unsigned()));
        raw.send(&frame(super::WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, asked.unwrap(), &get("/bytes/1000000000")));
        // Once it has begun to come, it fills all room that there is.
        raw.expect(DATA);
        let before = memory(&balancer);
        let all = streams().filter(|stream| Some(*stream) != asked).take(super::MANY).flat_map(|stream| {
            let mut bytes = mistake.clone();
            bytes[5..9].copy_from_slice(&stream.to_be_bytes());
            bytes
        });
        raw.send(&all.collect::<Vec<_>>());
        // It is heard no more, or, if it was slow to be so, its mistakes were too many.
        balancer.said(r#""reason":""#);
        let grown = most_memory(&balancer).saturating_sub(before);
        assert!(grown < GROWTH, "{grown} kB for {mistake:?}");
    }
}

/// A field that is remembered, and then named by one byte each time.
fn many(field: &[u8]) -> Vec<u8> {
    let mut fields = get("/");
    fields.extend(field);
    fields.extend(repeat_n(0xbe, 1000));
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields)
}

#[test]
fn a_head_of_many_fields_is_refused_like_a_large_one() {
    let (_sample, balancer) = house();
    let mut raw = Raw::to(balancer.address);
    raw.send(&many(&[0x40, 1, b'x', 1, b'y']));
    assert!(raw.expect(HEADERS).payload.starts_with(HEAD_TOO_LARGE));
}

#[test]
fn many_cookies_are_one_field() {
    let (backend, told) = Backend::tells("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let balancer = Balancer::before(&[backend.address]).start();
    let mut raw = Raw::to(balancer.address);
    raw.send(&many(&[0x60, 3, b'a', b'=', b'b']));
    assert!(raw.expect(HEADERS).payload.starts_with(OK));
    let head = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(head.matches("a=b").count(), 1001, "{head}");
    assert_eq!(head.to_lowercase().matches("cookie:").count(), 1, "{head}");
}
