//! Requests that come in one moment: a busy worker reads them all before it sends the first.

use std::fs;

use crate::support::{Backend, Balancer, Client, Running, Sample, until};

/// So many that some are sent with others, and more than go out at a time.
const CLIENTS: usize = 90;

#[test]
fn each_client_gets_the_answer_to_its_own_request() {
    let backend = tells_the_path();
    let balancer = Balancer::before(&[backend.address]).flag("--workers", "1").start();
    let mut clients = connect(&balancer);
    for round in ["a", "b", "c"] {
        in_one_moment(&balancer, &mut clients, |client, number| client.send(get(round, number)));
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.answer().expect_status(200).text(), format!("/{round}/{number}"));
        }
    }
    assert!(backend.requests() <= CLIENTS, "connections were kept");
}

#[test]
fn none_notices_that_all_their_connections_had_been_closed() {
    let backend = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        // It closes when it has read the next head, so the balancer cannot know before it has sent it.
        transport.read_head();
    });
    let balancer = Balancer::before(&[backend.address]).flag("--workers", "1").start();
    let mut clients = connect(&balancer);
    for round in ["a", "b"] {
        in_one_moment(&balancer, &mut clients, |client, number| client.send(get(round, number)));
        for client in &mut clients {
            assert_eq!(client.answer().expect_status(200).text(), "ok");
        }
    }
    assert_eq!(backend.requests(), 2 * CLIENTS);
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn all_go_to_the_next_backend_when_the_first_has_died_with_their_connections() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let balancer = Balancer::before(&[first.address(), second.address()]).flag("--workers", "1").start();
    let mut clients = connect(&balancer);
    for (round, name) in [("a", "first"), ("b", "second")] {
        in_one_moment(&balancer, &mut clients, |client, number| {
            client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
            if round == "b" && number == 0 {
                first.kill();
            }
        });
        for client in &mut clients {
            assert_eq!(client.answer().expect_status(200).text(), format!("hello from {name}\n"));
        }
    }
}

#[test]
fn who_leaves_at_once_takes_nothing_from_the_others() {
    let backend = tells_the_path();
    let balancer = Balancer::before(&[backend.address]).flag("--workers", "1").start();
    let mut clients = connect(&balancer);
    in_one_moment(&balancer, &mut clients, |client, number| {
        client.send(get("a", number));
        if number % 2 == 0 {
            client.finish();
        }
    });
    let mut left = connect(&balancer);
    for (number, mut client) in clients.into_iter().enumerate().filter(|(number, _)| number % 2 == 1) {
        assert_eq!(client.answer().expect_status(200).text(), format!("/a/{number}"));
        left.push(client);
    }
    in_one_moment(&balancer, &mut left, |client, number| client.send(get("b", number)));
    for (number, client) in left.iter_mut().enumerate() {
        assert_eq!(client.answer().expect_status(200).text(), format!("/b/{number}"));
    }
}

fn connect(balancer: &Running) -> Vec<Client> {
    (0..CLIENTS).map(|_| Client::to(balancer.address)).collect()
}

fn get(round: &str, number: usize) -> String {
    format!("GET /{round}/{number} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// Lets each client act while the balancer does nothing, so that it finds all in one turn.
fn in_one_moment(balancer: &Running, clients: &mut [Client], act: impl Fn(&mut Client, usize)) {
    balancer.signal("STOP");
    let status = format!("/proc/{}/status", balancer.id());
    until("it stands still", || fs::read_to_string(&status).is_ok_and(|text| text.contains("\nState:\tT")));
    clients.iter_mut().enumerate().for_each(|(number, client)| act(client, number));
    balancer.signal("CONT");
}

/// A backend whose answers say what was asked.
fn tells_the_path() -> Backend {
    Backend::that(|mut transport| {
        loop {
            let path = transport.head.split(' ').nth(1).unwrap_or_default().to_owned();
            transport.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()));
            if !transport.read_head() {
                return;
            }
        }
    })
}
