//! `peak_ewma`: who is slow, fails or asks to be spared gets less, and is found out when that is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::*;

fn status(client: &mut Client) -> u16 {
    client.send(GET);
    client.answer().status
}

/// A balancer with this policy, which forgets soon.
fn quick_to_forget(name: &str, backends: [SocketAddr; 2]) -> Running {
    with_pool(name, "policy = \"peak_ewma\"\ndecay = \"1s\"\nbackends = [\"{0}\", \"{1}\"]", &backends)
}

/// A backend that answers with these bytes until it is mended, and then as others do.
fn troubled(bytes: &'static str) -> (Backend, Arc<AtomicBool>) {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let backend = Backend::that(move |mut transport| {
        loop {
            transport.send(if is_mended.load(Ordering::SeqCst) { MENDED } else { bytes });
            if !transport.read_head() {
                return;
            }
        }
    });
    (backend, mended)
}

/// A backend that takes its time for each answer.
fn slow() -> Backend {
    Backend::that(|mut transport| {
        loop {
            thread::sleep(Duration::from_millis(20));
            transport.send(MENDED);
            if !transport.read_head() {
                return;
            }
        }
    })
}

const ENOUGH: &str = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n";
const MENDED: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

#[test]
fn peak_ewma_spares_a_backend_that_asks_for_it() {
    let tired =
        Backend::answers("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n");
    let fresh = Backend::answers(OK);
    let balancer = Balancer::before(&[tired.address, fresh.address]).flag("--policy", "peak_ewma");
    let balancer = balancer.flag("--admin", "127.0.0.1:0").start();
    let mut client = Client::to(balancer.address);
    let mut ask = || status(&mut client);
    until("the tired backend was asked", || ask() == 503);
    assert!((0..50).all(|_| ask() == 200));
    let admin = balancer.admin();
    let until = |of: &Backend| {
        admin.get(&format!("/api/v1/pools/default/backends/{}", of.address))["rests_until"].clone()
    };
    assert!(until(&tired).is_string() && until(&fresh).is_null(), "{} {}", until(&tired), until(&fresh));
    let (_, said) = Balancer::bare().flag("--admin", &admin.address.to_string()).word("status").fail();
    let of =
        |backend: &Backend| said.lines().find(|line| line.contains(&backend.address.to_string())).unwrap();
    assert!(of(&tired).contains("; it asked to be spared for ") && !of(&fresh).contains("spared"), "{said}");
}

#[test]
fn peak_ewma_takes_a_backend_that_has_had_enough_of_one_client_from_nobody() {
    let backends = [(); 2].map(|()| {
        Backend::that(|mut transport| {
            loop {
                let greedy = transport.head.starts_with("GET /greedy ");
                transport.send(if greedy { ENOUGH } else { OK });
                if !transport.read_head() {
                    return;
                }
            }
        })
    });
    let balancer = Balancer::before(&backends.each_ref().map(|backend| backend.address));
    let balancer = balancer.flag("--policy", "peak_ewma").flag("--admin", "127.0.0.1:0").start();
    for _ in 0..20 {
        get(balancer.address, "/greedy").expect_status(429);
    }
    get(balancer.address, "/").expect_status(200);
    for backend in &backends {
        let told = balancer.admin().get(&format!("/api/v1/pools/default/backends/{}", backend.address));
        assert!(told["rests_until"].is_null(), "{told}");
    }
}

#[test]
fn peak_ewma_leaves_a_backend_that_fails_fast() {
    let broken = Backend::answers("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
    let well = Backend::answers(OK);
    let balancer = Balancer::before(&[broken.address, well.address]).flag("--policy", "peak_ewma").start();
    let mut client = Client::to(balancer.address);
    let mut ask = || status(&mut client);
    let mut failed = 0;
    // Both are about as fast, so some tens tell; from then on it is asked about once a second.
    until("most requests succeed", || {
        failed = (0..50).filter(|_| ask() == 500).count();
        failed <= 5
    });
}

#[test]
fn peak_ewma_leaves_a_backend_whose_answers_break_off_or_cannot_be_passed_on() {
    let two_framings = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    for useless in [Backend::closes_mid_body(), Backend::answers(two_framings)] {
        let slow = slow();
        let balancer = Balancer::before(&[useless.address, slow.address]);
        let balancer = balancer.flag("--policy", "peak_ewma").start();
        // It is much faster, but some tens tell.
        until("most requests go to the other one", || {
            let before = useless.requests();
            for _ in 0..50 {
                let mut client = Client::to(balancer.address);
                client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
                client.remains();
            }
            useless.requests() - before <= 5
        });
    }
}

#[test]
fn peak_ewma_comes_back_to_a_backend_that_got_well_or_whose_pause_is_over() {
    for (name, bytes) in [
        ("ewma-broken", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
        ("ewma-tired", "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let ((troubled, mended), well) = (troubled(bytes), Backend::answers(OK));
        let balancer = quick_to_forget(name, [troubled.address, well.address]);
        let mut client = Client::to(balancer.address);
        until("it is hardly asked any more", || (0..50).filter(|_| status(&mut client) >= 500).count() <= 5);
        mended.store(true, Ordering::SeqCst);
        until("it has its share again", || (0..50).filter(|_| status(&mut client) == 202).count() >= 15);
    }
}

#[test]
fn peak_ewma_leaves_most_requests_to_the_faster_one() {
    let (slow, fast) = (slow(), Backend::answers(OK));
    let balancer = quick_to_forget("ewma-slow", [slow.address, fast.address]);
    let mut client = Client::to(balancer.address);
    let mut asked = 0;
    until("most go to the faster one", || {
        asked = (0..100).filter(|_| status(&mut client) == 202).count();
        asked <= 20
    });
}
