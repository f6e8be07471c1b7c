//! Texts mean what they say, whatever they are written in.

use proptest::prelude::*;

use super::*;

mod mistakes;

const TOML: &str = r#"
workers = 2
access_log = "-"
[timeouts]
header = "5s"
[routes.api]
path = "/v1/*"
headers = { x-beta = true, x-a = "1" }
priority = -3
pools = { app = 90, canary = 10 }
[pools.app]
policy = "first"
backends = ["127.0.0.1:1", { address = "127.0.0.1:2", weight = 3, tags = { version = "2" } }]
[pools.canary]
policy = "round_robin"
backends = ["127.0.0.1:3"]
health = { path = "/health", interval = "1m" }
"#;

const YAML: &str = r#"
# The same.
workers: 0x2
access_log: "-"
timeouts: { header: 5s }
routes:
  api:
    path: /v1/*
    headers: { x-beta: true, x-a: '1' }
    priority: -3
    pools: { app: 90, canary: 10 }
pools:
  app:
    policy: first
    backends:
      - 127.0.0.1:1
      - address: 127.0.0.1:2
        weight: 3
        tags: { version: "2" }
  canary:
    policy: round_robin
    backends: [ 127.0.0.1:3 ]
    health: &health
      path: /health
      interval: 1m
"#;

const JSON: &str = r#"{
    "workers": 2, "access_log": "-", "limits": null, "timeouts": {"header": "5s"},
    "routes": {"api": {"path": "/v1/*", "headers": {"x-beta": true, "x-a": "1"}, "priority": -3,
        "pools": {"app": 90, "canary": 10}}},
    "pools": {
        "app": {"policy": "first", "backends": ["127.0.0.1:1", {"address": "127.0.0.1:2", "weight": 3, "tags": {"version": "2"}}]},
        "canary": {"policy": "round_robin", "backends": ["127.0.0.1:3"],
            "health": {"path": "/health", "interval": "1m"}}
    }
}"#;

fn sources(words: &[&str]) -> Sources {
    let words = ["loadbalancer"].iter().chain(words).map(Into::into);
    Sources::new(Flags::read(words).expect("flags that parse"), 4096)
}

fn refused(text: &str, format: Format) -> Vec<Problem> {
    sources(&[]).read(text.as_bytes(), format).expect_err("no sense").all().to_vec()
}

#[test]
fn three_formats_say_the_same() {
    let read = |text: &str, format| {
        let loaded = sources(&[]).read(text.as_bytes(), format).unwrap();
        (loaded.config, loaded.file)
    };
    let toml = read(TOML, Format::Toml);
    assert_eq!(toml.0.workers.get(), 2);
    assert_eq!(toml.0.pools[0].backends[1].weight, 3);
    assert_eq!(toml, read(YAML, Format::Yaml));
    assert_eq!(toml, read(JSON, Format::Json));
    assert_eq!(toml, read(TOML, Format::Toml), "and say it again");
}

#[test]
fn a_file_that_says_nothing_means_what_no_flags_mean_and_has_an_admin_api() {
    let file = sources(&[]).read(b"", Format::Toml).unwrap().config;
    let flags = sources(&[]).load().unwrap().config;
    assert_eq!(file.admin.as_ref().map(|admin| admin.address.to_string()).as_deref(), Some("127.0.0.1:8081"));
    assert!(!file.listeners[0].name.is_empty());
    assert_eq!(Config { admin: None, ..file }, flags);
    for (text, format) in [("", Format::Yaml), ("# nothing\n", Format::Yaml), ("{}", Format::Json)] {
        let config = sources(&[]).read(text.as_bytes(), format).unwrap().config;
        assert_eq!(Config { admin: None, ..config }, flags);
    }
}

#[test]
fn flags_of_the_process_win_over_a_text() {
    let config = sources(&["--workers=3", "--header-timeout=1s", "--admin=off", "--max-headers=7"])
        .read(TOML.as_bytes(), Format::Toml)
        .unwrap()
        .config;
    assert_eq!((config.workers.get(), config.limits.headers), (3, 7));
    assert_eq!(config.timeouts.header.as_secs(), 1);
    assert_eq!(config.admin, None);
}

#[test]
fn what_came_without_a_file_is_told_by_its_path() {
    let said = refused(r#"{"pools": {"a": {"backends": ["x", {"adress": 1}]}}}"#, Format::Json);
    let paths: Vec<_> = said.iter().map(|problem| (problem.path.as_deref(), problem.line)).collect();
    assert_eq!(
        paths,
        [(Some("pools.a.backends[0]"), Some(1)), (Some("pools.a.backends[1].adress"), Some(1))]
    );
    assert_eq!(said[0].value.as_deref(), Some("x"));
    assert_eq!(
        said[0].to_string(),
        "pools.a.backends[0] x: not an address; write HOST:PORT, for example 127.0.0.1:3000"
    );
    let fields = serde_json::to_value(&said[1]).unwrap();
    let expected = serde_json::json!({
        "line": 1, "column": 37, "path": "pools.a.backends[1].adress", "value": "adress", "message": "unknown key",
        "help": "did you mean address?",
    });
    assert_eq!(fields, expected);
    let said = refused("{\n\"a\": 1,\n\"a\": 2}", Format::Json);
    let expected = "duplicate key `a`, which is at line 2, column 1 already";
    assert_eq!((said[0].message.as_str(), said[0].line), (expected, Some(3)));
    assert_eq!(refused("[1]", Format::Json)[0].message, "expected a table, found a list");
    assert!(sources(&[]).read(b"\xff", Format::Toml).is_err());
}

#[test]
fn advice_on_a_listener_names_what_can_be_written_to_mend_it() {
    let advice = "cannot listen on 127.0.0.1:8080: the port is in use; choose another with --listen";
    let told = |text: &str| {
        let loaded = sources(&[]).read(text.as_bytes(), Format::Toml).expect("nothing is wrong");
        let told = loaded.in_its_words(advice);
        told.rsplit_once("another with ").expect("advice").1.to_owned()
    };
    assert_eq!(told("[listeners.a]\naddress = '8080'"), "listeners.a.address");
    assert_eq!(told("workers = 1"), "[listeners.web] address = \"127.0.0.1:PORT\"");
}

/// Puts something else in place of some characters of a text.
fn broken(text: &str, at: &[prop::sample::Index], with: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for at in at {
        let at = at.index(chars.len());
        chars.splice(at..=at, with.chars());
        chars.push(' ');
    }
    chars.into_iter().collect()
}

proptest! {
    #[test]
    fn no_text_makes_it_fall_over(
        at in proptest::collection::vec(any::<prop::sample::Index>(), 1..4),
        with in "(\\PC|[\\[\\]{}\"'#&*:=\r\n\t-]|\u{feff}|\u{0}){0,3}",
        text in "(\\PC|[\\[\\]{}\"'#&*:=\r\n\t -]){0,60}",
    ) {
        for (whole, format) in [(TOML, Format::Toml), (YAML, Format::Yaml), (JSON, Format::Json)] {
            for text in [&broken(whole, &at, &with), &text] {
                if let Err(problems) = sources(&[]).read(text.as_bytes(), format) {
                    prop_assert!(!problems.all().is_empty());
                    prop_assert!(!problems.draw(true).is_empty() && !problems.to_string().is_empty());
                }
            }
        }
    }
}
