//! With `--log-level debug`, each request that did not go as it should has a line on standard error, whether there is an
//! access log or not.

use std::net::SocketAddr;

use hyper::Request;

use super::GET;
use crate::support::{Backend, Balancer, Client, Http2, Running, Sample, Settings, until};

const GONE: &str = "the client went away";

#[test]
fn of_a_client_that_leaves_before_its_answer_it_is_said_once_who_and_from_where() {
    let stalling = Backend::stalls();
    let balancer = debugging(&[stalling.address]);
    let mut client = Client::to(balancer.address);
    client.send(GET);
    until("the backend has it", || stalling.requests() == 1);
    let address = client.stream().local_addr().unwrap();
    drop(client);
    says_once(&balancer, &format!("{address}: {}: {GONE}", stalling.address));
}

#[test]
fn of_a_stream_that_is_taken_back_it_is_said_once() {
    let stalling = Backend::stalls();
    let balancer = debugging(&[stalling.address]);
    let mut client = Http2::to(balancer.address);
    let mut stream = client.ask(Request::get("http://test/").body(()).unwrap());
    until("the backend has it", || stalling.requests() == 1);
    stream.cancel();
    says_once(&balancer, &format!(": {}: {GONE}", stalling.address));
}

#[test]
fn of_a_client_that_leaves_amid_its_answer_it_is_said_once() {
    let halting = Backend::stalls_mid_body();
    let balancer = debugging(&[halting.address]);
    let mut client = Client::to(balancer.address);
    client.send(GET);
    client.head();
    assert_eq!(client.bytes(5), b"first");
    let address = client.stream().local_addr().unwrap();
    client.reset();
    says_once(&balancer, &format!("{address}: {}: {GONE}", halting.address));
}

#[test]
fn of_an_answer_that_does_not_go_on_it_is_said_once() {
    let halting = Backend::stalls_mid_body();
    let balancer = debugging(&[halting.address]);
    let mut client = Client::to(balancer.address);
    client.send(GET);
    client.head();
    let address = client.stream().local_addr().unwrap();
    says_once(&balancer, &format!("{address}: {}: the backend's answer did not go on", halting.address));
}

#[test]
fn of_an_answer_that_its_client_does_not_take_it_is_said_once() {
    let sample = Sample::start("one");
    let balancer = debugging(&[sample.address()]);
    let mut client = Client::to(balancer.address);
    client.send("GET /bytes/100000000 HTTP/1.1\r\nHost: test\r\n\r\n");
    let address = client.stream().local_addr().unwrap();
    says_once(&balancer, &format!("{address}: {}: the client stopped reading", sample.address()));
}

#[test]
fn of_a_web_socket_that_is_reset_it_is_said_once() {
    let backend = Backend::that(|mut transport| {
        transport
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        transport.wait_for_end();
    });
    let balancer = debugging(&[backend.address]);
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.head().status, 101);
    let address = client.stream().local_addr().unwrap();
    client.reset();
    says_once(&balancer, &format!("{address}: {}: {GONE}", backend.address));
}

#[test]
fn of_a_backend_that_does_not_answer_its_name_is_said() {
    let stalling = Backend::stalls();
    let balancer = debugging(&[stalling.address]);
    let mut client = Client::to(balancer.address);
    client.send(GET);
    client.answer().expect_status(504);
    let address = client.stream().local_addr().unwrap();
    says_once(&balancer, &format!("{address}: {}: the backend did not answer in time", stalling.address));
}

#[test]
fn of_an_attempt_it_is_said_that_another_follows_only_if_one_does() {
    const NEXT: &str = "; trying the next backend";
    let (closing, sample) = (Backend::closes_before_the_head(), Sample::start("one"));
    let balancer = debugging(&[closing.address, sample.address()]);
    balancer.said_times(" is healthy", 2);
    let mut client = Client::to(balancer.address);
    client.send(GET);
    client.answer().expect_status(200);
    let address = client.stream().local_addr().unwrap();
    let expected =
        format!("{address}: {}: the backend closed the connection before it answered{NEXT}", closing.address);
    balancer.said(&expected);

    let balancer = debugging(&[closing.address]);
    let mut client = Client::to(balancer.address);
    client.send(GET);
    client.answer().expect_status(502);
    let address = client.stream().local_addr().unwrap();
    says_once(&balancer, &format!("{address}: {}: the backend closed the connection", closing.address));
    assert_eq!(balancer.times_said(NEXT), 0);
}

#[test]
fn of_an_answer_for_which_another_backend_is_asked_it_is_said_whose_it_was() {
    let busy = Backend::answers("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    let sample = Sample::start("one");
    let settings = Settings::that_say(&format!(
        "log_level = 'debug'\n[listeners.web]\naddress = '127.0.0.1:0'\n[admin]\naddress = 'off'\n\
         [routes.all]\npool = 'all'\nretry = {{ statuses = [503] }}\n[pools.all]\nbackends = ['{}', '{}']\npolicy = 'first'\n\
         health = {{ path = '/health' }}\n",
        busy.address,
        sample.address()
    ));
    let balancer = settings.balancer().start();
    let mut client = Client::to(balancer.address);
    balancer.said_times(" is healthy", 2);
    client.send(GET);
    client.answer().expect_status(200);
    let address = client.stream().local_addr().unwrap();
    let expected =
        format!("{address}: {}: status 503 Service Unavailable; trying the next backend", busy.address);
    says_once(&balancer, &expected);
}

fn debugging(backends: &[SocketAddr]) -> Running {
    let balancer = Balancer::before(backends).flag("--log-level", "debug");
    balancer.flag("--response-timeout", "500ms").flag("--body-timeout", "500ms").start()
}

/// Waits for it, and stops the balancer: of the request nothing else was said.
fn says_once(balancer: &Running, text: &str) {
    let line = balancer.said(text);
    balancer.signal("TERM");
    let said = balancer.all_said();
    let told: Vec<_> =
        said.lines().filter(|line| line.contains(" DEBUG ") && !line.ends_with("parked")).collect();
    assert_eq!(told, [line]);
}
