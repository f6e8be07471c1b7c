//! Backends that want some requests over HTTP/1.1 (RFC 9113 section 7, HTTP_1_1_REQUIRED).

use h2::Reason;
use hyper::StatusCode;

use crate::support::h2_backend::{Exchange, H2Backend};
use crate::support::pki::Authority;
use crate::support::tls_backend::with_certificate;
use crate::support::{Balancer, Client, Running, get};

use super::before;

const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Behind TLS, where it offers to speak these protocols.
fn behind_tls<F: Future<Output = ()> + 'static>(
    authority: &Authority,
    protocols: &[&[u8]],
    script: impl Fn(Exchange) -> F + Clone + Send + 'static,
) -> H2Backend {
    let mut tls = with_certificate(&authority.signs(&["localhost"]));
    tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    H2Backend::with(&h2::server::Builder::new(), Some(tls), script)
}

/// Over HTTP/2 it takes no request, and one for `/begun` only when it has begun.
fn wants_http1(authority: &Authority) -> H2Backend {
    behind_tls(authority, BOTH, |mut exchange| async move {
        if exchange.head.uri().path() == "/begun" {
            exchange.next().await;
        }
        want_http1(exchange);
    })
}

fn want_http1(mut exchange: Exchange) {
    exchange.back.send_reset(Reason::HTTP_1_1_REQUIRED);
}

fn in_front_of(backend: &H2Backend, authority: &Authority) -> Running {
    let url = format!("https://localhost:{}", backend.address.port());
    let balancer = Balancer::before(&[]).flag("--backend", &url).flag("--health-interval", "1h");
    let balancer = balancer.flag("--backend-ca", authority.file().to_str().unwrap()).start();
    balancer.said("is healthy");
    balancer
}

#[test]
fn a_request_that_a_backend_wants_over_http_1_1_is_sent_so() {
    let authority = Authority::new();
    let backend = wants_http1(&authority);
    for (request, body, told) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", "GET "),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "", "POST "),
        // Nothing of its body is asked for before it is known that this is in vain.
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
            "body",
            "POST body",
        ),
    ] {
        let balancer = in_front_of(&backend, &authority);
        let mut client = Client::to(balancer.address);
        client.send(request);
        if !body.is_empty() {
            client.head().expect_status(100);
            client.send(body);
        }
        assert_eq!(client.answer().expect_status(200).text(), told);
        assert_eq!(balancer.times_said("is down"), 0);
    }
    assert_eq!(backend.requests(), 3);
}

#[test]
fn a_request_of_which_a_part_is_gone_when_its_backend_wants_it_over_http_1_1_fails() {
    let authority = Authority::new();
    let backend = wants_http1(&authority);
    let balancer = in_front_of(&backend, &authority);
    let mut client = Client::to(balancer.address);
    client.send("POST /begun HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nbody");
    let answer = client.answer().expect_status(502);
    assert!(answer.header("proxy-status").unwrap().contains("backend_closed"), "{answer:?}");
}

#[test]
fn a_backend_that_has_no_choice_is_not_asked_over_http_1_1() {
    let backend = H2Backend::that(|exchange| async move { want_http1(exchange) });
    let balancer = before(&[&backend]);
    let answer = get(balancer.address, "/").expect_status(502);
    assert!(answer.header("proxy-status").unwrap().contains("backend_closed"), "{answer:?}");
    assert_eq!(backend.requests(), 1);
}

#[test]
fn other_requests_go_on_over_http_2_and_checks_over_what_is_wanted() {
    let authority = Authority::new();
    let backend = behind_tls(&authority, BOTH, |exchange| async move {
        match exchange.head.uri().path() {
            "/both" => exchange.answer(StatusCode::OK, "both"),
            _ => want_http1(exchange),
        }
    });
    let url = format!("https://localhost:{}", backend.address.port());
    let balancer = Balancer::before(&[]).flag("--backend", &url).flag("--health-interval", "1h");
    // No path that this backend takes for that of checks.
    let balancer = balancer.flag("--backend-ca", authority.file().to_str().unwrap());
    let balancer = balancer.flag("--health-path", "/old").flag("--workers", "1").start();
    balancer.said("is healthy: answered 200");
    get(balancer.address, "/old").expect_status(200);
    assert_eq!(get(balancer.address, "/both").expect_status(200).text(), "both");
}

#[test]
fn a_backend_that_wants_what_it_does_not_speak_is_one_that_closes() {
    let authority = Authority::new();
    let backend = behind_tls(&authority, &[b"h2"], |exchange| async move { want_http1(exchange) });
    let balancer = in_front_of(&backend, &authority);
    let answer = get(balancer.address, "/").expect_status(502);
    assert!(answer.header("proxy-status").unwrap().contains("backend_closed"), "{answer:?}");
}

#[test]
fn a_connection_that_was_made_for_an_upgrade_is_not_for_other_requests() {
    let authority = Authority::new();
    let backend = behind_tls(&authority, BOTH, |exchange| async move {
        exchange.answer(StatusCode::OK, "over HTTP/2");
    });
    let balancer = in_front_of(&backend, &authority);
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n");
    assert_eq!(client.answer().expect_status(200).text(), "GET ");
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "over HTTP/2");
}
