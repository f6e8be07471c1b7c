//! Requests whose stream or connection is lost: those that can be are sent again, and no others.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use h2::Reason;
use hyper::{Request, Response, StatusCode};

use crate::support::h2_backend::{Exchange, H2Backend};
use crate::support::{Balancer, Client, End, Http2, frame, get, http2_get, read_frame, request, until};

use super::before;

const POST: &str = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_refused_stream_is_tried_on_the_next_backend_whatever_the_method() {
    let first = H2Backend::that(|exchange| async { exchange.refuse() });
    let second = H2Backend::that(|exchange| async { exchange.answer(StatusCode::OK, "second") });
    let balancer = before(&[&first, &second]);
    for text in [POST, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"] {
        assert_eq!(request(balancer.address, text).expect_status(200).text(), "second");
    }
    assert!(first.requests() >= 2);
    assert_eq!(balancer.times_said("is down"), 0);
}

fn tells_lengths() -> H2Backend {
    H2Backend::that(|mut exchange| async {
        let length = exchange.read().await.0.len();
        exchange.answer(StatusCode::OK, format!("second got {length}"));
    })
}

#[test]
fn a_refused_stream_whose_body_came_to_its_end_without_a_byte_is_tried_on_the_next_backend() {
    let first = H2Backend::that(|mut exchange| async {
        exchange.read().await;
        exchange.refuse();
    });
    let second = tells_lengths();
    let balancer = before(&[&first, &second]);
    let mut client = Http2::to(balancer.address);
    let mut stream = client.begin(Request::post("http://test/").body(()).unwrap());
    until("the head came", || first.requests() == 1);
    stream.finish();
    assert_eq!(stream.answer().expect_status(200).text(), "second got 0");
    // What had a byte is not kept.
    let answer = request(balancer.address, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\na");
    answer.expect_status(502);
}

#[test]
fn an_upload_that_ended_at_the_backend_that_refused_it_has_ended_for_the_next_one() {
    for line in ["", "Expect: 100-continue\r\n"] {
        let first = H2Backend::that(|mut exchange| async {
            exchange.back.send_informational(Response::builder().status(100).body(()).unwrap()).unwrap();
            exchange.read().await;
            exchange.refuse();
        });
        let second = tells_lengths();
        let balancer = before(&[&first, &second]);
        let mut client = Client::to(balancer.address);
        client.send(format!("POST / HTTP/1.1\r\nHost: test\r\n{line}Transfer-Encoding: chunked\r\n\r\n"));
        until("the head came", || first.requests() == 1);
        if !line.is_empty() {
            assert_eq!(client.head().status, 100);
        }
        client.send("0\r\n\r\n");
        let answer = client.answer().expect_status(200);
        assert_eq!((answer.text(), answer.header("connection")), ("second got 0", None), "{line}");
    }
}

#[test]
fn a_stream_that_is_reset_for_another_reason_is_tried_again_only_if_that_does_no_harm() {
    let first =
        H2Backend::that(|mut exchange| async move { exchange.back.send_reset(Reason::INTERNAL_ERROR) });
    let second = H2Backend::that(|exchange| async { exchange.answer(StatusCode::OK, "second") });
    let balancer = before(&[&first, &second]);
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "second");
    let answer = request(balancer.address, POST).expect_status(502);
    assert!(answer.header("proxy-status").unwrap().contains("backend_closed"), "{answer:?}");
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn a_stream_that_is_reset_leaves_the_connection_to_others_and_its_request_to_the_next_backend() {
    let resets = || {
        H2Backend::that(|mut exchange| async move {
            match exchange.head.uri().path() {
                "/refused" => exchange.refuse(),
                "/reset" => exchange.back.send_reset(Reason::INTERNAL_ERROR),
                _ => exchange.answer(StatusCode::OK, "first"),
            }
        })
    };
    let (first, second) =
        (resets(), H2Backend::that(|exchange| async { exchange.answer(StatusCode::OK, "second") }));
    let balancer = before(&[&first, &second]);
    let mut client = Client::to(balancer.address);
    for (line, answered_by) in [
        ("GET /", "first"),
        ("GET /reset", "second"),
        ("GET /refused", "second"),
        ("POST /refused", "second"),
        ("GET /reset", "second"),
        ("GET /", "first"),
    ] {
        client.send(format!("{line} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(client.answer().expect_status(200).text(), answered_by, "{line}");
    }
    // On a connection that was used before, those that were refused are tried on a new one first.
    assert_eq!((first.connections(), first.requests(), second.requests()), (3, 8, 4));
    let only = resets();
    let balancer = before(&[&only]);
    let mut client = Client::to(balancer.address);
    for (path, status) in [("/", 200), ("/reset", 502)] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client.answer().expect_status(status);
    }
    assert_eq!((only.connections(), only.requests()), (1, 2));
}

#[test]
fn a_request_that_backends_refuse_goes_to_three_of_them_and_not_through_all() {
    let refuses = || H2Backend::that(|exchange| async { exchange.refuse() });
    let backends = [(); 5].map(|()| refuses());
    let balancer = before(&backends.each_ref());
    for line in ["GET /", "POST /"] {
        let asked = || backends.iter().filter(|backend| backend.requests() > 0).count();
        let mut client = Client::to(balancer.address);
        client.send(format!("{line} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"));
        client.answer().expect_status(502);
        assert_eq!(asked(), 3, "{line}");
    }
}

#[test]
fn a_request_behind_the_last_one_that_a_goaway_names_is_sent_on_a_new_connection() {
    let requests = Arc::new(AtomicUsize::new(0));
    let backend = goes_away_at_the_second_request(&requests);
    let balancer = Balancer::before(&[]).flag("--backend", &format!("h2c://{backend}"));
    let balancer = balancer.flag("--health-interval", "1h").start();
    balancer.said("is healthy");
    let mut client = Client::to(balancer.address);
    for _ in 0..10 {
        client.send(POST);
        client.answer().expect_status(200);
    }
    assert_eq!(balancer.times_said("is down"), 0);
    assert!(requests.load(Ordering::SeqCst) >= 10);
}

#[test]
fn a_connection_that_was_closed_while_idle_is_never_the_clients_problem() {
    let backend = H2Backend::that(|exchange| async { exchange.answer(StatusCode::OK, "first") });
    let second = H2Backend::that(|exchange| async { exchange.answer(StatusCode::OK, "second") });
    let balancer = before(&[&backend, &second]);
    let mut client = Client::to(balancer.address);
    client.send(POST);
    assert_eq!(client.answer().expect_status(200).text(), "first");
    backend.kill();
    until("nobody listens", || TcpStream::connect(backend.address).is_err());
    client.send(POST);
    assert_eq!(client.answer().expect_status(200).text(), "second");
    assert_eq!((backend.requests(), second.requests()), (1, 1));
}

#[test]
fn under_load_nothing_that_may_be_repeated_fails_while_backends_are_killed() {
    let answer = |exchange: Exchange| async { exchange.answer(StatusCode::OK, "ok") };
    let last = H2Backend::that(answer);
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let backends: Vec<_> = (0..3).map(|_| H2Backend::that(answer)).chain([last]).collect();
    let balancer = Balancer::before(&[]).flag("--workers", "2").flag("--policy", "round_robin");
    let balancer =
        backends.iter().fold(balancer, |balancer, backend| balancer.flag("--backend", &backend.url()));
    let balancer = balancer.flag("--health-interval", "1h").start();
    balancer.said_times("is healthy", 4);
    thread::scope(|scope| {
        let end = End(&over);
        let clients: Vec<_> =
            (0..8).map(|_| scope.spawn(|| ask(balancer.address, &answered, &over))).collect();
        for backend in &backends[..3] {
            let goal = answered.load(Ordering::SeqCst) + 300;
            until("three hundred more are answered", || answered.load(Ordering::SeqCst) >= goal);
            backend.kill();
            balancer.said(&format!("{} is down", backend.url()));
        }
        drop(end);
        clients.into_iter().for_each(|client| client.join().expect("every request is answered"));
    });
}

fn ask(balancer: SocketAddr, answered: &AtomicUsize, over: &AtomicBool) {
    let mut client = Client::to(balancer);
    while !over.load(Ordering::SeqCst) {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        client.answer().expect_status(200);
        answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// A backend, frame by frame: on each connection it answers the first request, and at the second it says that the first
/// was the last.
fn goes_away_at_the_second_request(requests: &Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, requests) = (listener.local_addr().unwrap(), Arc::clone(requests));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let requests = Arc::clone(&requests);
            thread::spawn(move || drop(go_away_at_the_second(stream, &requests)));
        }
    });
    address
}

fn go_away_at_the_second(mut stream: TcpStream, requests: &AtomicUsize) -> std::io::Result<()> {
    const PREFACE: usize = 24;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    stream.read_exact(&mut [0; PREFACE])?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    let mut last = 0;
    loop {
        let next = read_frame(&mut stream)?;
        match (next.kind, next.flags) {
            (SETTINGS, 0) => stream.write_all(&frame(SETTINGS, 1, 0, &[]))?,
            (1, _) if last == 0 => {
                last = next.stream;
                requests.fetch_add(1, Ordering::SeqCst);
                // `:status: 200`, with the ends of the head and of the stream.
                stream.write_all(&frame(1, 5, last, &[0x88]))?;
            }
            (1, _) => {
                let payload = [last.to_be_bytes(), [0; 4]].concat();
                stream.write_all(&frame(GOAWAY, 0, 0, &payload))?;
                stream.shutdown(std::net::Shutdown::Write)?;
            }
            _ => {}
        }
    }
}

#[test]
fn clients_that_leave_amid_their_answers_do_not_end_a_connection_that_others_share() {
    const ROUNDS: usize = 30;
    const EACH: usize = 100;
    let counts = Arc::new(Counts::default());
    let address = sends_on_when_told_to_stop(&counts);
    let balancer = Balancer::before(&[]).flag("--backend", &format!("h2c://{address}"));
    let balancer = balancer.flag("--health-interval", "1h").start();
    balancer.said("is healthy");
    assert_eq!(Http2::to(balancer.address).get("/").status, 200);
    for round in 1..=ROUNDS {
        let mut client = Http2::to(balancer.address);
        let mut streams: Vec<_> = (0..EACH).map(|_| client.ask(http2_get("/"))).collect();
        streams.iter_mut().for_each(|stream| assert_eq!(stream.head().0.status, 200));
        drop((streams, client));
        until("all are given up", || counts.given_up.load(Ordering::SeqCst) == round * EACH);
    }
    let mut client = Http2::to(balancer.address);
    assert_eq!(client.ask(http2_get("/")).head().0.status, 200);
    // One is that of the check.
    assert!(counts.connections.load(Ordering::SeqCst) <= 2);
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    given_up: AtomicUsize,
}

/// A backend, frame by frame: it begins to answer each request, and sends a piece of the answer when it is told that nobody wants
/// more of it.
fn sends_on_when_told_to_stop(counts: &Arc<Counts>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, counts) = (listener.local_addr().unwrap(), Arc::clone(counts));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            counts.connections.fetch_add(1, Ordering::SeqCst);
            let counts = Arc::clone(&counts);
            thread::spawn(move || drop(send_on(stream, &counts)));
        }
    });
    address
}

fn send_on(mut stream: TcpStream, counts: &Counts) -> std::io::Result<()> {
    const PREFACE: usize = 24;
    const SETTINGS: u8 = 4;
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    stream.read_exact(&mut [0; PREFACE])?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    let mut requests = 0;
    loop {
        let next = read_frame(&mut stream)?;
        match (next.kind, next.flags) {
            (SETTINGS, 0) => stream.write_all(&frame(SETTINGS, 1, 0, &[]))?,
            (1, _) => {
                // `:status: 200` and the end of the head; the first answer is whole, as is that of the check.
                let flags = if requests == 0 { 5 } else { 4 };
                stream.write_all(&frame(1, flags, next.stream, &[0x88]))?;
                requests += 1;
            }
            (3, _) if next.payload == CANCEL => {
                stream.write_all(&frame(0, 0, next.stream, b"piece"))?;
                counts.given_up.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
    }
}
