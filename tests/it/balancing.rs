//! Which backend gets a request, policy by policy.

use std::collections::BTreeSet;

use crate::support::{Backend, Balancer, Client, Running, Sample, gate, get, request, until};

/// Every policy, and other names that are taken.
const POLICIES: [&str; 9] = [
    "first",
    "round_robin",
    "random",
    "least_requests",
    "p2c",
    "peak_ewma",
    "peak-ewma",
    "maglev",
    "ring",
];

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

fn before(backends: &[&Sample], policy: &str) -> Balancer {
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address()).collect();
    Balancer::before(&addresses).flag("--policy", policy)
}

/// Who answers a client at this address, which a proxy speaks for.
fn who_answers(balancer: &Running, client: &str) -> String {
    let head = format!("GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {client}\r\nConnection: close\r\n\r\n");
    request(balancer.address, &head).expect_status(200).text().to_owned()
}

#[test]
fn each_policy_goes_by_its_name_and_answers_every_request_while_a_backend_dies() {
    for policy in POLICIES {
        let (first, second) = (Sample::start("first"), Sample::start("second"));
        let balancer = before(&[&first, &second], policy).start();
        let full = match policy {
            "p2c" => "least_requests",
            "peak-ewma" => "peak_ewma",
            policy => policy,
        };
        balancer.said(&format!("({full})"));
        (0..10).for_each(|_| drop(get(balancer.address, "/").expect_status(200)));
        first.kill();
        (0..10).for_each(|_| {
            assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from second\n", "{policy}");
        });
    }
}

#[test]
fn policies_that_spread_requests_use_every_backend() {
    for policy in ["round_robin", "random", "least_requests", "peak_ewma"] {
        let (first, second) = (Sample::start("first"), Sample::start("second"));
        let balancer = before(&[&first, &second], policy).start();
        let mut seen = BTreeSet::new();
        until(&format!("{policy} uses both"), || {
            seen.insert(get(balancer.address, "/").expect_status(200).text().to_owned());
            seen.len() == 2
        });
    }
}

#[test]
fn a_client_stays_at_its_backend_through_a_restart_of_the_balancer_and_others_are_elsewhere() {
    for policy in ["maglev", "ring"] {
        let (first, second) = (Sample::start("first"), Sample::start("second"));
        let [one, other] = [[&first, &second], [&second, &first]]
            .map(|backends| before(&backends, policy).flag("--trusted-proxy", "127.0.0.1").start());
        let answers: Vec<_> = (1..=30).map(|n| who_answers(&one, &format!("192.0.2.{n}"))).collect();
        assert_eq!(answers.iter().collect::<BTreeSet<_>>().len(), 2, "{policy}: all are at {}", answers[0]);
        // The other balancer has them in another order.
        for balancer in [&one, &other] {
            for (answer, n) in answers.iter().zip(1..) {
                assert_eq!(who_answers(balancer, &format!("192.0.2.{n}")), *answer, "{policy}");
            }
        }
    }
}

#[test]
fn a_client_whose_backend_died_goes_to_another_and_the_rest_stay() {
    for policy in ["maglev", "ring"] {
        let samples = ["a", "b", "c"].map(Sample::start);
        let all: Vec<_> = samples.iter().collect();
        let balancer = before(&all, policy).flag("--trusted-proxy", "127.0.0.1").start();
        let client = |n: u8| format!("192.0.2.{n}");
        let before: Vec<_> = (1..=30).map(|n| who_answers(&balancer, &client(n))).collect();
        samples[0].kill();
        for (was, n) in before.iter().zip(1..) {
            let is = who_answers(&balancer, &client(n));
            assert_ne!(is, "hello from a\n");
            assert!(is == *was || was == "hello from a\n", "{policy}: {was} became {is}");
        }
    }
}

#[test]
fn least_requests_passes_over_a_backend_that_is_busy() {
    let (opener, opened) = gate();
    let busy = Backend::that(move |mut transport| {
        opened.wait();
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate");
    });
    let free = Backend::answers(OK);
    let balancer = Balancer::before(&[busy.address, free.address]).flag("--policy", "least_requests").start();
    // Until one of them is with the busy backend; the others are answered.
    let mut clients = Vec::new();
    until("the busy backend has a request", || {
        let mut client = Client::to(balancer.address);
        client.send(GET);
        clients.push(client);
        busy.requests() == 1
    });
    for _ in 0..30 {
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), "ok");
    }
    assert_eq!(busy.requests(), 1);
    opener.open();
    clients.iter_mut().for_each(|client| drop(client.answer().expect_status(200)));
}

#[test]
fn peak_ewma_spares_a_backend_that_asks_for_it() {
    let tired = Backend::answers("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n");
    let fresh = Backend::answers(OK);
    let balancer = Balancer::before(&[tired.address, fresh.address]).flag("--policy", "peak_ewma").start();
    let mut client = Client::to(balancer.address);
    let mut ask = || {
        client.send(GET);
        client.answer().status
    };
    until("the tired backend was asked", || ask() == 429);
    assert!((0..50).all(|_| ask() == 200));
}

#[test]
fn peak_ewma_leaves_a_backend_that_fails_fast() {
    let broken = Backend::answers("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
    let well = Backend::answers(OK);
    let balancer = Balancer::before(&[broken.address, well.address]).flag("--policy", "peak_ewma").start();
    let mut client = Client::to(balancer.address);
    let mut ask = || {
        client.send(GET);
        client.answer().status
    };
    let mut failed = 0;
    // Both are about as fast, so some tens tell; from then on it is asked about once a second.
    until("most requests succeed", || {
        failed = (0..50).filter(|_| ask() == 500).count();
        failed <= 5
    });
}
