//! A client that sends or takes a body too slowly is cut; one that waits for a slow backend is not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::{expect_reason, limited};
use crate::support::h2_backend::{H2Backend, send_all};
use crate::support::{Backend, Balancer, Client, Http2, Running, Settings, get, http2_get};

/// A body timeout of two seconds leaves a grace of one.
const SLOW: [(&str, &str); 3] =
    [("--min-data-rate", "1000"), ("--body-timeout", "2s"), ("--access-log", "-")];

/// More than all buffers on the way to a backend hold.
const LARGE: usize = 64 << 20;

/// Sends a byte now and then, which is progress, until the other side has gone.
pub fn drip(stream: &TcpStream) {
    let mut stream = stream.try_clone().expect("a second handle");
    thread::spawn(move || {
        while stream.write_all(b"a").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
}

fn slow_before(backend: &Backend) -> Running {
    let balancer = Balancer::before(&[backend.address]);
    SLOW.iter().fold(balancer, |balancer, (name, value)| balancer.flag(name, value)).start()
}

#[test]
fn an_upload_that_drips_is_told_408() {
    let balancer = slow_before(&Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n");
    drip(client.stream());
    expect_reason(client.answer(), 408, "upload_timeout");
    balancer.said("\"reason\":\"upload_timeout\"");
}

#[test]
fn a_least_rate_that_comes_with_a_reload_holds_on_connections_that_stay() {
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let text = |limits: &str| {
        format!(
            "[timeouts]\nbody = \"2s\"\n{limits}[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
             [pools.all]\nbackends = [\"{}\"]\nhealth = {{ path = \"/health\" }}\n",
            backend.address
        )
    };
    let settings = Settings::that_say(&text(""));
    let balancer = settings.balancer().start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    client.answer().expect_status(200);
    settings.change(&balancer, &text("[limits]\nmin_data_rate = \"1000B/s\"\n"));
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n");
    drip(client.stream());
    expect_reason(client.answer(), 408, "upload_timeout");
}

#[test]
fn an_upload_that_drips_while_it_is_answered_is_cut() {
    let (_sample, balancer) = limited(&SLOW);
    let mut client = Client::to(balancer.address);
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n");
    drip(client.stream());
    client.head().expect_status(200);
    assert!(client.remains().len() < 100_000);
    assert!(balancer.said("\"reason\":\"upload_timeout\"").contains("\"status\":200"));
}

#[test]
fn an_upload_that_is_faster_than_the_least_rate_passes_however_long_it_takes() {
    let (_sample, balancer) = limited(&[("--min-data-rate", "10"), ("--body-timeout", "1s")]);
    let mut client = Client::to(balancer.address);
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 200\r\n\r\n");
    // Twice the grace.
    for _ in 0..20 {
        client.send("0123456789");
        thread::sleep(Duration::from_millis(100));
    }
    client.answer().expect_status(200);
}

#[test]
fn a_client_whose_backend_is_slow_is_not_cut() {
    let whole = Arc::new(AtomicBool::new(false));
    let sent = Arc::clone(&whole);
    let backend = Backend::that(move |mut transport| {
        // Its client has sent all it can by now, and waits.
        thread::sleep(Duration::from_millis(1500));
        assert!(!whole.load(Ordering::SeqCst), "the upload was not held up");
        transport.read_body();
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
        for byte in ["o", "k", "\n"] {
            thread::sleep(Duration::from_millis(600));
            transport.send(byte);
        }
    });
    // A rate at which what is buffered earns it no time to speak of.
    let balancer = Balancer::before(&[backend.address]).flag("--min-data-rate", "50000000");
    let balancer = balancer.flag("--body-timeout", "2s").start();
    let mut client = Client::to(balancer.address);
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {LARGE}\r\n\r\n"));
    let mut stream = client.stream().try_clone().expect("a second handle");
    let sending = thread::spawn(move || {
        stream.write_all(&vec![b'a'; LARGE]).expect("all of it is taken");
        sent.store(true, Ordering::SeqCst);
    });
    assert_eq!(client.answer().expect_status(200).text(), "ok\n");
    sending.join().expect("all of it is sent");
}

/// Answers as it reads, and takes its time for the second half: more than the grace, and less than the timeout.
fn slow_to_go_on() -> Running {
    let backend = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
        transport.read_body();
        thread::sleep(Duration::from_secs(3));
        transport.send("lf");
    });
    let balancer = Balancer::before(&[backend.address]).flag("--min-data-rate", "50000000");
    balancer.flag("--body-timeout", "4s").start()
}

#[test]
fn a_stream_whose_backend_pauses_for_longer_than_the_grace_is_not_cut() {
    let balancer = slow_to_go_on();
    let answer = Http2::to(balancer.address).get("/").expect_status(200);
    assert_eq!(answer.text(), "half");
}

#[test]
fn a_backend_that_has_begun_to_answer_has_all_its_time_for_the_rest_once_the_upload_has_ended() {
    let balancer = slow_to_go_on();
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\na");
    client.head().expect_status(200);
    client.send("b");
    assert_eq!(client.remains(), b"half");
}

#[test]
fn an_upload_that_its_backend_wants_no_more_of_is_not_held_against_a_client_that_takes_the_answer() {
    const SIZE: usize = 150_000;
    let backend = H2Backend::that(|mut exchange| async move {
        let response = hyper::Response::builder().status(413).body(()).unwrap();
        let mut stream = exchange.back.send_response(response, false).unwrap();
        // All of it is taken at once, and behind its end h2 says that it wants no more of the request.
        send_all(&mut stream, vec![b'x'; SIZE].into(), true).await;
    });
    // Its grace is half a second.
    let balancer = Balancer::before(&[]).flag("--backend", &backend.url()).flag("--body-timeout", "1s");
    let balancer = balancer.flag("--min-data-rate", "1000").flag("--access-log", "-").start();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(16_384);
    let mut client = Http2::with(&builder, balancer.address);
    let mut stream = client.begin(hyper::Request::put("http://test/").body(()).unwrap());
    stream.send("some", false).unwrap();
    assert_eq!(stream.head().0.status, 413);
    let mut came = 0;
    while came < SIZE {
        came += stream.data().expect("a body that goes on").expect("a piece").len();
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_client_that_takes_its_answer_too_slowly_is_cut_and_the_log_says_so() {
    let flags = [("--min-data-rate", "100000000"), ("--body-timeout", "2s"), ("--access-log", "-")];
    let (_sample, balancer) = limited(&flags);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(&balancer.address.into()).expect("it listens");
    let mut stream = TcpStream::from(socket);
    stream.write_all(b"GET /bytes/50000000 HTTP/1.1\r\nHost: test\r\n\r\n").expect("it reads");
    // Each read is progress for the plain deadline.
    let mut taken = 0;
    let mut buffer = [0; 65536];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        taken += read;
        // Once it was cut, only what its system holds is left.
        if balancer.times_said("client_stalled") == 0 {
            thread::sleep(Duration::from_millis(20));
        }
    }
    assert!(taken < 50_000_000, "all of it was sent");
    let line = balancer.said("\"path\":\"/bytes/50000000\"");
    assert!(line.contains("\"reason\":\"client_stalled\""), "{line}");
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn a_stream_whose_client_takes_it_too_slowly_is_broken_off_and_others_go_on() {
    let flags = [("--min-data-rate", "100000000"), ("--body-timeout", "2s"), ("--access-log", "-")];
    let (_sample, balancer) = limited(&flags);
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(20_000);
    let mut client = Http2::with(&builder, balancer.address);
    let mut slow = client.ask(http2_get("/bytes/50000000"));
    slow.head();
    let mut taken = 0;
    while let Some(Ok(piece)) = slow.data() {
        taken += piece.len();
        thread::sleep(Duration::from_millis(20));
    }
    assert!(taken < 50_000_000, "all of it was sent");
    balancer.said("\"reason\":\"client_stalled\"");
    client.get("/").expect_status(200);
}

#[test]
fn a_stream_whose_upload_drips_is_told_408() {
    let balancer = slow_before(&Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let mut client = Http2::to(balancer.address);
    let request = hyper::Request::post("http://test/").body(()).expect("a request");
    let mut slow = client.begin(request);
    // Long enough to be cut, and no longer, for the stream takes no more then.
    while slow.send("a", false).is_ok() && balancer.times_said("\"reason\":\"upload_timeout\"") == 0 {
        thread::sleep(Duration::from_millis(50));
    }
    slow.answer().expect_status(408);
}
