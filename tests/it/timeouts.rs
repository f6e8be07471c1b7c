//! Whoever keeps another waiting for too long is told so, or is left.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::support::{
    Backend, Balancer, Client, PATIENCE, Sample, Transport, expect_reason, frame, get, head, settings, until,
};

const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const HALF_AN_UPLOAD: &str = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nfirst";

/// A backend, and word of each connection that was closed to it after this had been done on it.
fn observed(script: impl Fn(&mut Transport) + Send + Sync + 'static) -> (Backend, Receiver<()>) {
    let (ended, end) = channel();
    let backend = Backend::that(move |mut transport| {
        script(&mut transport);
        transport.wait_for_end();
        let _ = ended.send(());
    });
    (backend, end)
}

/// Sends a piece every now and then, until the other side has gone.
fn trickle(stream: &TcpStream, piece: &'static [u8], pause: Duration) {
    let mut stream = stream.try_clone().unwrap();
    thread::spawn(move || {
        while stream.write_all(piece).is_ok() {
            thread::sleep(pause);
        }
    });
}

#[test]
fn a_client_that_sends_half_a_head_is_told_408_and_closed() {
    let balancer = Balancer::before(&[Backend::refuses()]).flag("--header-timeout", "200ms").start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHos");
    let answer = expect_reason(client.answer(), 408, "head_timeout");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.text(), "the head of the request did not come in time\n");
    client.expect_end();
}

#[test]
fn a_head_that_trickles_does_not_put_off_its_deadline() {
    let balancer = Balancer::before(&[Backend::refuses()]).flag("--header-timeout", "300ms").start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: ");
    trickle(client.stream(), b"a", Duration::from_millis(20));
    expect_reason(client.answer(), 408, "head_timeout");
}

#[test]
fn the_head_of_a_later_request_has_a_deadline_too() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--header-timeout", "200ms").start();
    let mut client = Client::to(balancer.address);
    client.send(REQUEST);
    client.answer().expect_status(200);
    client.send("GET / HTTP/1.1\r\nHos");
    expect_reason(client.answer(), 408, "head_timeout");
    client.expect_end();
}

#[test]
fn a_client_that_says_nothing_is_closed_without_a_word() {
    let balancer = Balancer::before(&[Backend::refuses()]).flag("--header-timeout", "200ms").start();
    Client::to(balancer.address).expect_end();
}

#[test]
fn a_client_that_says_nothing_more_is_closed_without_a_word() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--client-idle-timeout", "200ms").start();
    let mut client = Client::to(balancer.address);
    client.send(REQUEST);
    client.answer().expect_status(200);
    client.expect_end();
}

/// An address where connections are neither accepted nor refused, and what keeps it so.
pub fn deaf() -> (SocketAddr, impl Sized) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    SockRef::from(&listener).listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        waiting.push(stream);
    }
    (address, (listener, waiting))
}

#[test]
fn a_backend_that_does_not_accept_a_connection_is_said_to_be_too_slow() {
    let (address, _kept) = deaf();
    let balancer = Balancer::before(&[address]).flag("--health-timeout", "1m");
    let balancer = balancer.flag("--connect-timeout", "200ms").start();
    let answer = expect_reason(get(balancer.address, "/"), 504, "connect_timeout");
    assert!(answer.text().starts_with("the backend did not accept a connection in time\n"), "{answer:?}");
    balancer.said(&format!("{address} is down: no connection in time"));
}

#[test]
fn a_backend_that_does_not_accept_a_connection_is_passed_over_for_any_request() {
    let (address, _kept) = deaf();
    let backend = Sample::start("second");
    let balancer = Balancer::before(&[address, backend.address()]).flag("--health-timeout", "1m");
    let balancer = balancer.flag("--connect-timeout", "200ms").start();
    let mut client = Client::to(balancer.address);
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
    assert!(client.answer().expect_status(200).text().ends_with("\n\nhello"));
}

#[test]
fn a_request_is_given_up_after_three_backends_that_did_not_accept_a_connection_in_time() {
    let all_deaf = [(); 3].map(|()| deaf());
    let well = Sample::start("well");
    let addresses: Vec<_> = all_deaf.iter().map(|(address, _)| *address).chain([well.address()]).collect();
    let balancer = Balancer::before(&addresses).flag("--health-timeout", "1m");
    let balancer = balancer.flag("--connect-timeout", "200ms").start();
    expect_reason(get(balancer.address, "/"), 504, "connect_timeout");
    for (address, _) in &all_deaf {
        balancer.said(&format!("{address} is down: no connection in time"));
    }
    until("the next one goes to the last", || get(balancer.address, "/").status == 200);
}

#[test]
fn a_backend_that_does_not_answer_is_left_and_the_client_told_504() {
    let (backend, end) = observed(|_| {});
    let balancer = Balancer::before(&[backend.address]).flag("--response-timeout", "200ms").start();
    let mut client = Client::to(balancer.address);
    client.send(REQUEST);
    let answer = expect_reason(client.answer(), 504, "response_timeout");
    assert_eq!(answer.text(), "the backend did not answer in time\n");
    end.recv_timeout(PATIENCE).expect("the connection to the backend ends");
    client.send(REQUEST);
    expect_reason(client.answer(), 504, "response_timeout");
}

#[test]
fn half_a_head_of_an_answer_does_not_put_off_its_deadline() {
    let (backend, end) = observed(|transport| transport.send("HTTP/1.1 200 OK\r\nContent-"));
    let balancer = Balancer::before(&[backend.address]).flag("--response-timeout", "200ms").start();
    expect_reason(get(balancer.address, "/"), 504, "response_timeout");
    end.recv_timeout(PATIENCE).expect("the connection to the backend ends");
}

#[test]
fn a_request_that_took_too_long_is_not_given_to_another_backend() {
    let (slow, other) = (Backend::stalls(), Backend::stalls());
    let balancer = Balancer::before(&[slow.address, other.address]);
    let balancer = balancer.flag("--response-timeout", "200ms").start();
    expect_reason(get(balancer.address, "/"), 504, "response_timeout");
    assert_eq!((slow.requests(), other.requests()), (1, 0));
}

#[test]
fn a_client_that_stops_amid_its_upload_is_told_408_and_the_backend_is_left() {
    let (backend, end) = observed(|transport| assert_eq!(transport.bytes(5), b"first"));
    let balancer = Balancer::before(&[backend.address]).flag("--body-timeout", "200ms").start();
    let mut client = Client::to(balancer.address);
    client.send(HALF_AN_UPLOAD);
    expect_reason(client.answer(), 408, "upload_timeout");
    client.expect_end();
    end.recv_timeout(PATIENCE).expect("the connection to the backend ends");
}

#[test]
fn a_backend_that_stops_reading_an_upload_is_left_and_the_client_told_504() {
    let backend = Backend::that(|transport| {
        thread::sleep(PATIENCE);
        drop(transport);
    });
    let balancer = Balancer::before(&[backend.address]).flag("--body-timeout", "300ms").start();
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000000\r\n\r\n");
    trickle(client.stream(), &[0; 64 * 1024], Duration::ZERO);
    expect_reason(client.answer(), 504, "backend_stalled");
}

#[test]
fn an_answer_that_does_not_go_on_is_cut_and_never_ended() {
    let backend = Backend::stalls_mid_body();
    let balancer = Balancer::before(&[backend.address]).flag("--access-log", "-");
    let balancer = balancer.flag("--body-timeout", "200ms").start();
    let mut client = Client::to(balancer.address);
    client.send(REQUEST);
    assert_eq!(client.head().expect_status(200).header("content-length"), Some("10"));
    assert_eq!(client.bytes(5), b"first");
    client.expect_end();
    let line = balancer.said("\"reason\":\"answer_timeout\"");
    assert!(line.contains("\"status\":200") && line.contains("\"termination\":\"sD\""), "{line}");
}

#[test]
fn a_chunked_answer_that_does_not_go_on_is_cut_before_its_last_chunk() {
    let (backend, end) = observed(|transport| {
        transport.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    });
    let balancer = Balancer::before(&[backend.address]).flag("--body-timeout", "200ms").start();
    let mut client = Client::to(balancer.address);
    client.send(REQUEST);
    assert_eq!(client.head().expect_status(200).header("transfer-encoding"), Some("chunked"));
    assert_eq!(client.bytes(10), b"5\r\nfirst\r\n");
    client.expect_end();
    end.recv_timeout(PATIENCE).expect("the connection to the backend ends");
}

#[test]
fn a_client_that_stops_reading_is_cut() {
    const SIZE: usize = 100_000_000;
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--access-log", "-");
    let balancer = balancer.flag("--body-timeout", "200ms").start();
    let mut client = Client::to(balancer.address);
    client.send(format!("GET /bytes/{SIZE} HTTP/1.1\r\nHost: test\r\n\r\n"));
    let line = balancer.said("\"reason\":\"client_stalled\"");
    assert!(line.contains("\"termination\":\"cD\""), "{line}");
    client.head().expect_status(200);
    let came = client.remains().len();
    assert!(came < SIZE, "all came");
}

#[test]
fn who_takes_nothing_has_no_more_time_because_more_of_its_answer_comes() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--access-log", "-");
    let balancer = balancer.flag("--body-timeout", "2s").start();
    let mut stalled = Client::to(balancer.address);
    SockRef::from(stalled.stream()).set_recv_buffer_size(4096).expect("a small one");
    stalled.send("GET /bytes/100000000 HTTP/1.1\r\nHost: test\r\n\r\n");
    let port = stalled.stream().local_addr().unwrap().port();
    until("its system takes nothing", || is_full(balancer.address.port(), port));
    // Later by more than a tick of the worker's clock.
    thread::sleep(Duration::from_millis(300));
    let mut other = Client::to(balancer.address);
    other.send(HALF_AN_UPLOAD);
    expect_reason(other.answer(), 408, "upload_timeout");
    assert!(!holds(balancer.address.port(), port), "who was there first was not cut first");
}

#[test]
fn the_system_holds_nothing_for_a_client_that_stopped_reading() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--access-log", "-");
    let balancer = balancer.flag("--body-timeout", "200ms").flag("--client-idle-timeout", "200ms").start();
    let mut http1 = Client::to(balancer.address);
    http1.send("GET /bytes/100000000 HTTP/1.1\r\nHost: test\r\n\r\n");
    let mut http2 = Client::to(balancer.address);
    // Windows that allow all of it.
    let windows = [
        frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]),
        frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]),
    ];
    let fields =
        [(":method", "GET"), (":scheme", "http"), (":path", "/bytes/100000000"), (":authority", "a")];
    http2.send([settings(), windows.concat(), head(1, &fields)].concat());
    balancer.said_times("\"reason\":\"client_stalled\"", 2);
    for client in [http1, http2] {
        let port = client.stream().local_addr().unwrap().port();
        until("the system holds nothing", || !holds(balancer.address.port(), port));
    }
}

/// Whether the system knows of a connection from this port to that one.
fn holds(from: u16, to: u16) -> bool {
    told_of(from, to).is_some()
}

/// Whether so much waits to be sent from this port to that one that nothing more fits in, as far as can be seen.
fn is_full(from: u16, to: u16) -> bool {
    let waiting = || told_of(from, to).map(|line| line.split_whitespace().nth(4).map(str::to_owned));
    let before = waiting();
    thread::sleep(Duration::from_millis(200));
    let is_some = before.iter().flatten().any(|queues| !queues.starts_with("00000000"));
    is_some && before == waiting()
}

/// What the system tells of a connection from this port to that one.
fn told_of(from: u16, to: u16) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let ends = format!("0100007F:{from:04X} 0100007F:{to:04X} ");
    table.lines().find(|line| line.contains(&ends)).map(str::to_owned)
}

#[test]
fn an_unused_connection_to_a_backend_is_closed() {
    let (backend, end) = observed(|transport| transport.send("HTTP/1.1 204 No Content\r\n\r\n"));
    let balancer = Balancer::before(&[backend.address]).flag("--backend-idle-timeout", "200ms").start();
    get(balancer.address, "/").expect_status(204);
    end.recv_timeout(PATIENCE).expect("the connection to the backend ends");
}

#[test]
fn a_slow_but_steady_upload_may_take_longer_than_any_timeout() {
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let balancer = Balancer::before(&[backend.address]).flag("--response-timeout", "1s");
    let balancer = balancer.flag("--header-timeout", "1s").flag("--body-timeout", "1s").start();
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\n");
    for _ in 0..8 {
        thread::sleep(Duration::from_millis(200));
        client.send("x");
    }
    client.answer().expect_status(200);
}

#[test]
fn a_slow_but_steady_answer_may_take_longer_than_any_timeout() {
    let backend = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n");
        for _ in 0..8 {
            thread::sleep(Duration::from_millis(200));
            transport.send("x");
        }
    });
    let balancer = Balancer::before(&[backend.address]).flag("--response-timeout", "1s");
    let balancer = balancer.flag("--client-idle-timeout", "1s").flag("--body-timeout", "1s").start();
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "xxxxxxxx");
}
