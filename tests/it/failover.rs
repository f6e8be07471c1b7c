//! A backend dies, and no client notices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Backend, Balancer, Client, End, PATIENCE, Running, Sample, expect_reason, gate, get, request, until,
};

const POST: &str = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello";

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

#[test]
fn an_idempotent_request_without_a_body_is_tried_on_the_next_backend_when_one_closes() {
    let second = Sample::start("second");
    for method in ["GET", "OPTIONS", "DELETE", "PUT", "TRACE"] {
        let first = Backend::closes_before_the_head();
        let balancer = Balancer::before(&[first.address, second.address()]).start();
        let answer = request(balancer.address, &format!("{method} / HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!(answer.expect_status(200).text(), "hello from second\n", "{method}");
        assert_eq!(first.requests(), 1, "{method}");
    }
}

#[test]
fn a_request_that_is_tried_again_is_told_of_once() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (first, (second, heads)) = (Backend::closes_before_the_head(), Backend::tells(ok));
    let balancer = Balancer::before(&[first.address, second.address]).start();
    request(balancer.address, "GET / HTTP/1.1\r\nHost: test\r\nX-Own: 1\r\n\r\n").expect_status(200);
    let head = heads.recv_timeout(PATIENCE).expect("a head").to_lowercase();
    let lines: Vec<_> = head.trim_end().lines().skip(1).collect();
    let told = [
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: test",
        "via: 1.1 loadbalancer",
    ];
    assert_eq!(lines, [&["host: test", "x-own: 1"][..], &told].concat());
}

#[test]
fn a_get_is_tried_on_the_next_backend_when_one_resets_amid_the_head_of_its_answer() {
    let (first, second) = (Backend::resets_mid_head(), Sample::start("second"));
    let balancer = Balancer::before(&[first.address, second.address()]).start();
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from second\n");
    assert_eq!(first.requests(), 1);
}

#[test]
fn a_request_that_a_backend_may_have_acted_upon_is_not_sent_again() {
    let patch = "PATCH / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n";
    let put = "PUT /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello";
    for text in [POST, patch, put] {
        let (first, second) = (Backend::closes_before_the_head(), Backend::closes_before_the_head());
        let balancer = Balancer::before(&[first.address, second.address]).start();
        let answer = request(balancer.address, text).expect_status(502);
        assert_eq!(answer.text(), "the backend closed the connection before it answered\n");
        assert_eq!((first.requests(), second.requests()), (1, 0), "{text}");
    }
}

#[test]
fn a_post_goes_to_the_next_backend_with_its_body_when_the_first_cannot_be_reached() {
    let second = Sample::start("second");
    let chunked =
        "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for text in [POST, chunked] {
        let balancer = Balancer::before(&[Backend::refuses(), second.address()]).start();
        let answer = request(balancer.address, text).expect_status(200);
        assert!(answer.text().ends_with("\n\nhello"), "{answer:?}");
    }
}

#[test]
fn a_connection_that_the_backend_closed_while_idle_is_never_the_clients_problem() {
    let (backend, closed) = closes_behind_each_answer();
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    let get = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    for text in [get, POST, get, get, POST, POST] {
        client.send(text);
        assert_eq!(client.answer().expect_status(200).text(), "ok\n");
        closed.recv_timeout(PATIENCE).expect("the connection was closed");
    }
    assert_eq!(backend.requests(), 6);
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn a_backend_that_gave_up_waiting_for_a_request_just_when_it_came_is_asked_anew() {
    let backend = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
        if transport.read_head() {
            transport.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    for (text, status) in [("GET", 200), ("GET", 200), ("GET", 200), ("POST", 408)] {
        client.send(format!("{text} / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"));
        client.answer().expect_status(status);
    }
    assert_eq!(backend.requests(), 3);
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn a_backend_that_was_restarted_between_two_requests_answers_the_second() {
    let mut backend = Sample::start("only");
    let balancer = Balancer::before(&[backend.address()]).start();
    // Else a check may be what is cut.
    balancer.said("is healthy");
    let mut client = Client::to(balancer.address);
    for text in [POST, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"] {
        for end in [Sample::kill, Sample::interrupt] {
            client.send(POST);
            client.answer().expect_status(200);
            end(&backend);
            backend.restart();
            client.send(text);
            client.answer().expect_status(200);
        }
    }
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn a_backend_that_got_well_while_a_request_ran_is_tried_when_its_own_dies() {
    let first = Sample::start("first");
    let (opener, opened) = gate();
    let second = Backend::that(move |mut transport| match transport.head.starts_with("GET /slow ") {
        true => opened.wait(),
        false => transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"),
    });
    let told = |path: &str| {
        let text = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
        request(first.address(), &text).expect_status(200);
    };
    told("/health/fail");
    let balancer = Balancer::before(&[first.address(), second.address]);
    let balancer = balancer.flag("--health-interval", "100ms").start();
    until("requests know of it", || get(balancer.address, "/").text() == "ok");
    let before = second.requests();
    let mut client = Client::to(balancer.address);
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    until("the second has it", || second.requests() > before);
    told("/health/ok");
    until("requests know of it", || get(balancer.address, "/").text() == "hello from first\n");
    opener.open();
    assert!(client.answer().expect_status(404).text().starts_with("no such path"));
}

#[test]
fn a_request_that_kills_its_backends_is_given_up_before_it_has_killed_all() {
    let backends: Vec<_> = (0..5).map(|_| Backend::closes_before_the_head()).collect();
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let balancer = Balancer::before(&addresses).start();
    let answer = get(balancer.address, "/").expect_status(502);
    assert!(answer.header("proxy-status").unwrap().contains("backend_closed"), "{answer:?}");
    assert_eq!(backends.iter().map(Backend::requests).collect::<Vec<_>>(), [1, 1, 1, 0, 0]);
}

#[test]
fn a_request_that_kills_whoever_gets_it_takes_no_backend_from_everybody() {
    let backends: Vec<_> = (0..3).map(|_| dies_of_poison()).collect();
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let balancer = Balancer::before(&addresses).flag("--policy", "round_robin").start();
    balancer.said_times("is healthy", 3);
    for _ in 0..4 {
        get(balancer.address, "/poison").expect_status(502);
        let before: Vec<_> = backends.iter().map(Backend::requests).collect();
        until("each has answered", || {
            assert_eq!(get(balancer.address, "/").expect_status(200).text(), "well");
            backends.iter().zip(&before).all(|(backend, before)| backend.requests() > *before)
        });
    }
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn a_backend_that_closes_on_every_request_is_passed_over_though_its_checks_are_good() {
    let (closes, well) = (Backend::closes_before_the_head(), Sample::start("well"));
    let balancer = Balancer::before(&[closes.address, well.address()]).start();
    balancer.said_times("is healthy", 2);
    for _ in 0..3 {
        request(balancer.address, POST).expect_status(502);
    }
    let why = "closed its connection on 3 requests in succession, though its checks are well";
    balancer.said(&format!("{} is down: {why}", closes.address));
    until("requests know of it", || request(balancer.address, POST).status == 200);
}

#[test]
fn a_backend_that_closes_on_uploads_whose_clients_send_nothing_more_is_not_to_blame() {
    const MANY: usize = 10;
    let impatient = Backend::that(|mut transport| assert_eq!(transport.bytes(5), b"first"));
    let second = Sample::start("second");
    let balancer = Balancer::before(&[impatient.address, second.address()]).start();
    balancer.said_times("is healthy", 2);
    for count in 1..=MANY {
        let mut client = Client::to(balancer.address);
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nfirst");
        expect_reason(client.answer(), 502, "backend_closed");
        assert_eq!(impatient.requests(), count);
    }
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn a_backend_is_checked_at_once_when_a_request_finds_that_it_closes() {
    let is_well = Arc::new(AtomicBool::new(true));
    let backend = {
        let is_well = Arc::clone(&is_well);
        Backend::that(move |mut transport| {
            if is_well.load(Ordering::SeqCst) {
                transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        })
    };
    let balancer = Balancer::before(&[backend.address]).flag("--health-path", "/well").start();
    balancer.said("is healthy");
    is_well.store(false, Ordering::SeqCst);
    get(balancer.address, "/").expect_status(502);
    // The next check but for this would be in half a minute.
    balancer.said("is down: connection closed without an answer");
}

#[test]
fn a_backend_that_keeps_a_request_waiting_is_checked_at_once() {
    let is_well = Arc::new(AtomicBool::new(true));
    let hangs = {
        let is_well = Arc::clone(&is_well);
        Backend::that(move |mut transport| match is_well.load(Ordering::SeqCst) {
            true => transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
            false => transport.wait_for_end(),
        })
    };
    let second = Sample::start("second");
    let balancer = Balancer::before(&[hangs.address, second.address()]).flag("--health-path", "/status/200");
    let balancer = balancer.flag("--health-interval", "1h").flag("--health-timeout", "1s");
    let balancer = balancer.flag("--response-timeout", "200ms").start();
    balancer.said_times("is healthy", 2);
    is_well.store(false, Ordering::SeqCst);
    get(balancer.address, "/").expect_status(504);
    balancer.said(&format!("{} is down: no answer in time", hangs.address));
    until("the other one answers", || get(balancer.address, "/").status == 200);
}

#[test]
fn a_backend_that_takes_long_for_a_request_and_not_for_a_check_stays_in_use() {
    let checked = Arc::new(AtomicUsize::new(0));
    let slow = {
        let checked = Arc::clone(&checked);
        Backend::that(move |mut transport| {
            if transport.head.starts_with("GET /long ") {
                return transport.wait_for_end();
            }
            if transport.head.starts_with("GET /check ") {
                checked.fetch_add(1, Ordering::SeqCst);
            }
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        })
    };
    let balancer = Balancer::before(&[slow.address]).flag("--health-path", "/check");
    let balancer = balancer.flag("--health-interval", "1h").flag("--response-timeout", "2s").start();
    balancer.said("is healthy");
    get(balancer.address, "/long").expect_status(504);
    until("it is checked again", || checked.load(Ordering::SeqCst) == 2);
    get(balancer.address, "/").expect_status(200);
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn backends_that_refuse_do_not_count_as_having_seen_the_request() {
    let last = Sample::start("last");
    let mut addresses: Vec<_> = (0..5).map(|_| Backend::refuses()).collect();
    addresses.push(last.address());
    let balancer = Balancer::before(&addresses).start();
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from last\n");
}

#[test]
fn when_all_backends_have_died_the_answer_says_what_was_found_at_each() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let addresses = [first.address(), second.address()];
    let balancer = Balancer::before(&addresses).start();
    for address in addresses {
        balancer.said(&format!("{address} is healthy"));
    }
    first.kill();
    second.kill();
    let answer = get(balancer.address, "/").expect_status(503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    for address in addresses {
        assert!(answer.text().contains(&format!("{address}: connection refused ")), "{}", answer.text());
    }
    assert_eq!(get(balancer.address, "/").expect_status(503).header("retry-after"), Some("1"));
}

#[test]
fn under_load_no_request_fails_while_backends_die_and_come_back() {
    survives("first", "2", 8);
}

#[test]
fn under_load_in_turns_no_request_fails_while_backends_die_and_come_back() {
    survives("round_robin", "2", 8);
}

#[test]
fn under_load_of_many_clients_on_one_worker_no_request_fails_while_backends_die_and_come_back() {
    survives("round_robin", "1", 48);
}

#[test]
fn round_robin_spreads_requests_evenly_over_the_backends_that_are_up() {
    let samples = ["a", "b", "c"].map(Sample::start);
    let addresses: Vec<_> = samples.iter().map(Sample::address).collect();
    let balancer = Balancer::before(&addresses).flag("--policy", "round_robin").start();
    assert_eq!(shares(&balancer, 30), [10, 10, 10]);
    samples[1].kill();
    get(balancer.address, "/").expect_status(200);
    // Until the news has spread, the one behind the dead takes its turns as well.
    until("the news has spread", || shares(&balancer, 30) == [15, 0, 15]);
}

/// How many of so many requests each of the samples a, b and c answers.
fn shares(balancer: &Running, requests: usize) -> [usize; 3] {
    let answers: Vec<_> = (0..requests).map(|_| get(balancer.address, "/").expect_status(200)).collect();
    ["a", "b", "c"]
        .map(|name| answers.iter().filter(|answer| answer.text() == format!("hello from {name}\n")).count())
}

/// A backend that is well but for what is asked for by one path.
fn dies_of_poison() -> Backend {
    Backend::that(|mut transport| {
        if !transport.head.starts_with("GET /poison ") {
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwell");
        }
    })
}

/// A backend that answers as if it kept the connection and closes it, and word of each time it did.
fn closes_behind_each_answer() -> (Backend, Receiver<()>) {
    let (tell, closed) = channel();
    let backend = Backend::that(move |mut transport| {
        transport.read_body();
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
        drop(transport);
        tell.send(()).expect("the test goes on");
    });
    (backend, closed)
}

/// Clients ask without a pause while one backend after the other is killed or interrupted and comes back.
fn survives(policy: &str, workers: &str, clients: usize) {
    let mut samples = [Sample::start("first"), Sample::start("second")];
    let addresses = [samples[0].address(), samples[1].address()];
    let balancer = Balancer::before(&addresses).flag("--policy", policy).flag("--workers", workers);
    let balancer = balancer.flag("--health-interval", "50ms").start();
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (began, long) = (Instant::now(), Duration::from_secs(seconds_asked_for()));
    let go_on = || {
        let goal = answered.load(Ordering::SeqCst) + 200;
        until("two hundred more are answered", || answered.load(Ordering::SeqCst) >= goal);
    };
    thread::scope(|scope| {
        let end = End(&over);
        let clients: Vec<_> =
            (0..clients).map(|_| scope.spawn(|| ask(balancer.address, &answered, &over))).collect();
        for round in (1..).take_while(|round| *round <= 3 || began.elapsed() < long) {
            for (index, sample) in samples.iter_mut().enumerate() {
                balancer.said_times(&format!("{} is healthy", addresses[1 - index]), round);
                go_on();
                if (round + index) % 2 == 0 {
                    sample.kill();
                } else {
                    sample.interrupt();
                }
                balancer.said_times(&format!("{} is down", addresses[index]), round);
                go_on();
                sample.restart();
                balancer.said_times(&format!("{} is healthy", addresses[index]), round + 1);
                go_on();
            }
        }
        drop(end);
        clients.into_iter().for_each(|client| client.join().expect("every request is answered"));
    });
    let (requests, seconds) = (answered.into_inner(), began.elapsed().as_secs());
    let ends = balancer.times_said("is down");
    println!("{policy}: {requests} requests in {seconds} s, backends ended {ends} times, 0 requests failed");
}

/// How long the README's command wants it to last.
fn seconds_asked_for() -> u64 {
    std::env::var("LOADBALANCER_TEST_SECONDS")
        .map_or(0, |seconds| seconds.parse().expect("a number of seconds"))
}

fn ask(balancer: SocketAddr, answered: &AtomicUsize, over: &AtomicBool) {
    let mut client = Client::to(balancer);
    while !over.load(Ordering::SeqCst) {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        client.answer().expect_status(200);
        answered.fetch_add(1, Ordering::SeqCst);
    }
}
