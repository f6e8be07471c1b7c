//! What runs goes on, however often the settings change around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Backend, Client, Sample, Settings, gate, get, pool, until};
use crate::support::{Http2, Running};

const RELOADS: usize = 20;
const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// Changes a setting again and again, and does this after each time.
fn reload_often(settings: &Settings, balancer: &Running, text: &str, mut then: impl FnMut()) {
    for round in 1..=RELOADS {
        settings.change(balancer, &format!("{text}[timeouts]\nbody = \"{}s\"\n", 60 + round));
        then();
    }
}

fn one(backend: std::net::SocketAddr) -> String {
    pool("first", &[backend.to_string()])
}

#[test]
fn a_tunnel_passes_bytes_on() {
    let backend = Backend::that(|mut transport| {
        transport
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        while let Some(bytes) = transport.try_bytes(5) {
            transport.send(bytes);
        }
    });
    let text = one(backend.address);
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.head().status, 101);
    reload_often(&settings, &balancer, &text, || {
        client.send("hello");
        assert_eq!(client.bytes(5), b"hello");
    });
}

#[test]
fn bodies_pass_on_both_ways() {
    let (opener, opened) = gate();
    let backend = Backend::that(move |mut transport| {
        transport.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 5 * RELOADS));
        for _ in 0..RELOADS {
            opened.wait();
            transport.send("piece");
        }
        transport.wait_for_end();
    });
    let text = one(backend.address);
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    let mut download = Client::to(balancer.address);
    download.send(GET);
    assert_eq!(download.head().status, 200);
    reload_often(&settings, &balancer, &text, || {
        opener.open();
        assert_eq!(download.bytes(5), b"piece");
    });
    let sample = Sample::start("echo");
    let text = one(sample.address());
    settings.change(&balancer, &text);
    until("the other one answers", || get(balancer.address, "/").text() == "hello from echo\n");
    let mut upload = Client::to(balancer.address);
    upload.send(format!("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", 5 * RELOADS));
    reload_often(&settings, &balancer, &text, || upload.send("piece"));
    assert!(upload.answer().expect_status(200).text().ends_with(&"piece".repeat(RELOADS)));
}

#[test]
fn clients_that_are_parked_or_speak_http_2_stay_connected() {
    let sample = Sample::start("only");
    let text = format!("log_level = \"debug\"\n{}", one(sample.address()));
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    let (mut parked, mut other) = (Client::to(balancer.address), Http2::to(balancer.address));
    parked.send(GET);
    parked.answer().expect_status(200);
    balancer.said(&format!("{} is parked", parked.stream().local_addr().expect("it is connected")));
    reload_often(&settings, &balancer, &text, || drop(other.get("/").expect_status(200)));
    parked.send(GET);
    parked.answer().expect_status(200);
}

#[test]
fn round_robin_goes_on_where_it_was() {
    let samples = ["a", "b", "c"].map(Sample::start);
    let text = pool("round_robin", &samples.each_ref().map(|sample| sample.address().to_string()));
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    balancer.said_times("is healthy", 3);
    let answers = |count: usize| -> Vec<_> {
        (0..count).map(|_| get(balancer.address, "/").expect_status(200).text().to_owned()).collect()
    };
    let round = answers(3);
    let mut next = 0;
    reload_often(&settings, &balancer, &text, || {
        assert_eq!(answers(1), round[next..=next]);
        next = (next + 1) % 3;
    });
}

#[test]
fn a_check_under_way_is_not_begun_again() {
    let (opener, opened) = gate();
    let checks = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&checks);
    let backend = Backend::that(move |mut transport| {
        count.fetch_add(1, Ordering::SeqCst);
        opened.wait();
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let text = one(backend.address).replace("\"/health\" }", "\"/slow\", timeout = \"20s\" }");
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    until("it is being checked", || checks.load(Ordering::SeqCst) > 0);
    reload_often(&settings, &balancer, &text, || {});
    opener.open();
    balancer.said("is healthy");
    assert_eq!(checks.load(Ordering::SeqCst), 1);
}

#[test]
fn a_backend_that_comes_back_while_it_leaves_was_never_away() {
    let (opener, opened) = gate();
    let backend = Backend::that(move |mut transport| {
        if transport.head.starts_with("GET /slow ") {
            opened.wait();
        }
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nback");
    });
    let other = Sample::start("other");
    let text = one(backend.address);
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    balancer.said("is healthy");
    let mut client = Client::to(balancer.address);
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    until("the backend has it", || backend.requests() > 0);
    settings.change(&balancer, &one(other.address()));
    settings.change(&balancer, &format!("{}[timeouts]\nbody = \"9s\"\n", one(other.address())));
    settings.change(&balancer, &text);
    until("it is used again", || get(balancer.address, "/").text() == "back");
    opener.open();
    assert_eq!(client.answer().expect_status(200).text(), "back");
    assert_eq!(balancer.times_said(&format!("{} is removed", backend.address)), 1);
    assert_eq!(balancer.times_said(&format!("{} is healthy", backend.address)), 1);
}

#[test]
fn what_a_client_has_asked_still_counts() {
    let sample = Sample::start("only");
    let text = format!("{}[limits]\nrate = \"1/m\"\nrate_burst = 2\n", one(sample.address()));
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    for round in 1..=2 {
        get(balancer.address, "/").expect_status(200);
        // The other rate is another one: that is for this one to forget nothing.
        let others = format!("total_rate = \"{round}00/s\"\n[timeouts]\nbody = \"7{round}s\"\n");
        settings.change(&balancer, &format!("{text}{others}"));
    }
    get(balancer.address, "/").expect_status(429);
}

#[test]
fn what_all_clients_have_asked_still_counts() {
    let sample = Sample::start("only");
    let text = format!("{}[limits]\ntotal_rate = \"1/m\"\n", one(sample.address()));
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    get(balancer.address, "/").expect_status(200);
    settings.change(&balancer, &format!("{text}rate = \"100/s\"\n"));
    get(balancer.address, "/").expect_status(429);
}

#[test]
fn a_client_whose_network_is_denied_gets_no_more_answers() {
    let sample = Sample::start("only");
    let text = one(sample.address());
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    let mut client = Client::to(balancer.address);
    client.send(GET);
    client.answer().expect_status(200);
    settings.change(&balancer, &format!("{text}[access]\ndeny = [\"127.0.0.0/8\"]\n"));
    until("new clients are refused", || get(balancer.address, "/").status == 403);
    client.send(GET);
    client.answer().expect_status(403);
}

#[test]
fn a_backend_that_is_held_is_still_held_when_it_comes_back() {
    let (held, other) = (Sample::start("held"), Sample::start("other"));
    let text = |backends: &[&Sample]| {
        let backends: Vec<_> = backends.iter().map(|sample| sample.address().to_string()).collect();
        pool("first", &backends).replace("\"off\"", "\"127.0.0.1:0\"")
    };
    let settings = Settings::that_say(&text(&[&held, &other]));
    let balancer = settings.balancer().start();
    let admin = balancer.admin();
    admin.patch(held.address(), r#"{"hold": "disable"}"#);
    settings.change(&balancer, &text(&[&other]));
    balancer.said(&format!("{} is removed: an operator holds or weighs it", held.address()));
    let why = "it is no longer among the settings; what an operator said of it is remembered";
    assert_eq!(admin.backend(held.address())["why"], why);
    settings.change(&balancer, &text(&[&held, &other]));
    assert_eq!(admin.backend(held.address())["hold"], "disable");
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from other\n");
    settings.change(&balancer, &text(&[&other]));
    admin.patch(held.address(), r#"{"hold": null}"#);
    balancer.said(&format!("{} is gone", held.address()));
}
