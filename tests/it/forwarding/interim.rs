//! Interim answers (RFC 9110 section 15.2) pass.

use super::{passed, values};
use crate::support::{Backend, Balancer, Client, gate};

#[test]
fn early_hints_reach_the_client_before_the_answer_is_made() {
    let (seen, gate) = gate();
    let backend = Backend::that(move |mut transport| {
        transport.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x\r\n\r\n");
        gate.wait();
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let hints = client.head();
    assert_eq!((hints.status, hints.header("link")), (103, Some("</a.css>; rel=preload")));
    assert_eq!(hints.header("connection"), None, "it concerns the backend's connection");
    seen.open();
    let answer = client.head();
    let answer = client.with_body(answer).expect_status(200);
    assert_eq!((answer.header("link"), answer.text()), (None, "ok"));
}

#[test]
fn several_interim_answers_pass_in_their_order_and_the_connection_goes_on() {
    let backend = Backend::answers(
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
         HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let heads: Vec<_> = (0..3).map(|_| client.head()).collect();
        let seen: Vec<_> = heads.iter().map(|head| (head.status, head.header("link"))).collect();
        assert_eq!(seen, [(102, None), (103, Some("</a>")), (103, Some("</b>"))]);
        assert_eq!(client.answer().expect_status(200).text(), "ok");
    }
}

#[test]
fn an_interim_answer_to_a_post_passes() {
    let (head, answer) = passed(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!((values(&head, "content-length"), answer.status), (vec!["4"], 201));
}

#[test]
fn an_interim_answer_may_have_as_many_lines_as_any_other_and_hides_none_behind_it() {
    let backend = Backend::that(|mut transport| {
        let hints = "Link: </a.css>; rel=preload\r\n".repeat(90);
        transport.send(format!("HTTP/1.1 103 Early Hints\r\n{hints}\r\nHTTP/1.1 100 Continue\r\n\r\n"));
        transport.read_body();
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    let hints = client.head();
    assert_eq!((hints.status, hints.headers.len()), (103, 90));
    assert_eq!(client.head().status, 100);
    client.send("body");
    assert_eq!(client.answer().expect_status(200).text(), "ok");
}

#[test]
fn an_interim_answer_does_not_break_into_the_answer_before_it() {
    const SIZE: usize = 8 << 20;
    let backend = Backend::that(|mut transport| {
        transport.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
        transport.send(vec![b'x'; SIZE]);
        assert!(transport.read_head(), "the second request");
        transport.send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let large = client.answer().expect_status(200);
    assert!(large.body.iter().all(|byte| *byte == b'x'), "something else was among it");
    assert_eq!((client.head().status, client.head().status), (103, 204));
}
