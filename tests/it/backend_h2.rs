//! Backends that speak HTTP/2: requests share connections, and all else is as with HTTP/1.1.

mod bodies;
mod ends;
mod gone;
mod lost;
mod old;
mod scene;
mod shared;
mod small;
mod spoilt;
mod unbegun;

use hyper::{Response, StatusCode};

use crate::support::h2_backend::{Exchange, H2Backend};
use crate::support::pki::Authority;
use crate::support::tls_backend::with_certificate;
use crate::support::{Backend, Balancer, Client, Http2, Running, Sample, expect_reason, get, request, until};

/// In front of these backends, with checks out of the way.
fn before(backends: &[&H2Backend]) -> Running {
    let balancer = Balancer::before(&[]).flag("--health-interval", "1h");
    backends.iter().fold(balancer, |balancer, backend| balancer.flag("--backend", &backend.url())).start()
}

/// Tells the head that came, one field on each line.
async fn tell(exchange: Exchange) {
    let head = &exchange.head;
    let mut text = format!("{} {} {:?}\n", head.method(), head.uri(), head.version());
    for (name, value) in head.headers() {
        text += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    exchange.answer(StatusCode::OK, text);
}

#[test]
fn a_request_of_http_1_1_becomes_one_of_http_2_and_its_answer_comes_back() {
    let backend = H2Backend::that(tell);
    let balancer = before(&[&backend]);
    balancer.said(&format!("{} is healthy", backend.url()));
    let fields =
        "TE: trailers\r\nConnection: te, x-mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n";
    let text = format!("GET /a?b=c HTTP/1.1\r\nHost: example.com:81\r\n{fields}Cookie: a=1; b=2\r\n\r\n");
    let answer = request(balancer.address, &text).expect_status(200);
    let text = answer.text();
    assert!(text.starts_with("GET http://example.com:81/a?b=c HTTP/2.0\n"), "{text}");
    assert!(text.contains("\nte: trailers\n") && text.contains("\ncookie: a=1; b=2\n"), "{text}");
    assert!(text.contains("\nx-forwarded-host: example.com:81\n"), "{text}");
    for gone in ["host:", "connection:", "x-mine:", "keep-alive:", "proxy-connection:", "upgrade:"] {
        assert!(!text.contains(&format!("\n{gone}")), "{gone} in {text}");
    }
    assert_eq!(answer.header("content-length"), Some(text.len().to_string().as_str()));
}

#[test]
fn a_target_without_a_path_has_one_for_a_backend() {
    let backend = H2Backend::that(|exchange| async move {
        // To show the whole of it would add what is missing.
        let target = exchange.head.uri().path_and_query().unwrap().as_str().to_owned();
        exchange.answer(StatusCode::OK, target);
    });
    let balancer = before(&[&backend]);
    let text = "GET http://example.org?b=1 HTTP/1.1\r\nHost: example.org\r\n\r\n";
    assert_eq!(request(balancer.address, text).expect_status(200).text(), "/?b=1");
    let mut client = Http2::to(balancer.address);
    assert_eq!(client.get("?b=1").expect_status(200).text(), "/?b=1");
    assert_eq!(client.get("?").expect_status(200).text(), "/?");
}

#[test]
fn a_backend_behind_tls_chooses_http_2_when_it_can() {
    let authority = Authority::new();
    let mut tls = with_certificate(&authority.signs(&["localhost"]));
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let backend = H2Backend::with(&h2::server::Builder::new(), Some(tls), tell);
    let balancer =
        Balancer::before(&[]).flag("--backend", &format!("https://localhost:{}", backend.address.port()));
    let balancer = balancer.flag("--backend-ca", authority.file().to_str().unwrap()).start();
    balancer.said("is healthy: answered 200");
    let answer = get(balancer.address, "/a").expect_status(200);
    assert!(answer.text().starts_with("GET https://test/a HTTP/2.0\n"), "{}", answer.text());
}

#[test]
fn a_host_that_no_authority_can_be_is_the_clients_fault() {
    let backend = H2Backend::that(tell);
    let balancer = before(&[&backend]);
    let answer = request(balancer.address, "GET / HTTP/1.1\r\nHost: a:b:c\r\n\r\n").expect_status(400);
    assert_eq!(answer.text(), "the request is malformed: its Host is not one\n");
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn a_backend_that_does_not_speak_http_2_is_down_and_says_so() {
    let plain = Sample::start("plain");
    let balancer = Balancer::before(&[]).flag("--backend", &format!("h2c://{}", plain.address())).start();
    // It closes on what HTTP/2 begins with.
    let told = "connection closed before it spoke HTTP/2; write http:// if it speaks only HTTP/1.1";
    balancer.said(&format!("is down: {told}"));
    until("requests know of it", || get(balancer.address, "/").status == 503);
    assert!(get(balancer.address, "/").text().contains(told));
}

#[test]
fn a_backend_that_answers_with_something_else_than_http_2_is_told_to_have() {
    let backend = Backend::answers("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let balancer = Balancer::before(&[]).flag("--backend", &format!("h2c://{}", backend.address)).start();
    balancer.said("is down: it did not begin to speak HTTP/2; write http:// if it should not");
}

#[test]
fn interim_answers_come_before_the_final_one() {
    let backend = H2Backend::that(|mut exchange| async move {
        let hints = Response::builder().status(103).header("link", "</a>").header("content-length", "5");
        let hints = hints.body(()).unwrap();
        exchange.back.send_informational(hints).unwrap();
        exchange.answer(StatusCode::OK, "ok");
    });
    let balancer = before(&[&backend]);
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let hints = client.head();
    assert_eq!((hints.status, hints.header("link")), (103, Some("</a>")));
    // Who believed it would take what follows for a body (RFC 9110 section 8.6).
    assert_eq!(hints.header("content-length"), None);
    let answer = client.answer().expect_status(200);
    assert_eq!((answer.text(), answer.header("via")), ("ok", Some("2.0 loadbalancer")));
}

#[test]
fn a_body_that_waits_for_the_backends_word_is_sent_when_it_comes() {
    let backend = H2Backend::that(|mut exchange| async move {
        assert_eq!(exchange.head.headers()["expect"], "100-continue");
        exchange.back.send_informational(Response::builder().status(100).body(()).unwrap()).unwrap();
        let (body, _) = exchange.read().await;
        exchange.answer(StatusCode::OK, body);
    });
    let balancer = before(&[&backend]);
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().status, 100);
    client.send("hello");
    assert_eq!(client.answer().expect_status(200).text(), "hello");
}

#[test]
fn a_backend_that_does_not_answer_in_time_is_asked_no_more_and_others_on_its_connection_go_on() {
    let backend = H2Backend::that(|exchange| async move {
        match exchange.head.uri().path() {
            "/never" => std::future::pending().await,
            _ => exchange.answer(StatusCode::OK, "ok"),
        }
    });
    let balancer = Balancer::before(&[]).flag("--backend", &backend.url());
    let balancer = balancer.flag("--response-timeout", "300ms").start();
    let mut slow = Client::to(balancer.address);
    slow.send("GET /never HTTP/1.1\r\nHost: test\r\n\r\n");
    until("it came", || backend.requests() == 1);
    get(balancer.address, "/").expect_status(200);
    let answer = slow.answer().expect_status(504);
    assert!(answer.header("proxy-status").unwrap().contains("response_timeout"), "{answer:?}");
    get(balancer.address, "/").expect_status(200);
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_connection_on_which_nothing_comes_while_a_request_waits_is_used_no_more() {
    let backend = H2Backend::that(|exchange| async move {
        match exchange.connection {
            0 => std::future::pending().await,
            _ => exchange.answer(StatusCode::OK, "ok"),
        }
    });
    let balancer = Balancer::before(&[]).flag("--backend", &backend.url()).flag("--health-interval", "1h");
    let balancer = balancer.flag("--response-timeout", "300ms").start();
    get(balancer.address, "/").expect_status(504);
    get(balancer.address, "/").expect_status(200);
    assert_eq!(backend.connections(), 2);
}

#[test]
fn a_connection_is_used_on_though_clients_stop_or_leave_amid_their_uploads() {
    let backend = H2Backend::that(|mut exchange| async move {
        if exchange.head.method() == "POST" {
            // It waits for as long as it takes.
            while exchange.body.data().await.is_some_and(|data| data.is_ok()) {}
        } else {
            exchange.answer(StatusCode::OK, "ok");
        }
    });
    let balancer = Balancer::before(&[]).flag("--backend", &backend.url()).flag("--health-interval", "1h");
    let balancer = balancer.flag("--body-timeout", "300ms").flag("--access-log", "-").start();
    let begin = |count| {
        let mut client = Client::to(balancer.address);
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nfirst");
        until("it came", || backend.requests() == count);
        client
    };
    for count in 1..=3 {
        drop(begin(count));
        balancer.said_times("\"reason\":\"client_gone\"", count);
    }
    expect_reason(begin(4).answer(), 408, "upload_timeout");
    get(balancer.address, "/").expect_status(200);
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_connection_on_which_nothing_came_for_several_that_left_is_used_no_more() {
    let backend = H2Backend::that(|exchange| async move {
        match exchange.connection {
            0 => std::future::pending().await,
            _ => exchange.answer(StatusCode::OK, "ok"),
        }
    });
    let balancer = Balancer::before(&[]).flag("--backend", &backend.url()).flag("--health-interval", "1h");
    let balancer = balancer.flag("--access-log", "-").start();
    for count in 1..=3 {
        let mut client = Client::to(balancer.address);
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        until("it came", || backend.requests() == count);
        drop(client);
        balancer.said_times("\"reason\":\"client_gone\"", count);
    }
    assert_eq!(backend.connections(), 1);
    get(balancer.address, "/").expect_status(200);
    assert_eq!(backend.connections(), 2);
}

#[test]
fn a_switch_of_protocols_is_refused_where_there_is_no_way_for_it() {
    let backend = H2Backend::that(tell);
    let balancer = before(&[&backend]);
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    let text = format!("GET / HTTP/1.1\r\nHost: test\r\n{upgrade}\r\n");
    let answer = request(balancer.address, &text).expect_status(501);
    assert_eq!(answer.text(), "the backend speaks HTTP/2, on which this proxy cannot switch protocols\n");
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn a_switch_of_protocols_goes_to_the_next_backend_that_has_a_way_for_it() {
    let first = H2Backend::that(tell);
    let second = Backend::that(|mut transport| {
        transport
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi");
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[]).flag("--backend", &first.url());
    let balancer = balancer.flag("--backend", &second.address.to_string()).start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.answer().status, 101);
    assert_eq!(client.bytes(2), b"hi");
}

#[test]
fn more_header_lines_than_allowed_are_an_answer_that_is_not_passed_on() {
    let backend = H2Backend::that(|mut exchange| async move {
        let mut response = Response::builder();
        for index in 0..200 {
            response = response.header(format!("x-{index}"), "1");
        }
        let _ = exchange.back.send_response(response.body(()).unwrap(), true);
    });
    let balancer = before(&[&backend]);
    let answer = get(balancer.address, "/").expect_status(502);
    assert!(answer.header("proxy-status").unwrap().contains("bad_answer"), "{answer:?}");
}

#[test]
fn an_idle_connection_is_closed_with_a_goodbye() {
    let backend = H2Backend::that(tell);
    let balancer = Balancer::before(&[]).flag("--backend", &backend.url()).flag("--health-interval", "1h");
    let balancer = balancer.flag("--backend-idle-timeout", "300ms").start();
    get(balancer.address, "/").expect_status(200);
    until("the connection ended", || backend.goodbyes() == 1);
    get(balancer.address, "/").expect_status(200);
    assert_eq!(backend.connections(), 2);
}

fn noop() -> std::task::Context<'static> {
    std::task::Context::from_waker(std::task::Waker::noop())
}
