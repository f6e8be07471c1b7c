//! Whoever sends clients may hear of a stop before these are no longer taken.

use std::net::TcpStream;

use crate::support::admin::body;
use crate::support::{Backend, Balancer, Client, Running, Sample, Settings, Successor, get, request, until};

use super::{GET, ended_well};

#[test]
fn while_notice_is_given_all_is_served_as_ever_and_only_who_asks_is_told_of_the_stop() {
    for signal in ["TERM", "INT", "QUIT"] {
        let sample = Sample::start("one");
        let balancer = Balancer::before(&[sample.address()]).env("LOADBALANCER_NOTICE_TIMEOUT", "1h");
        let balancer = balancer.flag("--admin", "127.0.0.1:0").flag("--health-path", "/health");
        let balancer = balancer.flag("--health-interval", "100ms").start();
        let (admin, mut kept) = (balancer.admin(), Client::to(balancer.address));
        is_served(&mut kept);
        notice(&balancer, signal);
        let why = body(&admin.ask("GET", "/readyz", "", "").expect_status(503));
        assert_eq!(why["ready"], false);
        assert_eq!(why["why"], "a stop was asked for: it takes clients for a moment yet, send it no more");
        admin.ask("GET", "/livez", "", "").expect_status(200);
        assert_eq!(admin.get("/api/v1/overview")["stage"], "stopping");
        let metrics = admin.ask("GET", "/metrics", "", "").expect_status(200);
        assert!(metrics.text().contains("loadbalancer_stopping 1\n"), "{}", metrics.text());
        let mut new = Client::to(balancer.address);
        for _ in 0..2 {
            is_served(&mut kept);
            is_served(&mut new);
        }
        let fail = "POST /health/fail HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n";
        request(sample.address(), fail).expect_status(200);
        balancer.said("is down");
        ended_by_another(&balancer);
    }
}

#[test]
fn after_its_notice_a_stop_is_like_any_other() {
    let (backend, came, let_go) = Backend::held_up();
    let balancer = Balancer::before(&[backend.address]).flag("--notice-timeout", "300ms").start();
    let mut slow = Client::to(balancer.address);
    slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    came.wait();
    balancer.signal("TERM");
    assert!(balancer.said("stopping in 300ms").ends_with(": until then clients are served as ever"));
    balancer.said("stopping: no new clients; running requests have 30s to finish");
    until("nobody listens", || TcpStream::connect(balancer.address).is_err());
    let_go.open();
    assert_eq!(slow.answer().expect_status(200).header("connection"), Some("close"));
    ended_well(&balancer);
}

#[test]
fn nothing_is_changed_while_notice_is_given() {
    let sample = Sample::start("one");
    let settings = Settings::that_say(&text(&sample, "1h"));
    let balancer = settings.balancer().start();
    let admin = balancer.admin();
    notice(&balancer, "TERM");
    settings.write(&text(&sample, "1s"));
    let end = "the program is about to end";
    balancer.signal("HUP");
    balancer.said(&format!("reload refused, the settings stay as they were: {end}"));
    for times in 1..=2 {
        balancer.signal("USR2");
        balancer.said_times(&format!("no successor: {end}"), times);
    }
    assert_eq!(body(&admin.post("/api/v1/reload", "{}").expect_status(503))["detail"], end);
    get(balancer.address, "/").expect_status(200);
    ended_by_another(&balancer);
    assert_eq!(balancer.times_said("starting a successor"), 0);
}

#[test]
fn a_reload_may_take_the_notice_away() {
    let sample = Sample::start("one");
    let settings = Settings::that_say(&text(&sample, "1h"));
    let balancer = settings.balancer().start();
    settings.change(&balancer, &text(&sample, "1h").replace("notice = \"1h\"", ""));
    balancer.signal("TERM");
    ended_well(&balancer);
    assert_eq!(balancer.times_said("stopping in "), 0);
}

#[test]
fn who_has_a_successor_gives_no_notice() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--notice-timeout", "1h").start();
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    ended_well(&balancer);
    assert_eq!(balancer.times_said("stopping in "), 0);
}

fn text(sample: &Sample, notice: &str) -> String {
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
         [timeouts]\nnotice = \"{notice}\"\n[pools.all]\nbackends = [\"{}\"]\n",
        sample.address()
    )
}

fn notice(balancer: &Running, signal: &str) {
    balancer.signal(signal);
    balancer.said("stopping in 3600s: until then clients are served as ever, and /readyz says 503");
}

/// Nothing tells a client that its connection will end.
fn is_served(client: &mut Client) {
    client.send(GET);
    assert_eq!(client.answer().expect_status(200).header("connection"), None);
}

/// A second signal ends it, whatever is left of the notice.
fn ended_by_another(balancer: &Running) {
    balancer.signal("TERM");
    assert_eq!(balancer.ended().code(), Some(130));
    TcpStream::connect(balancer.address).expect_err("nobody listens");
    balancer.said("stopping at a second signal: no request has time to finish");
    balancer.said(" stopped");
    assert_eq!(balancer.times_said("running requests have"), 0);
}
