//! The machine stands still for a while, as one does that is moved to another host. Nobody else is to blame for that time.

use std::thread;
use std::time::Duration;

use crate::support::{Backend, Balancer, Client, Running};

/// How long others may take, and how long the balancer stands still.
const TIMEOUT: &str = "2s";
const STANDSTILL: Duration = Duration::from_millis(3500);
/// Until what came meanwhile is seen by whoever did not stand still.
const LATER: Duration = Duration::from_millis(300);

fn stand_still(balancer: &Running) {
    balancer.signal("STOP");
    thread::sleep(STANDSTILL);
    balancer.signal("CONT");
    thread::sleep(LATER);
}

#[test]
fn a_backend_that_was_being_checked_is_not_taken_for_dead() {
    let (backend, checked, answer) = Backend::held_up();
    let balancer = Balancer::before(&[backend.address]).flag("--health-path", "/slow");
    let balancer = balancer.flag("--health-timeout", TIMEOUT).flag("--health-interval", "100ms").start();
    answer.open();
    balancer.said("is healthy");
    for _ in 0..2 {
        checked.wait();
    }
    stand_still(&balancer);
    answer.open();
    checked.wait();
    balancer.said("did not run for ");
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn a_request_that_was_under_way_is_answered() {
    let (backend, came, answer) = Backend::held_up();
    let balancer = Balancer::before(&[backend.address]).flag("--response-timeout", TIMEOUT).start();
    let mut client = Client::to(balancer.address);
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    came.wait();
    stand_still(&balancer);
    answer.open();
    client.answer().expect_status(200);
}

#[test]
fn deadlines_go_on_after_it() {
    let (backend, came, _answer) = Backend::held_up();
    let balancer = Balancer::before(&[backend.address]).flag("--response-timeout", TIMEOUT).start();
    let mut client = Client::to(balancer.address);
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    came.wait();
    stand_still(&balancer);
    client.answer().expect_status(504);
}
