//! What no handler sees has a line all the same.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Log, facts};
use crate::support::pki::Pair;
use crate::support::{Backend, Balancer, Client, Running, Sample, frame, get, head, settings};

#[test]
fn a_request_whose_head_is_refused_has_a_line_without_method_and_path() {
    let long = "a".repeat(70_000);
    for (text, expected) in [
        ("no request\r\n\r\n".to_owned(), json!([400, null, 0, "malformed_request", "PR"])),
        ("GET / HTTP/1.1\r\nHos".to_owned(), json!([408, null, 0, "head_timeout", "cR"])),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), json!([414, null, 0, "target_too_long", "PR"])),
        (format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n"), json!([431, null, 0, "head_too_large", "PR"])),
    ] {
        let (balancer, log) = logging(Backend::refuses(), "--header-timeout", "200ms");
        let mut client = Client::to(balancer.address);
        client.send(text);
        let answer = client.answer();
        client.finish();
        let [line] = log.lines_after(&balancer, 1).try_into().expect("one line");
        assert_eq!(facts(&line), expected);
        assert_eq!(line["client"], json!(client.stream().local_addr().unwrap()));
        assert_eq!((&line["method"], &line["path"]), (&json!(""), &json!("")));
        assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&json!(0), &json!(answer.body.len())));
        assert!(line.get("host").is_none() && line.get("user_agent").is_none(), "{line}");
    }
}

#[test]
fn a_request_that_is_refused_behind_a_good_one_has_a_line_of_its_own() {
    let sample = Sample::start("one");
    let (balancer, log) = logging(sample.address(), "--header-timeout", "10s");
    let mut client = Client::to(balancer.address);
    client.send("GET /bytes/9 HTTP/1.1\r\nHost: test\r\n\r\nnonsense\r\n\r\n");
    assert_eq!((client.answer().status, client.answer().status), (200, 400));
    client.finish();
    let lines = log.lines_after(&balancer, 2);
    let told = |line: &Value| json!([line["path"], line["status"], line["reason"]]);
    assert_eq!(
        lines.iter().map(told).collect::<Vec<_>>(),
        [json!(["/bytes/9", 200, null]), json!(["", 400, "malformed_request"])]
    );
}

#[test]
fn a_connection_of_http2_that_its_client_breaks_has_a_line_and_is_told_of() {
    for garbage in [
        b"GARBAGEGARBAGEGARBAGE".to_vec(),
        // A body of no stream, fields that cannot be decoded, and one with a name that is none.
        frame(0, 0, 0, b"xx"),
        frame(1, 5, 1, &[0xff; 6]),
        head(1, &[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("Xa", "b")]),
    ] {
        let told = told_of(&[settings(), garbage].concat(), &json!([400, "malformed_request", "PR"]));
        assert_eq!(told, "the request is malformed: what came is not HTTP/2");
    }
}

#[test]
fn a_request_over_http2_whose_head_is_malformed_has_a_line_and_is_told_of() {
    const REST: [(&str, &str); 3] = [(":method", "GET"), (":scheme", "http"), (":authority", "a")];
    for wrong in [None, Some(("connection", "close"))] {
        let path = wrong.map(|_| (":path", "/"));
        let fields: Vec<_> = REST.into_iter().chain(path).chain(wrong).collect();
        let told =
            told_of(&[settings(), head(1, &fields)].concat(), &json!([400, "malformed_request", "PR"]));
        assert_eq!(told, "the request is malformed: its head is not one of HTTP/2");
    }
}

#[test]
fn a_head_over_http2_that_does_not_end_in_time_has_a_line_and_is_told_of() {
    const END_STREAM: u8 = 1;
    let begun = frame(1, END_STREAM, 1, &[0x82, 0x84]);
    let told = told_of(&[settings(), begun].concat(), &json!([408, "head_timeout", "cR"]));
    assert_eq!(told, "the head of the request did not come in time");
}

/// Sends what is refused for this reason, and gives what is told of it, which is told once.
fn told_of(bytes: &[u8], reason: &Value) -> String {
    let log = Log::new();
    let balancer = Balancer::before(&[Backend::refuses()]).flag("--log-level", "debug");
    let balancer = balancer.flag("--header-timeout", "500ms").flag("--access-log", log.path()).start();
    let mut client = Client::to(balancer.address);
    client.send(bytes);
    let address = client.stream().local_addr().unwrap();
    let line = log.wait_for_a_line();
    assert_eq!(&json!([line["status"], line["reason"], line["termination"]]), reason);
    assert_eq!(line["client"], json!(address));
    drop(client);
    let [_] = log.lines_after(&balancer, 1).try_into().expect("one line");
    let said = balancer.all_said();
    let mut said = said.lines().filter_map(|line| line.split_once(&format!("{address}: ")));
    let (_, told) = said.next().expect("a line");
    assert_eq!(said.next(), None);
    told.to_owned()
}

#[test]
fn a_client_that_is_turned_away_has_a_line() {
    let (balancer, log) = logging(Backend::refuses(), "--max-connections", "1");
    let mut seated = Client::to(balancer.address);
    seated.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    seated.answer().expect_status(503);
    let mut refused = Client::to(balancer.address);
    refused.answer().expect_status(503);
    let lines = log.lines_after(&balancer, 2);
    let line = lines.iter().find(|line| line["path"] == "").expect("a line of who said nothing");
    assert_eq!(facts(line), json!([503, null, 0, "too_many_connections", "PC"]));
    assert_eq!(line["client"], json!(refused.stream().local_addr().unwrap()));
}

#[test]
fn a_client_that_is_turned_away_without_a_word_has_a_line() {
    let pair = Pair::self_signed(&["localhost"]);
    let log = Log::new();
    let balancer = Balancer::before(&[Backend::refuses()]).secured(&[&pair]).flag("--deny", "127.0.0.0/8");
    let balancer = balancer.flag("--access-log", log.path()).start();
    let mut refused = Client::to(balancer.address);
    refused.expect_end();
    let [line] = log.lines_after(&balancer, 1).try_into().expect("one line");
    assert_eq!(facts(&line), json!([403, null, 0, "denied", "PR"]));
    assert_eq!(
        (&line["client"], &line["bytes_out"]),
        (&json!(refused.stream().local_addr().unwrap()), &json!(0))
    );
}

#[test]
fn a_client_that_says_nothing_has_no_line() {
    let (balancer, log) = logging(Backend::refuses(), "--header-timeout", "200ms");
    drop(Client::to(balancer.address));
    Client::to(balancer.address).reset();
    Client::to(balancer.address).expect_end();
    get(balancer.address, "/").expect_status(503);
    assert!(log.lines_after(&balancer, 1).iter().all(|line| line["path"] == "/"));
}

fn logging(backend: SocketAddr, flag: &str, value: &str) -> (Running, Log) {
    let log = Log::new();
    let balancer = Balancer::before(&[backend]).flag(flag, value);
    (balancer.flag("--access-log", log.path()).start(), log)
}
