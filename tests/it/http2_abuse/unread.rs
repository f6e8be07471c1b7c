//! Clients that take none of what they asked for.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Balancer, PATIENCE, Sample};

use super::raw::{DATA, END_HEADERS, END_STREAM, HEADERS, Raw, WINDOW_UPDATE, frame, get, post, setting};

#[test]
fn who_takes_nothing_is_cut_though_its_answers_are_over_for_us_and_an_upload_of_its_goes_on() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--body-timeout", "500ms");
    let balancer = balancer.flag("--access-log", "-").start();
    let mut raw = Raw::with(balancer.address, &setting(4, i32::MAX.cast_unsigned()));
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    raw.send(&frame(HEADERS, END_HEADERS, 1, &post("/echo")));
    for stream in 1..120 {
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * stream + 1, &get("/bytes/60000")));
    }
    let began = Instant::now();
    while raw.try_send(&frame(DATA, 0, 1, b"a")).is_ok() {
        assert!(began.elapsed() < PATIENCE, "it is served still");
        // Well before the upload is one that does not go on.
        thread::sleep(Duration::from_millis(50));
    }
    // Of the connection; to the upload its client has left.
    balancer.said("\"reason\":\"client_stalled\"");
    let line = balancer.said("\"path\":\"/echo\"");
    assert!(line.contains("\"reason\":\"client_gone\""), "{line}");
}
