//! What was counted is told to Prometheus.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::{pool, pool_of_none, start};
use crate::support::pki::{Authority, Pair};
use crate::support::{Backend, Balancer, Client, PATIENCE, Running, Sample, Settings, get, request, until};

/// The values of all metrics by their names and labels.
fn metrics(balancer: &Running) -> BTreeMap<String, f64> {
    let page = balancer.admin().ask("GET", "/metrics", "", "").expect_status(200);
    let value = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.trim_start_matches("loadbalancer_").to_owned(), value.parse().expect("a number"))
    };
    page.text().lines().filter(|line| !line.starts_with('#')).map(value).collect()
}

fn of(backend: &str, name: &str, more: &str) -> String {
    format!("{name}{{pool=\"all\",backend=\"{backend}\"{more}}}")
}

#[test]
fn what_clients_got_and_what_each_backend_did_is_counted() {
    let (well, ill) = (Sample::start("well"), Backend::refuses());
    let settings = Settings::that_say(&pool("round_robin", &[well.address(), ill]));
    let balancer = start(&settings);
    balancer.said("is healthy");
    balancer.said("is down");
    for path in ["/", "/", "/status/404", "/status/503"] {
        get(balancer.address, path);
    }
    request(balancer.address, "nonsense\r\n\r\n").expect_status(400);
    let now = metrics(&balancer);
    let answers = ["2xx", "4xx", "5xx"].map(|class| now[&format!("answers_total{{code=\"{class}\"}}")]);
    assert_eq!(answers, [2.0, 2.0, 1.0]);
    assert_eq!(now["failures_total{reason=\"malformed_request\"}"], 1.0);
    assert_eq!(
        (now["answer_time_seconds_count"], now["answer_time_seconds_bucket{le=\"+Inf\"}"]),
        (4.0, 4.0)
    );
    assert!(now["answer_time_seconds_sum"] > 0.0);
    let (well, ill) = (well.address().to_string(), ill.to_string());
    let came = ["2xx", "4xx", "5xx"]
        .map(|class| now[&of(&well, "backend_answers_total", &format!(",code=\"{class}\""))]);
    assert_eq!(came, [2.0, 1.0, 1.0]);
    assert_eq!(now[&of(&well, "backend_failures_total", "")], 0.0);
    assert_eq!((now[&of(&well, "backend_up", "")], now[&of(&ill, "backend_up", "")]), (1.0, 0.0));
}

#[test]
fn an_answer_whose_status_no_standard_has_is_counted_as_a_failure() {
    let sample = Sample::start("odd");
    let balancer = start(&Settings::that_say(&pool("first", &[sample.address()])));
    for status in [600, 999] {
        get(balancer.address, &format!("/status/{status}")).expect_status(status);
    }
    let now = metrics(&balancer);
    assert_eq!(now["answers_total{code=\"5xx\"}"], 2.0);
    let sample = sample.address().to_string();
    assert_eq!(now[&of(&sample, "backend_answers_total", ",code=\"5xx\"")], 2.0);
}

#[test]
fn who_does_not_come_to_speak_tls_is_counted() {
    let (authority, backend) = (Authority::new(), Sample::start("one"));
    let pair = authority.signs_until(30);
    let balancer = Balancer::before(&[backend.address()]).secured(&[&pair]);
    let balancer = balancer.flag("--admin", "127.0.0.1:0").flag("--header-timeout", "300ms").start();
    let failed = || metrics(&balancer)["tls_handshakes_failed_total"];
    assert_eq!(failed(), 0.0);
    let mut stalls = Client::to(balancer.address);
    let mut babbles = Client::to(balancer.address);
    // A record that holds no handshake.
    babbles.send([22, 3, 1, 0, 5, 99, 99, 99, 99, 99]);
    babbles.remains();
    stalls.expect_end();
    until("both are counted", || failed() == 2.0);
}

#[test]
fn how_long_a_backend_takes_to_answer_is_told_of_each() {
    let (slow, idle) = (Sample::start("slow"), Sample::start("idle"));
    let settings = Settings::that_say(&pool("first", &[slow.address(), idle.address()]));
    let balancer = start(&settings);
    balancer.said("is healthy");
    for path in ["/delay/200", "/delay/200", "/status/500"] {
        get(balancer.address, path);
    }
    let now = metrics(&balancer);
    let (slow, idle) = (slow.address().to_string(), idle.address().to_string());
    let of = |backend: &str| {
        ["backend_answer_time_seconds_total", "backend_answers_timed_total"]
            .map(|name| now[&of(backend, name, "")])
    };
    let [time, timed] = of(&slow);
    assert!(timed == 3.0 && time >= 0.4, "{time} {timed}");
    assert_eq!(of(&idle), [0.0, 0.0]);
}

#[test]
fn a_backend_that_others_had_to_stand_in_for_has_a_failure_and_its_client_none() {
    let kills = Backend::closes_before_the_head();
    let well = Sample::start("well");
    let settings = Settings::that_say(&pool("first", &[kills.address, well.address()]));
    let balancer = start(&settings);
    balancer.said_times("is healthy", 2);
    get(balancer.address, "/").expect_status(200);
    let now = metrics(&balancer);
    assert_eq!(now[&of(&kills.address.to_string(), "backend_failures_total", "")], 1.0);
    let failures: Vec<_> = now.iter().filter(|(name, _)| name.starts_with("failures_total")).collect();
    assert!(failures.len() > 40 && failures.iter().all(|(_, count)| **count == 0.0), "{failures:?}");
}

#[test]
fn a_pool_without_a_backend_is_told_of_as_one_whose_backends_get_nothing() {
    let (sample, list) = (Sample::start("found"), Settings::that_say(""));
    let balancer = start(&Settings::that_say(&pool_of_none(&list)));
    let usable = || metrics(&balancer)["pool_backends_usable{pool=\"all\"}"];
    assert_eq!(usable(), 0.0);
    list.put("backends.txt", sample.address().to_string());
    until("it is found", || usable() == 1.0);
    balancer.admin().patch(sample.address(), r#"{ "hold": "drain" }"#);
    assert_eq!(usable(), 0.0);
    balancer.admin().patch(sample.address(), r#"{ "hold": null, "weight": 0 }"#);
    assert_eq!(usable(), 0.0);
}

#[test]
fn an_answer_that_does_not_come_to_its_end_is_a_failure_of_its_backend() {
    let backends = [Backend::closes_mid_body(), Backend::stalls_mid_body()];
    for backend in backends.each_ref().map(|backend| backend.address) {
        let settings =
            Settings::that_say(&format!("timeouts.body = \"200ms\"\n{}", pool("first", &[backend])));
        let balancer = start(&settings);
        let mut client = Client::to(balancer.address);
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        client.remains();
        let backend = backend.to_string();
        until("it is counted", || metrics(&balancer)[&of(&backend, "backend_failures_total", "")] == 1.0);
        assert_eq!(metrics(&balancer)[&of(&backend, "backend_answers_total", ",code=\"2xx\"")], 1.0);
    }
}

#[test]
fn a_copys_answer_that_does_not_come_to_its_end_is_a_failure_of_its_backend_too() {
    let (sample, shadow) = (Sample::start("one"), Backend::closes_mid_body());
    let balancer = start(&mirrored(&sample, &shadow));
    get(balancer.address, "/").expect_status(200);
    let failures = of(&shadow.address.to_string(), "backend_failures_total", "");
    until("it is counted", || metrics(&balancer)[&failures] == 1.0);
}

#[test]
fn a_copys_answer_that_goes_on_and_on_is_no_failure() {
    let (tell, told) = channel();
    let shadow = Backend::that(move |mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while transport.try_send(b"5\r\nevent\r\n").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
        // The test may have failed.
        let _ = tell.send(());
    });
    let sample = Sample::start("one");
    let balancer = start(&mirrored(&sample, &shadow));
    get(balancer.address, "/").expect_status(200);
    told.recv_timeout(PATIENCE).expect("it is let go of");
    assert_eq!(metrics(&balancer)[&of(&shadow.address.to_string(), "backend_failures_total", "")], 0.0);
}

/// Settings by which the pool `all` gets copies.
fn mirrored(sample: &Sample, shadow: &Backend) -> Settings {
    Settings::that_say(&format!(
        "timeouts.body = \"500ms\"\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[routes.every]\npool = \"one\"\n\
         mirror = {{ pool = \"all\" }}\n[pools.one]\nbackends = [\"{}\"]\n[pools.all]\nbackends = [\"{}\"]\n\
         health = {{ path = \"/health\" }}\n",
        sample.address(),
        shadow.address
    ))
}

#[test]
fn counts_go_on_over_a_reload_and_those_of_a_backend_that_left_are_gone() {
    let (stays, leaves) = (Sample::start("stays"), Sample::start("leaves"));
    let settings = Settings::that_say(&pool("round_robin", &[stays.address(), leaves.address()]));
    let balancer = start(&settings);
    balancer.said_times("is healthy", 2);
    (0..4).for_each(|_| drop(get(balancer.address, "/").expect_status(200)));
    settings.change(&balancer, &pool("round_robin", &[stays.address()]));
    let left = leaves.address().to_string();
    until("it has left", || !metrics(&balancer).keys().any(|name| name.contains(&left)));
    let now = metrics(&balancer);
    assert_eq!((now["settings_revision"], now["answers_total{code=\"2xx\"}"]), (2.0, 4.0));
    assert_eq!(now[&of(&stays.address().to_string(), "backend_answers_total", ",code=\"2xx\"")], 2.0);
    let refused = || {
        let now = metrics(&balancer);
        (now["settings_refused_total"], now["settings_files_refused"])
    };
    assert_eq!(refused(), (0.0, 0.0));
    settings.write("nonsense = 1");
    balancer.signal("HUP");
    balancer.said("reload refused");
    assert_eq!(refused(), (1.0, 1.0));
    let toml = "Content-Type: application/toml\r\n";
    balancer.admin().ask("POST", "/api/v1/config?dry_run=1", toml, "nonsense = 1\n").expect_status(422);
    balancer.admin().ask("POST", "/api/v1/config", toml, "nonsense = 1\n").expect_status(422);
    assert_eq!(refused(), (2.0, 1.0));
    balancer.admin().ask("POST", "/api/v1/config?dry_run=1", toml, "").expect_status(422);
    balancer.admin().ask("POST", "/api/v1/config", toml, "").expect_status(422);
    assert_eq!(refused(), (3.0, 1.0));
    let outdated = "Content-Type: application/json\r\nIf-Match: \"0\"\r\n";
    balancer.admin().ask("POST", "/api/v1/reload", outdated, "{}").expect_status(412);
    assert_eq!(refused(), (4.0, 1.0), "what was not looked at says nothing of the files");
    settings.change(&balancer, &pool("first", &[stays.address()]));
    assert_eq!(refused(), (4.0, 0.0));
}

#[test]
fn who_asks_for_open_metrics_gets_them_and_others_get_what_prometheus_wrote_before() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let balancer = start(&settings);
    let asked = |accept: &str| balancer.admin().ask("GET", "/metrics", accept, "").expect_status(200);
    for accept in ["", "Accept: */*\r\n", "Accept: text/plain;version=0.0.4\r\n"] {
        let answer = asked(accept);
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8"),
            "{accept}"
        );
        assert!(!answer.text().contains("# EOF"));
    }
    let open = asked("Accept: application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1\r\n");
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("content-type"), Some(kind));
    assert!(open.text().ends_with("# EOF\n"));
}

#[test]
fn when_certificates_expire_is_told_of_those_that_are_shown() {
    let authority = Authority::new();
    let [pair, next] = [authority.signs_until(30), authority.signs_until(90)];
    let backend = Sample::start("one");
    // A pair that is named twice is one.
    let balancer = Balancer::before(&[backend.address()]).secured(&[&pair, &pair]);
    let balancer = balancer.flag("--admin", "127.0.0.1:0").start();
    let name = format!("certificate_expiry_time_seconds{{file=\"{}\"}}", pair.certificate().display());
    let end = |pair: &Pair| {
        let leaf = x509_parser::parse_x509_certificate(&pair.der).unwrap().1;
        leaf.validity().not_after.timestamp() as f64
    };
    assert_eq!(metrics(&balancer)[&name], end(&pair));
    let page = balancer.admin().ask("GET", "/metrics", "", "").expect_status(200);
    assert_eq!(page.text().matches("expiry_time_seconds{").count(), 1, "{}", page.text());
    pair.become_that_of(&next);
    until("the new one is told of", || metrics(&balancer)[&name] == end(&next));
}

#[test]
fn lines_that_an_access_log_has_no_room_for_are_counted() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).flag("--access-log", "/dev/full");
    let balancer = balancer.flag("--admin", "127.0.0.1:0").start();
    let lost = |log: &str| metrics(&balancer)[&format!("log_lines_lost_total{{log=\"{log}\"}}")];
    assert_eq!(lost("access"), 0.0);
    (0..3).for_each(|_| drop(get(balancer.address, "/").expect_status(200)));
    until("they are lost", || lost("access") == 3.0);
    assert_eq!(lost("stderr"), 0.0);
}

#[test]
fn a_stop_is_told_of_while_it_lasts() {
    let (backend, came, let_go) = Backend::held_up();
    let balancer = start(&Settings::that_say(&pool("first", &[backend.address])));
    let mut slow = Client::to(balancer.address);
    slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    came.wait();
    assert_eq!(metrics(&balancer)["stopping"], 0.0);
    balancer.signal("TERM");
    balancer.said("stopping");
    assert_eq!(metrics(&balancer)["stopping"], 1.0);
    let_go.open();
    slow.answer().expect_status(200);
    assert!(balancer.ended().success());
}

#[test]
fn what_a_worker_counted_that_has_ended_is_told_while_the_others_go_on() {
    const OTHERS: usize = 8;
    let (backend, came, let_go) = Backend::held_up();
    let settings = Settings::that_say(&pool("first", &[backend.address]));
    let balancer = settings.balancer().flag("--admin", "127.0.0.1:0").flag("--workers", "2").start();
    let mut slow = Client::to(balancer.address);
    slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    came.wait();
    // So many come to both workers.
    let mut others = [(); OTHERS].map(|()| Client::to(balancer.address));
    for client in &mut others {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        client.answer().expect_status(200);
    }
    balancer.signal("TERM");
    others.iter_mut().for_each(Client::expect_end);
    until("one worker has ended", || workers(&balancer) == 1);
    assert_eq!(metrics(&balancer)["answers_total{code=\"2xx\"}"], OTHERS as f64);
    let_go.open();
    slow.answer().expect_status(200);
    assert!(balancer.ended().success());
}

/// How many workers have a thread.
fn workers(balancer: &Running) -> usize {
    let threads = fs::read_dir(format!("/proc/{}/task", balancer.id())).expect("it runs");
    let name = |thread: io::Result<fs::DirEntry>| fs::read_to_string(thread.ok()?.path().join("comm")).ok();
    threads.filter_map(name).filter(|name| name.starts_with("worker-")).count()
}
