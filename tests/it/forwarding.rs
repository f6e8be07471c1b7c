//! A request goes to a backend and its answer comes back as HTTP/1.1 has it.

mod authenticated;
mod bodiless;
mod headers;
mod http_1_0;
mod interim;
mod large_heads;
mod reach;

use crate::support::{Answer, Backend, Balancer, Client, PATIENCE, Sample, get};

/// Sends a request to a backend that gives this answer: the request's head as the backend saw it, and the answer as the
/// client saw it.
fn passed(request: &str, answer: &'static str) -> (String, Answer) {
    let (backend, heads) = Backend::tells(answer);
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(request);
    (heads.recv_timeout(PATIENCE).expect("the backend saw the request"), client.answer())
}

/// The same with an answer that does not matter.
fn passed_on(request: &str) -> String {
    passed(request, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").0
}

/// The values of all header lines of this name (in lower case) of a head.
fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
}

#[test]
fn the_status_the_headers_and_the_body_of_an_answer_pass() {
    let (_, answer) = passed(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HTTP/1.1 207 Multi-Status\r\nServer: its-own\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Empty:\r\nContent-Length: 5\r\n\r\nhello",
    );
    assert_eq!((answer.status, answer.text()), (207, "hello"));
    assert_eq!(answer.header("server"), Some("its-own"));
    assert_eq!(answer.header("date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(answer.header("x-empty"), Some(""));
    assert_eq!(answer.header("content-length"), Some("5"));
    let cookies =
        answer.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str());
    assert_eq!(cookies.collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[test]
fn an_error_of_a_backends_own_passes_as_it_is() {
    for status in ["404 Not Found", "500 Internal Server Error", "503 Service Unavailable", "599 Unheard Of"]
    {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nmine");
        let (_, answer) = passed("GET / HTTP/1.1\r\nHost: a\r\n\r\n", answer.leak());
        assert_eq!((answer.status.to_string().as_str(), answer.text()), (&status[..3], "mine"));
        assert_eq!(answer.header("proxy-status"), None, "that is for answers that the balancer makes");
    }
}

#[test]
fn the_method_and_the_target_pass_byte_for_byte() {
    for line in [
        "GET / HTTP/1.1",
        "PROPFIND /a%2Fb/%7e/../c;d=1//e?q=%20+x&[]='{}' HTTP/1.1",
        "M-SEARCH //double?? HTTP/1.1",
        "DELETE /?a=http://b/ HTTP/1.1",
    ] {
        let head = passed_on(&format!("{line}\r\nHost: a\r\n\r\n"));
        assert_eq!(head.lines().next(), Some(line));
    }
}

#[test]
fn the_host_is_kept() {
    for host in ["example.org", "Example.ORG:8081", "[::1]:80", "xn--bcher-kva.example", "under_score"] {
        assert_eq!(values(&passed_on(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), "host"), [host]);
    }
}

#[test]
fn an_absolute_target_becomes_a_path_and_its_authority_the_host() {
    for (target, line, host) in [
        ("http://example.org:81/a?b=1", "GET /a?b=1 HTTP/1.1", "example.org:81"),
        ("http://example.org", "GET / HTTP/1.1", "example.org"),
        ("http://example.org?b=1", "GET /?b=1 HTTP/1.1", "example.org"),
        ("HTTP://example.org/", "GET / HTTP/1.1", "example.org"),
        ("https://example.org/x", "GET /x HTTP/1.1", "example.org"),
    ] {
        let head = passed_on(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(head.lines().next(), Some(line), "{target}");
        assert_eq!((values(&head, "host"), values(&head, "x-forwarded-host")), (vec![host], vec![host]));
    }
}

#[test]
fn options_of_the_whole_server_pass_as_such() {
    let head = passed_on("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.lines().next(), Some("OPTIONS * HTTP/1.1"));
    // RFC 9112 section 3.2.4: so does what a proxy is asked for in absolute form, without a path.
    for (target, line) in [
        ("http://example.org", "OPTIONS * HTTP/1.1"),
        ("http://example.org/", "OPTIONS / HTTP/1.1"),
        ("http://example.org?a=b", "OPTIONS /?a=b HTTP/1.1"),
    ] {
        let head = passed_on(&format!("OPTIONS {target} HTTP/1.1\r\nHost: example.org\r\n\r\n"));
        assert_eq!(head.lines().next(), Some(line), "{target}");
    }
}

#[test]
fn connect_is_refused_with_the_methods_that_are_not() {
    let (backend, _) = Backend::tells("");
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n");
    let answer = client.answer().expect_status(405);
    let allowed = answer.header("allow").expect("405 asks for it (RFC 9110 section 15.5.6)");
    assert!(allowed.contains("GET") && !allowed.contains("CONNECT"), "{allowed}");
    assert_eq!(answer.text(), "this proxy opens no tunnels (CONNECT)\n");
    assert_eq!(
        answer.header("connection"),
        Some("close"),
        "what follows may be for the other end of a tunnel"
    );
    client.finish();
    client.expect_end();
    assert_eq!(backend.requests(), 0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Client::to(balancer.address);
    client.send("GET /status/201 HTTP/1.1\r\nHost: a\r\n\r\nGET /status/202 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((client.answer().status, client.answer().status), (201, 202));
}

#[test]
fn a_pipelined_request_is_answered_though_the_one_before_it_is_slow_and_has_a_body() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Client::to(balancer.address);
    client.send("POST /delay/50 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbodyGET /status/202 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((client.answer().text(), client.answer().status), ("waited 50 ms\n", 202));
}

#[test]
fn connections_to_a_backend_are_used_again_by_other_clients() {
    let (backend, heads) = Backend::tells("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let balancer = Balancer::before(&[backend.address]).start();
    for _ in 0..3 {
        get(balancer.address, "/").expect_status(200);
    }
    assert_eq!((heads.try_iter().count(), backend.requests()), (3, 1));
}

#[test]
fn a_client_that_asks_to_close_is_parted_from_after_its_answer() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer().header("connection"), Some("close"));
    client.expect_end();
}
