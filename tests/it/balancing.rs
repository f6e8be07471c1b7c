//! Which backend gets a request, policy by policy.

mod affinity;
mod peak_ewma;
mod preference;
mod settings;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support::{Backend, Balancer, Client, Gate, Running, Sample, Settings, gate, get, request, until};

/// Every policy, and other names that are taken.
const POLICIES: [&str; 9] =
    ["first", "round_robin", "random", "least_requests", "p2c", "peak_ewma", "peak-ewma", "maglev", "ring"];

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

fn before(backends: &[&Sample], policy: &str) -> Balancer {
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address()).collect();
    Balancer::before(&addresses).flag("--policy", policy)
}

/// A balancer whose file says this of its only pool, in which `{0}` and so on stand for these addresses.
fn with_pool(name: &str, pool: &str, backends: &[SocketAddr]) -> Running {
    let pool = backends.iter().enumerate().fold(pool.to_owned(), |pool, (index, backend)| {
        pool.replace(&format!("{{{index}}}"), &backend.to_string())
    });
    let text = format!(
        "workers = 1\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [pools.app]\nhealth = {{ path = \"/health\" }}\n{pool}\n"
    );
    let file = folder(name).join("balancer.toml");
    fs::write(&file, text).unwrap();
    Balancer::bare().flag("--config", file.to_str().unwrap()).start()
}

/// A folder for the files of one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("balancing-{name}"));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Who answers a client at this address, which a proxy speaks for.
fn who_answers(balancer: &Running, client: &str) -> String {
    let head =
        format!("GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {client}\r\nConnection: close\r\n\r\n");
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
            assert_eq!(
                get(balancer.address, "/").expect_status(200).text(),
                "hello from second\n",
                "{policy}"
            );
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

/// A backend that says its name, but keeps who asks for `/hold` waiting until the gate is opened.
fn holding(name: &'static str, gate: Arc<Gate>) -> Backend {
    Backend::that(move |mut transport| {
        if transport.head.starts_with("GET /hold ") {
            gate.wait();
        }
        transport.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{name}",
            name.len()
        ));
    })
}

#[test]
fn least_requests_passes_over_a_backend_that_is_busy() {
    let (opener, gate) = gate();
    let gate = Arc::new(gate);
    let backends = ["one", "other"].map(|name| holding(name, Arc::clone(&gate)));
    let addresses = backends.each_ref().map(|backend| backend.address);
    let balancer = Balancer::before(&addresses).flag("--policy", "least_requests").start();
    let mut held = Client::to(balancer.address);
    held.send("GET /hold HTTP/1.1\r\nHost: test\r\n\r\n");
    until("one of them is busy", || backends.iter().any(|backend| backend.requests() == 1));
    let free = get(balancer.address, "/").expect_status(200).text().to_owned();
    for _ in 0..30 {
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), free);
    }
    opener.open();
    assert_ne!(held.answer().expect_status(200).text(), free);
}
