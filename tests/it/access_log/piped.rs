//! The access log goes to a pipe that others write to as well, be it who takes the balancer's place.

use std::fs;

use serde_json::Value;

use crate::support::{Balancer, Client, Fifo, Running, Sample, until};

#[test]
fn what_is_written_to_a_pipe_at_a_time_ends_with_a_line() {
    let sample = Sample::start("one");
    for to_standard_output in [true, false] {
        let mut log = Fifo::open();
        let balancer = Balancer::before(&[sample.address()]);
        let balancer = match to_standard_output {
            true => balancer.flag("--access-log", "-").standard_output_to(log.path()),
            false => balancer.flag("--access-log", log.path().to_str().expect("UTF-8")),
        };
        let balancer = balancer.start();
        log.fill();
        let full = log.holds();
        log_more_than_a_page(&balancer);
        log.free_a_page();
        until("as much as there is room for is written", || log.holds() > full - 4096);
        balancer.signal("STOP");
        let state = format!("/proc/{}/stat", balancer.id());
        until("it stands still", || fs::read_to_string(&state).expect("it is there").contains(") T "));
        let written = String::from_utf8(log.drain()).expect("text");
        let lines = &written[written.find('{').expect("it is written")..];
        assert!(lines.ends_with('\n'), "{lines}");
        assert!(lines.lines().map(serde_json::from_str::<Value>).all(|line| line.is_ok()), "{lines}");
        balancer.signal("CONT");
        log.said("the last one");
    }
}

/// Requests with lines of which three are more than a page, and all together more than is written once a second.
fn log_more_than_a_page(balancer: &Running) {
    let mut client = Client::to(balancer.address);
    let agent = "x".repeat(1500);
    let request = |agent: &str| format!("GET / HTTP/1.1\r\nHost: test\r\nUser-Agent: {agent}\r\n\r\n");
    client.send(format!("{}{}", request(&agent).repeat(20), request("the last one")));
    (0..21).for_each(|_| drop(client.answer().expect_status(200)));
}
