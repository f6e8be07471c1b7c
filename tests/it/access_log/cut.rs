//! A second signal ends the process, but not before what was answered is written.

use std::fs::File;
use std::io::Read;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::Log;
use crate::support::{Backend, Balancer, Client, Fifo, PATIENCE, Running, get};

#[test]
fn at_a_second_signal_answered_requests_and_those_that_are_cut_have_their_lines() {
    for workers in ["1", "2"] {
        let (backend, reached) = backend();
        let log = Log::new();
        let balancer = Balancer::before(&[backend.address]).flag("--access-log", log.path());
        let balancer = balancer.flag("--workers", workers).start();
        let mut cut = under_way(&balancer, &reached);
        for _ in 0..5 {
            get(balancer.address, "/").expect_status(200);
        }
        signal_twice(&balancer);
        balancer.said("cut at a second signal: 1 connection");
        cut.expect_end();
        let lines = log.lines();
        let of = |path: &str| lines.iter().filter(|line| line["path"] == path).collect::<Vec<_>>();
        assert_eq!((lines.len(), of("/").len()), (6, 5), "{lines:?}");
        let [line] = of("/stalls")[..] else { panic!("{lines:?}") };
        assert_eq!((&line["reason"], &line["termination"]), (&json!("stopped"), &json!("KD")));
    }
}

#[test]
fn a_second_signal_ends_it_though_nobody_takes_its_access_log_and_what_is_lost_is_counted() {
    let (backend, reached) = backend();
    let mut log = Fifo::open();
    let balancer = logging_to(&log, &backend);
    get(balancer.address, "/first").expect_status(200);
    log.said("/first");
    log.fill();
    let _cut = under_way(&balancer, &reached);
    get(balancer.address, "/").expect_status(200);
    signal_twice(&balancer);
    balancer.said("lost of the access log, for a second signal came before it was taken: 2 lines");
}

#[test]
fn a_second_signal_does_not_wait_for_all_of_a_log_that_is_taken_slowly() {
    let (backend, reached) = backend();
    let mut log = Fifo::open();
    let balancer = logging_to(&log, &backend);
    log.fill();
    let long = format!("/{}", "a".repeat(2000));
    for _ in 0..400 {
        get(balancer.address, &long).expect_status(200);
    }
    let _cut = under_way(&balancer, &reached);
    let mut slowly = File::open(log.path()).expect("it is there");
    thread::spawn(move || {
        let mut some = vec![0; 16 * 1024];
        // Until the test is over.
        while slowly.read(&mut some).is_ok_and(|read| read > 0) {
            thread::sleep(Duration::from_millis(200));
        }
    });
    signal_twice(&balancer);
    balancer.said("lost of the access log, for a second signal came before it was taken: ");
}

fn logging_to(log: &Fifo, backend: &Backend) -> Running {
    let balancer = Balancer::before(&[backend.address]);
    balancer.flag("--access-log", log.path().to_str().expect("UTF-8")).start()
}

/// A backend that tells of each request for `/stalls` and never answers it.
fn backend() -> (Backend, Receiver<()>) {
    let (reached, told) = channel();
    let backend = Backend::that(move |mut transport| {
        if transport.head.starts_with("GET /stalls ") {
            reached.send(()).expect("the test goes on");
            transport.wait_for_end();
        } else {
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (backend, told)
}

/// A client whose request is with its backend.
fn under_way(balancer: &Running, reached: &Receiver<()>) -> Client {
    let mut client = Client::to(balancer.address);
    client.send("GET /stalls HTTP/1.1\r\nHost: test\r\n\r\n");
    reached.recv_timeout(PATIENCE).expect("a request");
    client
}

fn signal_twice(balancer: &Running) {
    balancer.signal("TERM");
    balancer.said("stopping: no new clients");
    balancer.signal("TERM");
    assert_eq!(balancer.ended().code(), Some(130));
}
