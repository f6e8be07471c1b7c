//! The access log has one line of JSON for each request, and says how it ended.

mod blamed;
mod cut;
mod given;
mod listeners;
mod lost;
mod piped;
mod refused;
mod rotated;
mod said;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{Answer, Backend, Balancer, Client, Running, Sample, get, request, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

#[test]
fn a_request_that_went_well_has_a_line_with_all_that_is_known_of_it() {
    let sample = Sample::start("one");
    let (balancer, log) = logging(&[sample.address()]);
    let mut client = Client::to(balancer.address);
    let began = now();
    client.send("POST /echo?a=1&b=%20 HTTP/1.1\r\nHost: shop.test:80\r\nUser-Agent: tester/1\r\nContent-Length: 5\r\n\r\nhello");
    let answer = client.answer().expect_status(200);
    let [line] = log.lines_after(&balancer, 1).try_into().expect("one line");
    let ts = line["ts"].as_f64().expect("seconds");
    assert!((began - 0.001..=now() + 0.001).contains(&ts), "{began} {line}");
    let (answered, duration) = (line["answered_us"].as_u64(), line["duration_us"].as_u64());
    assert!(answered.is_some_and(|micros| micros > 0) && answered <= duration, "{line}");
    let mut rest = line;
    rest.as_object_mut()
        .unwrap()
        .retain(|key, _| !["ts", "answered_us", "duration_us"].contains(&key.as_str()));
    let expected = json!({
        "listener": "127.0.0.1:0", "client": client.stream().local_addr().unwrap(), "method": "POST", "path": "/echo?a=1&b=%20",
        "protocol": "HTTP/1.1",
        "host": "shop.test:80", "user_agent": "tester/1", "status": 200,
        "route": "default", "pool": "default", "backend": sample.address(),
        "attempts": 1, "bytes_in": 5, "bytes_out": answer.body.len(), "reason": null, "termination": "--",
    });
    assert_eq!(rest, expected);
}

#[test]
fn each_field_of_a_line_has_a_row_in_the_docs() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md")).unwrap();
    let table = page.split("<!-- fields -->").nth(1).and_then(|rest| rest.split("<!-- end").next());
    let rows = table.expect("a table").lines().filter_map(|row| row.strip_prefix("| `")?.split('`').next());
    let mut told: Vec<_> = rows.filter(|field| !["peer", "request_id"].contains(field)).collect();
    told.sort_unstable();
    let sample = Sample::start("one");
    let text = "GET / HTTP/1.1\r\nHost: test\r\nUser-Agent: tester/1\r\n\r\n";
    let line = ends(&[sample.address()], text, Some(200));
    let mut fields: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(told, fields);
}

#[test]
fn each_request_of_a_connection_has_a_line_and_counts_of_its_own() {
    let sample = Sample::start("one");
    let (balancer, log) = logging(&[sample.address()]);
    let mut client = Client::to(balancer.address);
    client.send(
        "GET /bytes/100000 HTTP/1.1\r\nHost: test\r\n\r\nGET /chunked/7 HTTP/1.1\r\nHost: test\r\n\r\n",
    );
    assert_eq!((client.answer().body.len(), client.answer().body.len()), (100_000, 7));
    client.send("HEAD /bytes/50 HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.head().header("content-length"), Some("50"));
    client.send(
        "PUT /status/204 HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    );
    client.answer().expect_status(204);
    let lines = log.lines_after(&balancer, 4);
    let facts = |line: &Value| json!([line["path"], line["status"], line["bytes_in"], line["bytes_out"]]);
    assert_eq!(
        lines.iter().map(facts).collect::<Vec<_>>(),
        [
            json!(["/bytes/100000", 200, 0, 100_000]),
            json!(["/chunked/7", 200, 0, 7]),
            json!(["/bytes/50", 200, 0, 0]),
            json!(["/status/204", 204, 3, 0]),
        ]
    );
}

#[test]
fn when_a_backend_answered_is_told_beside_how_long_the_whole_took() {
    let times = |line: &Value| (line["answered_us"].as_u64(), line["duration_us"].as_u64());
    let (answered, whole) = times(&ends(&[Backend::closes_mid_body().address], GET, None));
    assert!(answered.is_some() && answered <= whole, "{answered:?} {whole:?}");
    let stalling = Backend::stalls();
    let (balancer, log) = logging(&[stalling.address]);
    let mut client = Client::to(balancer.address);
    client.send(GET);
    until("the backend has it", || stalling.requests() == 1);
    drop(client);
    let line = log.wait_for_a_line();
    assert_eq!((times(&line).0, &line["reason"]), (None, &json!("client_gone")));
}

#[test]
fn how_a_request_failed_is_told_by_reason_and_termination() {
    let closing = Backend::closes_before_the_head();
    let text = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n";
    let line = ends(&[closing.address], text, Some(502));
    assert_eq!(facts(&line), json!([502, closing.address, 1, "backend_closed", "SH"]));
    let refusing = Backend::refuses();
    let (balancer, log) = logging(&[refusing]);
    until("it is known", || get(balancer.address, "/").status == 503);
    let answer = get(balancer.address, "/");
    let line = log.lines_after(&balancer, 1).pop().expect("a line");
    assert_eq!(facts(&line), json!([503, null, 0, "no_backend", "SC"]));
    assert_eq!(line["bytes_out"], answer.body.len(), "of our own answer");
    let line = ends(&[Backend::stalls().address], GET, Some(504));
    assert_eq!(facts(&line)[3], "response_timeout");
    let line = ends(&[Backend::sends_garbage().address], GET, Some(502));
    assert_eq!((&line["reason"], &line["termination"]), (&json!("bad_answer"), &json!("PH")));
    let breaking = Backend::closes_mid_body();
    let line = ends(&[breaking.address], GET, None);
    assert_eq!(facts(&line), json!([200, breaking.address, 1, "answer_broken", "SD"]));
    assert_eq!(line["bytes_out"], 5);
}

#[test]
fn what_is_refused_without_asking_a_backend_is_logged_too() {
    let sample = Sample::start("one");
    let twice = "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    let line = ends(&[sample.address()], twice, Some(400));
    assert_eq!(facts(&line), json!([400, null, 0, "malformed_request", "PR"]));
    let line = ends(&[sample.address()], "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", Some(405));
    assert_eq!(facts(&line), json!([405, null, 0, "connect_refused", "PR"]));
    assert_eq!(line["method"], "CONNECT");
}

#[test]
fn a_request_that_was_retried_tells_how_often_and_who_answered() {
    let closing = [Backend::closes_before_the_head(), Backend::closes_before_the_head()];
    let sample = Sample::start("last");
    let line = ends(&[closing[0].address, closing[1].address, sample.address()], GET, Some(200));
    assert_eq!(facts(&line), json!([200, sample.address(), 3, null, "--"]));
}

#[test]
fn a_client_that_leaves_before_its_answer_is_logged_as_gone() {
    let (stalling, halting) = (Backend::stalls(), Backend::stalls_mid_body());
    let (before, log_before) = logging(&[stalling.address]);
    let (amid, log_amid) = logging(&[halting.address]);
    let mut client = Client::to(before.address);
    client.send(GET);
    until("the backend has it", || stalling.requests() == 1);
    drop(client);
    let mut client = Client::to(amid.address);
    client.send(GET);
    client.head();
    assert_eq!(client.bytes(5), b"first");
    client.reset();
    let line = log_before.wait_for_a_line();
    assert_eq!(facts(&line), json!([499, stalling.address, 1, "client_gone", "CD"]));
    let line = log_amid.wait_for_a_line();
    assert_eq!(facts(&line), json!([200, halting.address, 1, "client_gone", "CD"]));
}

#[test]
fn a_request_that_is_cut_at_the_end_of_a_stop_is_not_blamed_on_its_client() {
    let stalling = Backend::stalls();
    let log = Log::new();
    let balancer = Balancer::before(&[stalling.address]).flag("--drain-timeout", "100ms");
    let balancer = balancer.flag("--access-log", log.path()).start();
    let mut client = Client::to(balancer.address);
    client.send(GET);
    until("the backend has it", || stalling.requests() == 1);
    let lines = log.lines_after(&balancer, 1);
    assert_eq!(facts(&lines[0]), json!([503, stalling.address, 1, "stopped", "KD"]));
    client.expect_end();
}

#[test]
fn secrets_in_headers_are_not_logged() {
    let sample = Sample::start("one");
    let text = "GET / HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer s3cret\r\nCookie: id=s3cret\r\n\r\n";
    let line = ends(&[sample.address()], text, Some(200));
    assert!(!line.to_string().contains("s3cret"), "{line}");
}

#[test]
fn what_clients_send_is_escaped_and_shortened() {
    let sample = Sample::start("one");
    let (balancer, log) = logging(&[sample.address()]);
    for padding in ["", "a"] {
        let mut client = Client::to(balancer.address);
        client
            .send(format!("GET /{padding}{} HTTP/1.1\r\nHost: test\r\nUser-Agent: ", "%C3%A9".repeat(1000)));
        client.send(b"\"quoted\"\t\\ \xff {}");
        client.send(format!("{}\r\n\r\n", "b".repeat(9000)));
        client.answer();
    }
    let text = fs::read_to_string(log.stop(&balancer)).expect("UTF-8");
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let length = |key: &str| line[key].as_str().map_or(0, str::len);
        assert!((2000..=2048).contains(&length("path")), "{}", length("path"));
        assert!((2000..=2048).contains(&length("user_agent")), "{}", length("user_agent"));
        assert!(line["user_agent"].as_str().unwrap().starts_with("\"quoted\"\t\\ \u{fffd} {}bbb"));
    }
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn what_is_shortened_ends_with_a_character_that_the_client_sent() {
    let sample = Sample::start("one");
    let (balancer, log) = logging(&[sample.address()]);
    let mut client = Client::to(balancer.address);
    for agent in ["\u{20ac}".repeat(1000).into_bytes(), vec![0xff; 3000]] {
        let lines = [&b"GET / HTTP/1.1\r\nHost: test\r\nUser-Agent: "[..], &agent, b"\r\n\r\n"];
        client.send(lines.concat());
        client.answer().expect_status(200);
    }
    let lines = log.lines_after(&balancer, 2);
    assert_eq!(lines[0]["user_agent"], "\u{20ac}".repeat(682));
    assert_eq!(lines[1]["user_agent"], "\u{fffd}".repeat(682));
}

#[test]
fn lines_are_added_to_what_the_file_has_and_none_is_missing_after_a_stop() {
    let sample = Sample::start("one");
    let log = Log::new();
    fs::write(log.path(), "{\"from\":\"yesterday\"}\n").unwrap();
    let balancer = Balancer::before(&[sample.address()]).flag("--workers", "2");
    let balancer = balancer.flag("--access-log", log.path()).start();
    let mut clients = [(); 4].map(|()| Client::to(balancer.address));
    for _ in 0..100 {
        clients.iter_mut().for_each(|client| client.send(GET));
        clients.iter_mut().for_each(|client| drop(client.answer().expect_status(200)));
    }
    let lines = log.lines_after(&balancer, 401);
    assert_eq!(lines[0]["from"], "yesterday");
    assert!(lines[1..].iter().all(|line| line["status"] == 200));
}

#[test]
fn the_log_may_go_to_standard_output() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--access-log", "-").start();
    get(balancer.address, "/status/201").expect_status(201);
    let line: Value = serde_json::from_str(&balancer.said("/status/201")).expect("a line of JSON");
    assert_eq!(line["status"], 201);
}

/// Where a balancer logs to. The file goes with it.
struct Log(PathBuf);

impl Log {
    fn new() -> Self {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let name = format!("access-log-{}-{count}", std::process::id());
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }

    /// Stops the balancer, after which all is written.
    fn stop(&self, balancer: &Running) -> &PathBuf {
        balancer.signal("TERM");
        balancer.ended();
        &self.0
    }

    /// The lines when the balancer has stopped; at least so many.
    fn lines_after(&self, balancer: &Running, count: usize) -> Vec<Value> {
        self.stop(balancer);
        let lines = self.lines();
        assert!(lines.len() >= count, "{lines:?}");
        lines
    }

    fn wait_for_a_line(&self) -> Value {
        until("a line is written", || fs::metadata(&self.0).is_ok_and(|file| file.len() > 0));
        self.lines().remove(0)
    }

    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.0).expect("a log");
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn logging(backends: &[SocketAddr]) -> (Running, Log) {
    let log = Log::new();
    let balancer = Balancer::before(backends).flag("--response-timeout", "2s");
    (balancer.flag("--access-log", log.path()).start(), log)
}

/// The line of a request that is sent with a balancer of its own, and whose answer has this status, if it is whole.
fn ends(backends: &[SocketAddr], text: &str, status: Option<u16>) -> Value {
    let (balancer, log) = logging(backends);
    match status {
        Some(status) => drop::<Answer>(request(balancer.address, text).expect_status(status)),
        None => {
            let mut client = Client::to(balancer.address);
            client.send(text);
            client.rest();
        }
    }
    let [line] = log.lines_after(&balancer, 1).try_into().expect("one line");
    line
}

fn facts(line: &Value) -> Value {
    json!([line["status"], line["backend"], line["attempts"], line["reason"], line["termination"]])
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set").as_secs_f64()
}
