//! Backends that an operator holds or weighs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::support::End;

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

#[test]
fn a_drained_backend_ends_what_it_does_and_gets_no_more_until_it_is_enabled() {
    let (opener, opened) = gate();
    let drained = Backend::that(move |mut transport| {
        loop {
            if transport.head.starts_with("GET /slow ") {
                opened.wait();
            }
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ndrained");
            if !transport.read_head() {
                return;
            }
        }
    });
    let other = Sample::start("other");
    let settings = Settings::that_say(&pool("first", &[drained.address, other.address()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let (mut slow, mut quick) = (Client::to(balancer.address), Client::to(balancer.address));
    quick.send(GET);
    assert_eq!(quick.answer().expect_status(200).text(), "drained");
    slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    until("the backend has it", || admin.backend(drained.address)["in_flight"] == 1);
    let said = admin.patch(drained.address, r#"{"hold": "drain"}"#);
    assert_eq!((&said["state"], &said["hold"]), (&json!("draining"), &json!("drain")));
    let mut ask = || {
        quick.send(GET);
        quick.answer().expect_status(200).text().to_owned()
    };
    until("requests go elsewhere", || ask() == "hello from other\n");
    for _ in 0..20 {
        assert_eq!(ask(), "hello from other\n");
    }
    assert_eq!(admin.backend(drained.address)["in_flight"], 1);
    opener.open();
    assert_eq!(slow.answer().expect_status(200).text(), "drained");
    until("it has nothing to do", || admin.backend(drained.address)["in_flight"] == 0);
    assert_eq!(admin.patch(drained.address, r#"{"hold": null}"#)["state"], "up");
    until("it is used again", || ask() == "drained");
}

#[test]
fn what_a_drained_backend_took_the_next_tier_may_take() {
    let samples = ["drained", "stays", "backup"].map(Sample::start);
    let [drained, stays, backup] = samples.each_ref().map(Sample::address);
    let backends = format!(
        "overflow = 100\nbackends = [\"{drained}\", \"{stays}\", {{ address = \"{backup}\", tier = 1 }}]"
    );
    let settings = Settings::that_say(&pool("round_robin", &[]).replace("backends = []", &backends));
    let balancer = start(&settings);
    balancer.admin().patch(drained, r#"{"hold": "drain"}"#);
    until("the backup has a part", || get(balancer.address, "/").text() == "hello from backup\n");
    until("the other one has a part", || get(balancer.address, "/").text() == "hello from stays\n");
}

#[test]
fn a_disabled_backend_is_not_even_checked() {
    let [disabled, other] =
        [(); 2].map(|()| Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let settings = pool("first", &[disabled.address, other.address]);
    let settings = Settings::that_say(&settings.replace("\"/health\"", "\"/up\", interval = \"20ms\""));
    let balancer = start(&settings);
    let admin = balancer.admin();
    // Each check has a connection of its own.
    let is_checked = |backend: &Backend, times: usize| {
        let before = backend.requests();
        until("it is checked", || backend.requests() >= before + times);
    };
    is_checked(&disabled, 3);
    assert_eq!(admin.patch(disabled.address, r#"{"hold": "disable"}"#)["state"], "disabled");
    // One may have been on its way.
    is_checked(&other, 3);
    let before = disabled.requests();
    is_checked(&other, 10);
    assert_eq!(disabled.requests(), before);
    admin.patch(disabled.address, r#"{"hold": null}"#);
    is_checked(&disabled, 1);
}

#[test]
fn requests_go_past_a_disabled_backend_and_it_is_checked_at_once_when_it_is_no_longer() {
    let (disabled, other) = (Sample::start("disabled"), Sample::start("other"));
    let settings = Settings::that_say(&pool("first", &[disabled.address(), other.address()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    balancer.said_times("is healthy", 2);
    admin.patch(disabled.address(), r#"{"hold": "disable"}"#);
    until("requests go elsewhere", || get(balancer.address, "/").text() == "hello from other\n");
    disabled.kill();
    for _ in 0..5 {
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from other\n");
    }
    assert_eq!(balancer.times_said("is down"), 0);
    admin.patch(disabled.address(), r#"{"hold": null}"#);
    balancer.said(&format!("{} is down", disabled.address()));
}

/// Settings of `all` with these backends, and so many other pools that it takes a moment until all workers go by a change.
fn among_many(backends: &[SocketAddr], other: SocketAddr) -> String {
    let more = (0..1000).map(|index| {
        let (route, pool) = (format!("[routes.r{index}]\npath = \"/{index}/\"\n"), format!("p{index}"));
        format!("{route}pool = \"{pool}\"\n[pools.{pool}]\nbackends = [\"{other}\"]\n")
    });
    pool("round_robin", backends) + "[routes.all]\npool = \"all\"\n" + &more.collect::<String>()
}

/// How many of a few requests that come at once one backend answers.
fn answers(clients: &mut [Client], name: &str) -> usize {
    clients.iter_mut().for_each(|client| client.send(GET));
    let answers = clients.iter_mut().map(|client| client.answer().expect_status(200).text().to_owned());
    answers.filter(|text| *text == format!("hello from {name}\n")).count()
}

#[test]
fn who_is_told_that_a_backend_is_held_or_weighed_finds_that_no_request_goes_to_it_any_more() {
    let (held, other) = (Sample::start("held"), Sample::start("other"));
    let settings = Settings::that_say(&among_many(&[held.address(), other.address()], other.address()));
    let balancer = settings.balancer().flag("--workers", "2").flag("--admin", "127.0.0.1:0").start();
    let admin = balancer.admin();
    let mut clients: Vec<_> = (0..8).map(|_| Client::to(balancer.address)).collect();
    for (patch, back) in [
        (r#"{"hold": "drain"}"#, r#"{"hold": null}"#),
        (r#"{"hold": "disable"}"#, r#"{"hold": null}"#),
        (r#"{"weight": 0}"#, r#"{"weight": null}"#),
    ] {
        let mut ask = || (0..2).map(|_| answers(&mut clients, "held")).sum::<usize>();
        assert!(ask() > 0, "it gets requests before {patch}");
        let said = admin.patch(held.address(), patch);
        assert_eq!(ask(), 0, "it gets none after {patch}");
        let idle = said["why"] == "an operator drains it; it has nothing left to do";
        assert_eq!(idle, patch.contains("drain"), "{said}");
        admin.patch(held.address(), back);
    }
}

#[test]
fn who_is_told_that_settings_are_in_force_finds_that_all_requests_go_by_them() {
    let (one, other) = (Sample::start("one"), Sample::start("other"));
    let [with, without] = [&[one.address(), other.address()][..], &[other.address()]]
        .map(|all| among_many(all, other.address()));
    let settings = Settings::that_say(&with);
    let balancer = settings.balancer().flag("--workers", "2").flag("--admin", "127.0.0.1:0").start();
    let admin = balancer.admin();
    let mut clients: Vec<_> = (0..8).map(|_| Client::to(balancer.address)).collect();
    for _ in 0..3 {
        assert!((0..2).map(|_| answers(&mut clients, "one")).sum::<usize>() > 0, "it gets requests");
        settings.write(&without);
        admin.post("/api/v1/reload", "{}").expect_status(200);
        assert_eq!(answers(&mut clients, "one"), 0, "it gets none after the reload");
        settings.write(&with);
        admin.post("/api/v1/reload", "{}").expect_status(200);
    }
}

#[test]
fn who_finds_all_backends_taken_out_is_told_by_whom() {
    let samples = ["drained", "disabled", "weightless"].map(Sample::start);
    let addresses = samples.each_ref().map(Sample::address);
    let settings = Settings::that_say(&pool("round_robin", &addresses));
    let balancer = start(&settings);
    balancer.said_times("is healthy", 3);
    for (address, patch) in
        addresses.iter().zip([r#"{"hold": "drain"}"#, r#"{"hold": "disable"}"#, r#"{"weight": 0}"#])
    {
        balancer.admin().patch(*address, patch);
    }
    until("none is left", || get(balancer.address, "/").status == 503);
    let answer = get(balancer.address, "/").expect_status(503);
    let [drained, disabled, weightless] = addresses;
    let told = format!(
        "no backend is in service for this request\n{drained}: an operator drains it\n{disabled}: an operator disabled it\n\
         {weightless}: its weight is 0\n"
    );
    assert_eq!(answer.text(), told);
    let status = "loadbalancer; error=destination_unavailable; details=\"none_in_service\"";
    assert_eq!((answer.header("proxy-status"), answer.header("retry-after")), (Some(status), Some("1")));
}

#[test]
fn who_finds_a_backend_that_was_down_when_it_was_disabled_is_told_that_it_is_disabled() {
    let down = Backend::refuses();
    let settings = Settings::that_say(&pool("round_robin", &[down]));
    let balancer = start(&settings);
    balancer.said("is down");
    assert!(get(balancer.address, "/").expect_status(503).text().contains("is healthy"));
    balancer.admin().patch(down, r#"{"hold": "disable"}"#);
    let told = format!("no backend is in service for this request\n{down}: an operator disabled it\n");
    until("it is told", || get(balancer.address, "/").text() == told);
    assert!(get(balancer.address, "/").header("proxy-status").unwrap().contains("none_in_service"));
}

#[test]
fn while_the_one_backend_that_nobody_took_out_is_down_that_is_what_is_told() {
    let (drained, down) = (Sample::start("drained"), Backend::refuses());
    let settings = Settings::that_say(&pool("round_robin", &[drained.address(), down]));
    let balancer = start(&settings);
    balancer.said("is healthy");
    balancer.said("is down");
    balancer.admin().patch(drained.address(), r#"{"hold": "drain"}"#);
    until("none is left", || get(balancer.address, "/").status == 503);
    let answer = get(balancer.address, "/").expect_status(503);
    let told =
        format!("no backend for this request is healthy\n{}: an operator drains it\n", drained.address());
    assert!(answer.text().starts_with(&told), "{}", answer.text());
    let status = "loadbalancer; error=destination_unavailable; details=\"no_backend\"";
    assert_eq!(answer.header("proxy-status"), Some(status));
}

#[test]
fn who_finds_one_backend_dead_and_none_in_its_place_is_told_why_of_each() {
    let (dies, disabled, (full, came, _opener)) =
        (Sample::start("dies"), Sample::start("disabled"), Backend::held_up());
    let settings = Settings::that_say(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[pools.all]\nhealth = {{ path = \"/health\", interval = \"1h\" }}\n\
         policy = \"first\"\nbackends = [\"{}\", \"{}\", {{ address = \"{}\", max_requests = 1 }}]\n",
        dies.address(),
        disabled.address(),
        full.address
    ));
    let balancer = start(&settings);
    balancer.said_times("is healthy", 3);
    let admin = balancer.admin();
    admin.patch(disabled.address(), r#"{"hold": "disable"}"#);
    admin.patch(dies.address(), r#"{"hold": "drain"}"#);
    until("only the last is left", || get(balancer.address, "/").text().is_empty());
    let mut slow = Client::to(balancer.address);
    slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    came.wait();
    admin.patch(dies.address(), r#"{"hold": null}"#);
    until("it is used again", || get(balancer.address, "/").text() == "hello from dies\n");
    dies.kill();
    let answer = get(balancer.address, "/").expect_status(503);
    let status = answer.header("proxy-status").expect("a Proxy-Status");
    assert!(status.contains("details=\"connect_failed\""), "{status}");
    let lines: Vec<_> = answer.text().lines().skip(1).collect();
    assert!(lines[0].starts_with(&format!("{}: connection refused ", dies.address())), "{lines:?}");
    assert_eq!(lines[1], format!("{}: an operator disabled it", disabled.address()));
    assert_eq!(lines[2], format!("{}: it has as many requests as it may have", full.address));
}

#[test]
fn what_an_operator_said_outlasts_a_reload_and_is_listed() {
    let (one, other) = (Sample::start("one"), Sample::start("other"));
    let settings = Settings::that_say(&pool("first", &[one.address(), other.address()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let said = admin.patch(one.address(), r#"{"hold": "drain", "weight": 50}"#);
    assert_eq!(said["weight"], json!({ "set": 1, "effective": 50 }));
    settings.change(&balancer, &pool("round_robin", &[other.address(), one.address()]));
    let listed =
        json!({ "pool": "all", "address": one.address().to_string(), "hold": "drain", "weight": 50 });
    assert_eq!(admin.get("/api/v1/overrides")["overrides"], json!([listed]));
    until("the new settings count", || admin.get("/api/v1/pools/all")["policy"] == "round_robin");
    for _ in 0..4 {
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from other\n");
    }
    // What is absent stays.
    let said = admin.patch(one.address(), r#"{"weight": null}"#);
    assert_eq!((&said["hold"], &said["weight"]["effective"]), (&json!("drain"), &json!(1)));
    admin.patch(one.address(), r#"{"hold": null}"#);
    assert_eq!(admin.get("/api/v1/overrides")["overrides"], json!([]));
}

#[test]
fn a_backend_that_has_the_weight_of_the_settings_again_is_not_said_to_have_an_operators() {
    let sample = Sample::start("only");
    let settings = Settings::that_say(&pool("first", &[sample.address()]));
    let balancer = start(&settings);
    balancer.admin().patch(sample.address(), r#"{"weight": 50}"#);
    balancer.said("has weight 50 by an operator");
    balancer.admin().patch(sample.address(), r#"{"weight": null}"#);
    balancer.said("has the weight of the settings again: 1");
    assert_eq!(balancer.times_said("by an operator"), 1);
}

#[test]
fn who_looked_before_others_changed_a_backend_changes_nothing() {
    let sample = Sample::start("only");
    let settings = Settings::that_say(&pool("first", &[sample.address()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let path = backend(sample.address());
    let patch =
        |tag: &str, patch: &str| admin.ask("PATCH", &path, &format!("{JSON}If-Match: {tag}\r\n"), patch);
    let tag = admin.ask("GET", &path, "", "").header("etag").expect("a tag").to_owned();
    let newer = patch(&tag, r#"{"weight": 5}"#).expect_status(200).header("etag").expect("a tag").to_owned();
    let problem = expect_problem(patch(&tag, r#"{"weight": 7}"#), 412, "outdated");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(&newer)), "{problem}");
    assert_eq!(admin.backend(sample.address())["weight"]["effective"], 5);
    patch(&newer, r#"{"weight": 7}"#).expect_status(200);
    patch("*", r#"{"weight": 9}"#).expect_status(200);
    assert_eq!(admin.backend(sample.address())["weight"]["effective"], 9);
}

#[test]
fn a_key_that_is_there_twice_is_refused_and_changes_nothing() {
    let sample = Sample::start("only");
    let settings = Settings::that_say(&pool("first", &[sample.address()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    for patch in [r#"{"hold": "drain", "hold": null}"#, r#"{"hold": null, "weight": 1, "hold": "drain"}"#] {
        let answer = admin.ask("PATCH", &backend(sample.address()), JSON, patch);
        let problem = expect_problem(answer, 422, "body");
        let told = "duplicate field `hold`";
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(told)), "{problem}");
    }
    assert_eq!(admin.backend(sample.address())["hold"], json!(null));
}

#[test]
fn a_value_that_is_json_and_of_the_wrong_kind_is_told_from_what_is_no_json() {
    let sample = Sample::start("only");
    let settings = Settings::that_say(&pool("first", &[sample.address()]));
    let balancer = start(&settings);
    let ask = |patch| balancer.admin().ask("PATCH", &backend(sample.address()), JSON, patch);
    for (patch, told) in [
        (r#"{"hold": 5}"#, "hold 5: not \"drain\" or \"disable\", or null"),
        (r#"{"hold": true}"#, "hold true: not "),
        (r#"{"hold": ["drain"]}"#, "hold [\"drain\"]: not "),
        (r#"{"hold": "drian"}"#, "unknown variant `drian`, expected `drain` or `disable`"),
        (r#"{"weight": "5"}"#, "weight \"5\": not a whole number from 0 to 10000, or null"),
        (r#"{"weight": 1.5}"#, "weight 1.5: not a whole number"),
    ] {
        let problem = expect_problem(ask(patch), 422, "body");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(told)), "{problem}");
    }
    expect_problem(ask(r#"{"hold": drain}"#), 400, "bad-request");
}

#[test]
fn backends_are_drained_disabled_and_enabled_under_load_and_no_request_fails() {
    let samples = ["one", "two", "three"].map(Sample::start);
    let addresses = samples.each_ref().map(Sample::address);
    let settings = Settings::that_say(&pool("round_robin", &addresses));
    let balancer = settings.balancer().flag("--workers", "2").flag("--admin", "127.0.0.1:0").start();
    balancer.said_times("is healthy", 3);
    let admin = balancer.admin();
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let _end = End(&over);
        for path in ["/", "/bytes/100000", "/", "/chunked/1000"] {
            let (answered, over, address) = (&answered, &over, balancer.address);
            scope.spawn(move || {
                let mut client = Client::to(address);
                while !over.load(Ordering::SeqCst) {
                    client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
                    client.answer().expect_status(200);
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for (round, held) in addresses.iter().cycle().take(30).enumerate() {
            let hold = ["drain", "disable"][round % 2];
            admin.patch(*held, &format!("{{\"hold\": \"{hold}\", \"weight\": {}}}", round % 5 + 1));
            let goal = answered.load(Ordering::SeqCst) + 20;
            until("others answer", || answered.load(Ordering::SeqCst) >= goal);
            until("it has nothing to do", || admin.backend(*held)["in_flight"] == 0);
            admin.patch(*held, r#"{"hold": null, "weight": null}"#);
        }
    });
    assert_eq!(admin.get("/api/v1/overrides")["overrides"], json!([]));
}

#[test]
fn a_request_that_is_tried_again_is_not_sent_to_whom_an_operator_took_out_meanwhile() {
    let (disable, weight) = (r#"{"hold": "disable"}"#, r#"{"weight": 0}"#);
    for (how, reloads, out) in [
        ("busy", false, disable),
        ("busy", true, disable),
        ("closes", true, disable),
        ("busy", true, weight),
        ("closes", true, weight),
    ] {
        let (opener, opened) = gate();
        let first = Backend::that(move |mut transport| {
            opened.wait();
            if how == "busy" {
                transport.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nbusy\n");
            }
        });
        let second = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let route = "[routes.all]\npool = \"all\"\nretry = { statuses = [503] }\n";
        let text = format!("{}\n{route}", pool("first", &[first.address, second.address]));
        let settings = Settings::that_say(&text);
        let balancer = start(&settings);
        balancer.said_times("is healthy", 2);
        let mut client = Client::to(balancer.address);
        client.send(GET);
        until("the first has it", || first.requests() == 1);
        balancer.admin().patch(second.address, out);
        if reloads {
            settings.change(&balancer, &format!("{text}[routes.other]\nhost = \"other\"\npool = \"all\"\n"));
        }
        opener.open();
        client.answer().expect_status(if how == "busy" { 503 } else { 502 });
        assert_eq!(second.requests(), 0, "{how}, {reloads}, {out}");
    }
}
