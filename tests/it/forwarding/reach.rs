//! How far a request goes: in no circle (RFC 9110 section 7.6.3), and no further than its client says (section 7.6.2).

use std::net::SocketAddr;

use hyper::Request;

use super::{passed_on, values};
use crate::support::{Backend, Balancer, Http2, Running, Settings, request, until};

/// A balancer before another one. Their checks end where they begin.
fn settings(scheme: &str, next: SocketAddr) -> String {
    format!(
        "access_log = \"-\"\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [pools.all]\nbackends = [\"{scheme}://{next}\"]\nhealth = {{ path = \"/health\" }}\n\
         [routes.health]\npath = \"/health\"\nanswer = {{ body = \"well\" }}\n[routes.all]\npool = \"all\"\n"
    )
}

/// Two balancers that name each other.
fn circle(scheme: &str) -> (Running, Running, [Settings; 2]) {
    let nobody = Settings::that_say(&settings(scheme, Backend::refuses()));
    let one = nobody.balancer().start();
    let other_says = Settings::that_say(&settings(scheme, one.address));
    let other = other_says.balancer().start();
    nobody.change(&one, &settings(scheme, other.address));
    (one, other, [nobody, other_says])
}

/// The head of a request with this method and target, and more lines.
fn ask(line: &str, lines: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n")
}

#[test]
fn a_request_that_goes_round_in_circles_is_ended_when_it_comes_for_the_eleventh_time() {
    for scheme in ["http", "h2c"] {
        let (one, other, _settings) = circle(scheme);
        let answer = request(one.address, &ask("GET /", "")).expect_status(508);
        assert_eq!(
            answer.header("proxy-status"),
            Some("loadbalancer; error=proxy_loop_detected; details=\"loop_detected\"")
        );
        assert_eq!(answer.text(), "the request goes round in circles: it came through this proxy before\n");
        one.said_times("\"path\":\"/\"", 6);
        other.said_times("\"path\":\"/\"", 5);
        assert_eq!(
            (one.times_said("\"path\":\"/\""), other.times_said("\"path\":\"/\"")),
            (6, 5),
            "{scheme}"
        );
        assert_eq!(one.times_said("\"reason\":\"loop_detected\",\"termination\":\"PR\""), 1);
        assert_eq!(other.times_said("loop_detected"), 0, "to who is on the way it is an answer");
    }
}

#[test]
fn a_chain_of_ten_balancers_is_no_circle() {
    let nine = "Via: 1.1 loadbalancer, 2.0 loadbalancer (edge)\r\nVia: 1.1 cache\r\n\
                Via: 1.1 loadbalancer,1.0\tloadbalancer , ,HTTP/1.1 loadbalancer\r\n\
                Via: 1.1 loadbalancer, 1.1 loadbalancer, 1.1 loadbalancer, 1.1 loadbalancer\r\n";
    let head = passed_on(&ask("GET /", nine));
    assert_eq!(values(&head, "via").last(), Some(&"1.1 loadbalancer"), "{head}");
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let balancer = Balancer::before(&[backend.address]).start();
    request(balancer.address, &ask("GET /", &format!("{nine}Via: 2.0 loadbalancer\r\n"))).expect_status(508);
    let mut http2 = Request::get("http://a/");
    for _ in 0..10 {
        http2 = http2.header("via", "2.0 loadbalancer");
    }
    let answer = Http2::to(balancer.address).ask(http2.body(()).unwrap()).answer();
    assert_eq!(answer.status, 508);
    assert_eq!(backend.requests(), 0);
}

#[test]
fn proxies_with_other_names_may_be_as_many_as_they_like() {
    let others = "Via: 1.1 cache, 1.1 loadbalancer.example, 1.1 my-loadbalancer, loadbalancer\r\n".repeat(20);
    let head = passed_on(&ask("GET /", &others));
    assert_eq!(values(&head, "via").len(), 21);
}

#[test]
fn a_request_that_may_go_no_further_is_answered_by_the_balancer() {
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let balancer = Balancer::before(&[backend.address]).flag("--access-log", "-").start();
    for (line, zero) in [("OPTIONS /", "0"), ("OPTIONS *", "00")] {
        let answer = request(balancer.address, &ask(line, &format!("Max-Forwards: {zero}\r\n")));
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("0")), "{answer:?}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"));
        assert_eq!((answer.header("proxy-status"), answer.header("via")), (None, None), "it is our own");
    }
    let answer = request(balancer.address, &ask("TRACE /", "Max-Forwards: 0\r\nCookie: secret\r\n"));
    let answer = answer.expect_status(405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"));
    assert_eq!(answer.text(), "this proxy reflects no requests (TRACE), and this one may go no further\n");
    balancer.said("\"reason\":\"trace_refused\"");
    let http2 = Request::options("http://a/").header("max-forwards", "0").body(()).unwrap();
    let answer = Http2::to(balancer.address).ask(http2).answer();
    assert_eq!((answer.status, answer.text()), (200, ""));
    assert!(answer.header("allow").is_some());
    assert_eq!(backend.requests(), 0);
}

#[test]
fn each_hop_takes_one_from_how_far_a_request_may_go() {
    for (method, came, passed) in [
        ("OPTIONS", "1", "0"),
        ("TRACE", "10", "9"),
        ("OPTIONS", "007", "6"),
        ("TRACE", "18446744073709551615", "18446744073709551614"),
        // More than can be counted to: the most that can (RFC 9110 section 7.6.2).
        ("OPTIONS", "99999999999999999999999999", "18446744073709551615"),
        // Only to those two methods it means anything.
        ("GET", "0", "0"),
        ("POST", "many", "many"),
    ] {
        let head = passed_on(&ask(&format!("{method} /"), &format!("Max-Forwards: {came}\r\n")));
        assert_eq!(values(&head, "max-forwards"), [passed], "{method} {came}");
    }
    assert!(values(&passed_on(&ask("OPTIONS /", "")), "max-forwards").is_empty());
}

#[test]
fn how_far_a_request_may_go_is_one_number() {
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let balancer = Balancer::before(&[backend.address]).start();
    for lines in [
        "Max-Forwards:\r\n",
        "Max-Forwards: -1\r\n",
        "Max-Forwards: +1\r\n",
        "Max-Forwards: 1.5\r\n",
        "Max-Forwards: 1, 1\r\n",
        "Max-Forwards: 1\r\nMax-Forwards: 1\r\n",
    ] {
        for method in ["OPTIONS", "TRACE"] {
            let answer = request(balancer.address, &ask(&format!("{method} /"), lines)).expect_status(400);
            assert_eq!(
                answer.text(),
                "the request is malformed: its Max-Forwards is not a number\n",
                "{lines}"
            );
        }
    }
    assert_eq!(backend.requests(), 0);
}

#[test]
fn what_a_route_would_answer_or_copy_goes_no_further_either() {
    let [backend, shadow] =
        [(); 2].map(|()| Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let settings = Settings::that_say(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [pools.all]\nbackends = [\"{}\"]\nhealth = {{ path = \"/health\" }}\n\
         [pools.shadow]\nbackends = [\"{}\"]\nhealth = {{ path = \"/health\" }}\n\
         [routes.fixed]\npath = \"/fixed\"\nanswer = {{ body = \"fixed\" }}\n\
         [routes.copied]\nanswer_headers = {{ set = {{ x-route = \"copied\" }} }}\npool = \"all\"\n\
         mirror = {{ pool = \"shadow\" }}\n",
        backend.address, shadow.address
    ));
    let balancer = settings.balancer().start();
    let own = request(balancer.address, &ask("OPTIONS /fixed", "Max-Forwards: 0\r\n")).expect_status(200);
    assert_eq!(own.text(), "fixed", "it is answered as without");
    let last = request(balancer.address, &ask("OPTIONS /", "Max-Forwards: 0\r\n")).expect_status(200);
    assert_eq!((last.header("x-route"), last.header("allow").is_some()), (Some("copied"), true));
    let passed = request(balancer.address, &ask("OPTIONS /", "Max-Forwards: 1\r\n")).expect_status(200);
    assert_eq!(passed.header("allow"), None);
    until("the second one was copied", || shadow.requests() == 1);
    assert_eq!(backend.requests(), 1);
}
