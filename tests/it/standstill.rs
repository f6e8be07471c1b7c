//! The machine stands still for a while, as one does that is moved to another host. Nobody else is to blame for that time.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use hyper::StatusCode;

use crate::support::h2_backend::H2Backend;
use crate::support::{Backend, Balancer, Client, Running, Sample, Settings, gate, get, until};

/// How long others may take, and how long the balancer stands still.
const TIMEOUT: &str = "2s";
const STANDSTILL: Duration = Duration::from_millis(3500);
/// Until what came meanwhile is seen by whoever did not stand still.
const LATER: Duration = Duration::from_millis(300);

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

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
fn a_backend_that_gave_a_check_up_meanwhile_is_asked_again() {
    let ((came, coming), (let_go, go)) = (gate(), gate());
    let checks = AtomicUsize::new(0);
    let backend = Backend::that(move |mut transport| {
        came.open();
        if checks.fetch_add(1, Ordering::SeqCst) == 1 {
            return go.wait();
        }
        transport.send(OK);
    });
    let balancer = Balancer::before(&[backend.address]).flag("--health-path", "/slow");
    let balancer = balancer.flag("--health-interval", "100ms").start();
    coming.wait();
    balancer.said("is healthy");
    coming.wait();
    balancer.signal("STOP");
    let_go.open();
    thread::sleep(STANDSTILL);
    balancer.signal("CONT");
    for _ in 0..2 {
        coming.wait();
    }
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

#[test]
fn a_stop_gives_requests_their_time_to_finish_all_the_same() {
    let (backend, came, answer) = Backend::held_up();
    let balancer = Balancer::before(&[backend.address]).flag("--drain-timeout", TIMEOUT).start();
    let mut client = Client::to(balancer.address);
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    came.wait();
    balancer.signal("TERM");
    balancer.said("stopping");
    stand_still(&balancer);
    answer.open();
    client.answer().expect_status(200);
    assert!(balancer.ended().success());
}

#[test]
fn no_deadline_is_early_after_a_short_one_either() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--workers", "2");
    let balancer = balancer.flag("--response-timeout", "1s").start();
    let mut clients: Vec<_> = (0..8).map(|_| Client::to(balancer.address)).collect();
    let mut ask_all = |millis, pause: &dyn Fn()| {
        for client in &mut clients {
            client.send(format!("GET /delay/{millis} HTTP/1.1\r\nHost: test\r\n\r\n"));
        }
        pause();
        clients.iter_mut().for_each(|client| drop(client.answer().expect_status(200)));
    };
    for _ in 0..3 {
        ask_all(0, &|| {});
        balancer.signal("STOP");
        ask_all(400, &|| {
            thread::sleep(Duration::from_millis(900));
            balancer.signal("CONT");
        });
    }
}

/// With connections to this backend that it keeps for no longer than it will stand still.
fn keeping(backend: &str) -> Running {
    let balancer = Balancer::before(&[]).flag("--backend", backend);
    balancer.flag("--backend-idle-timeout", TIMEOUT).start()
}

#[test]
fn a_connection_to_a_backend_that_was_idle_for_too_long_meanwhile_is_used_no_more() {
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let balancer = keeping(&backend.address.to_string());
    get(balancer.address, "/").expect_status(200);
    stand_still(&balancer);
    balancer.said("did not run for ");
    until("a request comes by a new one", || {
        get(balancer.address, "/").expect_status(200);
        backend.requests() == 2
    });
}

#[test]
fn a_connection_that_requests_share_and_that_none_used_for_too_long_meanwhile_is_used_no_more_either() {
    let backend = H2Backend::that(|exchange| async { exchange.answer(StatusCode::OK, "") });
    let balancer = keeping(&backend.url());
    get(balancer.address, "/").expect_status(200);
    stand_still(&balancer);
    balancer.said("did not run for ");
    until("a request comes by a new one", || {
        get(balancer.address, "/").expect_status(200);
        backend.connections() == 2
    });
}

fn settings(policy: &str, backends: &[SocketAddr]) -> String {
    let backends: Vec<_> = backends.iter().map(SocketAddr::to_string).collect();
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n[pools.all]\n\
         policy = \"{policy}\"\nbackends = {backends:?}\nhealth = {{ path = \"/check\", timeout = \"{TIMEOUT}\" }}\n"
    )
}

#[test]
fn a_change_is_watched_for_as_long_as_was_asked_for() {
    let (good, stalled) = (Backend::answers(OK), Backend::stalls());
    let file = Settings::that_say(&settings("first", &[good.address]));
    let balancer = file.balancer().start();
    let changed = balancer.admin().ask(
        "POST",
        "/api/v1/config?confirm=3s",
        "Content-Type: application/toml\r\n",
        &settings("first", &[stalled.address]),
    );
    changed.expect_status(200);
    until("the new backend is being checked", || stalled.requests() > 0);
    // For longer than the change is watched.
    stand_still(&balancer);
    balancer.said("is down: no answer in time");
    balancer.said("the change was taken back: no backend of pool all could be used");
}
