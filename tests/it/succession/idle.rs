//! Clients that are idle while one process takes the place of another.

use super::*;

const POST: &str = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello";

/// A process with a client that has been idle for so long that it is parked, and who took its place.
fn replaced(idle: &str) -> (Sample, Running, Client, Successor) {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--log-level", "debug");
    let balancer = balancer.flag("--client-idle-timeout", idle).start();
    let mut client = Client::to(balancer.address);
    client.send(GET);
    client.answer().expect_status(200);
    balancer.said(" is parked");
    let successor = Successor::of(balancer.id(), &balancer, 0);
    (backend, balancer, client, successor)
}

#[test]
fn who_was_idle_for_long_is_answered_once_more_and_told_that_it_is_the_last_time() {
    let (_backend, balancer, mut client, _successor) = replaced("75s");
    // It may not be repeated: a client whose connection ends on it cannot tell whether it was done.
    client.send(POST);
    let answer = client.answer().expect_status(200);
    assert_eq!(answer.header("connection"), Some("close"));
    client.expect_end();
    assert!(balancer.ended().success());
}

#[test]
fn who_stays_idle_keeps_a_process_that_was_replaced_no_longer_than_its_timeout() {
    let (_backend, balancer, mut client, _successor) = replaced("2s");
    assert!(balancer.ended().success());
    client.expect_end();
}

#[test]
fn a_signal_parts_a_process_that_was_replaced_from_who_is_idle() {
    let (_backend, balancer, mut client, _successor) = replaced("1h");
    balancer.said("stopping");
    signal("TERM", balancer.id());
    client.expect_end();
    assert!(balancer.ended().success());
}
