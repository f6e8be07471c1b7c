//! What flags mean.

use std::time::Duration;

use clap::Parser;

use crate::config::{Config, Flags, PolicyName, Problems};

fn resolve(arguments: &[&str]) -> Result<Config, Problems> {
    let arguments = ["loadbalancer"].iter().chain(arguments);
    Flags::try_parse_from(arguments).expect("flags that parse").resolve(4096)
}

/// What is said of flags that make no sense.
fn said(arguments: &[&str]) -> String {
    resolve(arguments).unwrap_err().to_string()
}

#[test]
fn no_flags_mean_the_small_system_it_grew_from() {
    let config = resolve(&[]).unwrap();
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].to_string(), "http://127.0.0.1:8080");
    let pool = &config.pools[0];
    let backends: Vec<_> = pool.backends.iter().map(|backend| backend.url.to_string()).collect();
    assert_eq!(backends, ["127.0.0.1:3000", "127.0.0.1:3001"]);
    assert_eq!(pool.balancing.policy, PolicyName::First);
    assert_eq!(pool.health.interval, Duration::from_secs(30));
    assert_eq!(pool.health.path, "/");
    assert_eq!(config.limits.connections, (4096 - 64) / 2);
}

#[test]
fn an_address_to_listen_on_may_leave_out_what_is_obvious() {
    for (text, means) in [
        ("8081", "127.0.0.1:8081"),
        ("localhost:8081", "127.0.0.1:8081"),
        (":8081", "0.0.0.0:8081"),
        ("[::1]:8081", "[::1]:8081"),
        ("unix:/run/lb", "unix:/run/lb"),
    ] {
        let listeners = resolve(&["--listen", text]).unwrap().listeners;
        assert_eq!(listeners[0].address.to_string(), means, "{text}");
    }
    let refused = said(&["--listen", "here"]);
    assert!(refused.starts_with("--listen here: not an address; write ADDRESS:PORT, :PORT"), "{refused}");
}

#[test]
fn backends_that_make_no_sense_are_refused_by_name() {
    let refused = |backend: &str| said(&["--backend", backend]);
    for text in ["3000", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:0", "0.0.0.0:3000", "a b:1", ":1", ""] {
        let expected =
            format!("--backend {text}: not an address; write HOST:PORT, for example 127.0.0.1:3000");
        assert_eq!(refused(text), expected);
    }
    assert!(refused("127.0.0.1:8080").starts_with("--backend 127.0.0.1:8080: that is where we listen"));
    let twice = "--backend 127.0.0.1:1: given twice; remove one of them";
    assert_eq!(refused("127.0.0.1:1,127.0.0.1:1"), twice);
    assert_eq!(said(&["--backend", "localhost:1", "--backend", "127.0.0.1:1"]), twice);
}

#[test]
fn a_health_path_is_an_origin_form_target() {
    for text in ["health", "", "/a b", "/a#b", "/\r\nHost: x"] {
        let refused = said(&["--health-path", text]);
        // It is told in one line.
        let text = text.replace("\r\n", "\\r\\n");
        assert!(refused.starts_with(&format!("--health-path {text}: must start with / and")), "{refused}");
    }
    assert_eq!(resolve(&["--health-path", "/ok?deep=1"]).unwrap().pools[0].health.path, "/ok?deep=1");
}

#[test]
fn limits_that_cannot_work_are_refused_with_the_nearest_that_can() {
    let refused = said(&["--max-header-size", "100"]);
    assert_eq!(refused, "--max-header-size 100: too small; use at least 8192");
    let refused = said(&["--max-connections", "9999"]);
    assert_eq!(refused, "--max-connections 9999: too large; use at most 2016");
}

#[test]
fn flags_that_nobody_wrote_mean_what_a_file_that_says_nothing_means() {
    let read = Flags::read(["loadbalancer".into()]).expect("no flags are flags").resolve(4096);
    assert_eq!(read, resolve(&[]));
}
