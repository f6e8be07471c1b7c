//! A backend dies, and no client notices.

use crate::support::{Backend, Balancer, Sample, get};

#[test]
fn a_backend_that_refuses_is_passed_over_and_marked_down_at_once() {
    let second = Sample::start("second");
    let refusing = Backend::refuses();
    let balancer = Balancer::before(&[refusing, second.address()]).start();
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from second\n");
    balancer.said(&format!("{refusing} is down: connection refused"));
}

#[test]
fn when_a_backend_is_killed_the_next_request_is_answered_by_the_other() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let balancer = Balancer::before(&[first.address(), second.address()]).start();
    assert_eq!(get(balancer.address, "/").text(), "hello from first\n");
    first.kill();
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from second\n");
}
