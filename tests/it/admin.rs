//! Operators see what runs and change it, through the admin API.

mod change;
mod guard;
mod hold;
mod metrics;
mod outages;
mod place;

use std::net::SocketAddr;

use serde_json::json;

use crate::support::admin::{JSON, backend, body};
use crate::support::{
    Answer, Backend, Balancer, Client, Opener, Running, Sample, Settings, gate, get, until,
};

/// Settings with one pool, `all`, of these backends.
fn pool(policy: &str, backends: &[SocketAddr]) -> String {
    let backends: Vec<_> = backends.iter().map(|backend| format!("\"{backend}\"")).collect();
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[pools.all]\npolicy = \"{policy}\"\nbackends = [{}]\n\
         health = {{ path = \"/health\" }}\n",
        backends.join(", ")
    )
}

/// The same of none, but for those of `backends.txt` beside a list, where nobody is yet.
fn pool_of_none(list: &Settings) -> String {
    let path = list.put("backends.txt", "# none yet");
    pool("round_robin", &[]).replace("backends = []", &format!("discover = [\"file:{}\"]", path.display()))
}

/// A balancer with an admin API, which goes by these settings.
fn start(settings: &Settings) -> Running {
    settings.balancer().flag("--admin", "127.0.0.1:0").start()
}

/// Fails unless it is a problem document of this status and kind.
fn expect_problem(answer: Answer, status: u16, kind: &str) -> serde_json::Value {
    let answer = answer.expect_status(status);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = body(&answer);
    assert_eq!(problem["type"], format!("urn:loadbalancer:problem:{kind}"), "{problem}");
    assert_eq!(problem["status"], status);
    problem
}

#[test]
fn an_operator_sees_what_runs_and_why() {
    let (up, down) = (Sample::start("up"), Backend::refuses());
    let settings = Settings::that_say(&pool("round_robin", &[up.address(), down]));
    let balancer = start(&settings);
    balancer.said("is healthy");
    balancer.said("is down");
    let admin = balancer.admin();
    let _client = Client::to(balancer.address);
    until("the client is counted", || admin.get("/api/v1/overview")["clients"] == 1);
    let overview = admin.get("/api/v1/overview");
    assert_eq!((&overview["stage"], &overview["revision"]), (&json!("serving"), &json!(1)));
    assert_eq!((&overview["backends"]["up"], &overview["backends"]["down"]), (&json!(1), &json!(1)));
    assert_eq!(admin.get("/api/v1/version")["name"], "loadbalancer");
    let listeners = admin.get("/api/v1/listeners");
    let web = json!({ "name": "web", "address": balancer.address.to_string(), "tls": false });
    assert_eq!(listeners["listeners"], json!([web]));
    let routes = admin.get("/api/v1/routes");
    assert_eq!(routes["routes"][0]["action"]["pools"], json!([{ "pool": "all", "weight": 1 }]));
    let all = admin.get("/api/v1/pools/all");
    assert_eq!(admin.get("/api/v1/pools")["pools"], json!([all]));
    assert_eq!((&all["policy"], &all["usable"]), (&json!("round_robin"), &json!(1)));
    assert_eq!(admin.get("/api/v1/backends")["backends"], all["backends"]);
    let (well, sick) = (admin.backend(up.address()), admin.backend(down));
    assert_eq!(all["backends"], json!([well, sick]));
    assert_eq!(well["state"], "up");
    assert!(well["why"].as_str().is_some_and(|why| why.starts_with("answered 200 in ")), "{well}");
    assert_eq!((&sick["state"], &sick["why"]), (&json!("down"), &json!("connection refused")));
    assert!(sick["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{sick}");
    assert_eq!(well["check"]["path"], "/health");
    assert_eq!(admin.get("/api/v1/overrides")["overrides"], json!([]));
}

#[test]
fn a_backend_is_up_since_it_was_let_go_of() {
    let sample = Sample::start("one");
    let settings = Settings::that_say(&pool("first", &[sample.address()]));
    let balancer = start(&settings);
    balancer.said("is healthy");
    let since = || balancer.admin().backend(sample.address())["since"].clone();
    let first = since();
    // It is told to the second.
    until("it is later", || {
        balancer.admin().patch(sample.address(), r#"{"hold": "drain"}"#);
        balancer.admin().patch(sample.address(), r#"{"hold": null}"#);
        since() != first
    });
}

#[test]
fn requests_that_are_under_way_are_counted() {
    let (opener, slow) = waiting();
    let settings = Settings::that_say(&pool("first", &[slow.address]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    until("it is seen", || admin.backend(slow.address)["in_flight"] == 1);
    opener.open();
    client.answer().expect_status(200);
    until("it is seen to have ended", || admin.backend(slow.address)["in_flight"] == 0);
}

#[test]
fn a_head_comes_without_a_body() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let mut client = Client::to(admin.address);
    for path in ["/livez", "/readyz", "/api/v1/version", "/api/v1/openapi.json"] {
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let head = client.head().expect_status(200);
        assert_ne!(head.header("content-length"), Some("0"));
        // What comes next is the next answer.
        client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let answer = client.answer().expect_status(200);
        assert_eq!(answer.header("content-length"), head.header("content-length"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn a_backend_is_known_by_its_address_with_its_scheme_too() {
    let (sample, backends) = (Sample::start("only"), "/api/v1/pools/all/backends/");
    let address = sample.address().to_string();
    let text = pool("first", &[sample.address()]).replace(&address, &format!("http://{address}"));
    let balancer = start(&Settings::that_say(&text));
    for name in [format!("http%3A%2F%2F{address}"), address.clone()] {
        let known = balancer.admin().ask("GET", &format!("{backends}{name}"), "", "").expect_status(200);
        assert_eq!(body(&known)["address"], *address);
    }
}

#[test]
fn what_is_not_there_and_what_cannot_be_done_is_told_as_a_problem() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let ask = |method: &str, path: &str, lines: &str| admin.ask(method, path, lines, "");
    for path in ["/", "/api/v1/pool", "/api/v1/pools/none", "/api/v1/pools/all/backends/127.0.0.1:9"] {
        expect_problem(ask("GET", path, ""), 404, "not-found");
    }
    for path in ["/api/v1/pools/al", "/api/v1/pools/al/backends/127.0.0.1:9"] {
        let problem = expect_problem(ask("GET", path, ""), 404, "not-found");
        assert_eq!(problem["detail"], "there is no pool al; did you mean all? /api/v1/pools shows all");
    }
    for (method, path, allow) in [
        ("DELETE", "/api/v1/pools", "GET, HEAD"),
        ("POST", "/livez", "GET, HEAD"),
        ("GET", "/api/v1/reload", "POST"),
        ("PUT", "/api/v1/pools/all/backends/127.0.0.1:9", "GET, HEAD, PATCH"),
    ] {
        let answer = ask(method, path, "");
        assert_eq!(answer.header("allow"), Some(allow));
        expect_problem(answer, 405, "method");
    }
    expect_problem(ask("GET", "/api/v1/pools", "Accept: text/html\r\n"), 406, "not-acceptable");
    expect_problem(ask("POST", "/api/v1/reload", ""), 415, "media-type");
    expect_problem(ask("GET", "/api/v1/pools?all=1", ""), 400, "bad-request");
    for (patch, status, kind) in [
        ("{\"weight\": 5", 400, "bad-request"),
        ("{\"weight\": -5}", 422, "body"),
        ("{\"wait\": 5}", 422, "body"),
        ("{\"hold\": \"up\"}", 422, "body"),
        ("[null]", 422, "body"),
    ] {
        expect_problem(admin.ask("PATCH", &backend(Backend::refuses()), JSON, patch), status, kind);
    }
    assert_eq!(balancer.times_said("by an operator"), 0);
}

#[test]
fn it_lives_and_is_ready_for_whoever_asks() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let token = settings.put("token", "0123456789abcdef");
    let balancer = settings.balancer().flag("--admin", "127.0.0.1:0");
    let balancer = balancer.flag("--admin-token-file", token.to_str().unwrap()).start();
    let admin = balancer.admin();
    for (path, key) in [("/livez", "live"), ("/readyz", "ready")] {
        let answer = admin.ask("GET", path, "Host: 10.1.2.3:8081\r\n", "");
        assert_eq!(body(&answer.expect_status(200))[key], true);
    }
}

#[test]
fn it_is_not_ready_as_soon_as_it_stops() {
    let (opener, slow) = waiting();
    let settings = Settings::that_say(&pool("first", &[slow.address]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    get(balancer.address, "*").expect_status(400);
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    until("the backend has it", || slow.requests() == 1);
    balancer.signal("TERM");
    balancer.said("stopping");
    until("it is not ready", || admin.ask("GET", "/readyz", "", "").status == 503);
    let why = body(&admin.ask("GET", "/readyz", "", "").expect_status(503));
    assert_eq!(why["ready"], false);
    admin.ask("GET", "/livez", "", "").expect_status(200);
    assert_eq!(admin.get("/api/v1/overview")["stage"], "stopping");
    let metrics = admin.ask("GET", "/metrics", "", "").expect_status(200);
    assert!(metrics.text().contains("loadbalancer_answers_total{code=\"4xx\"} 1\n"), "{}", metrics.text());
    settings.write(&pool("first", &[Backend::refuses()]));
    expect_problem(admin.post("/api/v1/reload", "{}"), 503, "stopping");
    opener.open();
    client.answer().expect_status(200);
    assert!(balancer.ended().success());
}

/// A backend that answers nothing, its checks neither, until its gate is opened.
fn waiting() -> (Opener, Backend) {
    let (opener, opened) = gate();
    let backend = Backend::that(move |mut transport| {
        opened.wait();
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow");
    });
    (opener, backend)
}
