//! Signals that other servers act upon.

use crate::support::{Balancer, Sample, get};

#[test]
fn signals_that_mean_something_to_other_servers_are_ignored_and_told_of_once() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).start();
    for signal in ["USR1", "USR2"] {
        let told = format!("SIG{signal} does nothing here: ");
        for _ in 0..3 {
            balancer.signal(signal);
            let line = balancer.said(&told);
            assert!(line.contains(" WARN "), "{line}");
        }
        get(balancer.address, "/").expect_status(200);
    }
    balancer.signal("TERM");
    assert_eq!(balancer.ended().code(), Some(0));
    balancer.all_said();
    assert_eq!(balancer.times_said(" does nothing here: "), 2);
}
