//! What becomes of a head on its way to a backend that speaks HTTP/1.1, and on its way back.

use hyper::{Request, Version};

use super::{OK, post, telling};
use crate::support::{
    Answer, Backend, Balancer, Client, Frame, Http2, PATIENCE, Running, frame, head, settings,
};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const PROTOCOL_ERROR: u32 = 1;

fn line<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let line = |line: &'a str| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name));
    head.lines().filter_map(line).map(|(_, value)| value).collect()
}

#[test]
fn a_request_becomes_one_of_http_1_1() {
    let (_backend, told, balancer) = telling();
    let request = Request::get("http://name.test:81/a/b?c=d").header("x-own", "1").version(Version::HTTP_2);
    let answer = Http2::to(balancer.address).ask(request.body(()).unwrap()).answer();
    let sent = told.recv_timeout(PATIENCE).unwrap();
    assert!(sent.starts_with("GET /a/b?c=d HTTP/1.1\r\n"), "{sent}");
    for (name, values) in [
        ("host", &["name.test:81"][..]),
        ("x-own", &["1"]),
        ("x-forwarded-for", &["127.0.0.1"]),
        ("x-forwarded-proto", &["http"]),
        ("x-forwarded-host", &["name.test:81"]),
        ("via", &["2.0 loadbalancer"]),
        ("content-length", &[]),
        ("transfer-encoding", &[]),
        ("connection", &[]),
    ] {
        assert_eq!(line(&sent, name), values, "{name}: {sent}");
    }
    assert_eq!(answer.expect_status(200).header("via"), Some("1.1 loadbalancer"));
}

#[test]
fn cookies_that_were_split_are_joined() {
    let (_backend, told, balancer) = telling();
    let request = Request::get("http://a/").header("cookie", "a=b").header("cookie", "c=d");
    let request = request.header("cookie", "e=f").body(()).unwrap();
    Http2::to(balancer.address).ask(request).answer().expect_status(200);
    // RFC 9113 section 8.2.3.
    assert_eq!(line(&told.recv_timeout(PATIENCE).unwrap(), "cookie"), ["a=b; c=d; e=f"]);
}

#[test]
fn that_a_client_takes_trailers_is_passed_on() {
    let (_backend, told, balancer) = telling();
    let request = Request::get("http://a/").header("te", "trailers").body(()).unwrap();
    Http2::to(balancer.address).ask(request).answer().expect_status(200);
    let sent = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((line(&sent, "te"), line(&sent, "connection")), (vec!["trailers"], vec!["te"]), "{sent}");
}

#[test]
fn what_is_of_the_backends_connection_stays_there() {
    let backend = Backend::answers(
        "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Own: 1\r\n\
         Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    let balancer = Balancer::before(&[backend.address]).start();
    let answer = Http2::to(balancer.address).get("/").expect_status(200);
    assert_eq!((answer.text(), answer.header("x-own")), ("ok", Some("1")));
    for name in ["connection", "x-hop", "keep-alive", "transfer-encoding"] {
        assert_eq!(answer.header(name), None, "{answer:?}");
    }
}

#[test]
fn answers_that_have_no_body_end_with_their_head() {
    for (request, answer, status, length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", 200, Some("7")),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, None),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: \"x\"\r\n\r\n", 304, Some("7")),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, Some("0")),
    ] {
        let backend = Backend::answers(answer);
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Http2::to(balancer.address);
        for _ in 0..2 {
            let mut stream =
                client.ask(Request::builder().method(request).uri("http://a/").body(()).unwrap());
            let (head, ended) = stream.head();
            assert_eq!((head.status, head.header("content-length")), (status, length), "{answer}");
            assert!(ended, "{answer}");
        }
        // One connection to the backend carried both.
        assert_eq!(backend.requests(), 1, "{answer}");
    }
}

#[test]
fn the_whole_server_may_be_asked_for_its_options() {
    let (_backend, told, balancer) = telling();
    let mut client = Client::to(balancer.address);
    client.send(settings());
    for (stream, path) in [(1, "*"), (3, "/"), (5, "/a")] {
        let fields = [(":method", "OPTIONS"), (":scheme", "http"), (":path", path), (":authority", "a")];
        client.send(head(stream, &fields));
        assert_eq!(client.body_of(stream), b"ok");
        let sent = told.recv_timeout(PATIENCE).unwrap();
        assert!(sent.starts_with(&format!("OPTIONS {path} HTTP/1.1\r\n")), "{sent}");
    }
}

#[test]
fn one_who_was_asked_for_by_host_alone_is_found() {
    let (_backend, told, balancer) = telling();
    for fields in [
        &[("host", "name.test")][..],
        &[(":authority", "name.test")],
        &[(":authority", "name.test"), ("host", "name.test")],
        &[(":authority", "name.test"), ("host", "NAME.test")],
    ] {
        let mut client = Client::to(balancer.address);
        client.send(settings());
        let all = [&[(":method", "GET"), (":scheme", "http"), (":path", "/")], fields].concat();
        client.send(head(1, &all));
        assert_eq!(client.body_of(1), b"ok", "{fields:?}");
        let sent = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(line(&sent, "host").len(), 1, "{sent}");
        assert!(line(&sent, "host")[0].eq_ignore_ascii_case("name.test"), "{sent}");
    }
}

/// What a client gets for a request with these fields: an answer's head, or the end of its stream or its connection.
fn asked(balancer: &Running, fields: &[(&str, &str)]) -> Frame {
    let mut client = Client::to(balancer.address);
    client.send(settings());
    client.send(head(1, fields));
    loop {
        let frame = client.frame();
        if [HEADERS, RST_STREAM, GOAWAY].contains(&frame.kind) {
            return frame;
        }
    }
}

#[test]
fn requests_that_are_malformed_never_reach_a_backend() {
    let (backend, _told, balancer) = telling();
    let usual = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
    let with = |field: (&'static str, &'static str)| [&usual[..], &[field]].concat();
    let without = |name: &str| -> Vec<_> { usual.into_iter().filter(|(key, _)| *key != name).collect() };
    let but = |name: &'static str, value: &'static str| -> Vec<_> {
        usual.into_iter().map(|(key, old)| (key, if key == name { value } else { old })).collect()
    };
    let malformed = [
        without(":method"),
        without(":scheme"),
        without(":path"),
        without(":authority"),
        but(":path", ""),
        but(":path", "a"),
        but(":path", "*"),
        but(":path", "/ a"),
        but(":path", "http://b/"),
        but(":scheme", "ftp"),
        but(":authority", "user@a"),
        but(":authority", "a b"),
        but(":method", "GE T"),
        with((":authority", "b")),
        with((":path", "/b")),
        with((":status", "200")),
        with((":unknown", "1")),
        with((":protocol", "websocket")),
        with(("host", "b")),
        [&with(("host", "a"))[..], &[("host", "a")]].concat(),
        with(("connection", "close")),
        with(("keep-alive", "1")),
        with(("proxy-connection", "close")),
        with(("transfer-encoding", "chunked")),
        with(("upgrade", "h2c")),
        with(("te", "gzip")),
        with(("X-Upper", "1")),
        with(("x y", "1")),
        with(("x-line", "a\r\nb: c")),
        with(("x-null", "a\0b")),
        with(("content-length", "1")),
        with(("content-length", "x")),
        // A pseudo-header behind a field (RFC 9113 section 8.3).
        [&[("x-first", "1")][..], &usual].concat(),
    ];
    for fields in malformed {
        let frame = asked(&balancer, &fields);
        if frame.kind == HEADERS {
            // The status 400 is none of HPACK's static ones but the twelfth (RFC 7541 appendix A).
            assert_eq!(frame.payload[0], 0x80 | 12, "{fields:?}: {frame:?}");
        } else {
            assert!(frame.payload.ends_with(&PROTOCOL_ERROR.to_be_bytes()), "{fields:?}: {frame:?}");
        }
        assert_eq!(backend.requests(), 0, "{fields:?}");
    }
}

#[test]
fn a_value_with_blanks_around_it_never_reaches_a_backend() {
    let (backend, _told, balancer) = telling();
    for value in [" a", "a ", "\ta", "a\t", " "] {
        let request = Request::get("http://a/").header("x-own", value).body(()).unwrap();
        let answer = Http2::to(balancer.address).ask(request).answer().expect_status(400);
        let reason = "the request is malformed: a value in its head begins or ends with a blank\n";
        assert_eq!(answer.text(), reason, "{value:?}");
    }
    assert_eq!(backend.requests(), 0);
}

fn expect_405(answer: &Answer) {
    assert_eq!(answer.status, 405);
    assert!(answer.header("proxy-status").unwrap().contains("connect_refused"), "{answer:?}");
}

#[test]
fn tunnels_to_hosts_of_a_clients_choice_are_refused() {
    let (backend, _told, balancer) = telling();
    let request = Request::connect("other.test:443").body(()).unwrap();
    expect_405(&Http2::to(balancer.address).begin(request).answer());
    assert_eq!(backend.requests(), 0);
}

#[test]
fn a_connect_with_a_body_is_reset_and_others_on_its_connection_go_on() {
    let (backend, coming, let_go) = Backend::held_up();
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    let fields = |path| [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a")];
    client.send([settings(), head(1, &fields("/slow"))].concat());
    coming.wait();
    let mut connects = Vec::new();
    for (stream, extended) in [(3, false), (5, true)] {
        let mut fields = vec![(":method", "CONNECT"), (":authority", "a")];
        if extended {
            fields.extend([(":scheme", "http"), (":path", "/"), (":protocol", "websocket")]);
        }
        fields.push(("content-length", "5"));
        let mut connect = head(stream, &fields);
        // It does not end with its head.
        connect[4] = 4;
        connects.extend(connect);
    }
    client.send(connects);
    let resets = [(); 2].map(|()| client.frame_of(RST_STREAM).stream);
    assert_eq!(resets, [3, 5]);
    let_go.open();
    for stream in [1, 7] {
        let answer = client.frame_of(HEADERS);
        assert_eq!((answer.stream, answer.flags & END_STREAM), (stream, END_STREAM));
        client.send(head(7, &fields("/")));
    }
}

#[test]
fn a_length_that_is_not_the_bodys_breaks_the_request_off() {
    for (length, first, last) in [("10", "sho", "rt"), ("3", "lo", "nger")] {
        let (tell, told) = std::sync::mpsc::channel();
        let backend = Backend::that(move |mut transport| {
            tell.send(transport.bytes(2)).unwrap();
            tell.send(transport.rest()).unwrap();
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Http2::to(balancer.address);
        let request = Request::post("http://a/").header("content-length", length).body(()).unwrap();
        let mut stream = client.begin(request);
        stream.send(first, false).unwrap();
        let mut got = told.recv_timeout(PATIENCE).unwrap();
        stream.send(last, true).unwrap();
        assert!(stream.try_answer().map_or_else(|error| error.is_reset(), |answer| answer.status == 400));
        got.extend(told.recv_timeout(PATIENCE).unwrap());
        assert!(got.len() < length.parse().unwrap(), "{length}");
    }
}

#[test]
fn a_body_reaches_the_backend_whatever_the_method() {
    for method in ["GET", "DELETE", "POST", "OPTIONS", "PROPFIND"] {
        let backend = Backend::that(|mut transport| {
            let body = transport.read_body();
            transport.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            transport.send(body);
        });
        let balancer = Balancer::before(&[backend.address]).start();
        for length in [None, Some("5")] {
            let mut request = Request::builder().method(method).uri("http://a/x");
            if let Some(length) = length {
                request = request.header("content-length", length);
            }
            let mut stream = Http2::to(balancer.address).begin(request.body(()).unwrap());
            stream.send("hello", true).unwrap();
            assert_eq!(stream.answer().expect_status(200).text(), "hello", "{method} {length:?}");
        }
    }
}

#[test]
fn a_request_that_asks_to_be_continued_gets_its_answer() {
    let backend = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 100 Continue\r\n\r\n");
        transport.read_body();
        transport.send(OK);
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut request = post("/");
    request.headers_mut().insert("expect", "100-continue".parse().unwrap());
    let mut stream = Http2::to(balancer.address).begin(request);
    stream.send("hello", true).unwrap();
    assert_eq!(stream.answer().expect_status(200).text(), "ok");
}

#[test]
fn a_wish_to_upgrade_to_http_2_is_not_heard_and_the_request_is_answered() {
    let (_backend, told, balancer) = telling();
    let mut client = Client::to(balancer.address);
    client.send(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    );
    assert_eq!(client.answer().expect_status(200).text(), "ok");
    let sent = told.recv_timeout(PATIENCE).unwrap().to_ascii_lowercase();
    assert!(!sent.contains("upgrade") && !sent.contains("http2-settings"), "{sent}");
}

#[test]
fn frames_of_kinds_that_nobody_knows_are_passed_over() {
    let (_backend, _told, balancer) = telling();
    let mut client = Client::to(balancer.address);
    client.send([settings(), frame(99, 255, 0, b"what is this"), frame(99, 0, 1, b"")].concat());
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
    client.send(head(1, &fields));
    assert_eq!(client.body_of(1), b"ok");
}
