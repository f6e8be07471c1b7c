//! A client that is refused on its connection is counted as one that is answered.

use std::net::SocketAddr;

use crate::support::pki::{Authority, Pair};
use crate::support::{Client, Running, Sample, Settings, get, tls, until};

use super::{admin, confirmation, post, settings};

#[test]
fn a_change_for_which_clients_are_turned_away_is_taken_back() {
    let sample = Sample::start("one");
    let settings_now = Settings::that_say(&settings(&[sample.address().to_string()], ""));
    let balancer = settings_now.balancer().start();
    let full = settings(&[sample.address().to_string()], "[limits]\nconnections = 1\n");
    post(admin(&balancer), "config?confirm=60s", &full).expect_status(200);
    let mut seated = Client::to(balancer.address);
    seated.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    seated.answer().expect_status(200);
    for _ in 0..20 {
        Client::to(balancer.address).answer().expect_status(503);
    }
    taken_back(&balancer, "9");
}

#[test]
fn a_change_for_which_clients_with_tls_are_turned_away_without_a_word_is_taken_back() {
    let sample = Sample::start("one");
    let authority = Authority::new();
    let pair = authority.signs(&["localhost"]);
    let text = |more: &str| {
        let tls = "address = \"127.0.0.1:0\"\ntls = true\n";
        let text = settings(&[sample.address().to_string()], &format!("{}{more}", section(&pair)));
        text.replacen("address = \"127.0.0.1:0\"\n", tls, 1)
    };
    let settings_now = Settings::that_say(&text(""));
    let balancer = settings_now.balancer().start();
    post(admin(&balancer), "config?confirm=60s", &text("[limits]\nconnections = 1\n")).expect_status(200);
    let mut seated = Client::secure(balancer.address, &tls::trusting(&authority).into());
    seated.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    seated.answer().expect_status(200);
    for _ in 0..20 {
        Client::to(balancer.address).expect_end();
    }
    taken_back(&balancer, "9");
}

#[test]
fn each_request_that_is_refused_before_a_route_is_looked_for_is_counted_once() {
    let sample = Sample::start("one");
    let fails =
        "[routes.rest]\npool = \"all\"\n[routes.fails]\npath = \"/fails\"\nanswer = { status = 503 }\n";
    let text = settings(&[sample.address().to_string()], fails);
    let settings_now = Settings::that_say(&text);
    let balancer = settings_now.balancer().start();
    post(admin(&balancer), "config?confirm=60s", &format!("{text}[timeouts]\nheader = \"200ms\"\n"))
        .expect_status(200);
    let long = "a".repeat(70_000);
    for (text, status) in [
        ("no request\r\n\r\n".to_owned(), 400),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            400,
        ),
        ("GET / HTTP/1.1\r\nHos".to_owned(), 408),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n"), 431),
    ] {
        for _ in 0..3 {
            refused(balancer.address, &text, status);
        }
    }
    // They are one of four of as many answers as it takes to judge them.
    for _ in 0..5 {
        get(balancer.address, "/fails").expect_status(503);
    }
    taken_back(&balancer, "25.0 ");
}

fn refused(address: SocketAddr, text: &str, status: u16) {
    let mut client = Client::to(address);
    client.send(text);
    client.answer().expect_status(status);
}

fn taken_back(balancer: &Running, share: &str) {
    until("the old settings are back", || confirmation(admin(balancer))["verdict"] == "rolled_back");
    let line = balancer.said(&format!("the change was taken back: {share}"));
    assert!(line.contains(" % of the answers were 5xx or broke off, before it 0.0 %"), "{line}");
}

fn section(pair: &Pair) -> String {
    let (certificate, key) = (pair.certificate(), pair.key());
    format!("[tls]\ncertificates = [{{ cert_file = {certificate:?}, key_file = {key:?} }}]\n")
}
