//! A client leaves before its answer is complete: its backend is let go, and gets nothing that looks complete.

use std::sync::mpsc::{Receiver, channel};

use crate::support::{Backend, Balancer, Client, PATIENCE};

/// How a client leaves.
const WAYS: [fn(Client); 2] = [drop, Client::reset];

const GET: &str = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";

/// A backend that sends this, for as long as the connection takes more of the second part; it tells when a request
/// has come and when its connection has ended.
fn that_goes_on(first: &'static str, more: &'static str) -> (Backend, Receiver<&'static str>) {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        tell.send("begun").unwrap();
        transport.send(first);
        if more.is_empty() {
            transport.wait_for_end();
        }
        while !more.is_empty() && transport.try_send(more.repeat(1000)).is_ok() {}
        tell.send("ended").unwrap();
    });
    (backend, told)
}

#[test]
fn a_client_that_leaves_while_it_waits_for_its_answer_frees_the_backend() {
    for leave in WAYS {
        let (backend, told) = that_goes_on("", "");
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(GET);
        assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
        leave(client);
        assert_eq!(told.recv_timeout(PATIENCE), Ok("ended"));
        assert_eq!(backend.requests(), 1, "nobody asks again for a client that has left");
    }
}

#[test]
fn a_client_that_leaves_after_its_upload_frees_the_backend() {
    for leave in WAYS {
        let (tell, told) = channel();
        let backend = Backend::that(move |mut transport| {
            tell.send(transport.read_body()).unwrap();
            tell.send(transport.rest()).unwrap();
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), b"hello");
        leave(client);
        assert_eq!(told.recv_timeout(PATIENCE).expect("the end of the backend's connection"), b"");
    }
}

/// A read that fills the buffer leaves the runtime in the belief that there is more.
#[test]
fn a_client_whose_request_ended_with_a_full_buffer_frees_the_backend_when_it_leaves() {
    const FULL: usize = 8192;
    let pad = |head: &str, length: usize| format!("{head}{}\r\n\r\n", "a".repeat(length - head.len() - 4));
    let head = pad("GET / HTTP/1.1\r\nHost: a\r\nX-Pad: ", FULL);
    let upload = pad("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000\r\nX-Pad: ", FULL - 8000);
    for request in [head, upload + &"y".repeat(8000)] {
        let (tell, told) = channel();
        let backend = Backend::that(move |mut transport| {
            transport.read_body();
            tell.send("begun").unwrap();
            transport.wait_for_end();
            tell.send("ended").unwrap();
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(&request);
        assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
        drop(client);
        assert_eq!(told.recv_timeout(PATIENCE), Ok("ended"), "{}", &request[..50]);
    }
}

#[test]
fn a_client_that_leaves_amid_its_answer_frees_the_backend() {
    for leave in WAYS {
        let (backend, told) = that_goes_on("HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", "more");
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(GET);
        client.head().expect_status(200);
        assert_eq!(client.bytes(4), b"more");
        leave(client);
        assert_eq!((told.recv_timeout(PATIENCE), told.recv_timeout(PATIENCE)), (Ok("begun"), Ok("ended")));
    }
}

#[test]
fn a_client_that_leaves_while_its_answer_pauses_frees_the_backend() {
    for leave in WAYS {
        let (backend, told) = that_goes_on("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nsome", "");
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(GET);
        client.head().expect_status(200);
        assert_eq!(client.bytes(4), b"some");
        leave(client);
        assert_eq!((told.recv_timeout(PATIENCE), told.recv_timeout(PATIENCE)), (Ok("begun"), Ok("ended")));
    }
}

#[test]
fn an_upload_that_its_client_breaks_off_does_not_look_complete_to_the_backend() {
    for (framing, begun) in [("Content-Length: 9", "half"), ("Transfer-Encoding: chunked", "4\r\nhalf\r\n")] {
        for leave in WAYS {
            let (tell, told) = channel();
            let backend = Backend::that(move |mut transport| {
                tell.send(transport.bytes(begun.len())).unwrap();
                tell.send(transport.rest()).unwrap();
            });
            let balancer = Balancer::before(&[backend.address]).start();
            let mut client = Client::to(balancer.address);
            client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{begun}"));
            assert_eq!(told.recv_timeout(PATIENCE).unwrap(), begun.as_bytes());
            leave(client);
            assert_eq!(told.recv_timeout(PATIENCE).expect("the end of the upload"), b"", "{framing}");
            assert_eq!(backend.requests(), 1, "half a request is not sent again");
        }
    }
}

#[test]
fn a_client_that_sends_half_a_body_and_no_more_is_told_so() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        tell.send(transport.bytes(4)).unwrap();
        tell.send(transport.rest()).unwrap();
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), b"half");
    client.finish();
    assert_eq!(told.recv_timeout(PATIENCE).expect("the end of the upload"), b"");
    // It only stopped sending, so it may still be there to hear of it; but nothing that looks like an answer may come.
    let rest = String::from_utf8(client.rest()).unwrap();
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 4"), "{rest}");
}
