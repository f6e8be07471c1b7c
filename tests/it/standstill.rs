//! The machine stands still for a while, as one does that is moved to another host. Nobody else is to blame for that time.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::support::{Backend, Balancer, Client, PATIENCE, Running};

/// How long others may take, and how long the balancer stands still.
const TIMEOUT: &str = "2s";
const STANDSTILL: Duration = Duration::from_millis(3500);
/// Until what came meanwhile is seen by whoever did not stand still.
const LATER: Duration = Duration::from_millis(300);

/// A backend that says when a request has come, and answers once it is let.
fn patient() -> (Backend, Receiver<()>, Sender<()>) {
    let ((came, coming), (let_go, gate)) = (channel(), channel());
    let (came, gate) = (Mutex::new(came), Mutex::new(gate));
    let backend = Backend::that(move |mut transport| {
        // The test may be over.
        let _ = came.lock().unwrap().send(());
        let _ = gate.lock().unwrap().recv();
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    (backend, coming, let_go)
}

fn stand_still(balancer: &Running) {
    balancer.signal("STOP");
    thread::sleep(STANDSTILL);
    balancer.signal("CONT");
    thread::sleep(LATER);
}

#[test]
fn a_backend_that_was_being_checked_is_not_taken_for_dead() {
    let (backend, checked, answer) = patient();
    let balancer = Balancer::before(&[backend.address]).flag("--health-path", "/check");
    let balancer = balancer.flag("--health-timeout", TIMEOUT).flag("--health-interval", "100ms").start();
    answer.send(()).unwrap();
    balancer.said("is healthy");
    for _ in 0..2 {
        checked.recv_timeout(PATIENCE).expect("a check");
    }
    stand_still(&balancer);
    answer.send(()).unwrap();
    checked.recv_timeout(PATIENCE).expect("the check after it");
    balancer.said("did not run for ");
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn a_request_that_was_under_way_is_answered() {
    let (backend, came, answer) = patient();
    let balancer = Balancer::before(&[backend.address]).flag("--response-timeout", TIMEOUT).start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    came.recv_timeout(PATIENCE).expect("the request");
    stand_still(&balancer);
    answer.send(()).unwrap();
    client.answer().expect_status(200);
}

#[test]
fn deadlines_go_on_after_it() {
    let (backend, came, _answer) = patient();
    let balancer = Balancer::before(&[backend.address]).flag("--response-timeout", TIMEOUT).start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    came.recv_timeout(PATIENCE).expect("the request");
    stand_still(&balancer);
    client.answer().expect_status(504);
}
