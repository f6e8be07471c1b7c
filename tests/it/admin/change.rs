//! Settings that come through the admin API.

use std::io::ErrorKind;

use super::*;
use crate::support::admin::Admin;

const CONFIG: &str = "/api/v1/config";
const TOML: &str = "Content-Type: application/toml\r\n";

#[test]
fn settings_in_each_format_are_put_in_force_and_a_trial_changes_nothing() {
    let samples = ["a", "b", "c", "d"].map(Sample::start);
    let [first, toml, yaml, json] = [0, 1, 2, 3].map(|index| samples[index].address());
    let settings = Settings::that_say(&pool("first", &[first]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let answers = || get(balancer.address, "/").expect_status(200).text().to_owned();
    let listener = "127.0.0.1:0";
    let texts = [
        (TOML.to_owned(), pool("first", &[toml]), "hello from b\n"),
        (
            TOML.replace("toml", "yaml"),
            format!(
                "listeners:\n  web:\n    address: {listener}\npools:\n  all:\n    backends: [\"{yaml}\"]\n"
            ),
            "hello from c\n",
        ),
        (
            JSON.to_owned(),
            serde_json::json!({
                "listeners": { "web": { "address": listener } },
                "pools": { "all": { "backends": [json.to_string()] } },
            })
            .to_string(),
            "hello from d\n",
        ),
    ];
    let mut before = answers();
    for (index, (lines, text, after)) in texts.iter().enumerate() {
        let tried = admin.ask("POST", &format!("{CONFIG}?dry_run=1"), lines, text).expect_status(200);
        let tried = body(&tried);
        assert_eq!((&tried["result"], &tried["dry_run"]), (&json!("changed"), &json!(true)));
        assert_eq!((&tried["revision"], answers()), (&json!(index + 1), before));
        let applied = admin.ask("POST", CONFIG, lines, text).expect_status(200);
        assert!(applied.header("etag").is_some_and(|tag| tag.ends_with(&format!("-{}\"", index + 2))));
        assert_eq!(body(&applied)["revision"], index + 2);
        until("it is in force", || answers() == *after);
        let again = admin.ask("POST", CONFIG, lines, text).expect_status(200);
        assert_eq!(body(&again)["result"], "unchanged");
        before = (*after).to_owned();
    }
    // The files are what they were.
    let reloaded = body(&admin.post("/api/v1/reload", "{}").expect_status(200));
    assert_eq!((&reloaded["result"], &reloaded["revision"]), (&json!("changed"), &json!(5)));
    until("the files count again", || answers() == "hello from a\n");
}

#[test]
fn what_comes_of_a_change_is_told_though_its_caller_has_left() {
    let (sample, silent) = (Sample::start("only"), std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let balancer = start(&Settings::that_say(&pool("first", &[sample.address()])));
    leave_while_names_are_asked_for(&balancer.admin(), &silent);
    balancer.said("reload refused");
}

/// Brings settings with a name that this server, which says nothing, is asked for, and leaves meanwhile.
fn leave_while_names_are_asked_for(admin: &Admin, silent: &std::net::UdpSocket) {
    // Names are waited for a while, and then there is nobody in the place of who is there.
    let text = format!(
        "dns_servers = [\"{}\"]\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[pools.all]\ndiscover = [\"dns:app.test:80\"]\n",
        silent.local_addr().unwrap()
    );
    let mut caller = Client::to(admin.address);
    caller.send(format!(
        "POST {CONFIG} HTTP/1.1\r\nHost: localhost\r\n{TOML}Content-Length: {}\r\n\r\n{text}",
        text.len()
    ));
    let mut asked = [0; 512];
    silent.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    silent.recv_from(&mut asked).expect("it asks for the name");
    drop(caller);
}

/// A caller who will send settings of so many bytes when it is asked to go on.
fn caller_with(admin: &Admin, length: usize) -> Client {
    let mut caller = Client::to(admin.address);
    caller.send(format!(
        "POST /api/v1/plan HTTP/1.1\r\nHost: localhost\r\n{TOML}Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    ));
    caller
}

/// Fails if the caller was asked to go on, though others who came later were answered.
fn expect_silence(caller: &Client, admin: &Admin) {
    (0..5).for_each(|_| drop(admin.get("/api/v1/overview")));
    caller.stream().set_nonblocking(true).unwrap();
    let peeked = caller.stream().peek(&mut [0]);
    caller.stream().set_nonblocking(false).unwrap();
    assert_eq!(peeked.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
}

#[test]
fn settings_of_one_caller_at_a_time_are_taken_and_the_next_ones_wait() {
    let sample = Sample::start("only");
    let balancer = start(&Settings::that_say(&pool("first", &[sample.address()])));
    let (admin, text) = (balancer.admin(), pool("first", &[sample.address()]));
    let mut first = caller_with(&admin, text.len());
    assert_eq!(first.head().status, 100);
    let (mut second, mut third) = (caller_with(&admin, text.len()), caller_with(&admin, text.len()));
    expect_silence(&second, &admin);
    first.send(&text);
    first.answer().expect_status(200);
    assert_eq!(second.head().status, 100);
    expect_silence(&third, &admin);
    // One who leaves amid its settings keeps nobody waiting.
    drop(second);
    assert_eq!(third.head().status, 100);
    third.send(&text);
    third.answer().expect_status(200);
}

#[test]
fn settings_wait_for_those_whose_caller_has_left() {
    let (sample, silent) = (Sample::start("only"), std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let balancer = start(&Settings::that_say(&pool("first", &[sample.address()])));
    let admin = balancer.admin();
    leave_while_names_are_asked_for(&admin, &silent);
    let text = pool("first", &[sample.address()]);
    let mut next = caller_with(&admin, text.len());
    expect_silence(&next, &admin);
    balancer.said("reload refused");
    assert_eq!(next.head().status, 100);
    next.send(&text);
    next.answer().expect_status(200);
}

#[test]
fn settings_that_make_no_sense_are_refused_with_each_place() {
    let sample = Sample::start("only");
    let settings = Settings::that_say(&pool("first", &[sample.address()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let wrong = "[pools.all]\npolicy = \"fist\"\nbackends = [\"here\"]\n";
    let problem = expect_problem(admin.ask("POST", CONFIG, TOML, wrong), 422, "settings");
    let errors = problem["errors"].as_array().expect("errors");
    let places: Vec<_> = errors.iter().map(|error| (error["line"].as_u64(), &error["path"])).collect();
    assert_eq!(places.len(), 2, "{problem}");
    assert_eq!(places[0], (Some(2), &json!("pools.all.policy")));
    assert_eq!(places[1], (Some(3), &json!("pools.all.backends[0]")));
    assert!(errors.iter().all(|error| error["column"].is_u64() && error["message"].is_string()), "{problem}");
    let texts =
        [(TOML, "workers ="), (JSON, "{\"workers\":"), (TOML, ""), (TOML, "\u{feff}\n"), (JSON, "null")];
    for (lines, text) in texts {
        admin.ask("POST", CONFIG, lines, text).expect_status(422);
    }
    let deep = "[".repeat(100_000);
    for (lines, text) in [
        (TOML.to_owned(), format!("a = {deep}")),
        (TOML.replace("toml", "yaml"), format!("a: {deep}")),
        (JSON.to_owned(), format!("{{\"a\": {deep}")),
    ] {
        let problem = expect_problem(admin.ask("POST", CONFIG, &lines, &text), 422, "settings");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("too deep")), "{problem}");
    }
    settings.write("pools = 5\n");
    let problem = expect_problem(admin.post("/api/v1/reload", "{}"), 422, "settings");
    assert_eq!(problem["errors"][0]["file"], settings.path(), "{problem}");
    assert_eq!(admin.get("/api/v1/overview")["revision"], 1);
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn settings_that_do_not_fit_here_change_nothing() {
    let sample = Sample::start("only");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = Settings::that_say(&pool("first", &[sample.address()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let other = pool("first", &[Backend::refuses()]);
    let other = other.replace("127.0.0.1:0\"", &format!("{}\"", taken.local_addr().unwrap()));
    for path in [CONFIG, "/api/v1/config?dry_run=true"] {
        let problem = expect_problem(admin.ask("POST", path, TOML, &other), 409, "unfit");
        assert!(
            problem["detail"].as_str().is_some_and(|text| text.contains("the port is in use")),
            "{problem}"
        );
    }
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn who_looked_before_others_changed_the_settings_changes_nothing() {
    let (one, other) = (Sample::start("one"), Sample::start("other"));
    let settings = Settings::that_say(&pool("first", &[one.address()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let tag = admin.ask("GET", "/api/v1/routes", "", "").header("etag").expect("a tag").to_owned();
    let matching = format!("{TOML}If-Match: \"7\", {tag}\r\n");
    let text = pool("first", &[other.address()]);
    admin.ask("POST", CONFIG, &matching, &text).expect_status(200);
    let again = admin.ask("POST", CONFIG, &matching, &pool("first", &[one.address()]));
    expect_problem(again, 412, "outdated");
    let reload = admin.ask("POST", "/api/v1/reload", &format!("{JSON}If-Match: {tag}\r\n"), "{}");
    expect_problem(reload, 412, "outdated");
    until("the first change counts", || get(balancer.address, "/").text() == "hello from other\n");
}

#[test]
fn a_misspelt_wish_for_a_trial_puts_nothing_in_force() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    for query in ["dryrun=1", "dry_run=yes", "dry_run", "dry-run=1"] {
        let answer = admin.ask("POST", &format!("{CONFIG}?{query}"), JSON, "{}");
        expect_problem(answer, 400, "bad-request");
    }
    assert_eq!(admin.get("/api/v1/overview")["revision"], 1);
}

#[test]
fn settings_of_too_many_bytes_are_refused_however_they_come() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let announced = format!("{TOML}Content-Length: {}\r\nExpect: 100-continue\r\n", 100 << 20);
    expect_problem(admin.ask("POST", CONFIG, &announced, ""), 413, "too-large");
    let mut client = Client::to(admin.address);
    client.send(format!(
        "POST {CONFIG} HTTP/1.1\r\nHost: localhost\r\n{TOML}Transfer-Encoding: chunked\r\n\r\n"
    ));
    let piece = format!("{:x}\r\n{}\r\n", 1 << 20, "#".repeat(1 << 20));
    for _ in 0..10 {
        client.send(&piece);
    }
    client.send("0\r\n\r\n");
    expect_problem(client.answer(), 413, "too-large");
}

#[test]
fn who_looked_at_another_process_changes_nothing_in_this_one() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let (before, after) = (start(&settings), start(&settings));
    let tag = |path: &str| before.admin().ask("GET", path, "", "").header("etag").expect("a tag").to_owned();
    let seen = format!("{TOML}If-Match: {}\r\n", tag(CONFIG));
    let text = pool("random", &[Backend::refuses()]);
    expect_problem(after.admin().ask("POST", CONFIG, &seen, &text), 412, "outdated");
    let known = &after.admin().get("/api/v1/backends")["backends"][0];
    let path =
        backend(known["address"].as_str().and_then(|address| address.parse().ok()).expect("an address"));
    let seen = format!("{JSON}If-Match: {}\r\n", tag(&path));
    expect_problem(after.admin().ask("PATCH", &path, &seen, r#"{"weight": 5}"#), 412, "outdated");
    before.admin().ask("PATCH", &path, &seen, r#"{"weight": 5}"#).expect_status(200);
}

#[test]
fn what_is_shown_of_the_settings_is_what_is_in_force() {
    let text = pool("first", &[Backend::refuses()]);
    let settings = Settings::that_say(&text);
    let balancer = Balancer::configured(settings.path().as_ref()).flag("--admin", "127.0.0.1:0").start();
    let admin = balancer.admin();
    let before = admin.get(CONFIG);
    let log = settings.put("access.log", "");
    settings.write(&format!("workers = 7\naccess_log = {log:?}\n{}", text.replace("first", "random")));
    let changed = body(&admin.post("/api/v1/reload", "{}").expect_status(200));
    assert_eq!((&changed["result"], &changed["later"][0]), (&json!("changed"), &json!("workers")));
    let shown = admin.get(CONFIG);
    assert_eq!((&shown["workers"], &shown["access_log"]), (&before["workers"], &json!(null)), "{shown}");
    assert_eq!(shown["pools"]["all"]["policy"], "random", "{shown}");
}

#[test]
fn connections_for_which_workers_that_still_run_leave_no_files_wait_for_the_next_start() {
    let settings = Settings::that_say(&format!("workers = 8\n{}", pool("first", &[Backend::refuses()])));
    let balancer = Balancer::bare().flag("--config", settings.path()).flag("--admin", "127.0.0.1:0");
    let balancer = balancer.open_files(300).start();
    let admin = balancer.admin();
    // With one worker there would be files for 115, and with eight there are for 98.
    let text = format!("workers = 1\nlimits.connections = 110\n{}", pool("random", &[Backend::refuses()]));
    let planned = body(&admin.ask("POST", "/api/v1/plan", TOML, &text).expect_status(200));
    let told = json!("limits.connections: the change takes effect at the next start");
    assert!(planned["remarks"].as_array().is_some_and(|remarks| remarks.contains(&told)), "{planned}");
    settings.write(&text);
    for result in ["changed", "unchanged"] {
        let changed = body(&admin.post("/api/v1/reload", "{}").expect_status(200));
        let expected = (&json!(result), &json!(["workers", "limits.connections"]));
        assert_eq!((&changed["result"], &changed["later"]), expected, "{changed}");
    }
    let shown = admin.get(CONFIG);
    assert_eq!((&shown["workers"], &shown["limits"]["connections"]), (&json!(8), &json!(98)), "{shown}");
    let again = body(&admin.post(CONFIG, &shown.to_string()).expect_status(200));
    assert_eq!((&again["result"], &again["later"]), (&json!("unchanged"), &json!([])), "{again}");
}

#[test]
fn the_settings_as_they_are_shown_change_nothing() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let shown = admin.get(CONFIG).to_string();
    let planned = body(&admin.post("/api/v1/plan", &shown).expect_status(200));
    assert_eq!(planned["changes"], false, "{planned}");
    let applied = body(&admin.post(CONFIG, &shown).expect_status(200));
    assert_eq!(applied["result"], "unchanged", "{applied}");
}

#[test]
fn who_sends_a_large_body_before_anything_is_read_is_told_why_it_is_refused() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let text = "#".repeat(12 << 20);
    for (path, lines, status, kind) in [
        (CONFIG, TOML, 413, "too-large"),
        ("/api/v1/plan", TOML, 413, "too-large"),
        ("/api/v1/reload", JSON, 413, "too-large"),
        (CONFIG, "Content-Type: text/plain\r\n", 415, "media-type"),
        (CONFIG, "Host: evil.example\r\n", 403, "foreign-site"),
        ("/api/v1/nothing", TOML, 404, "not-found"),
    ] {
        expect_problem(admin.ask("POST", path, lines, &text), status, kind);
    }
}
