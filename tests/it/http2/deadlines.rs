//! Each stream has deadlines of its own.

use std::thread;
use std::time::Duration;

use super::{get, post, until};
use crate::support::{Backend, Balancer, Http2, Sample};

/// What a client is told of a deadline, beside requests that have none.
fn told_in_time(backend: &Backend, flag: &str, path: &str, status: u16, reason: &str) {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[backend.address, sample.address()]).flag(flag, "500ms");
    let balancer = balancer.flag("--policy", "round_robin").flag("--access-log", "-").start();
    let mut client = Http2::to(balancer.address);
    balancer.said_times(" is healthy", 2);
    let mut streams: Vec<_> = (0..2).map(|_| client.begin(post(path))).collect();
    for stream in &mut streams {
        stream.send("hello", flag == "--response-timeout").unwrap();
    }
    for _ in 0..10 {
        let answer = client.ask(get("/"));
        drop(answer);
    }
    let answers: Vec<_> = streams.iter_mut().map(crate::support::Stream::answer).collect();
    let late = answers.iter().find(|answer| answer.status == status).expect("one that is late");
    assert!(late.header("proxy-status").unwrap().contains(reason), "{late:?}");
    balancer.said(&format!("\"reason\":\"{reason}\""));
}

#[test]
fn a_backend_that_does_not_answer_in_time_is_told_of() {
    told_in_time(&Backend::stalls(), "--response-timeout", "/", 504, "response_timeout");
}

#[test]
fn a_body_that_does_not_come_in_time_is_told_of() {
    told_in_time(&Backend::stalls(), "--body-timeout", "/", 408, "upload_timeout");
}

#[test]
fn an_answer_that_does_not_go_on_is_broken_off_and_others_go_on() {
    let backend = Backend::that(|mut transport| {
        if transport.head.starts_with("GET /stalls ") {
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
            transport.wait_for_end();
        }
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    });
    let balancer = Balancer::before(&[backend.address]).flag("--body-timeout", "500ms");
    let balancer = balancer.flag("--access-log", "-").start();
    let mut client = Http2::to(balancer.address);
    let mut stalled = client.ask(get("/stalls"));
    stalled.head();
    assert_eq!(stalled.data().expect("a piece").unwrap(), "first");
    until("it is broken off", || {
        client.get("/").expect_status(200);
        balancer.times_said("\"reason\":\"answer_timeout\"") == 1
    });
    assert!(stalled.data().expect("an end").is_err_and(|error| error.is_reset()));
}

#[test]
fn an_answer_that_its_client_takes_slowly_but_without_a_stop_is_whole() {
    const SIZE: usize = 200_000;
    let sample = Sample::start("one");
    for (name, value) in [("--body-timeout", "1s"), ("--min-data-rate", "20000")] {
        let balancer = Balancer::before(&[sample.address()]).flag("--body-timeout", "1s").flag(name, value);
        let balancer = balancer.flag("--access-log", "-").start();
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(16_384);
        let mut client = Http2::with(&builder, balancer.address);
        let mut stream = client.ask(get(&format!("/bytes/{SIZE}")));
        stream.head();
        let mut came = 0;
        while came < SIZE {
            came += stream.data().expect("a body that goes on").expect("a piece").len();
            // A client on a slow line.
            thread::sleep(Duration::from_millis(200));
        }
        balancer.said(&format!("\"bytes_out\":{SIZE}"));
    }
}

#[test]
fn what_a_client_did_not_take_before_it_left_was_not_given() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--access-log", "-").start();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(16_384);
    let mut client = Http2::with(&builder, balancer.address);
    let mut stream = client.ask(get("/bytes/400000"));
    stream.head();
    drop((stream, client));
    let line = balancer.said("\"path\":\"/bytes/400000\"");
    assert!(line.contains("\"reason\":\"client_gone\"") && !line.contains("\"bytes_out\":400000"), "{line}");
}

#[test]
fn a_slow_stream_does_not_stop_others() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Http2::to(balancer.address);
    let mut slow = client.ask(get("/delay/1500"));
    for _ in 0..100 {
        client.get("/").expect_status(200);
    }
    slow.answer().expect_status(200);
}
