//! Backends that misbehave: the client is told, nothing broken looks whole, and nobody else suffers.

use std::io::{ErrorKind, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{
    Backend, Balancer, Client, Running, Sample, Transport, expect_reason, gate, get, request,
};

mod framing;
mod interim;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// A backend that does this on its first connection and behaves on all others.
fn at_first(script: impl Fn(&mut Transport) + Send + Sync + 'static) -> Backend {
    let connections = AtomicUsize::new(0);
    Backend::that(move |mut transport| {
        if connections.fetch_add(1, Ordering::SeqCst) == 0 {
            script(&mut transport);
            // Whatever else comes on this connection must not have been sent.
            while transport.read_head() {
                transport.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nstolen\n");
            }
            return;
        }
        transport.read_body();
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsane\n");
    })
}

/// A backend that sends this once, and a balancer before it.
fn before_one_that_sends(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> (Backend, Running) {
    let backend = at_first(move |transport| transport.send(&bytes));
    let balancer = Balancer::before(&[backend.address]).start();
    (backend, balancer)
}

/// The backend's first connection is not used again and the balancer goes on as ever.
fn expect_sanity(backend: &Backend, balancer: &Running) {
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "sane\n");
    assert_eq!(backend.requests(), 2, "connections");
}

#[test]
fn an_answer_that_breaks_off_is_followed_by_nothing_whatever_its_client_sent_behind_the_request() {
    let backend = Backend::closes_mid_body();
    let balancer = Balancer::before(&[backend.address]).start();
    let ask = |behind: &str| {
        let mut client = Client::to(balancer.address);
        client.send(format!("GET / HTTP/1.1\r\nHost: test\r\n\r\n{behind}"));
        client.remains()
    };
    let alone = ask("").len();
    // The first may become a POST, the second is what one of HTTP/2 begins with.
    for behind in ["P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        assert_eq!(ask(behind).len(), alone, "{behind}");
    }
}

#[test]
fn a_backend_that_refuses_connections_is_told_as_503() {
    let refusing = Backend::refuses();
    let balancer = Balancer::before(&[refusing]).flag("--health-interval", "1h").start();
    balancer.said(&format!("{refusing} is down: connection refused"));
    let answer = get(balancer.address, "/").expect_status(503);
    assert!(answer.text().contains(&format!("{refusing}: connection refused")), "{answer:?}");
}

#[test]
fn a_connection_that_is_closed_before_the_answer_is_told_as_502() {
    let backend = Backend::closes_before_the_head();
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(REQUEST);
    expect_reason(client.answer(), 502, "backend_closed");
    client.send(REQUEST);
    assert!(matches!(client.answer().status, 502 | 503), "the client's connection goes on");
}

#[test]
fn what_may_not_be_repeated_is_not_sent_again_when_the_connection_is_closed() {
    let (first, second) = (Backend::closes_before_the_head(), Sample::start("second"));
    let balancer = Balancer::before(&[first.address, second.address()]).start();
    let post = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    expect_reason(request(balancer.address, post), 502, "backend_closed");
    assert_eq!(first.requests(), 1);
}

#[test]
fn a_request_that_kills_its_backends_is_not_given_to_all_of_them() {
    let backends: Vec<_> = (0..5).map(|_| Backend::closes_before_the_head()).collect();
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let balancer = Balancer::before(&addresses).start();
    expect_reason(get(balancer.address, "/"), 502, "backend_closed");
    assert_eq!(backends.iter().map(Backend::requests).sum::<usize>(), 3);
}

#[test]
fn a_reset_amid_the_head_is_told_as_502_where_the_request_may_not_be_repeated() {
    let (first, second) = (Backend::resets_mid_head(), Sample::start("second"));
    let balancer = Balancer::before(&[first.address, second.address()]).start();
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
    expect_reason(client.answer(), 502, "backend_closed");
    assert_eq!(first.requests(), 1);
    client.send(REQUEST);
    assert_eq!(client.answer().expect_status(200).text(), "hello from second\n");
}

#[test]
fn a_request_that_may_be_repeated_is_sent_again_after_a_reset_amid_the_head() {
    let (first, second) = (Backend::resets_mid_head(), Sample::start("second"));
    let balancer = Balancer::before(&[first.address, second.address()]).start();
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from second\n");
    assert_eq!(first.requests(), 1);
}

#[test]
fn a_head_with_a_line_feed_alone_at_the_end_of_a_line_is_told_as_502_and_its_connection_not_used_again() {
    for bytes in [
        "HTTP/1.1 200 OK\nContent-Length: 3\n\nno\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\nA: b\r\n\r\nno\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\nno\n",
        "HTTP/1.1 103 Early Hints\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\nno\n",
    ] {
        let (backend, balancer) = before_one_that_sends(bytes);
        let mut client = Client::to(balancer.address);
        client.send(REQUEST);
        let mut answer = client.answer();
        while answer.status == 103 {
            answer = client.answer();
        }
        expect_reason(answer, 502, "bad_answer");
        client.send(REQUEST);
        assert_eq!(client.answer().expect_status(200).text(), "sane\n", "the client's connection goes on");
        assert_eq!(backend.requests(), 2, "connections");
        assert_eq!(balancer.times_said("is down"), 0);
        balancer.said(&format!(
            "{} answered a request with lines that end without a carriage return",
            backend.address
        ));
    }
}

#[test]
fn a_line_feed_alone_is_found_in_any_answer_of_a_connection_and_nowhere_in_bodies() {
    let good = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\na\n\nb\n\n\r\n";
    let backend = at_first(move |transport| {
        for bytes in [good, good, good, "HTTP/1.1 200 OK\r\nContent-Length: 8\n\r\na\n\nb\n\n\r\n"] {
            transport.send(bytes);
            if !transport.read_head() {
                return;
            }
        }
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    for _ in 0..3 {
        client.send(REQUEST);
        assert_eq!(client.answer().expect_status(200).text(), "a\n\nb\n\n\r\n");
    }
    client.send(REQUEST);
    expect_reason(client.answer(), 502, "bad_answer");
    expect_sanity(&backend, &balancer);
}

#[test]
fn garbage_is_told_as_502_and_its_connection_not_used_again() {
    let (backend, balancer) = before_one_that_sends("\u{1}\u{2} this is no HTTP \u{3}\r\n\r\n");
    let mut client = Client::to(balancer.address);
    client.send(REQUEST);
    let answer = expect_reason(client.answer(), 502, "bad_answer");
    assert_eq!(answer.text(), "the backend's answer is not one that this proxy can pass on\n");
    expect_sanity(&backend, &balancer);
    let ever = Backend::sends_garbage();
    let balancer = Balancer::before(&[ever.address]).start();
    for _ in 0..3 {
        expect_reason(get(balancer.address, "/"), 502, "bad_answer");
    }
    balancer.said(&format!("{} answered a request with something that is not HTTP", ever.address));
    assert_eq!(balancer.times_said("answered a request with"), 1, "it is said seldom");
}

#[test]
fn a_head_that_never_ends_is_given_up() {
    for start in
        ["HTTP/1.1 200 OK\r\nX-Endless: ", "HTTP/1.1 200 OK", "HTTP/1.1 103 Early Hints\r\nX-Endless: "]
    {
        let backend = Backend::that(move |mut transport| {
            transport.send(start);
            while transport.try_send([b'a'; 4096]).is_ok() {}
        });
        let balancer = Balancer::before(&[backend.address]).start();
        expect_reason(get(balancer.address, "/"), 502, "bad_answer");
        balancer.said("answered a request with a head of more bytes (--max-header-size) or lines");
    }
}

#[test]
fn an_answer_that_breaks_off_is_cut_and_never_ended() {
    let backend = Backend::closes_mid_body();
    let balancer = Balancer::before(&[backend.address]).flag("--access-log", "-").start();
    let mut client = Client::to(balancer.address);
    client.send(REQUEST);
    assert_eq!(client.head().expect_status(200).header("content-length"), Some("10"));
    assert_eq!(client.remains(), b"first");
    let line = balancer.said("\"reason\":\"answer_broken\"");
    assert!(line.contains("\"termination\":\"SD\"") && line.contains("\"bytes_out\":5"), "{line}");
}

#[test]
fn an_answer_that_breaks_off_does_not_look_whole_where_the_end_of_the_connection_ends_it() {
    let broken = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    });
    let stalled = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 200 OK\r\n\r\nfirst");
        transport.wait_for_end();
    });
    for backend in [broken, stalled] {
        let balancer = Balancer::before(&[backend.address]).flag("--body-timeout", "300ms").start();
        let mut client = Client::to(balancer.address);
        client.send("GET / HTTP/1.0\r\nHost: test\r\n\r\n");
        client.head().expect_status(200);
        let (_, end) = client.try_rest();
        assert_eq!(end.expect_err("the end of a part").kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn a_chunked_answer_that_breaks_off_is_cut_before_its_last_chunk() {
    for rest in ["5\r\nfirst\r\n", "5\r\nfirst\r\n0\r\n", "5\r\nfirst\r\n0\r\nX-Trailer: a\r\n"] {
        let backend = Backend::that(move |mut transport| {
            transport.send(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}"));
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(REQUEST);
        assert_eq!(client.head().expect_status(200).header("transfer-encoding"), Some("chunked"));
        assert_eq!(client.remains(), b"5\r\nfirst\r\n");
    }
}

#[test]
fn chunks_that_are_none_cut_the_answer() {
    for chunks in [
        "5\r\nfirst\r\nnonsense\r\n0\r\n\r\n",
        "5\r\nfirst\r\n-1\r\n0\r\n\r\n",
        "5\r\nfirst\r\n10000000000000000\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let (backend, balancer) = before_one_that_sends(answer);
        let mut client = Client::to(balancer.address);
        client.send(REQUEST);
        client.head().expect_status(200);
        assert_eq!(client.remains(), b"5\r\nfirst\r\n", "{chunks:?}");
        expect_sanity(&backend, &balancer);
    }
}

#[test]
fn chunks_whose_frame_never_ends_cut_the_answer() {
    for (start, endless) in [("0\r\nX-Endless: ", b'a'), ("5;extension=", b'a')] {
        let backend = Backend::that(move |mut transport| {
            transport.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
            transport.send(start);
            while transport.try_send([endless; 4096]).is_ok() {}
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(REQUEST);
        client.head().expect_status(200);
        assert_eq!(client.remains(), b"5\r\nfirst\r\n", "{start:?}");
    }
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let backend = Backend::answers_early();
    let balancer = Balancer::before(&[backend.address]).start();
    for _ in 0..3 {
        let mut client = Client::to(balancer.address);
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\nfirst");
        let answer = client.answer().expect_status(403);
        assert_eq!((answer.text(), answer.header("connection")), ("no\n", Some("close")));
        let _ = client.try_send(vec![b'a'; 50_000]);
        let end = client.stream().read(&mut [0]);
        assert!(!matches!(end, Ok(1..)), "nothing comes after the answer");
    }
    assert_eq!(backend.requests(), 3);
}

#[test]
fn an_early_answer_reaches_its_client_though_the_backend_closes_at_once() {
    let refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n";
    // What it has not read makes its close a reset, which the balancer may find when it writes on.
    let backend = Backend::that(move |mut transport| transport.send(refusal));
    let balancer = Balancer::before(&[backend.address]).start();
    balancer.said("is healthy");
    for _ in 0..40 {
        let mut client = Client::to(balancer.address);
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n");
        let _ = client.try_send(vec![b'a'; 1_000_000]);
        assert_eq!(client.answer().expect_status(413).text(), "no\n");
    }
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn an_answer_without_a_length_that_broke_off_amid_an_upload_never_looks_complete() {
    let (full, is_full) = gate();
    let backend = Backend::that(move |mut transport| {
        if !transport.head.starts_with("POST ") {
            return transport.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        }
        transport.send("HTTP/1.1 200 OK\r\n\r\n");
        transport.stream().set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        while transport.try_send([b'x'; 64 * 1024]).is_ok() {}
        transport.reset();
        full.open();
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 20000000\r\n\r\n");
    client.head().expect_status(200);
    is_full.wait();
    // It is written to before it is read, and so the system tells of the end.
    for _ in 0..10 {
        client.send([b'a'; 64 * 1024]);
        get(balancer.address, "/").expect_status(204);
    }
    assert!(!client.remains().ends_with(b"0\r\n\r\n"), "it looks complete");
}

#[test]
fn an_early_answer_is_whole_for_a_client_that_reads_it_only_when_it_has_sent_all() {
    const LENGTH: usize = 1 << 20;
    let backend = Backend::that(|mut transport| {
        let head = format!(
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: {LENGTH}\r\nConnection: close\r\n\r\n"
        );
        transport.send(head + &"n".repeat(LENGTH));
        transport.rest();
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 20000000\r\n\r\n");
    client.send(vec![b'a'; 20_000_000]);
    assert_eq!(client.answer().expect_status(413).text().len(), LENGTH);
}
