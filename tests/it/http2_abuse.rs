//! Clients that use HTTP/2 to do harm: each attack ends its own connection, and nobody else's requests.

mod memory;
mod raw;
mod unread;
mod windows;

use std::iter::repeat_n;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::{Balancer, Client, End, Running, Sample};

use raw::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, GOAWAY, HEADERS, PING,
    PRIORITY, PROTOCOL_ERROR, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, frame, get, length, post, setting,
};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
/// Frames of an attack.
const MANY: usize = 100_000;
/// RFC 9113 section 6.9.1: a window that grows beyond what can be counted is an error of its stream.
const MOST: [u8; 4] = 0x7fff_ffff_u32.to_be_bytes();
/// Kilobytes by which the program may grow under attack.
const GROWTH: usize = 16 * 1024;

fn house() -> (Sample, Running) {
    let sample = Sample::start("b1");
    let balancer =
        Balancer::before(&[sample.address()]).flag("--log-level", "debug").flag("--access-log", "-");
    let balancer = balancer.start();
    Client::to(balancer.address).send(REQUEST);
    (sample, balancer)
}

/// Does this while somebody else makes requests, each of which must be answered.
fn beside_others<T>(balancer: &Running, attack: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    let mut other = Client::to(balancer.address);
    let mut ask = || {
        other.send(REQUEST);
        other.answer().expect_status(200);
    };
    ask();
    let before = balancer.memory();
    let outcome = thread::scope(|scope| {
        let _end = End(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                ask();
            }
        });
        attack()
    });
    let grown = balancer.memory().saturating_sub(before);
    assert!(grown < GROWTH, "the attack takes {grown} kB");
    outcome
}

/// The code of the GOAWAY with which a connection ended, if it did.
fn goaway(frames: &[Frame]) -> Option<u32> {
    let last = frames.iter().rev().find(|frame| frame.kind == GOAWAY);
    last.map(Frame::code)
}

/// Fails unless this ends the connection, and is told.
fn expect_calmed(bytes: impl IntoIterator<Item = Vec<u8>>) -> Running {
    let (_sample, balancer) = house();
    let frames = beside_others(&balancer, || Raw::to(balancer.address).attack(bytes));
    assert_eq!(
        goaway(&frames),
        Some(ENHANCE_YOUR_CALM),
        "{:?}",
        frames.iter().rev().take(3).collect::<Vec<_>>()
    );
    balancer.said("floods its connection");
    balancer.said(r#""reason":"flood""#);
    balancer
}

/// A request that is answered after a while.
fn slow(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &get("/delay/10000"))
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])
}

fn streams() -> impl Iterator<Item = u32> {
    (1..).step_by(2)
}

#[test]
fn a_flood_of_pings_ends_its_connection() {
    expect_calmed(repeat_n(frame(PING, 0, 0, b"knock it"), MANY)).said("PING frames");
}

#[test]
fn a_flood_of_answers_to_pings_that_nobody_sent_ends_its_connection_and_does_not_fill_the_log() {
    let balancer = expect_calmed(repeat_n(frame(PING, ACK, 0, b"knock it"), MANY));
    assert_eq!(balancer.times_said("recv PING"), 0);
}

#[test]
fn a_flood_of_settings_ends_its_connection() {
    let sizes = (0..).map(|n| frame(SETTINGS, 0, 0, &setting(1, n % 2 * 4096)));
    expect_calmed(sizes.take(MANY)).said("SETTINGS frames");
}

#[test]
fn a_flood_of_priorities_ends_its_connection() {
    let shuffled = streams().map(|stream| frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 9]));
    expect_calmed(shuffled.take(MANY)).said("PRIORITY or unknown frames");
}

#[test]
fn a_flood_of_frames_that_nobody_knows_ends_its_connection() {
    expect_calmed(repeat_n(frame(0xfa, 0xff, 7, b""), MANY)).said("PRIORITY or unknown frames");
}

#[test]
fn a_flood_of_window_updates_ends_its_connection() {
    expect_calmed(repeat_n(frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]), MANY)).said("WINDOW_UPDATE frames");
}

#[test]
fn requests_that_are_taken_back_at_once_end_their_connection() {
    expect_calmed(streams().map(|stream| [slow(stream), reset(stream)].concat()).take(MANY));
}

#[test]
fn requests_that_are_taken_back_after_they_were_looked_at_end_their_connection() {
    let (_sample, balancer) = house();
    let (bunches, frames) = beside_others(&balancer, || {
        let mut raw = Raw::to(balancer.address);
        let mut streams = streams();
        for bunches in 0.. {
            let bunch: Vec<_> = streams.by_ref().take(10).collect();
            raw.send(&bunch.iter().copied().flat_map(slow).collect::<Vec<_>>());
            raw.catch_up();
            raw.send(&bunch.iter().copied().flat_map(reset).collect::<Vec<_>>());
            if let Some(frames) = raw.try_catch_up() {
                return (bunches, frames);
            }
        }
        unreachable!()
    });
    assert_eq!(goaway(&frames), Some(ENHANCE_YOUR_CALM));
    assert!(bunches >= 20, "so many may be given up at once");
    balancer.said("RST_STREAM frames");
    balancer.said(r#""reason":"flood""#);
}

#[test]
fn requests_that_are_given_up_while_the_process_stands_still_are_no_flood() {
    let (_sample, balancer) = house();
    let mut raw = Raw::to(balancer.address);
    raw.catch_up();
    balancer.signal("STOP");
    for stream in streams().take(150) {
        raw.send(&[slow(stream), reset(stream)].concat());
    }
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 301, &get("/")));
    balancer.signal("CONT");
    while raw.expect(HEADERS).stream != 301 {}
}

#[test]
fn streams_that_we_are_made_to_reset_end_their_connection() {
    let broken = streams().map(|stream| [slow(stream), frame(WINDOW_UPDATE, 0, stream, &MOST)].concat());
    expect_calmed(broken.take(MANY)).said("wrong or late frames");
}

#[test]
fn a_client_that_takes_its_answers_may_be_wrong_as_often() {
    let (_sample, balancer) = house();
    let mut raw = Raw::to(balancer.address);
    let mut streams = streams();
    for _ in 0..600 {
        let wrong = streams.next().unwrap();
        raw.send(&[slow(wrong), frame(WINDOW_UPDATE, 0, wrong, &MOST)].concat());
        assert_eq!(raw.expect(RST_STREAM).stream, wrong);
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, streams.next().unwrap(), &get("/")));
        while raw.expect(DATA).flags & END_STREAM == 0 {}
    }
}

#[test]
fn a_window_that_grows_by_nothing_ends_its_connection() {
    let (_sample, balancer) = house();
    let nothing = repeat_n(frame(WINDOW_UPDATE, 0, 0, &[0; 4]), MANY);
    let frames = beside_others(&balancer, || Raw::to(balancer.address).attack(nothing));
    assert_eq!(goaway(&frames), Some(PROTOCOL_ERROR));
}

#[test]
fn requests_beyond_the_limit_on_streams_end_their_connection_when_they_do_not_stop() {
    expect_calmed(streams().map(slow).take(MANY));
}

#[test]
fn a_head_that_goes_on_and_on_ends_its_connection() {
    let head = frame(HEADERS, END_STREAM, 1, &get("/"));
    expect_calmed(
        [head].into_iter().chain(repeat_n(frame(CONTINUATION, 0, 1, &[0, 1, b'a', 1, b'b']), MANY)),
    );
}

#[test]
fn a_head_that_goes_on_with_nothing_ends_its_connection() {
    let head = frame(HEADERS, END_STREAM, 1, &get("/"));
    expect_calmed([head].into_iter().chain(repeat_n(frame(CONTINUATION, 0, 1, &[]), MANY)));
}

#[test]
fn a_body_of_empty_frames_ends_its_connection() {
    let head = frame(HEADERS, END_HEADERS, 1, &post("/echo"));
    expect_calmed([head].into_iter().chain(repeat_n(frame(DATA, 0, 1, &[]), MANY)));
}

#[test]
fn a_body_of_frames_that_are_all_padding_ends_its_connection() {
    let head = frame(HEADERS, END_HEADERS, 1, &post("/echo"));
    let padded = frame(DATA, 0x8, 1, &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect_calmed([head].into_iter().chain(repeat_n(padded, MANY)));
}

#[test]
fn a_head_that_unpacks_to_far_more_than_is_allowed_ends_its_connection() {
    // One field of 4000 bytes is remembered, then named by one byte each time (RFC 7541 section 6.1).
    let mut fields = get("/");
    fields.extend([0x40, 1, b'x']);
    fields.extend(length(4000));
    fields.extend(repeat_n(b'y', 4000));
    fields.extend(repeat_n(0xbe, 10_000));
    expect_calmed([frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields)]);
}

#[test]
fn all_streams_may_be_given_up_at_once() {
    let (_sample, balancer) = house();
    let mut raw = Raw::to(balancer.address);
    for stream in streams().take(128) {
        raw.send(&slow(stream));
    }
    raw.catch_up();
    for stream in streams().take(128) {
        raw.send(&reset(stream));
    }
    raw.catch_up();
    let next = 2 * 128 + 1;
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, next, &get("/")));
    let head = raw.expect(HEADERS);
    assert_eq!((head.stream, head.flags & END_HEADERS), (next, END_HEADERS));
    assert!(head.payload.starts_with(raw::OK));
}

#[test]
fn streams_that_come_and_are_given_up_before_any_was_looked_at_end_no_other() {
    let (_sample, balancer) = house();
    let mut raw = Raw::to(balancer.address);
    let long = frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/delay/500"));
    // As what piled up while we stood still.
    let others: Vec<_> = streams().skip(1).take(127).collect();
    let begun = others.iter().copied().flat_map(slow);
    let given_up = others.iter().copied().flat_map(reset);
    raw.send(&long.into_iter().chain(begun).chain(given_up).collect::<Vec<_>>());
    let head = raw.expect(HEADERS);
    assert_eq!(head.stream, 1);
    assert!(head.payload.starts_with(raw::OK));
    raw.catch_up();
}

#[test]
fn a_client_that_measures_and_acknowledges_all_that_it_is_sent_is_no_flood() {
    let (_sample, balancer) = house();
    let mut raw = Raw::to(balancer.address);
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/bytes/30000000")));
    let mut received = 0;
    while received < 30_000_000 {
        let data = raw.expect(DATA);
        received += data.payload.len();
        // As those do that read 4 KiB at a time.
        for piece in data.payload.chunks(4096) {
            let increment = u32::try_from(piece.len()).unwrap().to_be_bytes();
            raw.send(&frame(WINDOW_UPDATE, 0, 0, &increment));
            raw.send(&frame(WINDOW_UPDATE, 0, 1, &increment));
        }
        raw.send(&frame(PING, 0, 0, b"how far?"));
    }
    raw.catch_up();
}

#[test]
fn a_flood_beside_a_download_is_told_between_two_frames_of_it() {
    let (_sample, balancer) = house();
    let mut raw = Raw::with(balancer.address, &setting(4, i32::MAX.cast_unsigned()));
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/bytes/300000000")));
    raw.expect(DATA);
    let frames = raw.attack(repeat_n(frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 9]), MANY));
    assert_eq!(goaway(&frames), Some(ENHANCE_YOUR_CALM));
    let goaway = frames.last().unwrap();
    assert_eq!(goaway.payload[..4], [0, 0, 0, 1], "the last stream that was looked at");
}
