//! A process that took over and dies while the one before it still ends what it has begun.

use super::*;

#[test]
fn a_process_whose_successor_dies_says_so_and_ends_as_at_a_stop() {
    ends_when_its_successor_dies(|balancer| balancer);
}

#[test]
fn the_death_of_a_successor_is_noticed_though_who_started_us_ignores_the_ends_of_children() {
    ends_when_its_successor_dies(|balancer| balancer.ignoring("CHLD"));
}

fn ends_when_its_successor_dies(begun: impl Fn(Balancer) -> Balancer) {
    let (backend, came, _let_go) = Backend::held_up();
    let balancer = Balancer::before(&[backend.address]).flag("--drain-timeout", "200ms");
    let balancer = begun(balancer).start();
    let mut slow = Client::to(balancer.address);
    slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    came.wait();
    let successor = Successor::of(balancer.id(), &balancer, 0);
    signal("KILL", successor.0);
    let line = balancer.said(&format!("process {}, which took over, has ended", successor.0));
    assert!(line.contains("ERROR"), "{line}");
    // Whoever started it is told of its end, and may start the next one.
    assert!(balancer.ended().success());
    balancer.said("cut at the end of the drain time: 1 connection");
    slow.expect_end();
}
