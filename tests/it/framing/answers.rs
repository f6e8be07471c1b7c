//! Bodies of answers: where they end.

use crate::support::{Backend, Balancer, Client, Sample, gate};

#[test]
fn the_trailers_of_an_answer_pass_to_a_client_that_takes_them() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Client::to(balancer.address);
    for _ in 0..2 {
        client.send("GET /chunked/70000 HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: te\r\n\r\n");
        let answer = client.answer().expect_status(200);
        assert_eq!((answer.body.len(), answer.header("trailer")), (70_000, Some("x-bytes")));
        assert_eq!(answer.trailers, [("x-bytes".to_owned(), "70000".to_owned())]);
    }
}

#[test]
fn what_is_for_one_hop_or_frames_a_message_does_not_pass_in_trailers() {
    let backend = Backend::answers(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum, via, upgrade, connection\r\n\r\n\
         2\r\nok\r\n0\r\nX-Sum: 7\r\nVia: 1.1 nobody\r\nUpgrade: h2c\r\nConnection: x-sum\r\n\r\n",
    );
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: te\r\n\r\n");
    let answer = client.answer().expect_status(200);
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "7".to_owned())]);
}

#[test]
fn an_answer_that_ends_with_its_connection_is_passed_on_whole_and_the_clients_connection_goes_on() {
    let backend = Backend::that(|mut transport| transport.send("HTTP/1.1 200 OK\r\n\r\nhello"));
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.answer().expect_status(200);
        assert_eq!((answer.header("transfer-encoding"), answer.text()), (Some("chunked"), "hello"));
    }
    assert_eq!(backend.requests(), 2);
}

#[test]
fn an_answer_that_ends_with_a_reset_does_not_look_complete() {
    let (opener, gate) = gate();
    let backend = Backend::that(move |mut transport| {
        transport.send("HTTP/1.1 200 OK\r\n\r\nhello");
        // Lest the reset overtake it.
        gate.wait();
        transport.reset();
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().as_deref(), Some(b"hello".as_slice()));
    opener.open();
    client.expect_end();
}
