//! When a route sends a request to another backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::StatusCode;

use super::text;
use crate::support::h2_backend::H2Backend;
use crate::support::{Backend, Client, Sample, Settings, get, request, until};

const FAILS: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nbusy\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn with_pool(route: &str, backends: &[std::net::SocketAddr]) -> Settings {
    let backends: Vec<_> = backends.iter().map(|address| format!("\"{address}\"")).collect();
    let pool = format!(
        "[pools.all]\nbackends = [{}]\nhealth = {{ path = \"/health\" }}\n[routes.all]\npool = \"all\"\n",
        backends.join(", ")
    );
    Settings::that_say(&text(&format!("{pool}{route}\n"), &[]))
}

#[test]
fn an_answer_with_a_status_that_counts_as_a_failure_is_dropped_for_a_better_one() {
    let (busy, sample) = (Backend::answers(FAILS), Sample::start("well"));
    let settings = with_pool("retry = { statuses = [502, 503] }", &[busy.address, sample.address()]);
    let balancer = settings.balancer().start();
    let mut client = Client::to(balancer.address);
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.answer().expect_status(200).text(), "hello from well\n");
    }
    assert_eq!(busy.requests(), 1, "its connection is used again");
    assert_eq!(request(balancer.address, POST).expect_status(503).text(), "busy\n", "it may not be repeated");
}

#[test]
fn the_last_answer_is_better_than_none() {
    let all = [Backend::answers(FAILS), Backend::answers(FAILS), Backend::answers(FAILS)];
    let addresses = all.each_ref().map(|backend| backend.address);
    let settings = with_pool("retry = { attempts = 2, statuses = [503] }", &addresses);
    let balancer = settings.balancer().start();
    assert_eq!(get(balancer.address, "/").expect_status(503).text(), "busy\n");
    assert_eq!(all.each_ref().map(Backend::requests), [1, 1, 0]);
    let settings = with_pool("retry = { attempts = 5, statuses = [503] }", &addresses);
    let balancer = settings.balancer().start();
    assert_eq!(get(balancer.address, "/").expect_status(503).text(), "busy\n");
    assert_eq!(all.each_ref().map(Backend::requests), [2, 2, 1]);
}

#[test]
fn a_route_says_how_many_backends_may_see_a_request() {
    let all = [Backend::closes_before_the_head(), Backend::closes_before_the_head()];
    let sample = Sample::start("well");
    let addresses = [all[0].address, all[1].address, sample.address()];
    let settings = with_pool("retry = { attempts = 1 }", &addresses);
    get(settings.balancer().start().address, "/").expect_status(502);
    let settings = with_pool("retry = { attempts = 3 }", &addresses);
    get(settings.balancer().start().address, "/").expect_status(200);
}

#[test]
fn backends_that_died_of_a_request_on_kept_connections_have_seen_it() {
    for (retry, most) in [("", 3), ("retry = { attempts = 1 }", 1)] {
        let seen = Arc::new(AtomicUsize::new(0));
        let all: Vec<_> = (0..5).map(|_| dies_of_poison(&seen)).collect();
        let addresses: Vec<_> = all.iter().map(|backend| backend.address).collect();
        let balancer = in_turns(&with_pool(retry, &addresses)).balancer().start();
        balancer.said_times("is healthy", 5);
        let mut client = Client::to(balancer.address);
        for _ in &all {
            client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
            client.answer().expect_status(200);
        }
        let answer = get(balancer.address, "/poison").expect_status(503);
        assert!(answer.header("proxy-status").unwrap().contains("connection_refused"), "{answer:?}");
        assert_eq!(seen.load(Ordering::SeqCst), most, "{retry}");
        assert!(all.iter().all(|backend| backend.requests() == 1), "it came on the kept connections");
        // The others go on.
        get(balancer.address, "/").expect_status(200);
    }
}

/// A backend that keeps its connections, and dies of what is asked for by one path.
fn dies_of_poison(seen: &Arc<AtomicUsize>) -> Backend {
    let seen = Arc::clone(seen);
    Backend::that(move |mut transport| {
        while !transport.head.starts_with("GET /poison ") {
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            if !transport.read_head() {
                return;
            }
        }
        seen.fetch_add(1, Ordering::SeqCst);
        transport.die();
    })
}

/// The same settings, by which backends take turns.
fn in_turns(settings: &Settings) -> &Settings {
    let said = std::fs::read_to_string(settings.path()).expect("a file of ours");
    settings.write(&said.replace("[pools.all]\n", "[pools.all]\npolicy = \"round_robin\"\n"));
    settings
}

#[test]
fn answers_that_nobody_wants_hold_few_connections_and_not_for_long() {
    let open = Arc::new(AtomicUsize::new(0));
    let stalls = {
        let open = Arc::clone(&open);
        Backend::that(move |mut transport| {
            open.fetch_add(1, Ordering::SeqCst);
            transport.stream().set_read_timeout(None).unwrap();
            transport.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\n");
            transport.wait_for_end();
            open.fetch_sub(1, Ordering::SeqCst);
        })
    };
    let sample = Sample::start("well");
    let settings = with_pool("retry = { statuses = [503] }", &[stalls.address, sample.address()]);
    let balancer = settings.balancer().start();
    let mut client = Client::to(balancer.address);
    for number in 1..=120 {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.answer().expect_status(200).text(), "hello from well\n");
        assert_eq!(stalls.requests(), number);
        until("the last one is closed if it is one too many", || open.load(Ordering::SeqCst) <= 100);
    }
    until("all are closed, long before a minute has gone by", || open.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_backend_that_fails_is_asked_first_no_more_often_than_its_turn_comes() {
    let ((busy, told), sample) = (Backend::tells(FAILS), Sample::start("well"));
    let settings = with_pool("retry = { statuses = [503] }", &[busy.address, sample.address()]);
    let balancer = in_turns(&settings).balancer().start();
    let mut client = Client::to(balancer.address);
    for _ in 0..10 {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.answer().expect_status(200).text(), "hello from well\n");
    }
    assert_eq!(told.try_iter().count(), 5);
}

#[test]
fn a_request_that_may_not_be_repeated_is_not_over_http_2_either() {
    let busy =
        H2Backend::that(|exchange| async { exchange.answer(StatusCode::SERVICE_UNAVAILABLE, "busy\n") });
    let sample = Sample::start("well");
    let routes = "[routes.all]\npool = \"all\"\nretry = { statuses = [503] }\n";
    let pool = format!(
        "[pools.all]\nbackends = [\"{}\", \"{}\"]\nhealth = {{ path = \"/health\" }}\n",
        busy.url(),
        sample.address()
    );
    let settings = Settings::that_say(&text(&format!("{pool}{routes}"), &[]));
    let balancer = settings.balancer().start();
    for post in
        [POST, "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"]
    {
        assert_eq!(request(balancer.address, post).expect_status(503).text(), "busy\n");
    }
    for _ in 0..3 {
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from well\n");
    }
    assert_eq!(busy.connections(), 1);
}
