//! A stop gives who has said nothing yet, or owes a handshake, a moment and no more.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{GET, ended_well, stop};
use crate::support::pki::{Authority, Pair};
use crate::support::tls::trusting;
use crate::support::{Balancer, Client, Running, Sample};

/// A balancer that has all the time there is, if nothing but heads is waited for.
fn patient(sample: &Sample) -> Balancer {
    Balancer::before(&[sample.address()]).flag("--header-timeout", "1h").flag("--drain-timeout", "1h")
}

/// One that speaks TLS, and what its clients need.
fn secured(sample: &Sample) -> (Running, Arc<ClientConfig>, Pair) {
    let authority = Authority::new();
    let pair = authority.signs(&["localhost"]);
    let balancer = patient(sample).secured(&[&pair]).start();
    (balancer, Arc::new(trusting(&authority)), pair)
}

/// TLS on a connection that was made before.
fn speak_tls(client: &Client, config: &Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
    let connection = ClientConnection::new(Arc::clone(config), "localhost".try_into().unwrap()).unwrap();
    StreamOwned::new(connection, client.stream().try_clone().unwrap())
}

#[test]
fn who_came_just_before_a_stop_and_says_nothing_is_parted_from() {
    let sample = Sample::start("one");
    let balancer = patient(&sample).start();
    balancer.signal("STOP");
    let mut client = Client::to(balancer.address);
    balancer.signal("TERM");
    balancer.signal("CONT");
    client.expect_end();
    ended_well(&balancer);
}

#[test]
fn a_proxy_header_that_does_not_come_holds_up_no_stop() {
    let sample = Sample::start("one");
    let balancer = patient(&sample).flag("--proxy-protocol-from", "127.0.0.1").start();
    let mut clients = ["", "PROXY TCP4 192.0"].map(|part| {
        let mut client = Client::to(balancer.address);
        client.send(part);
        client
    });
    let mut speaks = Client::to(balancer.address);
    stop(&balancer, "TERM");
    // At once, for it has a second.
    speaks.send(format!("PROXY UNKNOWN\r\n{GET}"));
    speaks.answer().expect_status(200);
    clients.iter_mut().for_each(Client::expect_end);
    ended_well(&balancer);
}

#[test]
fn who_was_told_its_mistake_and_does_not_close_is_not_waited_for_beyond_the_drain_timeout() {
    let sample = Sample::start("one");
    let balancer = patient(&sample).flag("--drain-timeout", "1s").start();
    let mut client = Client::to(balancer.address);
    client.send("nonsense\r\n\r\n");
    client.answer().expect_status(400);
    stop(&balancer, "TERM");
    ended_well(&balancer);
    assert_eq!(balancer.times_said("cut at the end of the drain time"), 0);
}

#[test]
fn a_handshake_that_does_not_come_or_stands_still_holds_up_no_stop() {
    let sample = Sample::start("one");
    let (balancer, _, _pair) = secured(&sample);
    // The first of them says only that more is to come.
    let mut clients = [b"\x16\x03\x01\x02\x00".as_slice(), b""].map(|part| {
        let mut client = Client::to(balancer.address);
        client.send(part);
        client
    });
    stop(&balancer, "TERM");
    clients.iter_mut().for_each(Client::expect_end);
    ended_well(&balancer);
}

#[test]
fn a_handshake_that_goes_on_at_a_stop_is_finished_and_the_request_behind_it_answered() {
    let sample = Sample::start("one");
    let (balancer, config, _pair) = secured(&sample);
    let clients = [(); 2].map(|()| Client::to(balancer.address));
    let [mut asks, mut waits] = clients.each_ref().map(|client| speak_tls(client, &config));
    stop(&balancer, "TERM");
    // At once, for each has a second.
    waits.conn.write_tls(&mut waits.sock).expect("the first word");
    asks.write_all(GET.as_bytes()).unwrap();
    let mut answer = String::new();
    asks.read_to_string(&mut answer).expect("it ends with the farewell of TLS");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello from one\n"), "{answer}");
    waits.conn.complete_io(&mut waits.sock).expect("a handshake");
    assert_eq!(waits.read(&mut [0]).expect("a farewell, too"), 0);
    ended_well(&balancer);
}
