//! What one client can make the balancer keep in memory.

use std::collections::BTreeMap;
use std::iter::repeat_n;
use std::sync::mpsc::{Sender, channel};

use crate::support::{Backend, Balancer, PATIENCE, Running, Sample, Settings};

use super::raw::{
    DATA, END_HEADERS, END_STREAM, HEAD_TOO_LARGE, HEADERS, OK, RST_STREAM, Raw, frame, get, length, setting,
};
use super::{GROWTH, house, streams};

/// Kilobytes of an answer that wait for the client: what h2 holds of it, what was read of it from the backend.
const PER_STREAM: usize = 320;

/// Small pieces that are more than a client may have yet to take.
const MANY_SMALL: usize = 6 * TOGETHER;
/// And how many are written at once.
const TOGETHER: usize = 50;

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
    let before = balancer.memory();
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
                grown = balancer.memory().saturating_sub(before).max(grown);
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
        let before = balancer.memory();
        let mut raw = Raw::with(balancer.address, &setting(4, 0));
        all_at_once(&mut raw, path);
        for _ in 0..128 {
            raw.expect(HEADERS);
        }
        let grown = balancer.memory().saturating_sub(before);
        assert!(grown < GROWTH, "{grown} kB for 128 times {path}");
        held.push(raw);
    }
}

#[test]
fn a_client_that_does_not_read_is_cut_and_costs_little_meanwhile() {
    let sample = Sample::start("b1");
    let balancer =
        Balancer::before(&[sample.address()]).flag("--body-timeout", "3s").flag("--access-log", "-").start();
    let before = balancer.memory();
    let mut raw = Raw::with(balancer.address, &setting(4, i32::MAX.cast_unsigned()));
    raw.send(&frame(super::WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    all_at_once(&mut raw, "/bytes/100000000");
    balancer.said_times(r#""reason":"client_stalled""#, 128);
    let grown = balancer.memory().saturating_sub(before);
    assert!(grown < 128 * PER_STREAM, "{grown} kB for 128 streams");
    raw.expect(DATA);
}

/// A backend whose answers are chunks of a few bytes: that to `/drip` has no end, others have so many as their path says.
fn in_small_pieces(tell: Sender<()>) -> Backend {
    Backend::that(move |mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
        let path = transport.head.split(' ').nth(1).expect("a path").to_owned();
        let count = path[1..].parse().unwrap_or(usize::MAX);
        // The system takes long for what comes in very small packets and waits.
        for first in (0..count).step_by(TOGETHER) {
            let numbers = first..count.min(first + TOGETHER);
            let chunks: String = numbers.map(|number| format!("5\r\n{:05}\r\n", number % 100_000)).collect();
            if transport.try_send(chunks).is_err() {
                return;
            }
            if first == MANY_SMALL {
                // The test may have seen enough.
                let _ = tell.send(());
            }
        }
        // Every other answer has trailers.
        transport.send(if count % 2 > 0 { "0\r\nx-sum: 5\r\n\r\n" } else { "0\r\n\r\n" });
    })
}

/// A client that reads nothing, and may do so for this long. What it asked for first fills all room that there is on its connection.
fn that_does_not_read(sample: &Sample, backend: &Backend, timeout: &str) -> (Running, Raw) {
    let settings = Settings::that_say(&format!(
        r#"
        timeouts.body = "{timeout}"
        admin.address = "off"
        [listeners.web]
        address = "127.0.0.1:0"
        [pools]
        large = {{ backends = ["{}"] }}
        small = {{ backends = ["{}"] }}
        [routes.large]
        path = "/bytes/*"
        pool = "large"
        [routes.small]
        pool = "small"
        "#,
        sample.address(),
        backend.address,
    ));
    let balancer = settings.balancer().flag("--access-log", "-").start();
    let mut raw = Raw::with(balancer.address, &setting(4, i32::MAX.cast_unsigned()));
    raw.send(&frame(super::WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/bytes/30000000")));
    raw.expect(DATA);
    (balancer, raw)
}

#[test]
fn answers_in_small_pieces_that_nobody_takes_cost_little_and_are_cut() {
    let (tell, _told) = channel();
    let (sample, backend) = (Sample::start("b1"), in_small_pieces(tell));
    let (balancer, mut raw) = that_does_not_read(&sample, &backend, "3s");
    let before = balancer.memory();
    for stream in streams().skip(1).take(40) {
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &get("/drip")));
    }
    balancer.said_times(r#""reason":"client_stalled""#, 41);
    let grown = balancer.most_memory().saturating_sub(before);
    assert!(grown < 40 * PER_STREAM, "{grown} kB for 40 streams");
}

#[test]
fn an_answer_in_small_pieces_comes_whole_to_who_takes_it_later() {
    let (tell, told) = channel();
    let (sample, backend) = (Sample::start("b1"), in_small_pieces(tell));
    let (_balancer, mut raw) = that_does_not_read(&sample, &backend, "60s");
    let asked: Vec<_> = streams().skip(1).zip(3000_usize..3020).collect();
    for (stream, count) in &asked {
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, *stream, &get(&format!("/{count}"))));
    }
    for _ in &asked {
        told.recv_timeout(PATIENCE).expect("it says more than is taken");
    }
    let mut bodies: BTreeMap<_, _> = asked.iter().map(|(stream, _)| (*stream, Vec::new())).collect();
    let mut left = asked.len();
    while left > 0 {
        let frame = raw.frame().expect("the connection goes on");
        let Some(body) = bodies.get_mut(&frame.stream).filter(|_| [DATA, HEADERS].contains(&frame.kind))
        else {
            continue;
        };
        if frame.kind == DATA {
            body.extend(frame.payload);
        }
        left -= usize::from(frame.flags & END_STREAM > 0);
    }
    for (stream, count) in asked {
        let whole: String = (0..count).map(|number| format!("{number:05}")).collect();
        assert!(bodies[&stream] == whole.as_bytes(), "something else came on {stream}");
    }
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
        let before = balancer.memory();
        let all = streams().filter(|stream| Some(*stream) != asked).take(super::MANY).flat_map(|stream| {
            let mut bytes = mistake.clone();
            bytes[5..9].copy_from_slice(&stream.to_be_bytes());
            bytes
        });
        raw.send(&all.collect::<Vec<_>>());
        // It is heard no more, or, if it was slow to be so, its mistakes were too many.
        balancer.said(r#""reason":""#);
        let grown = balancer.most_memory().saturating_sub(before);
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
