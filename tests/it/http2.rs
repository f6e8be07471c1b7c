//! Clients that speak HTTP/2.

mod bodies;
mod deadlines;
mod fields;
mod grpc;
mod opening;
mod refusals;
mod stopping;
mod websocket;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::thread;

use hyper::Request;

use crate::support::http2_get as get;
use crate::support::pki::Authority;
use crate::support::tls::trusting;
use crate::support::{Backend, Balancer, End, Http2, PATIENCE, Running, Sample, gate, until};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a backend is sent, behind a balancer.
fn telling() -> (Backend, Receiver<String>, Running) {
    let (backend, told) = Backend::tells(OK);
    let balancer = Balancer::before(&[backend.address]).start();
    (backend, told, balancer)
}

fn post(path: &str) -> Request<()> {
    Request::post(format!("http://test{path}")).body(()).unwrap()
}

#[test]
fn requests_are_answered_over_tls_and_in_the_clear() {
    let authority = Authority::new();
    let pair = authority.signs(&["localhost"]);
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]);
    let balancer = balancer.secured(&[&pair]).start();
    let mut client = Http2::secure(balancer.address, trusting(&authority));
    for _ in 0..3 {
        assert_eq!(client.get("/").expect_status(200).text(), "hello from one\n");
    }
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Http2::to(balancer.address);
    for _ in 0..3 {
        assert_eq!(client.get("/").expect_status(200).text(), "hello from one\n");
    }
}

#[test]
fn streams_are_answered_at_the_same_time_and_out_of_order() {
    const STREAMS: usize = 100;
    let gates: Vec<_> = (0..STREAMS).map(|_| gate()).collect();
    let (openers, gates): (Vec<_>, Vec<_>) = gates.into_iter().unzip();
    let backend = Backend::that(move |mut transport| {
        let number: usize = transport.head[5..].split(' ').next().unwrap().parse().unwrap();
        gates[number].wait();
        transport.send(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nanswer {number}"));
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Http2::to(balancer.address);
    let mut streams: Vec<_> = (0..STREAMS).map(|number| client.ask(get(&format!("/{number}")))).collect();
    until("all are at the backend", || backend.requests() == STREAMS);
    for number in (0..STREAMS).rev() {
        openers[number].open();
        assert_eq!(streams[number].answer().expect_status(200).text(), format!("answer {number}"));
    }
}

#[test]
fn a_client_may_have_so_many_streams_and_one_more_waits() {
    let (opener, gate) = gate();
    let backend = Backend::that(move |mut transport| {
        gate.wait();
        transport.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Http2::to(balancer.address);
    client.until_settings();
    // RFC 9113 section 6.5.2 asks for at least 100.
    let most = client.most_streams();
    assert!((100..1000).contains(&most), "{most}");
    let mut streams: Vec<_> = (0..most).map(|_| client.ask(get("/"))).collect();
    until("all are at the backend", || backend.requests() == most);
    (0..=most).for_each(|_| opener.open());
    client.get("/").expect_status(200);
    streams.iter_mut().for_each(|stream| drop(stream.answer().expect_status(200)));
}

#[test]
fn each_stream_has_a_line_in_the_access_log() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--access-log", "-").start();
    let mut client = Http2::to(balancer.address);
    let request = Request::post("http://name.test/echo?a=b").header("user-agent", "test/1");
    let mut stream = client.begin(request.body(()).unwrap());
    stream.send("hello", true).unwrap();
    stream.answer().expect_status(200);
    let line = balancer.said("\"path\":\"/echo?a=b\"");
    for part in [
        "\"method\":\"POST\"",
        "\"protocol\":\"HTTP/2\"",
        "\"host\":\"name.test\"",
        "\"user_agent\":\"test/1\"",
        "\"status\":200",
        "\"bytes_in\":5",
        "\"attempts\":1",
        "\"reason\":null",
        "\"termination\":\"--\"",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    client.get("/status/404").expect_status(404);
    assert!(balancer.said("\"path\":\"/status/404\"").contains("\"status\":404"));
}

#[test]
fn a_client_that_takes_a_request_back_ends_it_at_the_backend() {
    let (tell, told) = std::sync::mpsc::channel();
    let backend = Backend::that(move |mut transport| {
        if transport.head.starts_with("GET /begun ") {
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
        }
        tell.send("asked").unwrap();
        transport.rest();
        tell.send("ended").unwrap();
    });
    let balancer = Balancer::before(&[backend.address]).flag("--access-log", "-").start();
    let mut client = Http2::to(balancer.address);
    for (path, begun) in [("/waits", false), ("/begun", true)] {
        let mut stream = client.ask(get(path));
        assert_eq!(told.recv_timeout(PATIENCE), Ok("asked"));
        if begun {
            stream.head();
            assert_eq!(stream.data().expect("a piece").unwrap(), "first");
        }
        stream.cancel();
        assert_eq!(told.recv_timeout(PATIENCE), Ok("ended"));
        let line = balancer.said(&format!("\"path\":\"{path}\""));
        assert!(line.contains("\"reason\":\"client_gone\""), "{line}");
    }
}

#[test]
fn no_request_fails_while_backends_are_killed_and_restarted() {
    let mut samples = [Sample::start("one"), Sample::start("two")];
    let addresses = [samples[0].address(), samples[1].address()];
    let balancer = Balancer::before(&addresses).flag("--health-interval", "50ms").flag("--workers", "2");
    let balancer = balancer.start();
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let end = End(&over);
        let ask = || {
            let mut client = Http2::to(balancer.address);
            while !over.load(Ordering::SeqCst) {
                let mut streams: Vec<_> = (0..8).map(|_| client.ask(get("/"))).collect();
                streams.iter_mut().for_each(|stream| drop(stream.answer().expect_status(200)));
                answered.fetch_add(streams.len(), Ordering::SeqCst);
            }
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        for round in 1..4 {
            for (index, sample) in samples.iter_mut().enumerate() {
                balancer.said_times(&format!("{} is healthy", addresses[1 - index]), round);
                let goal = answered.load(Ordering::SeqCst) + 200;
                until("two hundred more are answered", || answered.load(Ordering::SeqCst) >= goal);
                if round % 2 == 0 {
                    sample.interrupt();
                } else {
                    sample.kill();
                }
                balancer.said_times(&format!("{} is down", addresses[index]), round);
                sample.restart();
                balancer.said_times(&format!("{} is healthy", addresses[index]), round + 1);
            }
        }
        drop(end);
        clients.into_iter().for_each(|client| client.join().expect("no request fails"));
    });
}
