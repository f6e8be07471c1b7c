//! What passes of a head, what does not, and what is added (RFC 9110 section 7.6).

use super::{passed, passed_on, values};
use crate::support::{Backend, Balancer, Client, Sample};

const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn what_concerns_the_clients_connection_does_not_reach_the_backend() {
    let head = passed_on(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Secret ,x-other\r\nX-Secret: 1\r\nX-Other: 2\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\
         TE: gzip;q=0.5\r\nX-Kept: yes\r\n\r\n",
    );
    for name in ["connection", "x-secret", "x-other", "keep-alive", "proxy-connection", "upgrade", "te"] {
        assert!(values(&head, name).is_empty(), "{name} passed: {head}");
    }
    assert_eq!(values(&head, "x-kept"), ["yes"]);
}

#[test]
fn two_connection_headers_count_as_one_list() {
    let head = passed_on(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-one\r\nX-One: 1\r\nX-Two: 2\r\nConnection: x-two\r\n\r\n",
    );
    assert!(
        !head.to_ascii_lowercase().contains("x-one") && !head.to_ascii_lowercase().contains("x-two"),
        "{head}"
    );
}

#[test]
fn a_client_cannot_have_headers_removed_that_frame_or_route_its_request_or_that_we_set() {
    let head = passed_on(
        "POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 2\r\n\
         Connection: host, content-length, x-forwarded-for, via\r\n\r\nhi",
    );
    assert_eq!(values(&head, "host"), ["example.org"]);
    assert_eq!(values(&head, "content-length"), ["2"]);
    assert_eq!(values(&head, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&head, "via"), ["1.1 loadbalancer"]);
}

#[test]
fn only_trailers_are_kept_of_te() {
    let head = passed_on("GET / HTTP/1.1\r\nHost: a\r\nTE: gzip, Trailers\r\nConnection: te\r\n\r\n");
    assert_eq!(values(&head, "te"), ["trailers"]);
    assert_eq!(values(&head, "connection"), ["te"], "TE is for the next hop only (RFC 9110 section 10.1.4)");
}

#[test]
fn what_concerns_the_backends_connection_does_not_reach_the_client() {
    let (_, answer) = passed(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: close\r\nUpgrade: h2c\r\nX-Kept: yes\r\nContent-Length: 0\r\n\r\n",
    );
    for name in ["connection", "x-secret", "keep-alive", "proxy-connection", "upgrade"] {
        assert_eq!(answer.header(name), None, "{name} passed");
    }
    assert_eq!(answer.header("x-kept"), Some("yes"));
}

#[test]
fn a_backend_that_closes_its_connection_does_not_close_the_clients() {
    let backend = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().expect_status(200).text(), "ok");
    }
    assert_eq!(backend.requests(), 3, "each on a connection of its own");
}

#[test]
fn a_backend_learns_where_the_client_is_and_what_it_asked() {
    let head = passed_on("GET / HTTP/1.1\r\nHost: example.org:8081\r\n\r\n");
    assert_eq!(values(&head, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&head, "x-forwarded-proto"), ["http"]);
    assert_eq!(values(&head, "x-forwarded-host"), ["example.org:8081"]);
    assert_eq!(values(&head, "via"), ["1.1 loadbalancer"]);
}

#[test]
fn what_a_client_claims_of_itself_is_not_believed() {
    let head = passed_on(
        "GET / HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Host: admin.example\r\nX-Forwarded-Port: 443\r\n\
         X-FORWARDED-User: root\r\nForwarded: for=10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\n\r\n",
    );
    assert_eq!(values(&head, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&head, "x-forwarded-proto"), ["http"]);
    assert_eq!(values(&head, "x-forwarded-host"), ["example.org"]);
    for name in ["x-forwarded-port", "x-forwarded-user", "forwarded", "x-real-ip"] {
        assert!(values(&head, name).is_empty(), "{name} passed: {head}");
    }
}

#[test]
fn via_is_added_to_what_others_wrote_in_both_directions() {
    let (head, answer) = passed(
        "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 fred\r\n\r\n",
        "HTTP/1.1 200 OK\r\nVia: 1.1 cache\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(values(&head, "via").join(", "), "1.0 fred, 1.1 loadbalancer");
    let via = answer.headers.iter().filter(|(name, _)| name == "via").map(|(_, value)| value.as_str());
    assert_eq!(via.collect::<Vec<_>>().join(", "), "1.1 cache, 1.1 loadbalancer");
    let (_, answer) = passed("GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN);
    assert_eq!(answer.header("via"), Some("1.1 loadbalancer"));
    let (_, answer) = passed("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.0 204 No Content\r\n\r\n");
    assert_eq!(answer.header("via"), Some("1.0 loadbalancer"));
}

#[test]
fn values_that_are_not_ascii_pass_byte_for_byte() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Client::to(balancer.address);
    client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\nX-Name: caf\xe9 \xc3\xa9\r\n\r\n");
    let echoed = client.answer().expect_status(200).body;
    let line = b"x-name: caf\xe9 \xc3\xa9\n";
    assert!(echoed.windows(line.len()).any(|window| window == line), "{}", String::from_utf8_lossy(&echoed));
}

#[test]
fn repeated_and_empty_headers_pass_in_their_order() {
    let head = passed_on(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Many: 1\r\nX-Empty:\r\nX-Many:  2, 3 \r\nCookie: a=1\r\nX-Many: 4\r\n\r\n",
    );
    assert_eq!(values(&head, "x-many"), ["1", "2, 3", "4"]);
    assert_eq!((values(&head, "x-empty"), values(&head, "cookie")), (vec![""], vec!["a=1"]));
}
