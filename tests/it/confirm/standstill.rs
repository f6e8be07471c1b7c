//! A change is watched while the machine stands still now and then: only what was timed just then says nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{admin, confirmation, post, settings};
use crate::support::{Backend, Client, End, Running, Sample, Settings, gate, get, until};

/// More than are needed to tell how long answers take.
const ENOUGH: f64 = 600.0;
/// So slow that no machine is as slow as that by itself.
const SLOW: Duration = Duration::from_millis(500);
/// Clients that ask at the same time, a fast backend and a slow one.
const FEW: usize = 8;
const MANY: usize = 128;
/// Fine enough for many requests to be timed: the clock's tick is a part of the shortest deadline.
const FINE: &str = "[timeouts]\nbackend_idle = \"20ms\"\n";

fn stand_still(balancer: &Running, time: Duration) {
    balancer.signal("STOP");
    thread::sleep(time);
    balancer.signal("CONT");
    get(balancer.address, "/").expect_status(200);
}

/// How many answers were timed.
fn timed(balancer: &Running) -> f64 {
    let page = balancer.admin().ask("GET", "/metrics", "", "").expect_status(200);
    let line =
        page.text().lines().find_map(|line| line.strip_prefix("loadbalancer_answer_time_seconds_count "));
    line.and_then(|count| count.parse().ok()).expect("a count")
}

/// So many clients ask again and again until this holds.
fn ask_until(balancer: &Running, clients: usize, what: &str, holds: impl FnMut() -> bool) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = Client::to(balancer.address);
                while !over.load(Ordering::SeqCst) {
                    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
                    client.answer().expect_status(200);
                }
            });
        }
        let _end = End(&over);
        until(what, holds);
    });
}

/// What makes answers slower is taken back, whatever happens before it is seen.
fn is_taken_back_after(happens: impl FnOnce(&Running)) {
    let fast = Sample::start("fast");
    let slow = Backend::that(|mut transport| {
        loop {
            thread::sleep(SLOW);
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            if !transport.read_head() {
                return;
            }
        }
    });
    let settings_now = Settings::that_say(&settings(&[fast.address().to_string()], FINE));
    let balancer = settings_now.balancer().start();
    let admin = admin(&balancer);
    ask_until(&balancer, FEW, "it is known what answers take", || timed(&balancer) > ENOUGH);
    post(admin, "config?confirm=60s", &settings(&[slow.address.to_string()], FINE)).expect_status(200);
    happens(&balancer);
    ask_until(&balancer, MANY, "the change is taken back", || {
        confirmation(admin)["verdict"] == "rolled_back"
    });
    balancer.said("the change was taken back: 99 of 100 answers took up to ");
}

#[test]
fn a_change_that_makes_answers_slower_is_taken_back_after_many_short_ones() {
    is_taken_back_after(|balancer| {
        for _ in 0..6 {
            stand_still(balancer, Duration::from_millis(400));
        }
    });
}

#[test]
fn a_change_that_makes_answers_slower_is_taken_back_after_a_long_one() {
    is_taken_back_after(|balancer| {
        stand_still(balancer, Duration::from_millis(1500));
        balancer.said("did not run for ");
    });
}

#[test]
fn answers_that_a_standstill_has_cost_are_no_reason_to_take_a_change_back() {
    let ((came, coming), (let_go, go)) = (gate(), gate());
    let first = Sample::start("first");
    let gives_up = Backend::that(move |mut transport| {
        if transport.head.starts_with("GET /slow ") {
            came.open();
            return go.wait();
        }
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let settings_now = Settings::that_say(&settings(&[first.address().to_string()], ""));
    let balancer = settings_now.balancer().start();
    post(admin(&balancer), "config?confirm=4s", &settings(&[gives_up.address.to_string()], ""))
        .expect_status(200);
    let mut clients = [(); 25].map(|()| Client::to(balancer.address));
    for client in &mut clients {
        client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
        coming.wait();
    }
    balancer.signal("STOP");
    clients.iter().for_each(|_| let_go.open());
    thread::sleep(Duration::from_millis(1500));
    balancer.signal("CONT");
    for client in &mut clients {
        client.answer().expect_status(502);
    }
    balancer.said("the change stays: nothing got worse in 4s");
}

#[test]
fn of_a_change_that_stays_it_is_told_for_how_long_times_said_nothing() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let settings_now = Settings::that_say(&settings(&[first.address().to_string()], ""));
    let balancer = settings_now.balancer().start();
    post(admin(&balancer), "config?confirm=3s", &settings(&[second.address().to_string()], ""))
        .expect_status(200);
    stand_still(&balancer, Duration::from_millis(1500));
    let said = balancer.said("the change stays: nothing got worse in 3s");
    assert!(said.contains("nothing was compared"), "{said}");
}
