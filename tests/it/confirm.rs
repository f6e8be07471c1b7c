//! Changes that are planned before they are made, and those that are taken back by themselves.

mod compared;
mod held;
mod insisted;
mod overtaken;
mod plan;
mod refused;
mod renewed;
mod standstill;
mod stuck;
mod weighed;

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::{Answer, Backend, Client, Running, Sample, Settings, get, request, until};

fn settings(backends: &[String], more: &str) -> String {
    let backends: Vec<_> = backends.iter().map(|backend| format!("{backend:?}")).collect();
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
         [pools.all]\nbackends = [{}]\nhealth = {{ path = \"/health\" }}\n{more}",
        backends.join(", ")
    )
}

/// Where its admin API is.
fn admin(balancer: &Running) -> SocketAddr {
    let line = balancer.said("admin API on http://");
    line.rsplit("http://").next().and_then(|address| address.trim().parse().ok()).expect("an address")
}

fn post(admin: SocketAddr, path: &str, text: &str) -> Answer {
    let head = format!(
        "POST /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/toml\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    request(admin, &format!("{head}{text}"))
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn confirmation(admin: SocketAddr) -> Value {
    let text = "GET /api/v1/confirmation HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    body(&request(admin, text).expect_status(200))
}

/// A backend that is healthy and fails at everything else.
fn failing() -> Backend {
    Backend::that(|mut transport| {
        let status = if transport.head.starts_with("GET /health ") { "200 OK" } else { "500 Oh" };
        transport.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    })
}

#[test]
fn a_change_that_makes_answers_fail_is_taken_back_with_the_reason() {
    let (good, bad) = (Sample::start("good"), failing());
    let settings_now = Settings::that_say(&settings(&[good.address().to_string()], ""));
    let balancer = settings_now.balancer().start();
    let admin = admin(&balancer);
    for _ in 0..50 {
        get(balancer.address, "/").expect_status(200);
    }
    let changed = post(admin, "config?confirm=60s", &settings(&[bad.address.to_string()], ""));
    assert_eq!(body(&changed.expect_status(200))["watched"], true);
    until("the old settings are back", || {
        get(balancer.address, "/");
        confirmation(admin)["verdict"] == "rolled_back"
    });
    let told = confirmation(admin);
    assert!(
        told["reason"].as_str().unwrap().contains("% of the answers were 5xx or broke off, before it 0.0 %"),
        "{told}"
    );
    balancer.said("the change was taken back: ");
    until("the good one answers", || get(balancer.address, "/").status == 200);
}

#[test]
fn a_change_that_makes_answers_break_off_is_taken_back_with_the_reason() {
    let (good, cuts) = (Sample::start("good"), Backend::closes_mid_body());
    let settings_now = Settings::that_say(&settings(&[good.address().to_string()], ""));
    let balancer = settings_now.balancer().start();
    let admin = admin(&balancer);
    post(admin, "config?confirm=60s", &settings(&[cuts.address.to_string()], "")).expect_status(200);
    until("the old settings are back", || {
        let mut client = Client::to(balancer.address);
        client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        client.remains();
        confirmation(admin)["verdict"] == "rolled_back"
    });
    balancer.said(" % of the answers were 5xx or broke off, before it 0.0 %");
}

#[test]
fn a_change_after_which_no_backend_can_be_used_is_taken_back() {
    let good = Sample::start("good");
    let settings_now = Settings::that_say(&settings(&[good.address().to_string()], ""));
    let balancer = settings_now.balancer().start();
    let admin = admin(&balancer);
    balancer.said("is healthy");
    post(admin, "config?confirm=60s", &settings(&[Backend::refuses().to_string()], "")).expect_status(200);
    balancer.said("the change was taken back: no backend of pool all could be used");
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from good\n");
}

#[test]
fn a_change_that_makes_nothing_worse_stays() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let settings_now = Settings::that_say(&settings(&[first.address().to_string()], ""));
    let balancer = settings_now.balancer().start();
    let admin = admin(&balancer);
    assert_eq!(confirmation(admin)["verdict"], "none");
    post(admin, "config?confirm=1s", &settings(&[second.address().to_string()], "")).expect_status(200);
    balancer.said("the change stays: nothing got worse in 1s");
    assert_eq!(confirmation(admin)["verdict"], "kept");
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from second\n");
}

#[test]
fn what_an_operator_holds_while_a_change_is_watched_is_not_put_down_to_the_change() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let both = [first.address().to_string(), second.address().to_string()];
    let settings_now = Settings::that_say(&settings(&both, ""));
    let balancer = settings_now.balancer().start();
    let admin = balancer.admin();
    balancer.said("is healthy");
    post(admin.address, "config?confirm=3s", &settings(&both, "policy = \"round_robin\"\n"))
        .expect_status(200);
    admin.patch(first.address(), r#"{"hold": "drain"}"#);
    balancer.said("the change stays: nothing got worse in 3s");
}

#[test]
fn a_change_that_is_changed_again_is_no_longer_watched() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let settings_now = Settings::that_say(&settings(&[first.address().to_string()], ""));
    let balancer = settings_now.balancer().start();
    let admin = admin(&balancer);
    post(admin, "config?confirm=60s", &settings(&[second.address().to_string()], "")).expect_status(200);
    post(admin, "config", &settings(&[first.address().to_string()], "")).expect_status(200);
    until("it is known", || confirmation(admin)["verdict"] == "overtaken");
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from first\n");
}

#[test]
fn a_trial_does_not_keep_changed_files_from_being_read() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let settings_now = Settings::that_say(&settings(&[first.address().to_string()], ""));
    let balancer = settings_now.balancer().word("--watch").start();
    let admin = admin(&balancer);
    settings_now.write(&settings(&[second.address().to_string()], ""));
    let text = "POST /api/v1/reload?dry_run=1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 0\r\nConnection: close\r\n\r\n";
    request(admin, text).expect_status(200);
    until("they are read", || get(balancer.address, "/").text() == "hello from second\n");
}

#[test]
fn of_two_watched_changes_the_later_one_is_told_of() {
    let samples = ["first", "second", "third"].map(Sample::start);
    let text = |index: usize| settings(&[samples[index].address().to_string()], "");
    let settings_now = Settings::that_say(&text(0));
    let balancer = settings_now.balancer().start();
    let admin = admin(&balancer);
    post(admin, "config?confirm=60s", &text(1)).expect_status(200);
    let later = body(&post(admin, "config?confirm=60s", &text(2)).expect_status(200));
    balancer.said("the change is no longer watched: the settings were changed again");
    let told = confirmation(admin);
    assert_eq!((&told["verdict"], &told["revision"]), (&json!("watching"), &later["revision"]), "{told}");
}

#[test]
fn files_that_still_say_what_was_taken_back_are_not_read_again_by_themselves() {
    let good = Sample::start("good");
    let bad = settings(&[Backend::refuses().to_string()], "");
    let settings_now = Settings::that_say(&settings(&[good.address().to_string()], ""));
    let balancer = settings_now.balancer().word("--watch").start();
    let admin = admin(&balancer);
    balancer.said("is healthy");
    settings_now.write(&bad);
    let text = "POST /api/v1/reload?confirm=60s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(body(&request(admin, text).expect_status(200))["watched"], true);
    balancer.said("the change was taken back: no backend of pool all could be used");
    balancer.said("the files still say what was taken back");
    settings_now.write(&format!("{bad}# a remark\n"));
    balancer.said("reload refused, the settings stay as they were: the files say what was taken back");
    get(balancer.address, "/").expect_status(200);
    balancer.signal("HUP");
    until("who insists gets it", || get(balancer.address, "/").status == 503);
}

#[test]
fn a_plan_says_what_differs_and_which_requests_would_go_elsewhere_and_changes_nothing() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let addresses = [first.address().to_string(), second.address().to_string()];
    let settings_now = Settings::that_say(&settings(&addresses[..1], ""));
    let balancer = settings_now.balancer().start();
    let admin = admin(&balancer);
    for path in ["/a/1?token=secret", "/a/2", "/b"] {
        get(balancer.address, path);
    }
    let more = "[routes.a]\npath = \"/a/*\"\nredirect = \"https://elsewhere.test{path}\"\n[routes.rest]\npool = \"all\"\n";
    let plan = body(&post(admin, "plan", &settings(&addresses, more)).expect_status(200));
    assert_eq!(plan["changes"], true);
    let differs = |kind: &str, what: &str| {
        let all = plan["differences"].as_array().unwrap();
        all.iter().any(|found| found["kind"] == kind && found["what"] == what)
    };
    assert!(differs("add", &format!("pools.all.backends[{}]", addresses[1])), "{plan}");
    assert!(differs("add", "routes.a") && differs("add", "routes.rest"), "{plan}");
    let requests = &plan["requests"];
    assert_eq!((&requests["looked_at"], &requests["elsewhere"]), (&json!(3), &json!(2)), "{plan}");
    let example = &requests["examples"][0];
    assert_eq!(example["from"], "pool all (route default)");
    assert_eq!(example["to"], "redirect 308 to https://elsewhere.test{path} (route a)");
    assert_eq!(example["count"], 2);
    assert!(!plan.to_string().contains("secret"), "{plan}");
    let same = body(&post(admin, "plan", &settings(&addresses[..1], "")).expect_status(200));
    assert_eq!((&same["changes"], &same["requests"]["elsewhere"]), (&json!(false), &json!(0)));
    let bad = post(admin, "plan", "[pools.all]\nbackends = [\"here\"]\n").expect_status(422);
    assert!(bad.text().contains("not an address"), "{}", bad.text());
}

#[test]
fn a_plan_knows_that_other_shares_and_tags_are_elsewhere() {
    let backend = Backend::refuses().to_string();
    let text = |route: &str| {
        let more = format!("[pools.new]\nbackends = [{backend:?}]\n[routes.all]\n{route}\n");
        let tagged = format!("{{ address = {backend:?}, tags = {{ version = \"2\" }} }}");
        settings(&[], &more).replacen("[]", &format!("[{tagged}]"), 1)
    };
    let settings_now = Settings::that_say(&text("pools = { all = 1, new = 0 }"));
    let balancer = settings_now.balancer().start();
    get(balancer.address, "/");
    for (route, to) in [
        ("pool = \"all\"", None),
        ("pools = { all = 3, new = 1 }", Some("pool all (75 %), pool new (25 %) (route all)")),
        ("pool = \"all\"\ntags = { version = \"2\" }", Some("pool all with version = 2 (route all)")),
    ] {
        let plan = body(&post(admin(&balancer), "plan", &text(route)).expect_status(200));
        assert_eq!(plan["requests"]["elsewhere"], usize::from(to.is_some()), "{plan}");
        assert_eq!(plan["requests"]["examples"][0]["to"].as_str(), to, "{plan}");
    }
}

#[test]
fn a_plan_says_which_file_that_is_named_as_before_says_something_else() {
    let backend = Backend::refuses().to_string();
    let settings_now = Settings::that_say("");
    settings_now.put("busy.html", "busy");
    // Settings that are posted name files as those of the file do.
    let route = "[routes.all]\npool = \"all\"\nerror_pages = { \"503\" = { file = \"busy.html\" } }\n";
    let text = settings(&[backend], route);
    settings_now.write(&text);
    let balancer = settings_now.balancer().start();
    let plan = || body(&post(admin(&balancer), "plan", &text).expect_status(200));
    assert_eq!(plan()["changes"], false);
    settings_now.put("busy.html", "still busy");
    let told = json!({ "kind": "file", "what": "routes.all.error_pages", "before": null, "after": null });
    assert_eq!((&plan()["changes"], &plan()["differences"]), (&json!(true), &json!([told])));
}

#[test]
fn a_plan_says_how_many_keys_of_a_pool_that_hashes_would_go_elsewhere() {
    let backends: Vec<_> = (1..=4).map(|number| format!("127.0.0.9:{}", 40_000 + number)).collect();
    let hashed = "policy = \"maglev\"\n";
    let settings_now = Settings::that_say(&settings(&backends[..3], hashed));
    let balancer = settings_now.balancer().start();
    let plan = body(&post(admin(&balancer), "plan", &settings(&backends, hashed)).expect_status(200));
    let percent = plan["moved"][0]["percent"].as_f64().expect("a number");
    assert_eq!(plan["moved"][0]["pool"], "all");
    assert!((20.0..32.0).contains(&percent), "a quarter, for the new one takes a quarter: {plan}");
}

#[test]
fn a_plan_counts_backends_that_sources_told_of() {
    let settings_now = Settings::that_say("");
    let list: String = (1..=3).map(|number| format!("127.0.0.9:{}\n", 40_000 + number)).collect();
    let list = settings_now.put("list", list);
    let text = |more: &str| {
        let source = format!("policy = \"maglev\"\ndiscover = [\"file:{}\"]\n{more}", list.display());
        settings(&[], &source).replace("backends = []\n", "")
    };
    settings_now.write(&text(""));
    let balancer = settings_now.balancer().start();
    balancer.said("tells of 3 backends");
    let percent = |more: &str| {
        let plan = body(&post(admin(&balancer), "plan", &text(more)).expect_status(200));
        plan["moved"][0]["percent"].as_f64().expect("a number")
    };
    assert_eq!(percent("hash_bound = 200\n"), 0.0);
    let joined = percent("backends = [\"127.0.0.9:40004\"]\n");
    assert!((20.0..32.0).contains(&joined), "a quarter, for the new one takes a quarter: {joined}");
    assert_eq!(percent("backends = [\"127.0.0.9:40001\"]\n"), 0.0, "it is one of those that are there");
}
