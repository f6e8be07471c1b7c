//! What a backend answers a check, and how its answer ends, is told as what it is.

use h2::Reason;

use crate::support::h2_backend::{Exchange, H2Backend};
use crate::support::{Backend, Balancer, Running};

use super::SCRIPTED;

/// Answers with so many header lines.
fn with_lines(count: usize) -> Backend {
    Backend::that(move |mut transport| {
        let lines: String = (1..count).map(|number| format!("X-{number}: 1\r\n")).collect();
        transport.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{lines}\r\n"));
    })
}

fn before(url: &str) -> Balancer {
    Balancer::before(&[]).flag("--backend", url).flag("--health-path", SCRIPTED)
}

fn before_h2<F: Future<Output = ()> + 'static>(
    script: impl Fn(Exchange) -> F + Clone + Send + 'static,
) -> (H2Backend, Running) {
    let backend = H2Backend::that(script);
    let balancer = before(&backend.url()).start();
    (backend, balancer)
}

#[test]
fn a_check_takes_heads_as_large_as_those_of_other_answers() {
    let backend = with_lines(120);
    let balancer = before(&backend.address.to_string()).flag("--max-headers", "200").start();
    balancer.said(&format!("{} is healthy: answered 200 in ", backend.address));
}

#[test]
fn where_little_is_allowed_a_check_still_takes_what_is_usual() {
    let backend = with_lines(99);
    let balancer = before(&backend.address.to_string()).flag("--max-headers", "20").start();
    balancer.said(&format!("{} is healthy: answered 200 in ", backend.address));
}

#[test]
fn a_head_that_is_too_large_is_told_as_one_with_the_flags_that_allow_it() {
    let too_large = "is down: answered with a head of more bytes (--max-header-size) or lines (--max-headers) than are taken";
    for backend in [
        with_lines(120),
        Backend::that(|mut transport| {
            transport.send(format!("HTTP/1.1 200 OK\r\nX-Large: {}\r\n\r\n", "x".repeat(100_000)));
        }),
    ] {
        before(&backend.address.to_string()).start().said(&format!("{} {too_large}", backend.address));
    }
    let (backend, balancer) = before_h2(|mut exchange| async move {
        let response =
            (0..120).fold(hyper::Response::builder(), |head, n| head.header(format!("x-{n}"), "1"));
        let _ = exchange.back.send_response(response.body(()).unwrap(), true);
    });
    let too_many = "is down: answered with a head of more lines than are taken (--max-headers)";
    balancer.said(&format!("{} {too_many}", backend.url()));
}

#[test]
fn an_answer_whose_end_is_said_in_two_ways_is_none_for_a_check_either() {
    for (lines, told) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", "both a Content-Length and a Transfer-Encoding"),
        ("Transfer-Encoding: gzip, chunked", "a Transfer-Encoding that is not just `chunked`"),
        ("Content-Length: 5\r\nContent-Length: 6", "a Content-Length that nobody can read"),
    ] {
        let backend = Backend::that(move |mut transport| {
            transport.send(format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
        });
        let balancer = before(&backend.address.to_string()).start();
        balancer.said(&format!("{} is down: answered with {told}", backend.address));
    }
}

#[test]
fn a_length_that_nobody_can_read_is_told_as_one() {
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n");
    let told = "is down: answered with a Content-Length that nobody can read";
    before(&backend.address.to_string()).start().said(&format!("{} {told}", backend.address));
}

#[test]
fn a_stream_that_was_reset_is_told_as_one_and_why() {
    for (reason, told) in [
        (Reason::INTERNAL_ERROR, "is down: stream reset without an answer (INTERNAL_ERROR)"),
        (
            Reason::HTTP_1_1_REQUIRED,
            "is down: it wants HTTP/1.1 (HTTP_1_1_REQUIRED), which is not spoken with it",
        ),
    ] {
        let (backend, balancer) =
            before_h2(move |mut exchange| async move { exchange.back.send_reset(reason) });
        balancer.said(&format!("{} {told}", backend.url()));
    }
}
