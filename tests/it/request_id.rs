//! Each request can have an id, by which its backend, its client and the access log know it.

use std::collections::HashSet;

use serde_json::Value;

use crate::support::{Answer, Backend, Balancer, Client, Http2, Running, Sample, Settings, request, until};

const ID: &str = "x-request-id";

/// A balancer that gives ids and logs to its standard output.
fn naming(balancer: Balancer) -> Running {
    balancer.flag("--access-log", "-").flag("--request-id", "X-Request-ID").start()
}

fn ask(balancer: &Running, lines: &str) -> Answer {
    let head = "GET /echo HTTP/1.1\r\nHost: own.test\r\nConnection: close\r\n";
    request(balancer.address, &format!("{head}{lines}\r\n")).expect_status(200)
}

/// The ids that the sample backend was sent, in lines of whatever name that looks like the right one.
fn sent(answer: &Answer) -> Vec<&str> {
    let lines = answer.text().lines().filter_map(|line| line.split_once(": "));
    let ids = lines.filter(|(name, _)| name.replace('_', "-").eq_ignore_ascii_case(ID));
    ids.map(|(_, id)| id).collect()
}

/// The id that a client was told, once.
fn told(answer: &Answer) -> &str {
    let lines = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(ID));
    let [(_, id)] = lines.collect::<Vec<_>>().try_into().expect("one line with an id");
    id
}

fn is_ours(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn logged(balancer: &Running, id: &str) -> Value {
    let line = balancer.said(&format!("\"request_id\":\"{id}\""));
    serde_json::from_str(&line).expect("a line of JSON")
}

#[test]
fn a_request_is_known_by_one_id_to_its_backend_its_client_and_the_log() {
    let sample = Sample::start("one");
    let balancer = naming(Balancer::before(&[sample.address()]));
    let answer = ask(&balancer, "");
    assert!(is_ours(told(&answer)), "{answer:?}");
    assert_eq!(sent(&answer), [told(&answer)]);
    assert_eq!(logged(&balancer, told(&answer))["path"], "/echo");
}

#[test]
fn who_is_not_trusted_chooses_no_id_under_any_name_that_is_read_as_the_same() {
    let sample = Sample::start("one");
    let balancer = naming(Balancer::before(&[sample.address()]));
    let answer = ask(&balancer, "X-Request-ID: mine\r\nX_Request_ID: mine\r\nX-Request_ID: mine\r\n");
    assert!(is_ours(told(&answer)), "{answer:?}");
    assert_eq!(sent(&answer), [told(&answer)]);
}

#[test]
fn an_id_from_a_trusted_proxy_stays_if_it_is_one() {
    let sample = Sample::start("one");
    let trusting = Balancer::before(&[sample.address()]).flag("--trusted-proxy", "127.0.0.1");
    let balancer = naming(trusting);
    for id in ["edge-7/41b2", &"a".repeat(128)] {
        let answer = ask(&balancer, &format!("X-Request-ID: {id}\r\n"));
        assert_eq!((sent(&answer), told(&answer)), (vec![id], id));
        logged(&balancer, id);
    }
    let two_lines = "X-Request-ID: a\r\nX-Request-ID: b\r\n";
    for lines in ["X-Request-ID: a b\r\n", "X-Request-ID: \u{e9}\r\n", "X-Request-ID:\r\n", two_lines, ""] {
        let answer = ask(&balancer, lines);
        assert!(is_ours(told(&answer)) && sent(&answer) == [told(&answer)], "{lines:?} {answer:?}");
    }
    let answer = ask(&balancer, &format!("X-Request-ID: {}\r\n", "a".repeat(129)));
    assert!(is_ours(told(&answer)) && sent(&answer) == [told(&answer)], "{answer:?}");
}

#[test]
fn each_request_of_a_connection_and_each_stream_has_its_own() {
    let sample = Sample::start("one");
    let balancer = naming(Balancer::before(&[sample.address()]));
    let mut ids = HashSet::new();
    let mut client = Client::to(balancer.address);
    for _ in 0..3 {
        client.send("GET /echo HTTP/1.1\r\nHost: own.test\r\n\r\n");
        ids.insert(told(&client.answer()).to_owned());
    }
    let mut client = Http2::to(balancer.address);
    for _ in 0..3 {
        ids.insert(told(&client.get("/echo")).to_owned());
    }
    assert!(ids.len() == 6 && ids.iter().all(|id| is_ours(id)), "{ids:?}");
}

#[test]
fn answers_that_are_ours_say_it_too_and_so_does_a_backend_that_is_asked_instead() {
    let refuses = Backend::refuses();
    let balancer = naming(Balancer::before(&[refuses]));
    let answer = request(balancer.address, "GET / HTTP/1.1\r\nHost: own.test\r\n\r\n").expect_status(503);
    assert_eq!(logged(&balancer, told(&answer))["status"], 503);

    let (closes, sample) = (Backend::closes_before_the_head(), Sample::start("two"));
    let balancer = naming(Balancer::before(&[closes.address, sample.address()]));
    let answer = ask(&balancer, "");
    assert_eq!(sent(&answer), [told(&answer)]);
}

#[test]
fn a_backend_that_answers_with_an_id_of_its_own_does_not_hide_ours() {
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nX-Request-ID: its-own\r\nContent-Length: 2\r\n\r\nok");
    let balancer = naming(Balancer::before(&[backend.address]));
    let answer = request(balancer.address, "GET / HTTP/1.1\r\nHost: own.test\r\n\r\n").expect_status(200);
    assert!(is_ours(told(&answer)), "{answer:?}");
}

#[test]
fn neither_trailers_nor_interim_answers_say_another_one() {
    let backend = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 103 Early Hints\r\nX-Request-ID: its-own\r\nX-Early: yes\r\n\r\n");
        let (_, trailers) = transport.read_chunks();
        let trailers = trailers.replace("\r\n", " ");
        transport
            .send(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Trailers: {trailers}\r\nTrailer: X-Request-ID, X-Sum\r\n\r\n"));
        transport.send("0\r\nX-Request-ID: its-own\r\nX-Sum: 2\r\n\r\n");
    });
    let balancer = naming(Balancer::before(&[backend.address]));
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Request-ID, x_request_id, X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("2\r\nhi\r\n0\r\nX-Request-ID: mine\r\nx_request_id: mine\r\nX-Sum: 1\r\n\r\n");
    let early = client.head();
    assert_eq!((early.status, early.header(ID), early.header("x-early")), (103, None, Some("yes")));
    let answer = client.answer().expect_status(200);
    assert!(is_ours(told(&answer)), "{answer:?}");
    let passed_on = answer.header("x-trailers").expect("the backend says what it was sent").to_lowercase();
    assert!(passed_on.contains("x-sum: 1") && !passed_on.contains("mine"), "{passed_on}");
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "2".to_owned())]);
}

#[test]
fn a_name_with_an_underscore_is_read_as_the_same_with_a_dash() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--request-id", "x_request_id").start();
    let answer = ask(&balancer, "X-Request-ID: mine\r\n");
    assert!(matches!(sent(&answer)[..], [id] if is_ours(id)), "{answer:?}");
}

#[test]
fn a_reload_gives_ids_or_another_name_to_them() {
    let sample = Sample::start("one");
    let rest = format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n[pools.all]\nbackends = [\"{}\"]\n",
        sample.address()
    );
    let settings = Settings::that_say(&rest);
    let balancer = settings.balancer().start();
    assert_eq!(sent(&ask(&balancer, "X-Request-ID: mine\r\n")), ["mine"]);
    settings.change(&balancer, &format!("request_id = \"X-Request-ID\"\n{rest}"));
    until("ids are given", || is_ours(sent(&ask(&balancer, "X-Request-ID: mine\r\n"))[0]));
    settings.change(&balancer, &format!("request_id = \"X-Correlation-ID\"\n{rest}"));
    until("another line has them", || {
        let answer = ask(&balancer, "X-Request-ID: mine\r\n");
        sent(&answer) == ["mine"] && answer.header("x-correlation-id").is_some_and(is_ours)
    });
}
