//! Backends that are asked in gRPC how they are.

use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Notify;

use crate::support::h2_backend::{Exchange, H2Backend};
use crate::support::{Balancer, Running, until};

/// How a backend answers.
#[derive(Clone, Copy)]
struct Answer {
    /// The field of its message that tells how all is, if it sends one.
    how: Option<u8>,
    trailers: Option<&'static str>,
}

impl Answer {
    async fn give(self, mut exchange: Exchange) {
        let head = format!("{} {}", exchange.head.method(), exchange.head.uri().path());
        assert_eq!(head, "POST /grpc.health.v1.Health/Check");
        assert_eq!(exchange.head.headers()["content-type"], "application/grpc");
        assert_eq!(exchange.read().await.0, [0; 5]);
        let mut answer = exchange.begin();
        if let Some(how) = self.how {
            answer.send_data(vec![0, 0, 0, 0, 2, 8, how].into(), false).unwrap();
        }
        match self.trailers {
            Some(status) => answer.send_trailers(trailers(status)).unwrap(),
            None => answer.send_data(Default::default(), true).unwrap(),
        }
    }
}

fn trailers(status: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static(status))])
}

fn before(backends: &[&H2Backend], interval: &str, timeout: &str) -> Running {
    let balancer = Balancer::before(&[]).flag("--health-path", "/grpc.health.v1.Health/Check");
    let balancer = balancer.flag("--health-interval", interval).flag("--health-timeout", timeout);
    backends.iter().fold(balancer, |balancer, backend| balancer.flag("--backend", &backend.url())).start()
}

#[test]
fn what_a_backend_says_in_grpc_is_told_in_words_of_grpc() {
    for (how, trailers, told) in [
        (Some(1), Some("0"), "is healthy: said SERVING in "),
        (Some(2), Some("0"), "is down: said NOT_SERVING in "),
        (Some(0), Some("0"), "is down: said UNKNOWN in "),
        (None, Some("12"), "is down: answered with gRPC status 12 (it has no such check) in "),
        (Some(1), Some("14"), "is down: answered with gRPC status 14 in "),
        (Some(1), None, "is down: answered 200 without a gRPC status in "),
    ] {
        let answer = Answer { how, trailers };
        let backend = H2Backend::that(move |exchange| answer.give(exchange));
        let balancer = before(&[&backend], "1h", "1h");
        let line = balancer.said(&format!("{} {told}", backend.url()));
        assert!(line.ends_with(" ms"), "{line}");
    }
}

#[test]
fn the_authority_is_the_host_of_checks() {
    let backend = H2Backend::that(|exchange| {
        let is_it = exchange.head.uri().authority().is_some_and(|authority| authority == "app.example:443");
        Answer { how: Some(if is_it { 1 } else { 2 }), trailers: Some("0") }.give(exchange)
    });
    let balancer = Balancer::before(&[]).flag("--health-path", "/grpc.health.v1.Health/Check");
    let balancer = balancer.flag("--backend", &backend.url()).flag("--health-host", "app.example:443");
    balancer.start().said(&format!("{} is healthy: said SERVING in ", backend.url()));
}

#[test]
fn a_status_of_http_is_told_as_that() {
    let backend = H2Backend::that(|exchange| async { exchange.answer(hyper::StatusCode::NOT_FOUND, "") });
    before(&[&backend], "1h", "1h").said(&format!("{} is down: answered 404 in ", backend.url()));
}

#[test]
fn a_backend_that_hangs_before_its_trailers_did_not_answer_in_time() {
    let backend = H2Backend::that(|mut exchange| async move {
        let mut answer = exchange.begin();
        answer.send_data(vec![0, 0, 0, 0, 2, 8, 1].into(), false).unwrap();
        std::future::pending::<()>().await;
    });
    before(&[&backend], "1h", "300ms").said(&format!("{} is down: no answer in time", backend.url()));
}

#[test]
fn a_backend_that_breaks_off_before_its_trailers_is_told_to_have() {
    let backend = H2Backend::that(|mut exchange| async move {
        let mut answer = exchange.begin();
        answer.send_data(vec![0, 0, 0, 0, 2, 8, 1].into(), false).unwrap();
        // Until then nothing was sent, and what a reset finds unsent is given up.
        tokio::task::yield_now().await;
        answer.send_reset(h2::Reason::INTERNAL_ERROR);
    });
    before(&[&backend], "1h", "1h").said(&format!("{} is down: its answer broke off", backend.url()));
}

#[test]
fn the_trailers_have_all_the_time_of_the_check() {
    let go = Arc::<Notify>::default();
    let goes = Arc::clone(&go);
    let slow = H2Backend::that(move |mut exchange| {
        let goes = Arc::clone(&goes);
        async move {
            let mut answer = exchange.begin();
            goes.notified().await;
            answer.send_data(vec![0, 0, 0, 0, 2, 8, 1].into(), false).unwrap();
            answer.send_trailers(trailers("0")).unwrap();
        }
    });
    let quick = H2Backend::that(|exchange| Answer { how: Some(1), trailers: Some("0") }.give(exchange));
    let balancer = before(&[&slow, &quick], "1500ms", "1h");
    until("more than a second has passed", || quick.requests() == 2);
    go.notify_one();
    balancer.said(&format!("{} is healthy", slow.url()));
    assert_eq!(balancer.times_said("is down"), 0);
}
