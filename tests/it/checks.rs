//! Backends are checked, and what was found is said, acted upon and told.

mod answers;
mod flapping;
mod grpc;
mod missed;
mod reasons;
mod shared;
mod wanted;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;

use crate::support::pki::Folder;
use crate::support::{Backend, Balancer, PATIENCE, Running, Sample, get, request, until};

/// Where tests have the checks of scripted backends go, which answer `/health` without being asked to.
const SCRIPTED: &str = "/check";

#[test]
fn at_start_every_backend_is_checked_and_what_was_found_is_said() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let refusing = Backend::refuses();
    let balancer = Balancer::before(&[first.address(), refusing, second.address()]).start();
    for sample in [&first, &second] {
        let line = balancer.said(&format!("{} is healthy: answered 200 in ", sample.address()));
        assert!(line.ends_with(" ms") && line.contains(" INFO "), "{line}");
    }
    let line = balancer.said(&format!("{refusing} is down: connection refused"));
    assert!(line.contains(" WARN "), "{line}");
}

#[test]
fn only_a_timely_answer_of_2xx_means_healthy() {
    let cases = [
        (Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "is healthy: answered 200 in "),
        (Backend::answers("HTTP/1.1 204 No Content\r\n\r\n"), "is healthy: answered 204 in "),
        (Backend::answers("HTTP/1.0 200 OK\r\n\r\n"), "is healthy: answered 200 in "),
        (
            Backend::answers(
                "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 299 Fine\r\nContent-Length: 0\r\n\r\n",
            ),
            "is healthy: answered 299 in ",
        ),
        (Backend::stalls_mid_body(), "is healthy: answered 200 in "),
        (Backend::answers("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n"), "is down: answered 301 in "),
        (
            Backend::answers("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            "is down: answered 404 in ",
        ),
        (Backend::answers("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), "is down: answered 500 in "),
        (Backend::sends_garbage(), "is down: answered with something that is not HTTP"),
        (
            Backend::answers("HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
            "is down: answered with lines that end without a carriage return",
        ),
        (
            Backend::answers("HTTP/1.1 200 OK\r\nX Y: 0\r\n\r\n"),
            "is down: answered with a head with a line that HTTP does not allow",
        ),
        (Backend::closes_before_the_head(), "is down: connection closed without an answer"),
        (Backend::resets_mid_head(), "is down: connection closed without an answer"),
        (Backend::stalls(), "is down: no answer in time"),
    ];
    let addresses: Vec<_> = cases.iter().map(|(backend, _)| backend.address).collect();
    let balancer = Balancer::before(&addresses).flag("--health-path", SCRIPTED);
    let balancer = balancer.flag("--health-timeout", "1s").start();
    for (backend, verdict) in cases {
        balancer.said(&format!("{} {verdict}", backend.address));
    }
}

#[test]
fn a_check_is_a_get_of_the_health_path_that_says_who_asks() {
    let (backend, told) = Backend::tells("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let _balancer = Balancer::before(&[backend.address]).flag("--health-path", "/ready?deep=1&by=lb").start();
    let head = told.recv_timeout(PATIENCE).expect("a check").to_ascii_lowercase();
    assert!(head.starts_with("get /ready?deep=1&by=lb http/1.1\r\n"), "{head}");
    for line in [
        format!("host: {}", backend.address),
        "user-agent: loadbalancer-check".into(),
        "connection: close".into(),
    ] {
        assert!(head.lines().any(|other| other == line), "{line} is not in {head}");
    }
}

#[test]
fn a_backend_that_fails_its_checks_gets_no_requests_until_it_passes_them_again() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let balancer = Balancer::before(&[first.address(), second.address()]);
    let balancer = balancer.flag("--health-interval", "100ms").start();
    assert_eq!(get(balancer.address, "/").text(), "hello from first\n");
    for times in 1..=2 {
        balancer.said_times(&format!("{} is healthy", first.address()), times);
        post(&first, "/health/fail");
        balancer.said_times(&format!("{} is down: answered 503 in ", first.address()), times);
        until("the second answers", || get(balancer.address, "/").text() == "hello from second\n");
        post(&first, "/health/ok");
        balancer.said_times(&format!("{} is healthy: answered 200 in ", first.address()), times + 1);
        until("the first answers", || get(balancer.address, "/").text() == "hello from first\n");
    }
    assert_eq!(balancer.times_said(&format!("{} is ", second.address())), 1);
}

#[test]
fn a_backend_that_starts_later_is_noticed_long_before_the_interval_is_over() {
    let mut backend = Sample::start("late");
    backend.kill();
    let balancer = Balancer::before(&[backend.address()]).flag("--health-interval", "1h").start();
    balancer.said(&format!("{} is down: connection refused", backend.address()));
    backend.restart();
    balancer.said(&format!("{} is healthy", backend.address()));
    until("it answers", || get(balancer.address, "/").status == 200);
}

#[test]
fn a_backend_that_a_request_found_dead_is_checked_long_before_the_interval_is_over() {
    let mut backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--health-interval", "1h").start();
    balancer.said(&format!("{} is healthy", backend.address()));
    backend.kill();
    get(balancer.address, "/").expect_status(503);
    balancer.said(&format!("{} is down: connection refused", backend.address()));
    backend.restart();
    balancer.said_times(&format!("{} is healthy", backend.address()), 2);
    until("it answers", || get(balancer.address, "/").status == 200);
}

#[test]
fn a_check_that_hangs_delays_no_other() {
    let (hanging, sample) = (Backend::stalls(), Sample::start("quick"));
    let balancer = Balancer::before(&[hanging.address, sample.address()]);
    let balancer = balancer.flag("--health-path", "/status/200").flag("--health-timeout", "1h");
    let balancer = balancer.flag("--health-interval", "100ms").start();
    balancer.said(&format!("{} is healthy", sample.address()));
    sample.kill();
    balancer.said(&format!("{} is down", sample.address()));
    assert_eq!(hanging.requests(), 1);
    assert_eq!(balancer.times_said(&hanging.address.to_string()), 1, "in the line that names all backends");
}

#[test]
fn a_check_that_hung_is_cut_and_made_again() {
    let backend = Backend::stalls();
    let balancer = Balancer::before(&[backend.address]).flag("--health-path", SCRIPTED);
    let balancer = balancer.flag("--health-timeout", "50ms").flag("--health-interval", "50ms").start();
    until("several checks were made", || backend.requests() >= 3);
    assert_eq!(balancer.times_said("is down: no answer in time"), 1);
}

#[test]
fn what_was_found_is_said_once_for_each_change_not_for_each_check() {
    let up = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let down = Backend::answers("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    let balancer = Balancer::before(&[up.address, down.address]).flag("--health-path", SCRIPTED);
    let balancer = balancer.flag("--health-interval", "20ms").start();
    until("each was checked often", || up.requests() >= 10 && down.requests() >= 10);
    assert_eq!((balancer.times_said("is healthy"), balancer.times_said("is down")), (1, 1));
}

#[test]
fn with_no_healthy_backend_a_client_on_this_machine_is_told_why_and_since_when() {
    let (failing, refusing) = (Sample::start("one"), Backend::refuses());
    post(&failing, "/health/fail");
    let balancer = Balancer::before(&[failing.address(), refusing]).start();
    without_backends(&balancer, balancer.address);
    for method in ["GET", "POST"] {
        let text = format!("{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
        let answer = request(balancer.address, &text).expect_status(503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(
            answer.header("proxy-status"),
            Some("loadbalancer; error=destination_unavailable; details=\"no_backend\"")
        );
        let lines: Vec<_> = answer.text().lines().collect();
        assert_eq!(lines[0], "no backend for this request is healthy");
        let age = |line: &str, start: String| {
            let age = line.strip_prefix(start.as_str()).and_then(|rest| rest.strip_suffix(" s ago"));
            assert!(age.is_some_and(|age| !age.is_empty()), "{line}");
        };
        age(lines[1], format!("{}: answered 503 in ", failing.address()));
        age(lines[2], format!("{refusing}: connection refused "));
        assert_eq!(lines.len(), 3);
    }
}

#[test]
fn a_client_on_another_machine_is_not_told_where_the_backends_are() {
    let Some(ours) = outer_address() else {
        eprintln!("this machine has no address but loopback: nothing was tried");
        return;
    };
    let balancer = Balancer::before(&[Backend::refuses()]).flag("--listen", ":0").start();
    let address = SocketAddr::new(ours, balancer.address.port());
    without_backends(&balancer, address);
    let answer = get(address, "/").expect_status(503);
    assert_eq!(answer.text(), "no backend for this request is healthy\n");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[test]
fn who_asks_through_another_proxy_of_this_machine_is_not_told_where_the_backends_are() {
    let refusing = Backend::refuses();
    let folder = Folder::new();
    let socket = folder.path("listener");
    let listen = format!("127.0.0.1:0,unix:{}", socket.display());
    let balancer = Balancer::bare().env("LOADBALANCER_LISTEN", &listen);
    let balancer = balancer.flag("--backend", &refusing.to_string()).start();
    without_backends(&balancer, balancer.address);
    let ask = |lines: &str| format!("GET / HTTP/1.1\r\nHost: test\r\n{lines}Connection: close\r\n\r\n");
    let told = |lines: &str| request(balancer.address, &ask(lines)).expect_status(503).text().to_owned();
    assert!(told("").contains(&refusing.to_string()), "{}", told(""));
    for line in
        ["Via: 1.1 edge", "X-Forwarded-For: 192.0.2.7", "X-Real-IP: 192.0.2.7", "Forwarded: for=unknown"]
    {
        assert_eq!(told(&format!("{line}\r\n")), "no backend for this request is healthy\n", "{line}");
    }
    // Whoever listens there on behalf of others need not say so.
    let (mut client, mut answer) = (UnixStream::connect(&socket).expect("it listens"), String::new());
    client.set_read_timeout(Some(PATIENCE)).expect("it is set");
    client.write_all(ask("").as_bytes()).expect("it is taken");
    client.read_to_string(&mut answer).expect("it is answered");
    assert!(answer.ends_with("\r\n\r\nno backend for this request is healthy\n"), "{answer}");
    assert!(told("").contains(&refusing.to_string()), "{}", told(""));
}

/// Waits until requests know what the line says.
fn without_backends(balancer: &Running, address: SocketAddr) {
    balancer.said("is down");
    until("no backend is used", || get(address, "/").text().starts_with("no backend for this request"));
}

fn post(sample: &Sample, path: &str) {
    let text = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    request(sample.address(), &text).expect_status(200);
}

/// An address of this machine that is not loopback: the one from which it would talk to a documentation address.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Of a datagram socket this sends nothing.
    socket.connect("203.0.113.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback()).then_some(ip)
}
