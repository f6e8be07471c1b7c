//! The log has the reason for that a backend is down, also when that changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::{Backend, Balancer, Running, Sample, until};

use super::SCRIPTED;

const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const REDIRECTS: &str = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn before(backend: &Backend) -> Running {
    let balancer = Balancer::before(&[backend.address]).flag("--health-path", SCRIPTED);
    balancer.flag("--health-interval", "20ms").start()
}

#[test]
fn a_backend_that_is_there_at_last_and_fails_its_check_is_said_to_be_down_for_that() {
    let mut backend = Sample::start("late");
    backend.kill();
    let balancer = Balancer::before(&[backend.address()]).flag("--health-path", "/status/302").start();
    balancer.said(&format!("{} is down: connection refused", backend.address()));
    backend.restart();
    let line = balancer.said(&format!("{} is still down: answered 302 in ", backend.address()));
    assert!(line.contains(" WARN ") && line.ends_with(" ms (not 2xx; see --health-statuses)"), "{line}");
}

#[test]
fn another_reason_is_said_once_not_for_each_check() {
    let redirects = Arc::new(AtomicBool::new(false));
    let does = Arc::clone(&redirects);
    let backend = Backend::that(move |mut transport| {
        transport.send(if does.load(Ordering::SeqCst) { REDIRECTS } else { BUSY });
    });
    let balancer = before(&backend);
    balancer.said("is down: answered 503 in ");
    redirects.store(true, Ordering::SeqCst);
    balancer.said("is still down: answered 302 in ");
    let seen = backend.requests();
    until("it was checked often", || backend.requests() >= seen + 10);
    assert_eq!((balancer.times_said("is down"), balancer.times_said("is still down")), (1, 1));
}

#[test]
fn a_reason_that_comes_and_goes_does_not_fill_the_log() {
    let checks = AtomicUsize::new(0);
    let backend = Backend::that(move |mut transport| {
        let is_odd = checks.fetch_add(1, Ordering::SeqCst) % 2 == 1;
        transport.send(if is_odd { REDIRECTS } else { BUSY });
    });
    let balancer = before(&backend);
    until("it was checked often", || backend.requests() >= 20);
    assert_eq!((balancer.times_said("is down"), balancer.times_said("is still down")), (1, 1));
}
