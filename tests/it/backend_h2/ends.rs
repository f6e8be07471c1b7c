//! Where an answer over HTTP/2 ends: all of it may be here before the backend says that nothing follows.

use std::net::TcpListener;
use std::thread;

use bytes::Bytes;
use h2::Reason;
use hyper::{HeaderMap, Response, StatusCode};
use tokio::sync::watch;

use crate::support::h2_backend::H2Backend;
use crate::support::{Balancer, Client, Http2, PATIENCE, Settings, frame, http2_get, until};

use super::scene::Scene;
use super::small::begin;
use super::{before, noop};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` (RFC 7541 appendix A).
const OK: &[u8] = &[0x88];
const NO_ERROR: [u8; 4] = [0; 4];

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
        assert_eq!(told.recv_timeout(PATIENCE), Ok(false), "{method}");
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
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Reason::CANCEL));
}

#[test]
fn a_backend_whose_answer_its_client_has_is_free_for_another_request_and_an_answer_without_content_is_whole()
{
    let (_open, opened) = watch::channel(false);
    let backend = H2Backend::that(move |mut exchange| {
        let mut opened = opened.clone();
        async move {
            let response = match exchange.head.uri().path() {
                "/nothing" => Response::builder().status(204),
                _ => Response::builder().header("content-length", 5),
            };
            let mut stream = exchange.back.send_response(response.body(()).unwrap(), false).unwrap();
            if exchange.head.uri().path() != "/nothing" {
                stream.send_data(Bytes::from_static(b"whole"), false).unwrap();
            }
            // Its end never comes.
            drop(opened.wait_for(|opened| *opened).await);
        }
    });
    let settings = Settings::that_say(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [pools.all]\nhealth.interval = \"1h\"\nbackends = [{{ address = \"{}\", max_requests = 1 }}]\n",
        backend.url()
    ));
    let balancer = settings.balancer().flag("--access-log", "-").start();
    let mut client = Client::to(balancer.address);
    for (path, status) in [("/one", 200), ("/nothing", 204), ("/another", 200)] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client.answer().expect_status(status);
        let line = balancer.said(&format!("\"path\":\"{path}\""));
        assert!(line.contains("\"reason\":null"), "{line}");
    }
}

#[test]
fn an_answer_that_is_reset_without_an_error_before_its_end_never_looks_complete() {
    let (open, opened) = watch::channel(false);
    let backend = H2Backend::that(move |mut exchange| {
        let mut opened = opened.clone();
        async move {
            let mut stream = exchange.begin();
            stream.send_data(Bytes::from_static(b"first"), false).unwrap();
            opened.wait_for(|opened| *opened).await.expect("the sender is here");
            stream.send_reset(Reason::NO_ERROR);
        }
    });
    let balancer = before(&[&backend]);
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().expect("a chunk"), b"first");
    let mut streams = Http2::to(balancer.address);
    let mut stream = streams.ask(http2_get("/"));
    stream.head();
    assert_eq!(stream.data().expect("a piece").unwrap(), "first");
    until("both came", || backend.requests() == 2);
    open.send_replace(true);
    client.expect_end();
    assert!(stream.data().expect("more than an end").is_err());
}

#[test]
fn an_answer_that_is_reset_without_an_error_behind_its_end_is_whole() {
    let ended = [frame(HEADERS, END_HEADERS, 1, OK), frame(DATA, END_STREAM, 1, b"whole")].concat();
    // `content-length: 5` (RFC 7541 section 6.2.2).
    let counted = [OK, &[0x0f, 0x0d, 1, b'5']].concat();
    let counted = [frame(HEADERS, END_HEADERS, 1, &counted), frame(DATA, 0, 1, b"whole")].concat();
    for answer in [ended, counted] {
        let backend = answers_amid_an_upload(answer);
        let balancer =
            Balancer::before(&[]).flag("--backend", &backend).flag("--health-interval", "1h").start();
        balancer.said("is healthy");
        let mut client = Client::to(balancer.address);
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\nsome");
        assert_eq!(client.answer().expect_status(200).text(), "whole");
    }
}

#[test]
fn an_answer_that_has_no_content_ends_with_its_head_whatever_follows_and_its_stream_is_left_alone() {
    // `content-length` with one digit (RFC 7541 section 6.2.2).
    let length = |digit| [0x0f, 0x0d, 1, digit];
    let (no_content, not_modified) = ([0x89], [0x8b]);
    let (end, junk) = (frame(DATA, END_STREAM, 1, b""), frame(DATA, END_STREAM, 1, b"junk"));
    for (head, told, rest, spoilt) in [
        ([&no_content[..], &length(b'0')].concat(), None, &end, false),
        (no_content.to_vec(), None, &junk, false),
        (not_modified.to_vec(), None, &junk, false),
        // To h2 it lacks five bytes.
        ([&not_modified[..], &length(b'5')].concat(), Some("5"), &end, true),
    ] {
        let scene = Scene::set();
        let mut client = Http2::to(scene.balancer.address);
        let mut stream = client.ask(http2_get("/"));
        let mut connection = scene.accept();
        begin(&mut connection);
        connection.send(frame(HEADERS, END_HEADERS, 1, &head));
        let (head, is_all) = stream.head();
        connection.send(rest);
        assert!(stream.data().is_none(), "{head:?}");
        assert_eq!((head.header("content-length"), is_all), (told, true), "{head:?}");
        let _next = client.ask(http2_get("/"));
        let mut came = connection.frame();
        while came.kind != HEADERS {
            assert!(came.kind != RST_STREAM || spoilt, "{head:?}: {came:?}");
            came = connection.frame();
        }
    }
}

#[test]
fn an_answer_that_ends_before_its_length_never_looks_complete() {
    let scene = Scene::set();
    let mut client = Client::to(scene.balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\nsome");
    let mut connection = scene.accept();
    begin(&mut connection);
    // `content-length: 5` (RFC 7541 section 6.2.2).
    let head = [OK, &[0x0f, 0x0d, 1, b'5']].concat();
    scene.at_once(|| {
        connection.send([frame(HEADERS, END_HEADERS, 1, &head), frame(DATA, END_STREAM, 1, b"")].concat());
    });
    let line = scene.balancer.said("\"method\":\"POST\"");
    assert!(line.contains("\"reason\":\"answer_broken\""), "{line}");
    let got = String::from_utf8(client.remains()).unwrap().to_lowercase();
    assert!(got.ends_with("\r\n\r\n") && got.contains("content-length: 5\r\n"), "{got}");
}

/// A backend that answers a check, and on its next connection a request with these frames and a reset, all at once.
fn answers_amid_an_upload(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut connections = listener.incoming().map_while(Result::ok).map(Client::over);
        let mut check = connections.next().expect("a check");
        begin(&mut check);
        check.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, OK));
        let mut connection = connections.next().expect("a request");
        begin(&mut connection);
        connection.send([answer, frame(RST_STREAM, 0, 1, &NO_ERROR)].concat());
        thread::park();
    });
    format!("h2c://{address}")
}

#[test]
fn a_backend_that_takes_no_more_of_small_pieces_is_who_is_waited_for() {
    // One ends with a piece, the other amid one.
    for window in [10, 12] {
        let mut builder = h2::server::Builder::new();
        builder.initial_window_size(window);
        let backend = H2Backend::with(&builder, None, |exchange| async move {
            std::future::pending::<()>().await;
            drop(exchange);
        });
        let balancer = Balancer::before(&[]).flag("--health-interval", "1h").flag("--body-timeout", "300ms");
        let balancer = balancer.flag("--backend", &backend.url()).start();
        let mut client = Client::to(balancer.address);
        client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
        (0..4).for_each(|_| client.send("5\r\nhello\r\n"));
        let answer = client.answer().expect_status(504);
        assert!(answer.header("proxy-status").unwrap().contains("backend_stalled"), "{window}: {answer:?}");
    }
}
