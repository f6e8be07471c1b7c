//! Clients and backends that speak HTTP/1.0.

use std::sync::mpsc::channel;

use super::{passed, passed_on, values};
use crate::support::{Backend, Balancer, Client, PATIENCE, Sample, Settings, get, lacks_ipv6, request};

#[test]
fn a_client_of_http_1_0_needs_no_host_and_is_parted_from_after_its_answer() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Client::to(balancer.address);
    client.send("GET /echo HTTP/1.0\r\n\r\n");
    let answer = client.answer().expect_status(200);
    assert!(answer.text().starts_with("GET /echo HTTP/1.1\n"), "{}", answer.text());
    assert!(answer.text().contains(&format!("\nhost: {}\n", balancer.address)), "{}", answer.text());
    assert!(answer.text().contains("\nvia: 1.0 loadbalancer\n"), "{}", answer.text());
    client.expect_end();
}

#[test]
fn a_client_of_http_1_0_without_a_host_asks_for_the_address_that_it_connected_to() {
    let backend = Sample::start("one");
    for (wildcard, host) in [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "[::1]"), ("[::]:0", "127.0.0.1")] {
        if wildcard.contains("::") && lacks_ipv6() {
            continue;
        }
        let settings = Settings::that_say(&format!(
            r#"
            listeners.web.address = "{wildcard}"
            admin.address = "off"
            pools.one.backends = ["{}"]
            [routes.all]
            pool = "one"
            [routes.away]
            path = "/away"
            redirect = "https://{{host}}{{path}}"
            "#,
            backend.address()
        ));
        let balancer = settings.balancer().start();
        let authority = format!("{host}:{}", balancer.address.port());
        let ask = |path: &str| request(authority.parse().unwrap(), &format!("GET {path} HTTP/1.0\r\n\r\n"));
        let told = ask("/echo").expect_status(200);
        for name in ["host", "x-forwarded-host"] {
            assert!(told.text().contains(&format!("\n{name}: {authority}\n")), "{}", told.text());
        }
        let away = ask("/away").expect_status(308);
        assert_eq!(away.header("location"), Some(&*format!("https://{host}/away")));
    }
}

#[test]
fn a_client_of_http_1_0_keeps_its_connection_if_it_asks_to() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Client::to(balancer.address);
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let answer = client.answer().expect_status(200);
        assert_eq!((answer.header("connection"), answer.text()), (Some("keep-alive"), "hello from one\n"));
    }
}

#[test]
fn a_client_of_http_1_0_gets_a_chunked_answer_without_its_chunks() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Client::to(balancer.address);
    client.send("GET /chunked/100000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.answer().expect_status(200);
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!((answer.header("content-length"), answer.body.len()), (None, 100_000));
    assert!(answer.body.starts_with(b"abcdefgh"));
}

#[test]
fn a_client_of_http_1_0_is_told_to_keep_no_connection_that_ends_with_its_answer() {
    let backend = Sample::start("one");
    let until_closed =
        Backend::that(|mut transport| transport.send("HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhello"));
    for (backend, head, status) in [
        (backend.address(), "GET /chunked/10", 200),
        (until_closed.address, "GET /", 200),
        (backend.address(), "CONNECT a:1", 405),
    ] {
        let balancer = Balancer::before(&[backend]).start();
        let mut client = Client::to(balancer.address);
        client.send(format!("{head} HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"));
        let answer = client.answer().expect_status(status);
        assert_eq!(answer.header("connection"), Some("close"), "{head}");
        client.expect_end();
    }
}

#[test]
fn a_host_that_a_client_of_http_1_0_names_is_kept() {
    let head = passed_on("GET / HTTP/1.0\r\nHost: example.org\r\n\r\n");
    assert_eq!((head.lines().next(), values(&head, "host")), (Some("GET / HTTP/1.1"), vec!["example.org"]));
}

#[test]
fn an_answer_of_http_1_0_is_passed_on_as_one_of_http_1_1() {
    let backend =
        Backend::that(|mut transport| transport.send("HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhello"));
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.answer().expect_status(200);
        assert_eq!((answer.header("server"), answer.text()), (Some("old"), "hello"));
    }
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn an_upload_of_unknown_length_is_whole_though_the_backend_answered_with_http_1_0_before() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        loop {
            tell.send(String::from_utf8(transport.read_body()).unwrap()).unwrap();
            transport.send("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok");
            if !transport.read_head() {
                return;
            }
        }
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (request, body) in
        [("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""), ("POST / HTTP/1.1\r\nHost: a\r\n", "hello")]
    {
        client.send(request);
        client.send(if body.is_empty() { "" } else { chunked });
        client.answer().expect_status(200);
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), body);
    }
}

#[test]
fn a_client_of_http_1_0_gets_no_interim_answer() {
    let (_, answer) = passed(
        "GET / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    assert_eq!((answer.status, answer.text()), (200, "ok"));
    let backend = Backend::answers(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.0\r\n\r\n");
    let first = client.head();
    assert_eq!((first.status, first.header("link")), (200, None));
}
