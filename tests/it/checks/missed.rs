//! A backend that requests wait for is checked soon, however long it has been down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Backend, Balancer, get, until};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A backend that is well from its seventh check on, and how often it was checked.
fn late() -> (Backend, Arc<AtomicUsize>) {
    let checks = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&checks);
    let backend = Backend::that(move |mut transport| {
        if seen.fetch_add(1, Ordering::SeqCst) >= 6 {
            transport.send(OK);
        }
    });
    (backend, checks)
}

#[test]
fn while_requests_find_no_backend_those_that_are_down_are_checked_each_second() {
    // By themselves checks would come after 1, 2, 4, 8 and 16 s, the last one beyond anybody's patience.
    let (backend, checks) = late();
    let balancer = Balancer::before(&[backend.address])
        .flag("--health-path", "/well")
        .flag("--health-interval", "1h")
        .start();
    balancer.said("is down");
    until("it is well again", || get(balancer.address, "/").status == 200);
    assert!(checks.load(Ordering::SeqCst) > 6);
}

#[test]
fn so_is_the_last_of_many_however_many_before_it_never_come_back() {
    let (backend, _) = late();
    let mut all: Vec<_> = (0..24).map(|_| Backend::refuses()).collect();
    all.push(backend.address);
    let balancer =
        Balancer::before(&all).flag("--health-path", "/well").flag("--health-interval", "1h").start();
    balancer.said_times("is down", all.len());
    until("it is well again", || get(balancer.address, "/").status == 200);
}
