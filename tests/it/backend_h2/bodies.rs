//! Bodies over HTTP/2: both ways, at the same time, and not at all.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use hyper::{HeaderMap, Response, StatusCode};

use crate::support::h2_backend::{H2Backend, send_all};
use crate::support::{Client, request, until};

use super::{before, noop};

const MANY: usize = 16 << 20;

/// Bytes of which no two pieces are alike.
fn bytes(count: usize) -> Vec<u8> {
    (0..count as u64).map(|index| (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

#[test]
fn a_large_body_arrives_whole_in_both_directions() {
    let backend = H2Backend::that(|mut exchange| async move {
        let mut stream = exchange.begin();
        while let Some(data) = exchange.next().await {
            send_all(&mut stream, data, false).await;
        }
        let _ = stream.send_data(Bytes::new(), true);
    });
    let balancer = before(&[&backend]);
    let body = bytes(MANY);
    let client = Client::to(balancer.address);
    let mut sender = Client::over(client.stream().try_clone().unwrap());
    let sent = body.clone();
    let sending = std::thread::spawn(move || {
        sender.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {MANY}\r\n\r\n"));
        sender.send(sent);
    });
    let answer = { client }.answer().expect_status(200);
    sending.join().unwrap();
    assert!(answer.body == body, "{} bytes came back, or others", answer.body.len());
}

#[test]
fn a_conversation_goes_on_in_both_directions_at_the_same_time() {
    let backend = H2Backend::that(|mut exchange| async move {
        let mut stream = exchange.begin();
        while let Some(data) = exchange.next().await {
            send_all(&mut stream, data, false).await;
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let _ = stream.send_trailers(trailers);
    });
    let balancer = before(&[&backend]);
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTE: trailers\r\nConnection: te\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.head().status, 200);
    for word in ["one", "two", "three"] {
        client.send(format!("{:x}\r\n{word}\r\n", word.len()));
        assert_eq!(client.chunk().unwrap(), word.as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.chunk(), None);
}

#[test]
fn trailers_pass_in_both_directions() {
    let backend = H2Backend::that(|mut exchange| async move {
        let (body, trailers) = exchange.read().await;
        let response = Response::builder().header("trailer", "x-sum").body(()).unwrap();
        let mut stream = exchange.back.send_response(response, false).unwrap();
        send_all(&mut stream, body.into(), false).await;
        stream.send_trailers(trailers.expect("trailers came")).unwrap();
    });
    let balancer = before(&[&backend]);
    let head = "POST / HTTP/1.1\r\nHost: test\r\nTE: trailers\r\nConnection: te\r\nTrailer: x-sum\r\n";
    let text = format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n");
    let answer = request(balancer.address, &text).expect_status(200);
    assert_eq!(answer.text(), "hello");
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "42".to_owned())]);
}

#[test]
fn an_answer_before_the_end_of_the_request_is_passed_on() {
    let backend = H2Backend::that(|mut exchange| async move {
        let mut stream =
            exchange.back.send_response(Response::builder().status(403).body(()).unwrap(), false).unwrap();
        stream.send_data(Bytes::from_static(b"no\n"), true).unwrap();
        // What is dropped unread is reset without an error (RFC 9113 section 8.1).
    });
    let balancer = before(&[&backend]);
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\nthe first of them");
    assert_eq!(client.answer().expect_status(403).text(), "no\n");
}

#[test]
fn a_client_that_leaves_resets_its_stream_and_no_other() {
    let (told, resets) = std::sync::mpsc::channel();
    let backend = H2Backend::that(move |mut exchange| {
        let told = told.clone();
        async move {
            let path = exchange.head.uri().path().to_owned();
            match path.as_str() {
                "/head" => {
                    let reset = std::future::poll_fn(|cx| exchange.back.poll_reset(cx)).await;
                    told.send((path, reset.unwrap())).unwrap();
                }
                "/body" => {
                    let mut stream = exchange.begin();
                    stream.send_data(Bytes::from_static(b"some"), false).unwrap();
                    let reset = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
                    told.send((path, reset.unwrap())).unwrap();
                }
                _ => exchange.answer(StatusCode::OK, "ok"),
            }
        }
    });
    let balancer = before(&[&backend]);
    for (path, told) in [("/head", 1), ("/body", 2)] {
        let mut client = Client::to(balancer.address);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        until("it came", || backend.requests() == told);
        if path == "/body" {
            assert_eq!(client.head().status, 200);
        }
        client.reset();
        let reset = resets.recv_timeout(Duration::from_secs(20)).expect("the backend hears of it");
        assert_eq!(reset, (path.to_owned(), Reason::CANCEL));
    }
    crate::support::get(balancer.address, "/").expect_status(200);
    assert_eq!(backend.connections(), 1);
}

#[test]
fn an_answer_that_breaks_off_never_looks_complete() {
    for length in [None, Some("10")] {
        let (opener, opened) = tokio::sync::watch::channel(false);
        let backend = H2Backend::that(move |mut exchange| {
            let mut opened = opened.clone();
            async move {
                let mut response = Response::builder();
                if let Some(length) = length {
                    response = response.header("content-length", length);
                }
                let mut stream = exchange.back.send_response(response.body(()).unwrap(), false).unwrap();
                stream.send_data(Bytes::from_static(b"first"), false).unwrap();
                let _ = opened.wait_for(|opened| *opened).await;
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
        });
        let balancer = before(&[&backend]);
        let mut client = Client::to(balancer.address);
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.head().status, 200);
        let first = if length.is_some() { client.bytes(5) } else { client.chunk().expect("a chunk") };
        assert_eq!(first, b"first");
        opener.send_replace(true);
        client.expect_end();
    }
}

#[test]
fn a_client_that_does_not_read_holds_little_memory_and_nobody_up() {
    let backend = H2Backend::that(|mut exchange| async move {
        if exchange.head.uri().path() == "/small" {
            return exchange.answer(StatusCode::OK, "ok");
        }
        let mut stream = exchange.begin();
        loop {
            send_all(&mut stream, Bytes::from_static(&[b'x'; 65_536]), false).await;
            if stream.capacity() == 0 && exchange.back.poll_reset(&mut noop()).is_ready() {
                return;
            }
        }
    });
    let balancer = before(&[&backend]);
    let before = balancer.memory();
    let mut stalled: Vec<_> = (0..40).map(|_| Client::to(balancer.address)).collect();
    for client in &mut stalled {
        client.send("GET /endless HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    until("all came", || backend.requests() == 40);
    for _ in 0..50 {
        crate::support::get(balancer.address, "/small").expect_status(200);
    }
    let grown = balancer.memory().saturating_sub(before) >> 10;
    assert!(grown < 60, "{grown} MiB for 40 clients that do not read");
}

#[test]
fn a_backend_that_does_not_read_makes_its_client_wait_and_memory_stays() {
    let (opener, opened) = tokio::sync::watch::channel(false);
    let backend = H2Backend::that(move |mut exchange| {
        let mut opened = opened.clone();
        async move {
            let _ = opened.wait_for(|opened| *opened).await;
            let (body, _) = exchange.read().await;
            exchange.answer(StatusCode::OK, body.len().to_string());
        }
    });
    let balancer = before(&[&backend]);
    let before = balancer.memory();
    let count = 64 << 20;
    let mut client = Client::to(balancer.address);
    let stream = client.stream().try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        let mut sender = Client::over(stream);
        sender.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {count}\r\n\r\n"));
        sender.send(vec![b'x'; count]);
    });
    until("it came", || backend.requests() == 1);
    let grown = balancer.memory().saturating_sub(before) >> 10;
    assert!(!sending.is_finished() && grown < 20, "{grown} MiB");
    opener.send_replace(true);
    assert_eq!(client.answer().expect_status(200).text(), count.to_string());
    sending.join().unwrap();
}
