//! Copies of requests.

use std::io::ErrorKind::WouldBlock;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::{settings, start, text};
use crate::support::admin::JSON;
use crate::support::{Backend, Client, PATIENCE, Sample, Settings, gate, get, request, until};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nshadow";
const ROUTE: &str = "[routes.all]\npool = \"all\"\nmirror = { pool = \"shadow\" }\nrequest_headers = { set = { x-set = \"1\" } }\n";

#[test]
fn another_pool_gets_a_copy_and_its_answer_is_dropped() {
    let sample = Sample::start("one");
    let (shadow, heads) = Backend::tells(OK);
    let (balancer, _settings) = start(ROUTE, &[("all", sample.address()), ("shadow", shadow.address)]);
    let mut client = Client::to(balancer.address);
    for number in 0..3 {
        client.send(format!("GET /?{number} HTTP/1.1\r\nHost: test\r\nX-Own: 1\r\n\r\n"));
        assert_eq!(client.answer().expect_status(200).text(), "hello from one\n");
        let head = heads.recv_timeout(PATIENCE).expect("a copy").to_lowercase();
        assert!(head.starts_with(&format!("get /?{number} http/1.1\r\n")), "{head}");
        for line in ["host: test", "x-own: 1", "x-set: 1", "x-forwarded-for: 127.0.0.1"] {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
        }
    }
}

#[test]
fn a_copy_has_the_body_if_it_is_not_large() {
    let sample = Sample::start("one");
    let (bodies, told) = channel();
    let shadow = Backend::that(move |mut transport| {
        let length = transport.header("content-length").map(str::to_owned);
        let body = transport.read_body();
        // The test may have heard enough.
        let _ = bodies.send((length, body));
        transport.send(OK);
    });
    let (balancer, _settings) = start(ROUTE, &[("all", sample.address()), ("shadow", shadow.address)]);
    let chunked = "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    request(balancer.address, chunked).expect_status(200);
    assert_eq!(
        told.recv_timeout(PATIENCE).expect("a copy"),
        (Some("11".to_owned()), b"hello world".to_vec())
    );
    let large = "x".repeat(100_000);
    let post = |body: &str| {
        let length = body.len();
        format!(
            "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    };
    request(balancer.address, &post(&large)).expect_status(200);
    request(balancer.address, &post("small")).expect_status(200);
    assert_eq!(told.recv_timeout(PATIENCE).expect("a copy").1, b"small", "the large one was not copied");
}

#[test]
fn a_copy_with_a_body_is_waited_for_as_long_as_any_answer() {
    let sample = Sample::start("one");
    let (tell, told) = channel();
    let shadow = Backend::that(move |mut transport| {
        let body = transport.read_body();
        // Longer than a body may take to go on.
        transport.stream().set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
        let is_waited_for = transport.stream().peek(&mut [0]).is_err_and(|error| error.kind() == WouldBlock);
        tell.send((body, is_waited_for)).unwrap();
        transport.send(OK);
    });
    let route = format!("{ROUTE}[timeouts]\nbody = \"500ms\"\n");
    let (balancer, _settings) = start(&route, &[("all", sample.address()), ("shadow", shadow.address)]);
    let post = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    request(balancer.address, post).expect_status(200);
    assert_eq!(told.recv_timeout(PATIENCE).expect("a copy"), (b"hello".to_vec(), true));
}

#[test]
fn a_copy_is_waited_for_as_long_as_its_route_says() {
    let (sample, silent) = (Sample::start("one"), Backend::stalls());
    let ((came, coming), (let_go, go), (tell, told)) = (gate(), gate(), channel());
    let shadow = Backend::that(move |transport| {
        came.open();
        go.wait();
        transport.stream().set_nonblocking(true).unwrap();
        tell.send(transport.stream().peek(&mut [0]).is_err_and(|error| error.kind() == WouldBlock)).unwrap();
    });
    let route = format!(
        "{ROUTE}response_timeout = \"1m\"\n[routes.short]\npath = \"/short\"\npool = \"silent\"\n\
         [timeouts]\nresponse = \"200ms\"\n"
    );
    let pools = [("all", sample.address()), ("shadow", shadow.address), ("silent", silent.address)];
    let (balancer, _settings) = start(&route, &pools);
    get(balancer.address, "/").expect_status(200);
    coming.wait();
    // When the second one is over, so is all that had waited for as long when it began.
    for _ in 0..2 {
        get(balancer.address, "/short").expect_status(504);
    }
    let_go.open();
    assert!(told.recv_timeout(PATIENCE).expect("a copy"), "nobody waits for it any more");
}

#[test]
fn a_copy_whose_body_took_until_after_a_reload_goes_to_nobody_who_was_taken_out_meanwhile() {
    for is_disabled in [true, false] {
        let (came, coming) = channel();
        let all = Backend::that(move |mut transport| {
            came.send(()).unwrap();
            transport.read_body();
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        });
        let (first, (second, heads)) = (Backend::answers(OK), Backend::tells(OK));
        let shadow = |backends: &[SocketAddr]| {
            let backends: Vec<_> = backends.iter().map(SocketAddr::to_string).collect();
            format!("{ROUTE}[pools.shadow]\nbackends = {backends:?}\nhealth = {{ path = \"/health\" }}\n")
        };
        let text = |shadow: &str| text(shadow, &[("all", all.address)]).replace("\"off\"", "\"127.0.0.1:0\"");
        let (both, one) = ([first.address, second.address], [second.address]);
        let settings = Settings::that_say(&text(&shadow(&both)));
        let balancer = settings.balancer().start();
        let mut client = Client::to(balancer.address);
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhe");
        coming.recv_timeout(PATIENCE).expect("a request");
        let after = if is_disabled { shadow(&both) + "policy = \"round_robin\"\n" } else { shadow(&one) };
        settings.change(&balancer, &text(&after));
        if is_disabled {
            let path = format!("/api/v1/pools/shadow/backends/{}", first.address);
            balancer.admin().ask("PATCH", &path, JSON, r#"{"hold": "disable"}"#).expect_status(200);
        }
        client.send("llo");
        client.answer().expect_status(200);
        heads.recv_timeout(PATIENCE).expect("the copy");
        assert_eq!(first.requests(), 0);
    }
}

#[test]
fn a_pool_that_gets_copies_neither_slows_nor_fails_anybody() {
    let sample = Sample::start("one");
    let copies = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&copies);
    let stalls = Backend::that(move |mut transport| {
        // It is checked, too.
        if transport.head.starts_with("GET /?copied ") {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        transport.wait_for_end();
    });
    for shadow in [Backend::refuses(), stalls.address] {
        let (balancer, _settings) = start(ROUTE, &[("all", sample.address()), ("shadow", shadow)]);
        for _ in 0..150 {
            assert_eq!(get(balancer.address, "/?copied").expect_status(200).text(), "hello from one\n");
        }
    }
    let copies = || copies.load(Ordering::SeqCst);
    until("copies are made", || copies() > 0);
    assert!(copies() <= 100, "only so many are under way: {}", copies());
}

#[test]
fn only_so_many_of_a_hundred_requests_are_copied() {
    let sample = Sample::start("one");
    let (shadow, heads) = Backend::tells(OK);
    let route = ROUTE.replace("\"shadow\" }", "\"shadow\", percent = 25 }");
    let route = route + "[routes.last]\npath = \"/echo\"\npool = \"all\"\nmirror = { pool = \"shadow\" }\n";
    let (balancer, _settings) = start(&route, &[("all", sample.address()), ("shadow", shadow.address)]);
    let mut client = Client::to(balancer.address);
    let mut copied = 0;
    // A copy may come later than its request's answer, so each one waits for a copy that surely comes.
    for _ in 0..200 {
        for path in ["/", "/echo"] {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
            client.answer().expect_status(200);
        }
        while !heads.recv_timeout(PATIENCE).expect("a copy").starts_with("GET /echo ") {
            copied += 1;
        }
    }
    // A quarter, give or take five times the square root of the variance.
    assert!((20..=80).contains(&copied), "{copied}");
}

#[test]
fn a_pool_learns_from_copies_as_from_requests() {
    let sample = Sample::start("one");
    let (broken, well) = (
        Backend::tells("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
        Backend::tells(OK),
    );
    let backends = format!(
        "[\"{}\", \"{}\"]\npolicy = \"peak_ewma\"\nhealth = {{ path = \"/health\" }}\n",
        broken.0.address, well.0.address
    );
    let routes = format!("{ROUTE}[pools.shadow]\nbackends = {backends}");
    let (balancer, _settings) = start(&routes, &[("all", sample.address())]);
    let mut client = Client::to(balancer.address);
    let mut ask = || {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        client.answer().expect_status(200);
    };
    until("most copies go where they are answered", || {
        let seen = |(_, heads): &(Backend, std::sync::mpsc::Receiver<String>)| heads.try_iter().count();
        // Those of the round before.
        let _ = (seen(&broken), seen(&well));
        (0..50).for_each(|_| ask());
        let mut counts = (0, 0);
        until("all copies came", || {
            counts = (counts.0 + seen(&broken), counts.1 + seen(&well));
            counts.0 + counts.1 >= 45
        });
        counts.0 <= 8
    });
}

#[test]
fn a_pool_that_gets_no_share_yet_may_get_copies() {
    let sample = Sample::start("one");
    let (canary, heads) = Backend::tells(OK);
    let pools = [("stable", sample.address()), ("canary", canary.address)];
    let route = "[routes.all]\npools = { stable = 1, canary = 0 }\nmirror = { pool = \"canary\" }\n";
    let (balancer, _settings) = start(route, &pools);
    assert_eq!(get(balancer.address, "/?first").expect_status(200).text(), "hello from one\n");
    assert!(heads.recv_timeout(PATIENCE).expect("a copy").starts_with("GET /?first "));
    let (code, said) = settings(&route.replace("canary = 0", "canary = 1"), &pools).balancer().fail();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("its requests go to this pool anyway"), "{said}");
}

#[test]
fn a_copy_goes_by_the_client_that_sent_the_request_and_not_by_the_proxy_before_us() {
    const CLIENTS: usize = 60;
    let sample = Sample::start("one");
    let (first, second) = (Backend::answers(OK), Backend::answers(OK));
    let shadow = format!(
        "[pools.shadow]\nbackends = [\"{}\", \"{}\"]\npolicy = \"maglev\"\nhealth = {{ path = \"/health\" }}\n",
        first.address, second.address
    );
    let routes = format!("{ROUTE}{shadow}[access]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    let (balancer, _settings) = start(&routes, &[("all", sample.address())]);
    let mut client = Client::to(balancer.address);
    for number in 0..CLIENTS {
        client.send(format!("GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 192.0.2.{number}\r\n\r\n"));
        client.answer().expect_status(200);
    }
    until("both got some", || first.requests() > 0 && second.requests() > 0);
}
