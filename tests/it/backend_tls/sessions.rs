//! Sessions of TLS with backends: who goes on with one of before, and who looks at the certificate again.

use std::sync::atomic::Ordering;

use rustls::version::{TLS12, TLS13};

use super::before;
use crate::support::pki::Authority;
use crate::support::tls_backend::{Met, TlsBackend, settings, shown_in_turn};
use crate::support::{Balancer, Client, Running, get};

/// A connection that is a tunnel from now on.
fn tunnel(balancer: &Running) -> Client {
    let mut tunnel = Client::to(balancer.address);
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    tunnel.send(format!("GET /chat HTTP/1.1\r\nHost: test\r\n{upgrade}\r\n"));
    assert_eq!(tunnel.answer().status, 101);
    tunnel
}

/// The first connection of a backend on which such a request came first.
fn first_of(start: &str, backend: &TlsBackend) -> Met {
    backend.wait_for("it came", |met| met.heads.first().is_some_and(|head| head.starts_with(start)))
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_sessions_resumed_in_both() {
    let authority = Authority::new();
    let ca = authority.file();
    let ca = ca.to_str().unwrap();
    for versions in [&[&TLS12], &[&TLS13]] {
        let backend = TlsBackend::start(settings(&authority.signs(&["localhost"]), versions, None));
        let flags = [("--backend-ca", ca), ("--health-interval", "1h")];
        let balancer = before(&backend.url("localhost"), &flags);
        balancer.said("is healthy");
        // The tunnel keeps its connection, so that the next request needs another one.
        let _tunnel = tunnel(&balancer);
        get(balancer.address, "/").expect_status(200);
        assert!(!first_of("GET /chat ", &backend).resumed, "{versions:?}");
        assert!(first_of("GET / ", &backend).resumed, "{versions:?}");
    }
}

#[test]
fn backends_of_one_name_have_their_sessions_resumed_each_by_itself() {
    let authority = Authority::new();
    let ca = authority.file();
    for versions in [&[&TLS12], &[&TLS13]] {
        let backend = || TlsBackend::start(settings(&authority.signs(&["localhost"]), versions, None));
        let backends = [backend(), backend()];
        let balancer = backends.iter().fold(Balancer::before(&[]), |balancer, backend| {
            balancer.flag("--backend", &backend.url("localhost"))
        });
        let balancer = balancer.flag("--backend-ca", ca.to_str().unwrap()).flag("--policy", "round_robin");
        let balancer = balancer.flag("--health-interval", "1h").start();
        balancer.said_times("is healthy", 2);
        // Tunnels keep their connections, so that each next request needs another one.
        let tunnels = [tunnel(&balancer), tunnel(&balancer)];
        backends.iter().for_each(|backend| assert!(!first_of("GET /chat ", backend).resumed, "{versions:?}"));
        backends.iter().for_each(|_| drop(get(balancer.address, "/").expect_status(200)));
        backends.iter().for_each(|backend| assert!(first_of("GET / ", backend).resumed, "{versions:?}"));
        drop(tunnels);
    }
}

#[test]
fn checks_look_at_a_certificate_each_time_and_find_one_that_is_good_no_more() {
    let (authority, unknown) = (Authority::new(), Authority::new());
    for versions in [&[&TLS12], &[&TLS13]] {
        let (good, bad) = (authority.signs(&["localhost"]), unknown.signs(&["localhost"]));
        // It goes on with sessions of before, whatever it shows to others.
        let mut tls = settings(&good, versions, None);
        let shown = shown_in_turn(&mut tls, [&good, &bad]);
        let backend = TlsBackend::start(tls);
        let ca = authority.file();
        let flags = [("--backend-ca", ca.to_str().unwrap()), ("--health-interval", "50ms")];
        let balancer = before(&backend.url("localhost"), &flags);
        balancer.said("is healthy");
        get(balancer.address, "/").expect_status(200);
        shown.store(1, Ordering::Relaxed);
        balancer.said("is down: its certificate is signed by an authority that is not trusted");
        let is_check = |met: &&Met| met.heads.first().is_some_and(|head| head.starts_with("GET /health "));
        assert!(backend.met().iter().filter(is_check).all(|met| !met.resumed));
    }
}
