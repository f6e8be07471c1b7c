//! What flags mean.

use std::time::Duration;

use clap::Parser;

use crate::config::{Config, Flags, Format, PolicyName, Problems, Sources};

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
    assert_eq!(config.limits.connections, (4096 - 64 - 5 * config.workers.get()) / 2);
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
    let twice = "--listen 1: given twice; remove one of them";
    assert_eq!(said(&["--listen", "1", "--listen", "1"]), twice);
}

#[test]
fn backends_that_make_no_sense_are_refused_by_name() {
    let refused = |backend: &str| said(&["--backend", backend]);
    for text in ["3000", "127.0.0.1", "127.0.0.1:http", ":1", "''"] {
        let expected =
            format!("--backend {text}: not an address; write HOST:PORT, for example 127.0.0.1:3000");
        assert_eq!(refused(text.trim_matches('\'')), expected);
    }
    assert_eq!(refused("127.0.0.1:0"), "--backend 127.0.0.1:0: not a port; a port is 1 to 65535");
    assert!(refused("a b:1").starts_with("--backend a b:1: holds a blank; "));
    assert_eq!(refused("http://a"), "--backend http://a: has no port; write http://a:80");
    assert!(refused("127.0.0.1:8080").starts_with("--backend 127.0.0.1:8080: that is where we listen"));
    let twice = "--backend 127.0.0.1:1: given twice; remove one of them";
    assert_eq!(refused("127.0.0.1:1,127.0.0.1:1"), twice);
    for (first, second) in [("localhost:1", "127.0.0.1:1"), ("127.0.0.1:1", "localhost:1")] {
        let told = format!("--backend {second}: leads to 127.0.0.1:1, as {first} does; remove one of them");
        assert_eq!(said(&["--backend", first, "--backend", second]), told);
    }
}

#[test]
fn a_health_path_is_an_origin_form_target() {
    for text in ["health", "''", "/\r\nHost: x", "http://a/"] {
        let refused = said(&["--health-path", text.trim_matches('\'')]);
        // It is told in one line.
        let text = text.replace("\r\n", "\\r\\n");
        assert!(refused.starts_with(&format!("--health-path {text}: not a path; begin with /")), "{refused}");
    }
    for (text, fix) in [("/a b", "/a%20b"), ("/a#b?\"\u{e9}\"", "/a%23b?%22%C3%A9%22")] {
        let refused = said(&["--health-path", text]);
        assert!(refused.ends_with(&format!("cannot send as they are; write {fix}")), "{refused}");
    }
    assert_eq!(resolve(&["--health-path", "/ok?deep=1"]).unwrap().pools[0].health.path, "/ok?deep=1");
}

#[test]
fn limits_that_cannot_work_are_refused_with_the_nearest_that_can() {
    let refused = said(&["--max-header-size", "100"]);
    assert_eq!(refused, "--max-header-size 100B: too small; use at least 8KiB");
    let refused = said(&["--workers", "2", "--max-connections", "9999"]);
    let expected = "--max-connections 9999: too large: each takes two open files, of which the limit is 4096; \
                    use at most 2011, or raise the limit with `ulimit -n 20072`";
    assert_eq!(refused, expected);
}

#[test]
fn flags_that_nobody_wrote_mean_what_a_file_that_says_nothing_means() {
    let read = Flags::read(["loadbalancer".into()]).expect("no flags are flags").resolve(4096);
    assert_eq!(read, resolve(&[]));
}

/// What is said of a file, in its order: where, and of what.
fn told(text: &str) -> Vec<String> {
    let flags = Flags::read(["loadbalancer".into()]).expect("no flags are flags");
    let problems = Sources::new(flags, 4096).read(text.as_bytes(), Format::Toml).expect_err("no sense");
    let said = |problem: &crate::config::Problem| {
        format!("{} {}", problem.path.as_deref().unwrap_or_default(), problem.message)
    };
    problems.all().iter().map(said).collect()
}

#[test]
fn a_key_that_means_nothing_hides_only_what_it_could_answer() {
    let text = "[pools.a]\npolicy = 'round_robin'\ndecay = '5s'\nbackends = ['[::1]:1', { weight = 2 }]\n\
                health = { intervall = '1s' }\nsticky = { max_ages = '1s' }\n\
                [listeners.x]\naddress = '[::1]:1'\ntsl = true\n[tls]\nclient_auth = 'optional'\n\
                [routes.b]\npools = { a = 0 }\nrwrite = '/x'\n\
                [routes.c]\npath = '/c'\npool = 'a'\nsplit_cookie = 'a'\nrate_burst = 5\nresponse_timeot = '5s'\n\
                [routes.d]\npthh = '/d'\n";
    assert_eq!(
        told(text),
        [
            "pools.a.decay does nothing with the policy round_robin",
            "pools.a.backends[0] that is where we listen, so requests would go round in circles",
            "pools.a.backends[1] has no address",
            "pools.a.health.intervall unknown key",
            "pools.a.sticky cookie is missing",
            "pools.a.sticky secret_file is missing",
            "pools.a.sticky.max_ages unknown key",
            "listeners.x.tsl unknown key",
            "tls.client_auth nobody is named who signs clients' certificates",
            "routes.b.pools all weights are 0, so no pool gets a request",
            "routes.b.rwrite unknown key",
            "routes.c.split_cookie does nothing without pools",
            "routes.c.rate_burst there is no rate that it belongs to",
            "routes.c.response_timeot unknown key",
            "routes.d nothing is done with its requests",
            "routes.d.pthh unknown key",
        ]
    );
}

#[test]
fn what_a_key_that_means_nothing_could_answer_is_not_told_beside_it() {
    for text in [
        "[pools.a]\nbackends = ['[::1]:1']\npolcy = 'ring'\nhash_key = 'path'\nslow_start = '1s'",
        "[pools.a]\nbackend = ['[::1]:1']",
        "[pools.a]\nservers = ['[::1]:1']",
        "[pools.a]\nbackends = [{ adress = '[::1]:1' }]",
        "[pools.a]\nbackends = ['[::1]:1', { address = '[::1]:2', zonne = 'a' }]\nzone = 'a'",
        "[pools.a]\nbackends = ['[::1]:1', { address = '[::1]:2', teir = 1 }]\npolicy = 'random'\noverflow = 5",
        "[pools.a]\nbackends = [{ address = '[::1]:2', weight = 0 }]\ndiscovr = ['dns:x:1']",
        "dns_servers = ['127.0.0.1']\n[pools.a]\nbackends = ['[::1]:1']\ndiscovr = ['dns:x:1']",
        "[pools.a]\nbackends = ['[::1]:1']\ntls = { cert_file = 'x', ky_file = 'y' }\ndiscover = ['dns:https://x:1']",
        "[pools.a]\nbackends = ['[::1]:1', { adress = 'https://[::1]:2' }]\ntls.ca_file = 'x'",
        "[pools.a]\nbackends = ['[::1]:1']\ndiscover = ['https://x:1']\ntls.ca_file = 'x'",
        "[pool.a]\nbackends = ['[::1]:1']\n[routes.b]\npool = 'a'",
        "[pools.a]\nbackends = ['[::1]:1']\n[pools.b]\nbackends = ['[::1]:1']\n[route.a]\npool = 'a'",
        "[listener.a]\naddress = '1'\ntls = true\n[tls]\nclient_ca_file = 'x'",
        "[listener.a]\naddress = '1'\n[pools.a]\nbackends = ['127.0.0.1:8080']",
        "[listeners.a]\nadress = '1'",
        "[listeners.a]\naddress = '1'\ntls = true\n[tls]\ncerts = [{ cert_file = 'x', key_file = 'y' }]",
        "[routes.a]\nforward_to = 'default'",
        "[routes.a]\nredirct = '/x'\nredirect_status = 301",
        "[routes.a]\npool = 'default'\npath = 'x/{id}'\nrewrite = '/{id}'",
        "[routes.a]\npool = 'default'\npath = 3\nrewrite = '/{id}'",
        "[routes.a]\npool = 'default'\npth = '/{id}'\nrewrite = '/{id}'",
        "[limits]\nrte = '5/s'\nrate_burst = 3",
        "[admin]\naddress = ':1'\ntokn_file = 'x'",
    ] {
        let told = told(text);
        assert_eq!(told.len(), 1, "{text}\n{told:?}");
    }
}

#[test]
fn the_first_thing_that_is_wrong_does_not_hide_the_next() {
    for (text, count) in [
        ("dns_servers = ['x', 'y']\n[pools.a]\ndiscover = ['dns:z:1']\n[routes.a]\npool = 'b'", 3),
        ("[admin]\naddress = 'x:y'\ntoken_file = 'missing'", 2),
        (
            "pools.a = { policy = 'ring', backends = ['[::1]:1'], hash_key = 'x', sticky = { cookie = 'a b', \
          secret_file = 'missing' } }",
            3,
        ),
        (
            "pools.a = { backends = ['https://[::1]:1'], tls = { ca_file = 'x', insecure = true, cert_file = 'c', name = 'a b' } }",
            3,
        ),
        ("pools.a = { backends = ['[::1]:1', 'x'], tls = { cert_file = 'c', name = 'a b' } }", 3),
        (
            "[routes.a]\npath = '/a'\npool = 'x'\nanswer.status = 999\nredirect = 'x'\nredirect_status = 999",
            6,
        ),
        ("[routes.a]\nhost = 'a b'\nhosts = ['a b', 'c']\npath = 'x'\npaths = ['y']\npool = 'default'", 6),
        (
            "[routes.a]\npool = 'default'\nrewrite = 'x/{y}/{z}'\nheaders = { 'a b' = '~ (' }\nmirror.percent = 0",
            7,
        ),
        ("[routes.a]\nsplit_cookie = 'a b'\nredirect_status = 999", 5),
        ("[routes.a]\nredirect = 3\nrewrite = '/x'", 2),
        ("listeners.a = { address = '1', tls = true }\ntls.certificates = [{ cert_file = 3 }, {}]", 4),
        (
            "[routes.a]\npool = 'default'\nerror_pages = { 1 = { file = 'x' }, 404 = { file = 'y', body = 'z' } }",
            4,
        ),
    ] {
        let told = told(text);
        assert_eq!(told.len(), count, "{text}\n{told:?}");
    }
}

#[test]
fn a_number_beyond_all_is_told_the_limit_of_its_own_and_shown_as_it_was_written() {
    const FAR: &str = "99999999999999999999999999999999999999999999999999999999";
    for (text, expected) in [
        (
            format!("pools.a.backends = [{{ address = '[::1]:1', weight = {FAR} }}]"),
            "too large; use at most 10000",
        ),
        (format!("workers = {FAR}"), "too large; use at most 1024"),
        (format!("limits.connections_per_client = {FAR}"), "too large; use at most 4294967295"),
        ("workers = 99999999999999999999999".to_owned(), "too large; use at most 1024"),
        (
            "pools.a = { policy = 'p2c', backends = ['[::1]:1'], choices = 99999999999999999999999 }"
                .to_owned(),
            "too large; use at most 100",
        ),
        ("routes.a = { pool = 'default', priority = 1e3 }".to_owned(), " 1e3: expected a whole number"),
        ("timeouts.header = 99999999999999999999999".to_owned(), "expected a number and a unit in quotes"),
    ] {
        let flags = Flags::read(["loadbalancer".into()]).expect("no flags are flags");
        let read = Sources::new(flags, 4096).read(text.as_bytes(), Format::Toml);
        let said = read.expect_err("no sense").to_string();
        assert!(said.contains(expected), "{text}\n{said}");
    }
}
