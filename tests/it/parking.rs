//! A client that has been idle for a moment costs next to nothing, and never notices.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Backend, Balancer, Client, PATIENCE, Running, Sample, get};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// A balancer that tells whom it parks.
fn telling(backend: SocketAddr) -> Balancer {
    Balancer::before(&[backend]).flag("--log-level", "debug")
}

fn address(client: &Client) -> SocketAddr {
    client.stream().local_addr().unwrap()
}

fn parked(client: &Client) -> String {
    format!("{} is parked", address(client))
}

/// A client that has had an answer.
fn served(balancer: &Running) -> Client {
    let mut client = Client::to(balancer.address);
    expect_bytes(&mut client, 7);
    client
}

fn ask_for(count: usize) -> String {
    format!("GET /bytes/{count} HTTP/1.1\r\nHost: test\r\n\r\n")
}

fn expect_bytes(client: &mut Client, count: usize) {
    client.send(ask_for(count));
    assert_eq!(client.answer().expect_status(200).body.len(), count);
}

/// A client is parked that fell idle after all that was done before: what was idle then must be parked by now.
fn wait_until_another_is_parked(balancer: &Running) {
    let other = served(balancer);
    balancer.said(&parked(&other));
}

#[test]
fn a_parked_client_is_answered_on_its_connection_again_and_again() {
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).start();
    let mut client = served(&balancer);
    for times in 1..=2 {
        balancer.said_times(&parked(&client), times);
        expect_bytes(&mut client, times);
        expect_bytes(&mut client, 100 * times);
    }
}

#[test]
fn all_parked_clients_get_their_own_answers() {
    const CLIENTS: usize = 200;
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).flag("--workers", "2").start();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| served(&balancer)).collect();
    balancer.said_times(" is parked", CLIENTS);
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(ask_for(number));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.answer().expect_status(200).body.len(), number);
    }
}

#[test]
fn requests_that_are_pipelined_to_a_parked_client_s_connection_are_answered_in_order() {
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).start();
    let mut client = served(&balancer);
    balancer.said(&parked(&client));
    client.send([ask_for(1), ask_for(2), ask_for(3)].concat());
    for count in 1..=3 {
        assert_eq!(client.answer().expect_status(200).body.len(), count);
    }
}

/// Requests come just before, while and just after their connections are parked, some of them in two halves.
#[test]
fn no_byte_is_lost_at_the_moment_of_parking() {
    const CLIENTS: usize = 150;
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).start();
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            thread::sleep(Duration::from_millis(3));
            served(&balancer)
        })
        .collect();
    balancer.said(&parked(&clients[0]));
    for (number, client) in clients.iter_mut().enumerate() {
        let request = ask_for(number);
        let (first, second) = request.split_at(if number % 2 == 0 { request.len() } else { number % 20 + 1 });
        client.send(first);
        thread::sleep(Duration::from_millis(2));
        client.send(second);
        client.send(ask_for(number + 1));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.answer().expect_status(200).body.len(), number);
        assert_eq!(client.answer().expect_status(200).body.len(), number + 1);
    }
}

#[test]
fn half_a_head_is_not_parked_and_loses_nothing() {
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).start();
    let mut client = served(&balancer);
    client.send("GET /bytes/3 HTTP/1.1\r\nHo");
    wait_until_another_is_parked(&balancer);
    assert_eq!(balancer.times_said(&parked(&client)), 0);
    client.send("st: test\r\n\r\n");
    assert_eq!(client.answer().expect_status(200).body.len(), 3);
}

#[test]
fn an_empty_line_behind_a_body_begins_no_head() {
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).start();
    let mut client = Client::to(balancer.address);
    for times in 1..=2 {
        client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc\r\n");
        client.answer().expect_status(200);
        balancer.said_times(&parked(&client), times);
    }
    client.send("\r\n");
    expect_bytes(&mut client, 3);
}

#[test]
fn half_a_head_that_wakes_a_parked_client_has_its_deadline() {
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).flag("--header-timeout", "300ms").start();
    let mut client = served(&balancer);
    balancer.said(&parked(&client));
    client.send("GET / HT");
    client.answer().expect_status(408);
    client.expect_end();
}

#[test]
fn an_answer_that_its_client_has_not_taken_yet_is_not_parked() {
    const SIZE: usize = 20_000_000;
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).start();
    let mut client = Client::to(balancer.address);
    client.send(ask_for(SIZE));
    let head = client.head();
    wait_until_another_is_parked(&balancer);
    assert_eq!(balancer.times_said(&parked(&client)), 0);
    assert_eq!(client.with_body(head).expect_status(200).body.len(), SIZE);
    expect_bytes(&mut client, 5);
}

#[test]
fn a_request_that_waits_for_its_answer_is_not_parked() {
    let (open, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let backend = Backend::that(move |mut transport| {
        if transport.head.starts_with("GET /wait ") {
            gate.lock().unwrap().recv().expect("the test goes on");
        }
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nwaited\n");
    });
    let balancer = telling(backend.address).start();
    let mut client = served(&balancer);
    client.send("GET /wait HTTP/1.1\r\nHost: test\r\n\r\n");
    wait_until_another_is_parked(&balancer);
    assert_eq!(balancer.times_said(&parked(&client)), 0);
    open.send(()).unwrap();
    assert_eq!(client.answer().expect_status(200).text(), "waited\n");
    balancer.said(&parked(&client));
}

fn expect_seat(balancer: &Running) {
    let deadline = Instant::now() + PATIENCE;
    while get(balancer.address, "/").status == 503 {
        assert!(Instant::now() < deadline, "the seat is not given back");
    }
}

#[test]
fn a_parked_client_that_leaves_gives_back_its_seat() {
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).flag("--max-connections", "1").start();
    let client = served(&balancer);
    balancer.said(&parked(&client));
    Client::to(balancer.address).answer().expect_status(503);
    drop(client);
    expect_seat(&balancer);
}

#[test]
fn a_parked_client_that_resets_its_connection_gives_back_its_seat() {
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).flag("--max-connections", "1").start();
    let client = served(&balancer);
    balancer.said(&parked(&client));
    client.reset();
    expect_seat(&balancer);
}

#[test]
fn a_parked_client_that_sends_no_more_is_closed_in_order() {
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).flag("--max-connections", "1").start();
    let mut client = served(&balancer);
    balancer.said(&parked(&client));
    client.finish();
    assert_eq!(client.rest(), b"", "no word and no reset");
    expect_seat(&balancer);
}

#[test]
fn a_parked_client_is_closed_when_it_was_idle_for_too_long() {
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).flag("--client-idle-timeout", "1300ms").start();
    let mut client = served(&balancer);
    balancer.said(&parked(&client));
    assert_eq!(client.rest(), b"", "no word and no reset");
}

#[test]
fn a_stop_closes_parked_clients_at_once() {
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).flag("--drain-timeout", "1h").start();
    let mut clients: Vec<_> = (0..10).map(|_| served(&balancer)).collect();
    balancer.said_times(" is parked", clients.len());
    balancer.signal("TERM");
    for client in &mut clients {
        assert_eq!(client.rest(), b"", "no word and no reset");
    }
    assert!(balancer.ended().success());
}

#[test]
fn requests_of_parked_clients_that_came_before_a_stop_are_answered() {
    let backend = Sample::start("one");
    let balancer = telling(backend.address()).start();
    let mut clients: Vec<_> = (0..100).map(|_| served(&balancer)).collect();
    balancer.said_times(" is parked", clients.len());
    for client in &mut clients {
        client.send(REQUEST);
    }
    balancer.signal("TERM");
    for client in &mut clients {
        assert_eq!(client.answer().expect_status(200).text(), "hello from one\n");
        client.expect_end();
    }
    assert!(balancer.ended().success());
}
