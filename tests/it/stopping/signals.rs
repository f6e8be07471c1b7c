//! A signal that other servers act upon.

use crate::support::{Balancer, Sample, get};

#[test]
fn a_signal_that_means_something_to_other_servers_is_ignored_and_told_of_once() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).start();
    for _ in 0..3 {
        balancer.signal("USR1");
        let line = balancer.said("SIGUSR1 does nothing here: ");
        assert!(line.contains(" WARN "), "{line}");
    }
    get(balancer.address, "/").expect_status(200);
    balancer.signal("TERM");
    assert_eq!(balancer.ended().code(), Some(0));
    balancer.all_said();
    assert_eq!(balancer.times_said(" does nothing here: "), 1);
}
