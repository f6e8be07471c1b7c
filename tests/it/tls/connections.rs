//! What passes over TLS: the same as in the clear.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use super::{expect_answer, secured};
use crate::support::pki::Authority;
use crate::support::tls::trusting;
use crate::support::{Backend, Balancer, Client, PATIENCE, Running, Sample, Transport, gate, until};

/// A client of a balancer before this backend, which has said more about itself if `flags` ask for it.
fn client_of(backend: &Backend, flags: &[(&str, &str)]) -> (Running, Client) {
    let authority = Authority::new();
    let pair = authority.signs(&["localhost"]);
    let balancer = Balancer::before(&[backend.address]).secured(&[&pair]);
    let balancer = flags.iter().fold(balancer, |balancer, (name, value)| balancer.flag(name, value)).start();
    let client = Client::secure(balancer.address, &Arc::new(trusting(&authority)));
    (balancer, client)
}

#[test]
fn a_backend_is_told_that_its_client_speaks_tls() {
    let (backend, told) = Backend::tells("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let (_balancer, mut client) = client_of(&backend, &[]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.answer().expect_status(200);
    assert!(
        told.recv_timeout(PATIENCE)
            .unwrap()
            .to_ascii_lowercase()
            .contains("\r\nx-forwarded-proto: https\r\n")
    );
}

#[test]
fn requests_in_one_piece_are_answered_in_turn() {
    let (authority, _backend, balancer) = secured();
    let mut client = Client::secure(balancer.address, &Arc::new(trusting(&authority)));
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(300));
    for _ in 0..300 {
        assert_eq!(client.answer().expect_status(200).text(), "hello from one\n");
    }
}

#[test]
fn large_bodies_pass_whole_in_both_directions() {
    const SIZE: usize = 20_000_000;
    let backend = Backend::that(|mut transport| {
        let body = transport.read_body();
        transport.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        transport.send(body);
    });
    // It takes its time.
    let body: Vec<u8> = (0..SIZE).map(|place| (place * 31 / 7) as u8).collect();
    let (_balancer, mut client) = client_of(&backend, &[]);
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"));
    client.send(&body);
    assert!(client.answer().expect_status(200).body == body, "something else came");
}

#[test]
fn an_upgraded_connection_passes_bytes_both_ways() {
    let backend = Backend::that(|mut transport| {
        transport
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        while let Some(bytes) = transport.try_bytes(5) {
            transport.send(bytes);
        }
        transport.send("ended");
    });
    let (_balancer, mut client) = client_of(&backend, &[]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
    assert_eq!(client.head().status, 101);
    for word in ["early", "later", "last!"] {
        assert_eq!(client.bytes(5), word.as_bytes());
        client.send("later".replace("later", if word == "early" { "later" } else { "last!" }));
    }
    assert_eq!(client.bytes(5), b"last!");
    client.close_notify();
    assert_eq!(client.rest(), b"ended", "and the end, as TLS has it");
}

#[test]
fn interim_answers_come_before_the_final_one() {
    let backend = Backend::answers(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let (_balancer, mut client) = client_of(&backend, &[]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let early = client.head();
    assert_eq!((early.status, early.header("link")), (103, Some("</a>")));
    assert_eq!(client.answer().expect_status(200).text(), "ok");
}

/// A backend that tells when it has a request, and when the connection with it ended.
fn tells_of_its_end() -> (Backend, std::sync::mpsc::Receiver<&'static str>) {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport: Transport| {
        tell.send("asked").unwrap();
        transport.rest();
        tell.send("ended").unwrap();
    });
    (backend, told)
}

#[test]
fn a_client_that_leaves_ends_the_request_at_the_backend() {
    let leave: [fn(Client); 3] = [drop, Client::reset, |mut client| {
        client.close_notify();
        // It says farewell, and is there to see what is made of it.
        client.expect_end();
    }];
    for leave in leave {
        let (backend, told) = tells_of_its_end();
        let (_balancer, mut client) = client_of(&backend, &[]);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(told.recv_timeout(PATIENCE), Ok("asked"));
        leave(client);
        assert_eq!(told.recv_timeout(PATIENCE), Ok("ended"));
    }
}

#[test]
fn a_request_that_was_sent_ahead_is_answered_in_its_turn_and_its_client_noticed_when_it_leaves() {
    let (opener, gate) = gate();
    let backend = Backend::that(move |mut transport| {
        loop {
            gate.wait();
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            if !transport.read_head() {
                return;
            }
        }
    });
    let (_balancer, mut client) = client_of(&backend, &[]);
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the first is there", || backend.requests() == 1);
    // Larger than what is looked at while the first is answered.
    let padding = "x".repeat(3000);
    for count in 2..5 {
        client.send(format!("GET /{count} HTTP/1.1\r\nHost: a\r\nPadding: {padding}\r\n\r\n"));
    }
    for _ in 1..5 {
        opener.open();
        assert_eq!(client.answer().expect_status(200).text(), "ok");
    }
}

#[test]
fn an_upload_that_is_cut_off_never_looks_complete_to_the_backend() {
    for (framing, part) in [("Content-Length: 10", "first"), ("Transfer-Encoding: chunked", "5\r\nfirst\r\n")]
    {
        // TCP may end with or without the farewell that TLS has.
        for farewell in [true, false] {
            let (tell, told) = channel();
            let backend = Backend::that(move |mut transport| {
                tell.send(None).unwrap();
                tell.send(Some(transport.rest())).unwrap();
            });
            let (_balancer, mut client) = client_of(&backend, &[]);
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{part}"));
            assert_eq!(told.recv_timeout(PATIENCE), Ok(None));
            if farewell {
                client.close_notify();
            }
            client.finish();
            let got = told.recv_timeout(PATIENCE).expect("the end of the request").expect("a body");
            assert_eq!(String::from_utf8_lossy(&got), part, "{framing} {farewell}");
        }
    }
}

#[test]
fn an_answer_that_ends_with_the_connection_ends_with_a_farewell_and_a_broken_one_does_not() {
    // The sample's answer has a length, but HTTP/1.0 has no chunks: this one has no other end than the connection's.
    let whole =
        Backend::answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n");
    let broken = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbroke\r\n");
    });
    for (backend, word, ends_well) in [(whole, "whole", true), (broken, "broke", false)] {
        let (_balancer, mut client) = client_of(&backend, &[]);
        client.send("GET / HTTP/1.0\r\n\r\n");
        let (answer, ended) = client.try_rest();
        assert!(answer.ends_with(word.as_bytes()), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(ended.is_ok(), ends_well, "{word}: {ended:?}");
    }
}

#[test]
fn a_connection_that_is_closed_by_us_is_closed_with_a_farewell() {
    let (authority, _backend, balancer) = secured();
    let mut client = Client::secure(balancer.address, &Arc::new(trusting(&authority)));
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    client.answer().expect_status(200);
    assert_eq!(client.rest(), b"");
}

#[test]
fn parked_connections_can_be_used_again_and_lose_no_byte() {
    let authority = Authority::new();
    let pair = authority.signs(&["localhost"]);
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).secured(&[&pair]).flag("--log-level", "debug");
    let balancer = balancer.start();
    let config = Arc::new(trusting(&authority));
    let mut clients: Vec<_> = (0..20).map(|_| Client::secure(balancer.address, &config)).collect();
    let mut parked = 0;
    for pieces in [1, 2, 40] {
        clients.iter_mut().for_each(expect_answer);
        parked += clients.len();
        until("all are parked", || balancer.times_said(" is parked") == parked);
        for client in &mut clients {
            let request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
            for piece in request.chunks(request.len().div_ceil(pieces)) {
                client.send(piece);
            }
        }
        for client in &mut clients {
            assert!(client.answer().expect_status(200).text().ends_with("hello"));
        }
    }
}

#[test]
fn a_parked_client_is_closed_with_a_farewell_when_it_was_idle_for_too_long() {
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let flags = [("--client-idle-timeout", "1300ms"), ("--log-level", "debug")];
    let (balancer, mut client) = client_of(&backend, &flags);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.answer().expect_status(200);
    balancer.said(" is parked");
    assert_eq!(client.rest(), b"");
}

#[test]
fn many_connect_and_ask_at_once() {
    let (authority, _backend, balancer) = secured();
    let config = Arc::new(trusting(&authority));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    expect_answer(&mut Client::secure(balancer.address, &config));
                }
            });
        }
    });
}

#[test]
fn a_client_that_does_not_read_its_answer_is_cut_and_its_backend_let_go() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        let mut stream = transport.stream();
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
        tell.send(()).unwrap();
    });
    let flags = [("--body-timeout", "500ms"), ("--access-log", "-")];
    let (balancer, mut client) = client_of(&backend, &flags);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    told.recv_timeout(PATIENCE).expect("the backend is let go");
    balancer.said("\"reason\":\"client_stalled\"");
}
