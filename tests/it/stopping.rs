//! A stop loses no request that was under way, and ends.

mod changes;
mod cut;
mod flooded;
mod notice;
mod paths;
mod signals;
mod silent;

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::support::{Backend, Balancer, Client, PATIENCE, Running, Sample, Settings, gate, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

#[test]
fn at_a_stop_running_requests_are_finished_and_no_new_clients_are_taken() {
    for signal in ["TERM", "INT", "QUIT"] {
        let (backend, reached, sends) = scripted();
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(GET);
        reached.recv_timeout(PATIENCE).unwrap();
        stop(&balancer, signal);
        until("nobody listens", || TcpStream::connect(balancer.address).is_err());
        sends.send(OK).unwrap();
        let answer = client.answer().expect_status(200);
        assert_eq!((answer.text(), answer.header("connection")), ("ok\n", Some("close")));
        client.expect_end();
        ended_well(&balancer);
    }
}

#[test]
fn bodies_that_pass_at_a_stop_pass_to_their_end() {
    let (backend, reached, sends) = scripted();
    let echoing = Sample::start("echo");
    let downloading = Balancer::before(&[backend.address]).start();
    let uploading = Balancer::before(&[echoing.address()]).start();
    let (mut download, mut upload) = (Client::to(downloading.address), Client::to(uploading.address));
    download.send(GET);
    reached.recv_timeout(PATIENCE).unwrap();
    sends.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst").unwrap();
    let half = download.head();
    assert_eq!(download.bytes(5), b"first");
    upload.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nfirst");
    // The sample answers with the head before the body is complete.
    let echo = upload.head();
    stop(&downloading, "TERM");
    stop(&uploading, "TERM");
    sends.send("-last").unwrap();
    assert_eq!(download.bytes(5), b"-last");
    upload.send("-last");
    assert!(upload.with_body(echo).text().ends_with("\n\nfirst-last"));
    assert_eq!(half.header("content-length"), Some("10"));
    ended_well(&downloading);
    ended_well(&uploading);
}

#[test]
fn at_a_stop_clients_without_a_request_are_parted_from() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--workers", "2").start();
    let silent = Client::to(balancer.address);
    let clients = [(); 4].map(|()| {
        let mut client = Client::to(balancer.address);
        client.send(GET);
        client.answer().expect_status(200);
        client
    });
    stop(&balancer, "TERM");
    clients.into_iter().chain([silent]).for_each(|mut client| client.expect_end());
    ended_well(&balancer);
}

#[test]
fn at_a_stop_clients_that_are_parked_are_parted_from() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--log-level", "debug").start();
    let mut client = Client::to(balancer.address);
    client.send(GET);
    client.answer().expect_status(200);
    balancer.said("is parked");
    stop(&balancer, "TERM");
    client.expect_end();
    ended_well(&balancer);
}

#[test]
fn requests_that_came_just_before_a_stop_are_answered() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--log-level", "debug").start();
    let mut parked = Client::to(balancer.address);
    parked.send(GET);
    parked.answer().expect_status(200);
    balancer.said("is parked");
    let accepted = Client::to(balancer.address);
    let mut kept = Client::to(balancer.address);
    kept.send(GET);
    kept.answer().expect_status(200);
    // While it is frozen, the system takes what clients send, and keeps the signal.
    balancer.signal("STOP");
    let mut clients = [parked, accepted, kept, Client::to(balancer.address)];
    clients.iter_mut().for_each(|client| client.send(GET));
    balancer.signal("TERM");
    balancer.signal("CONT");
    for mut client in clients {
        assert_eq!(client.answer().expect_status(200).text(), "hello from one\n");
        client.expect_end();
    }
    ended_well(&balancer);
}

#[test]
fn clients_that_are_handed_from_worker_to_worker_at_a_stop_are_answered() {
    let sample = Sample::start("one");
    for _ in 0..10 {
        let balancer = Balancer::before(&[sample.address()]).flag("--workers", "16").start();
        balancer.signal("STOP");
        let mut clients: Vec<_> = (0..16).map(|_| Client::to(balancer.address)).collect();
        clients.iter_mut().for_each(|client| client.send(GET));
        balancer.signal("TERM");
        balancer.signal("CONT");
        for mut client in clients {
            client.answer().expect_status(200);
            client.expect_end();
        }
        ended_well(&balancer);
    }
}

#[test]
fn a_request_whose_head_was_on_its_way_at_a_stop_is_answered() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).start();
    let mut first = Client::to(balancer.address);
    let mut second = Client::to(balancer.address);
    second.send(GET);
    second.answer().expect_status(200);
    let (half, rest) = GET.split_at(20);
    first.send(half);
    second.send(half);
    stop_behind_an_answer(&balancer);
    for mut client in [first, second] {
        client.send(rest);
        let answer = client.answer().expect_status(200);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    ended_well(&balancer);
}

#[test]
fn the_first_request_of_a_client_that_had_just_connected_at_a_stop_is_answered() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).start();
    let mut first = Client::to(balancer.address);
    stop_behind_an_answer(&balancer);
    first.send(GET);
    assert_eq!(first.answer().expect_status(200).header("connection"), Some("close"));
    ended_well(&balancer);
}

#[test]
fn the_next_request_of_a_client_that_had_just_been_answered_at_a_stop_is_answered() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).start();
    let mut busy = Client::to(balancer.address);
    busy.send(GET);
    busy.answer().expect_status(200);
    stop_behind_an_answer(&balancer);
    busy.send(GET);
    assert_eq!(busy.answer().expect_status(200).header("connection"), Some("close"));
    busy.expect_end();
    ended_well(&balancer);
}

#[test]
fn the_next_request_of_a_client_that_was_being_answered_at_a_stop_is_answered() {
    let ((came, coming), (let_go, go)) = (gate(), gate());
    let backend = Backend::that(move |mut transport| {
        loop {
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
            came.open();
            go.wait();
            transport.send("-last");
            if !transport.read_head() {
                return;
            }
        }
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(GET);
    coming.wait();
    let head = client.head();
    assert_eq!(head.header("connection"), None, "nothing says that it is the last");
    stop(&balancer, "TERM");
    let_go.open();
    assert_eq!(client.with_body(head).text(), "first-last");
    client.send(GET);
    let_go.open();
    assert_eq!(client.answer().expect_status(200).header("connection"), Some("close"));
    client.expect_end();
    ended_well(&balancer);
}

#[test]
fn clients_without_a_request_are_not_waited_for_beyond_the_drain_timeout() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--drain-timeout", "400ms").start();
    let mut client = Client::to(balancer.address);
    client.send(GET);
    client.answer().expect_status(200);
    stop_behind_an_answer(&balancer);
    client.expect_end();
    ended_well(&balancer);
    assert_eq!(balancer.times_said("cut at the end of the drain time"), 0);
}

#[test]
fn failover_goes_on_during_a_stop() {
    let (backend, reached, sends) = scripted();
    let second = Sample::start("second");
    let balancer = Balancer::before(&[backend.address, second.address()]).start();
    let mut client = Client::to(balancer.address);
    client.send(GET);
    reached.recv_timeout(PATIENCE).unwrap();
    stop(&balancer, "TERM");
    drop(sends);
    assert_eq!(client.answer().expect_status(200).text(), "hello from second\n");
    assert_eq!(backend.requests(), 1);
    ended_well(&balancer);
}

#[test]
fn what_takes_longer_than_the_drain_timeout_is_cut_and_said() {
    let (backend, reached, _sends) = scripted();
    let balancer = Balancer::before(&[backend.address]).flag("--drain-timeout", "200ms").start();
    let mut clients = [Client::to(balancer.address), Client::to(balancer.address)];
    for client in &mut clients {
        client.send(GET);
        reached.recv_timeout(PATIENCE).unwrap();
    }
    stop(&balancer, "TERM");
    clients.into_iter().for_each(|mut client| client.expect_end());
    balancer.said("running requests have 200ms to finish");
    balancer.said("cut at the end of the drain time: 2 connections");
    ended_well(&balancer);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let (backend, reached, _sends) = scripted();
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(GET);
        reached.recv_timeout(PATIENCE).unwrap();
        stop(&balancer, first);
        balancer.signal(second);
        assert_eq!(balancer.ended().code(), Some(130), "{first} {second}");
        client.expect_end();
    }
}

#[test]
fn a_balancer_without_clients_stops_though_no_backend_answers() {
    let stalling = Backend::stalls();
    let balancer = Balancer::before(&[stalling.address, Backend::refuses()]);
    let balancer = balancer.flag("--health-path", "/check").flag("--health-timeout", "1h").start();
    balancer.said("is down");
    stop(&balancer, "TERM");
    ended_well(&balancer);
}

#[test]
fn a_stop_is_orderly_from_the_moment_that_clients_are_taken() {
    for _ in 0..20 {
        let balancer = Balancer::before(&[Backend::refuses()]).start();
        balancer.signal("TERM");
        ended_well(&balancer);
    }
}

/// A backend that tells of each request, and sends what it is told until the test has nothing more to send.
fn scripted() -> (Backend, Receiver<()>, Sender<&'static str>) {
    let (reached, told) = channel();
    let (sends, parts) = channel();
    let parts = Mutex::new(parts);
    let backend = Backend::that(move |mut transport| {
        reached.send(()).expect("the test goes on");
        while let Ok(part) = parts.lock().unwrap().recv() {
            let part: &str = part;
            transport.send(part);
        }
    });
    (backend, told, sends)
}

/// Stops it when it has seen all that its clients did before, which an answer behind that says.
fn stop_behind_an_answer(balancer: &Running) {
    let mut last = Client::to(balancer.address);
    last.send(GET);
    last.answer().expect_status(200);
    stop(balancer, "TERM");
    until("nobody listens", || TcpStream::connect(balancer.address).is_err());
}

fn stop(balancer: &Running, signal: &str) {
    balancer.signal(signal);
    balancer.said("stopping: no new clients");
}

fn ended_well(balancer: &Running) {
    assert_eq!(balancer.ended().code(), Some(0));
    balancer.said(" stopped");
}

#[test]
fn a_stop_does_not_wait_for_settings_that_take_long_to_be_read() {
    let sample = Sample::start("one");
    let text = format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[pools.all]\nbackends = [\"{}\"]\n\
         [admin]\naddress = \"off\"\n",
        sample.address()
    );
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    balancer.said("is healthy");
    // Each of these takes milliseconds, and all of them take longer than anything may.
    let slow: String = (0..20_000)
        .map(|number| format!("[routes.r{number}]\npool = \"all\"\npath = '~ /{number}/\\w{{300}}'\n"))
        .collect();
    settings.write(&format!("{text}{slow}"));
    let before = ticks(&balancer);
    balancer.signal("HUP");
    until("they are read", || ticks(&balancer) > before + 10);
    stop(&balancer, "TERM");
    ended_well(&balancer);
    assert_eq!(balancer.times_said("reload"), 0, "they were not read to their end");
}

/// How long a process has worked, in hundredths of a second.
fn ticks(balancer: &Running) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", balancer.id())).expect("it runs");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    fields.split_whitespace().nth(11).and_then(|ticks| ticks.parse().ok()).expect("a number")
}
