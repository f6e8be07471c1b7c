//! Where an answer over HTTP/2 ends: all of it may be here before the backend says that nothing follows.

use bytes::Bytes;
use h2::Reason;
use hyper::{HeaderMap, Response, StatusCode};
use tokio::sync::watch;

use crate::support::h2_backend::H2Backend;
use crate::support::{Balancer, Client};

use super::{before, noop};

#[test]
fn an_answer_that_a_client_has_all_of_is_whole_though_its_end_comes_later_and_its_stream_is_left_alone() {
    for (method, trailers) in [("GET", false), ("GET", true), ("HEAD", false)] {
        let (open, opened) = watch::channel(false);
        let (tell, told) = std::sync::mpsc::channel();
        let backend = H2Backend::that(move |mut exchange| {
            let (open, mut opened, tell) = (open.clone(), opened.clone(), tell.clone());
            async move {
                if exchange.head.uri().path() == "/next" {
                    open.send_replace(true);
                    return exchange.answer(StatusCode::OK, "next");
                }
                let response = Response::builder().header("content-length", 5).body(()).unwrap();
                let mut stream = exchange.back.send_response(response, false).unwrap();
                if exchange.head.method() == "GET" {
                    stream.send_data(Bytes::from_static(b"whole"), false).unwrap();
                }
                opened.wait_for(|opened| *opened).await.expect("the sender is here");
                tell.send(stream.poll_reset(&mut noop()).is_ready()).unwrap();
                match trailers {
                    true => stream.send_trailers(HeaderMap::new()).unwrap(),
                    false => stream.send_data(Bytes::new(), true).unwrap(),
                }
            }
        });
        let balancer = Balancer::before(&[]).flag("--backend", &backend.url()).flag("--access-log", "-");
        let balancer = balancer.flag("--health-interval", "1h").start();
        let mut client = Client::to(balancer.address);
        client.send(format!("{method} /first HTTP/1.1\r\nHost: test\r\n\r\n"));
        let head = client.head().expect_status(200);
        assert_eq!(head.header("content-length"), Some("5"));
        if method == "GET" {
            assert_eq!(client.bytes(5), b"whole");
        }
        let line = balancer.said("\"path\":\"/first\"");
        assert!(line.contains("\"reason\":null"), "{line}");
        client.send("GET /next HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.answer().expect_status(200).text(), "next");
        assert_eq!(told.recv(), Ok(false), "{method}");
        assert_eq!(backend.connections(), 1);
    }
}

#[test]
fn a_client_that_leaves_amid_an_answer_of_known_length_is_gone() {
    let backend = H2Backend::that(|mut exchange| async move {
        let response = Response::builder().header("content-length", 5).body(()).unwrap();
        let mut stream = exchange.back.send_response(response, false).unwrap();
        stream.send_data(Bytes::from_static(b"who"), false).unwrap();
        let _ = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
    });
    let balancer = Balancer::before(&[]).flag("--backend", &backend.url()).flag("--access-log", "-").start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    client.head();
    assert_eq!(client.bytes(3), b"who");
    client.reset();
    let line = balancer.said("\"path\":\"/\"");
    assert!(line.contains("\"reason\":\"client_gone\""), "{line}");
}

#[test]
fn an_upload_that_a_whole_answer_makes_idle_is_read_no_further() {
    let (tell, told) = std::sync::mpsc::channel();
    let backend = H2Backend::that(move |mut exchange| {
        let tell = tell.clone();
        async move {
            let response = Response::builder().status(403).header("content-length", 2).body(()).unwrap();
            let mut stream = exchange.back.send_response(response, false).unwrap();
            stream.send_data(Bytes::from_static(b"no"), false).unwrap();
            let reset = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
            tell.send(reset.unwrap()).unwrap();
        }
    });
    let balancer = before(&[&backend]);
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\nthe first of them");
    assert_eq!(client.answer().expect_status(403).text(), "no");
    assert_eq!(told.recv(), Ok(Reason::CANCEL));
}
