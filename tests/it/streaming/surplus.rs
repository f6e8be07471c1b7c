//! A client that goes on sending behind its last request, or whose request is answered before it has all come, gets the whole
//! answer all the same (RFC 9112 section 9.6).

use std::io::ErrorKind;

use crate::support::{Backend, Balancer, Client, gate};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
const LAST: [&str; 2] =
    ["GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\nHost: test\r\n\r\n"];

#[test]
fn an_answer_is_not_destroyed_by_what_its_client_sent_behind_the_request() {
    for (last, surplus) in LAST.into_iter().flat_map(|last| [1, 100, 100_000].map(|surplus| (last, surplus)))
    {
        let (opener, answer) = gate();
        let (asked, was_asked) = gate();
        let backend = Backend::that(move |mut transport| {
            asked.open();
            answer.wait();
            transport.send(ANSWER);
            transport.wait_for_end();
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(last);
        was_asked.wait();
        client.send("a".repeat(surplus));
        opener.open();
        assert_eq!(client.answer().expect_status(200).text(), "ok\n");
        assert_eq!(client.rest(), b"", "a reset could overtake the answer");
    }
}

#[test]
fn a_client_that_never_stops_sending_is_parted_from_all_the_same() {
    let backend = Backend::answers(ANSWER);
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(LAST[0]);
    let error = loop {
        if let Err(error) = client.try_send([b'a'; 64 * 1024]) {
            break error.kind();
        }
    };
    assert!(matches!(error, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
}

#[test]
fn a_client_that_takes_no_answer_is_asked_for_no_other_request() {
    const TOGETHER: usize = 40;
    let balancer = Balancer::before(&[Backend::refuses()]).flag("--body-timeout", "500ms").start();
    // The answer is ours, and comes before the body is read, with which hyper goes on to the next request.
    let line = "Max-Forwards: 0\r\nExpect: 100-continue\r\nContent-Length: 1";
    let request = format!("OPTIONS / HTTP/1.1\r\nHost: test\r\n{line}\r\nX: {}\r\n\r\nx", "x".repeat(500));
    // What fits the buffer of a read is read whole.
    let request = request.replacen(&"x".repeat(request.len() - 512), "", 1);
    let mut client = Client::to(balancer.address);
    let some = request.repeat(TOGETHER);
    let taken = (0..5000).take_while(|_| client.try_send(&some).is_ok()).count() * TOGETHER;
    assert!(taken < 5000 * TOGETHER, "{taken} requests were taken of a client that takes no answer");
}

#[test]
fn our_own_answer_to_a_request_that_has_not_all_come_says_that_the_connection_ends() {
    let balancer = Balancer::before(&[Backend::refuses()]).start();
    for (fields, body, ends) in [
        ("Content-Length: 5", "hello", false),
        ("Content-Length: 5\r\nExpect: 100-continue", "", true),
        ("Content-Length: 300000", "hello", true),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", true),
    ] {
        let mut client = Client::to(balancer.address);
        client.send(format!("POST / HTTP/1.1\r\nHost: test\r\n{fields}\r\n\r\n{body}"));
        let answer = client.answer().expect_status(503);
        assert_eq!(answer.header("connection"), ends.then_some("close"), "{fields}");
        match ends {
            true => assert_eq!(client.rest(), b"", "{fields}"),
            false => {
                client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
                client.answer().expect_status(503);
            }
        }
    }
}
