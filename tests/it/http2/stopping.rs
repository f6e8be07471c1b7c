//! A stop lets streams that are under way finish, and begins no others.

use std::io::Write;

use super::{get, post, until};
use crate::support::pki::Authority;
use crate::support::tls::trusting;
use crate::support::{Backend, Balancer, Client, Http2, Running, Sample, frame, gate, head, settings};

/// A backend that answers when its gate is opened, behind a balancer.
fn gated() -> (crate::support::Opener, Backend, Balancer) {
    let (opener, gate) = gate();
    let backend = Backend::that(move |mut transport| {
        gate.wait();
        transport.read_body();
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    });
    let balancer = Balancer::before(&[backend.address]);
    (opener, backend, balancer)
}

fn stop(balancer: &Running) {
    balancer.signal("TERM");
    balancer.said("stopping");
}

#[test]
fn streams_that_are_under_way_are_answered_and_then_it_is_over() {
    let authority = Authority::new();
    let pair = authority.signs(&["localhost"]);
    for secured in [false, true] {
        let (opener, backend, balancer) = gated();
        let balancer = if secured { balancer.secured(&[&pair]) } else { balancer }.start();
        let mut client = match secured {
            true => Http2::secure(balancer.address, trusting(&authority)),
            false => Http2::to(balancer.address),
        };
        let mut streams: Vec<_> = (0..3).map(|_| client.ask(get("/"))).collect();
        let mut upload = client.begin(post("/"));
        until("all are at the backend", || backend.requests() == 4);
        stop(&balancer);
        (0..4).for_each(|_| opener.open());
        for stream in &mut streams {
            assert_eq!(stream.answer().expect_status(200).text(), "ok");
        }
        upload.send("hello", true).unwrap();
        assert_eq!(upload.answer().expect_status(200).text(), "ok");
        assert!(client.ended().is_ok(), "a GOAWAY without an error");
        assert!(balancer.ended().success());
    }
}

#[test]
fn streams_that_begin_after_a_stop_are_refused() {
    let (opener, gate) = gate();
    let backend = Backend::that(move |mut transport| {
        if transport.head.starts_with("GET /waits ") {
            gate.wait();
        }
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Http2::to(balancer.address);
    let mut stream = client.ask(get("/waits"));
    until("it is at the backend", || backend.requests() == 1);
    stop(&balancer);
    until("new ones are refused", || match client.try_ask(get("/"), true) {
        // It may have been sent before the word came: then it is answered, or refused by itself.
        Ok(mut stream) => stream.try_answer().is_err_and(|error| error.is_go_away() || error.is_reset()),
        Err(error) => error.is_go_away(),
    });
    opener.open();
    assert_eq!(stream.answer().expect_status(200).text(), "ok");
    assert!(balancer.ended().success());
}

#[test]
fn idle_connections_are_closed_at_once() {
    let (_opener, _backend, balancer) = gated();
    let balancer = balancer.flag("--drain-timeout", "1h").start();
    let mut clients: Vec<_> = (0..5).map(|_| Http2::to(balancer.address)).collect();
    // One that has said that it speaks HTTP/2, and no more.
    let mut quiet = Client::to(balancer.address);
    quiet.send(settings());
    quiet.frame();
    stop(&balancer);
    for client in &mut clients {
        assert!(client.ended_by_the_other_side().is_ok(), "a GOAWAY without an error");
    }
    drop(quiet);
    assert!(balancer.ended().success());
}

#[test]
fn a_client_that_does_not_take_note_of_a_stop_is_cut_after_a_moment() {
    let (_opener, _backend, balancer) = gated();
    let balancer = balancer.flag("--drain-timeout", "1h").start();
    let mut quiet = Client::to(balancer.address);
    quiet.send(settings());
    quiet.frame();
    stop(&balancer);
    quiet.remains();
    assert!(balancer.ended().success());
}

#[test]
fn clients_that_do_not_take_note_of_a_stop_are_not_waited_for_beyond_the_drain_timeout() {
    let (_opener, _backend, balancer) = gated();
    let balancer = balancer.flag("--drain-timeout", "1s").start();
    let mut quiet = [(); 3].map(|()| Client::to(balancer.address));
    for client in &mut quiet {
        client.send(settings());
        client.frame();
    }
    stop(&balancer);
    quiet.iter_mut().for_each(|client| drop(client.remains()));
    assert!(balancer.ended().success());
    assert_eq!(balancer.times_said("cut at the end of the drain time"), 0);
}

#[test]
fn an_answer_that_waits_for_a_slow_client_is_not_cut_by_a_stop() {
    const SIZE: usize = 8000;
    let backend = Backend::that(|mut transport| {
        transport.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
        let _ = transport.stream().write_all(&[b'x'; SIZE]);
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[backend.address]).flag("--access-log", "-").start();
    let mut client = Client::to(balancer.address);
    // A window of 200 bytes: most of the answer waits for the client.
    let mut windows = settings();
    windows.truncate(24);
    windows.extend(frame(4, 0, 0, &[0, 4, 0, 0, 0, 200]));
    client.send(windows);
    client.send(head(1, &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]));
    client.frame_of(0);
    stop(&balancer);
    let mut got = 200;
    while got < SIZE {
        // In all it takes longer than we wait for one who takes nothing.
        std::thread::sleep(std::time::Duration::from_millis(120));
        client.send(frame(8, 0, 1, &200_u32.to_be_bytes()));
        got += client.frame_of(0).payload.len();
    }
    assert_eq!(got, SIZE);
    balancer.said("\"bytes_out\":8000,");
    assert!(balancer.ended().success());
}

#[test]
fn the_last_of_an_answer_waits_for_a_client_whose_system_takes_no_more_for_a_while() {
    const PIECE: usize = 64 * 1024;
    const MOST: u32 = i32::MAX.cast_unsigned();
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).start();
    // Of one of them, what the systems do not hold is what h2 does: no request is under way any more.
    let mut clients: Vec<_> = (40..88)
        .map(|pieces| {
            let size = pieces * PIECE;
            let mut client = Client::to(balancer.address);
            socket2::SockRef::from(client.stream()).set_recv_buffer_size(PIECE).unwrap();
            let mut windows = settings();
            windows.truncate(24);
            windows.extend(frame(4, 0, 0, &[&[0, 4][..], &MOST.to_be_bytes()].concat()));
            windows.extend(frame(8, 0, 0, &(MOST - 65_535).to_be_bytes()));
            client.send(windows);
            let path = format!("/bytes/{size}");
            client.send(head(
                1,
                &[(":method", "GET"), (":scheme", "http"), (":path", &path), (":authority", "a")],
            ));
            client.frame_of(0);
            (client, size)
        })
        .collect();
    stop(&balancer);
    // Longer than a client is waited for to which nothing is owed.
    std::thread::sleep(std::time::Duration::from_secs(3));
    for (client, size) in &mut clients {
        // The first frame was read.
        assert!(client.body_of(1).len() + 16 * 1024 >= *size, "an answer of {size} was cut");
    }
    drop(clients);
    assert!(balancer.ended().success());
}

#[test]
fn what_is_not_done_in_time_is_cut() {
    let (_opener, backend, balancer) = gated();
    let balancer = balancer.flag("--drain-timeout", "300ms").flag("--access-log", "-").start();
    let mut client = Http2::to(balancer.address);
    let mut stream = client.ask(get("/"));
    until("it is at the backend", || backend.requests() == 1);
    stop(&balancer);
    assert!(stream.try_answer().is_err());
    balancer.said("cut at the end of the drain time: 1 connection");
    balancer.said("\"reason\":\"stopped\"");
    assert!(balancer.ended().success());
}
