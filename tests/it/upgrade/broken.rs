//! A tunnel that breaks off ends for the other side by a reset: what ends in order is taken for whole.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use socket2::{Domain, Socket, Type};

use super::{ASK, SWITCH, tunnel_to, upgraded};
use crate::support::pki::Authority;
use crate::support::tls::trusting;
use crate::support::{Backend, Balancer, Client, PATIENCE, Running, Transport, gate, get};

/// What came, and how it ended.
type End = (Vec<u8>, io::Result<usize>);

/// A backend that says hello in each tunnel, and tells what came of it and how it ended.
fn listening() -> (Backend, Balancer, Receiver<End>) {
    let (tell, told) = channel();
    let (backend, balancer) = tunnel_to(move |mut transport| {
        transport.send("hello");
        tell.send(transport.try_rest()).unwrap();
    });
    (backend, balancer, told)
}

/// A client that was told hello.
fn greeted(balancer: &Running) -> Client {
    let mut client = upgraded(balancer);
    assert_eq!(client.bytes(5), b"hello");
    client
}

fn expect_reset((came, ended): End, words: &str) {
    assert_eq!(String::from_utf8_lossy(&came), words);
    assert_eq!(ended.expect_err("that was no orderly end").kind(), io::ErrorKind::ConnectionReset);
}

fn expect_order((came, ended): End, words: &str) {
    assert_eq!(String::from_utf8_lossy(&came), words);
    ended.expect("an orderly end");
}

/// A client whose system takes little: most of what it is told is with ours for as long as it does not read.
fn slow(balancer: &Running) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&balancer.address.into()).expect("it listens");
    let mut client = Client::over(TcpStream::from(socket));
    client.send(ASK);
    assert_eq!(client.head().status, 101);
    client
}

/// How the tunnel ended for a backend.
fn end_of(told: &Receiver<End>) -> End {
    told.recv_timeout(PATIENCE).expect("the end of the tunnel")
}

#[test]
fn a_reset_by_the_backend_reaches_the_client_as_one_behind_its_last_words() {
    let (opener, gate) = gate();
    let (_backend, balancer) = tunnel_to(move |mut transport| {
        gate.wait();
        transport.send("bye");
        transport.reset();
    });
    let balancer = balancer.start();
    let mut client = upgraded(&balancer);
    opener.open();
    expect_reset(client.try_rest(), "bye");
}

#[test]
fn a_reset_by_the_client_reaches_the_backend_as_one_behind_its_last_words() {
    let (_backend, balancer, told) = listening();
    let balancer = balancer.start();
    let mut client = greeted(&balancer);
    client.send("bye");
    client.reset();
    expect_reset(end_of(&told), "bye");
}

#[test]
fn an_orderly_end_of_either_side_reaches_the_other_as_one() {
    let (_backend, balancer, told) = listening();
    let balancer = balancer.start();
    let mut client = greeted(&balancer);
    client.send("bye");
    drop(client);
    expect_order(end_of(&told), "bye");
    let (_backend, balancer) = tunnel_to(|mut transport| transport.send("bye"));
    expect_order(upgraded(&balancer.start()).try_rest(), "bye");
}

#[test]
fn a_tunnel_that_is_quiet_for_too_long_is_reset_on_both_sides() {
    let (_backend, balancer, told) = listening();
    let balancer = balancer.flag("--tunnel-idle-timeout", "200ms").start();
    expect_reset(greeted(&balancer).try_rest(), "");
    expect_reset(end_of(&told), "");
}

#[test]
fn who_was_told_all_before_it_was_quiet_has_an_orderly_end_and_the_other_side_a_reset() {
    let (tell, told) = channel();
    let (_opener, gate) = gate();
    let (_backend, balancer) = tunnel_to(move |mut transport| {
        transport.send("hello");
        tell.send(transport.try_rest()).unwrap();
        gate.wait();
    });
    let balancer = balancer.flag("--tunnel-idle-timeout", "200ms").start();
    let mut client = greeted(&balancer);
    client.send("bye");
    client.finish();
    expect_order(end_of(&told), "bye");
    expect_reset(client.try_rest(), "");
}

#[test]
fn a_stop_that_does_not_wait_for_a_tunnel_resets_it_on_both_sides() {
    for (time, signals) in [("200ms", 1), ("1h", 2)] {
        let (_backend, balancer, told) = listening();
        let balancer = balancer.flag("--drain-timeout", time).start();
        let mut client = greeted(&balancer);
        for _ in 0..signals {
            balancer.signal("TERM");
            balancer.said("stopping: no new clients");
        }
        expect_reset(client.try_rest(), "");
        expect_reset(end_of(&told), "");
        balancer.ended();
    }
}

#[test]
fn what_a_backend_said_before_it_broke_off_is_not_lost_to_who_takes_it_slowly() {
    const SIZE: usize = 60_000;
    let (_backend, balancer) = tunnel_to(|mut transport| {
        transport.send(vec![b'x'; SIZE]);
        transport.reset();
    });
    let balancer = balancer.start();
    let mut client = slow(&balancer);
    let (came, ended) = client.try_rest();
    assert_eq!(
        (came.len(), ended.map_err(|error| error.kind())),
        (SIZE, Err(io::ErrorKind::ConnectionReset))
    );
}

#[test]
fn what_a_backend_said_before_it_closed_in_order_is_not_lost_because_it_hears_no_more() {
    const SIZE: usize = 60_000;
    let backend = Backend::that(|mut transport: Transport| {
        if transport.head.starts_with("GET / ") {
            return transport.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        }
        transport.send(SWITCH);
        transport.send(vec![b'x'; SIZE]);
    });
    let balancer =
        Balancer::before(&[backend.address]).flag("--workers", "1").flag("--access-log", "-").start();
    let mut client = slow(&balancer);
    for _ in 0..2 {
        // The first word meets a reset, the second finds that.
        client.send("anybody?");
        get(balancer.address, "/").expect_status(204);
    }
    balancer.said("\"path\":\"/chat\"");
    let (came, ended) = client.try_rest();
    assert_eq!((came.len(), ended.ok()), (SIZE, Some(SIZE)));
}

#[test]
fn over_tls_too_only_who_ended_in_order_seems_to() {
    let authority = Authority::new();
    let (pair, config) = (authority.signs(&["localhost"]), Arc::new(trusting(&authority)));
    let secure = |balancer: &Running| {
        let mut client = Client::secure(balancer.address, &config);
        client.send(ASK);
        assert_eq!(client.head().status, 101);
        client
    };
    for reset in [false, true] {
        let (_backend, balancer) =
            tunnel_to(move |transport| if reset { transport.reset() } else { drop(transport) });
        let balancer = balancer.secured(&[&pair]).start();
        assert_eq!(secure(&balancer).try_rest().1.is_err(), reset);
    }
    for farewell in [true, false] {
        let (_backend, balancer, told) = listening();
        let balancer = balancer.secured(&[&pair]).start();
        let mut client = secure(&balancer);
        assert_eq!(client.bytes(5), b"hello");
        if farewell {
            client.close_notify();
        }
        client.finish();
        assert_eq!(end_of(&told).1.is_ok(), farewell);
    }
}
