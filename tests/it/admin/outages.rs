//! The log says when a pool has nobody left who may be sent requests, and when that is over.

use super::*;
use crate::support::PATIENCE;

const NOBODY: &str = "pool all has no backend that may be sent requests: its requests get 503";
const AGAIN: &str = "pool all has backends again that may be sent requests: ";

/// How often it was said that nobody is left, and that somebody is there again.
fn said(balancer: &Running) -> (usize, usize) {
    (balancer.times_said(NOBODY), balancer.times_said(AGAIN))
}

#[test]
fn that_the_last_backend_of_a_pool_is_down_is_said_as_an_error_and_when_one_is_back() {
    let (mut first, second) = (Sample::start("first"), Sample::start("second"));
    let settings = Settings::that_say(&pool("first", &[first.address(), second.address()]));
    let balancer = start(&settings);
    balancer.said_times("is healthy", 2);
    first.kill();
    get(balancer.address, "/").expect_status(200);
    balancer.said_times("is down", 1);
    assert_eq!(said(&balancer), (0, 0), "one is left");
    second.kill();
    get(balancer.address, "/").expect_status(503);
    let line = balancer.said(NOBODY);
    assert!(line.contains(" ERROR "), "{line}");
    get(balancer.address, "/").expect_status(503);
    first.restart();
    let line = balancer.said(AGAIN);
    assert!(line.contains(" INFO ") && line.ends_with(": 1"), "{line}");
    get(balancer.address, "/").expect_status(200);
    assert_eq!(said(&balancer), (1, 1));
}

#[test]
fn that_it_has_nobody_is_all_that_a_log_of_errors_has() {
    let refusing = Backend::refuses();
    let balancer = Balancer::before(&[refusing]).flag("--log-level", "error").run();
    let line = balancer.said("pool default has no backend that may be sent requests");
    assert!(line.contains(" ERROR "), "{line}");
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn who_holds_or_weighs_the_last_one_is_told_so() {
    let sample = Sample::start("only");
    let settings = Settings::that_say(&pool("round_robin", &[sample.address()]));
    let balancer = start(&settings);
    let patches = [
        (r#"{"hold": "drain"}"#, 1, 0),
        (r#"{"hold": null}"#, 1, 1),
        (r#"{"hold": "disable"}"#, 2, 1),
        (r#"{"hold": null, "weight": 0}"#, 2, 1),
        (r#"{"weight": 7}"#, 2, 2),
    ];
    for (patch, nobody, again) in patches {
        balancer.admin().patch(sample.address(), patch);
        until("both are said as often", || said(&balancer) == (nobody, again));
    }
}

#[test]
fn a_pool_whose_source_tells_of_nobody_has_an_outage_from_the_start() {
    let (sample, list) = (Sample::start("found"), Settings::that_say(""));
    let balancer = start(&Settings::that_say(&pool_of_none(&list)));
    balancer.said(NOBODY);
    list.put("backends.txt", sample.address().to_string());
    balancer.said(AGAIN);
    assert_eq!(said(&balancer), (1, 1));
}

#[test]
fn a_reload_that_leaves_nobody_is_told_so_and_a_pool_that_is_none_any_more_is_forgotten() {
    let (sample, refusing) = (Sample::start("only"), Backend::refuses());
    let settings = Settings::that_say(&pool("first", &[sample.address()]));
    let balancer = start(&settings);
    balancer.said("is healthy");
    let lost = pool("first", &[refusing]);
    settings.change(&balancer, &lost);
    balancer.said(NOBODY);
    settings.change(&balancer, &lost.replace("pools.all", "pools.other"));
    balancer.said("pool other has no backend that may be sent requests");
    settings.change(&balancer, &pool("first", &[sample.address()]));
    until("it serves", || get(balancer.address, "/").status == 200);
    assert_eq!(said(&balancer), (1, 0), "it is another pool by now");
}

#[test]
fn a_pool_that_nobody_is_left_in_during_a_stop_is_no_outage() {
    let (opener, opened) = gate();
    let (tell, told) = std::sync::mpsc::channel();
    let backend = Backend::that(move |mut transport| {
        // The test may have failed.
        let _ = tell.send(());
        opened.wait();
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let other = Sample::start("other");
    let text = pool("first", &[backend.address])
        + &format!(
            "[pools.more]\nbackends = [\"{}\"]\nhealth = {{ path = \"/health\", interval = \"50ms\" }}\n",
            other.address()
        )
        + "[routes.all]\npool = \"all\"\n[routes.more]\npath = \"/more\"\npool = \"more\"\n";
    let balancer = start(&Settings::that_say(&text));
    balancer.said_times("is healthy", 2);
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    told.recv_timeout(PATIENCE).expect("the backend has it");
    balancer.signal("TERM");
    balancer.said("stopping: ");
    other.kill();
    balancer.said("is down");
    opener.open();
    client.answer().expect_status(200);
    let all = balancer.all_said();
    assert!(!all.contains("has no backend"), "{all}");
}
