//! Signals that come again, and one that other servers act upon.

use crate::support::{Balancer, Client, PATIENCE, Sample, get, limit_files};

use super::{GET, scripted, stop};

#[test]
fn a_second_signal_ends_it_though_there_are_no_files_left() {
    let (backend, reached, _sends) = scripted();
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(GET);
    reached.recv_timeout(PATIENCE).unwrap();
    // What it gives back at a stop has higher numbers.
    limit_files(&balancer, 3);
    stop(&balancer, "TERM");
    balancer.signal("TERM");
    assert_eq!(balancer.ended().code(), Some(130));
    client.expect_end();
}

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
