//! What checks ask and what counts as healthy, as a pool says it.

use std::net::SocketAddr;

use hyper::StatusCode;
use serde_json::json;

use crate::support::h2_backend::H2Backend;
use crate::support::pki::Folder;
use crate::support::{Backend, Balancer, Settings, get, until};

use super::{SCRIPTED, without_backends};

const REDIRECTS: &str = "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n";

/// A backend that serves a host only, as those do that go by a list.
fn serves(host: &'static str) -> Backend {
    Backend::that(move |mut transport| {
        let is_it = transport.head.lines().any(|line| line.eq_ignore_ascii_case(&format!("host: {host}")));
        let status = if is_it { "200 OK" } else { "400 Bad Request" };
        transport.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    })
}

#[test]
fn a_backend_that_redirects_is_down_and_what_would_mend_it_is_said_wherever_that_is() {
    let backend = Backend::answers(REDIRECTS);
    let balancer = Balancer::before(&[backend.address]).flag("--health-path", SCRIPTED).start();
    let line = balancer.said(&format!("{} is down: answered 302 in ", backend.address));
    assert!(line.ends_with(" ms (not 2xx; see --health-statuses)"), "{line}");
    without_backends(&balancer, balancer.address);
    let page = get(balancer.address, "/").expect_status(503);
    assert!(page.text().contains(" ms (not 2xx; see --health-statuses) "), "{}", page.text());
}

#[test]
fn a_backend_that_redirects_is_healthy_where_such_an_answer_is_wanted() {
    for (flag, also) in [("200-399", "401"), ("401,302", "200")] {
        let backend = Backend::answers(REDIRECTS);
        let balancer = Balancer::before(&[backend.address]).flag("--health-path", SCRIPTED);
        let balancer = balancer.flag("--health-statuses", flag).flag("--health-statuses", also).start();
        balancer.said(&format!("{} is healthy: answered 302 in ", backend.address));
        get(balancer.address, "/").expect_status(302);
    }
}

#[test]
fn what_is_said_to_be_wanted_is_all_that_is() {
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let balancer = Balancer::before(&[backend.address]).flag("--health-path", SCRIPTED);
    let balancer = balancer.env("LOADBALANCER_HEALTH_STATUSES", "204,401,300-399").start();
    let line = balancer.said(&format!("{} is down: answered 200 in ", backend.address));
    assert!(line.ends_with(" ms (not 204, 3xx or 401; see --health-statuses)"), "{line}");
}

#[test]
fn each_status_that_is_not_wanted_is_told_with_what_mends_it_most_likely() {
    for (answer, mends) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "(not 2xx; see --health-path)"),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "(not 2xx; see --health-statuses)"),
        (
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            "(not 2xx; see --health-host, or write https:// if it speaks TLS)",
        ),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "(not 2xx; see --health-host)"),
        ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "(not 2xx)"),
    ] {
        let backend = Backend::answers(answer);
        let balancer = Balancer::before(&[backend.address]).flag("--health-path", SCRIPTED).start();
        let line = balancer.said(&format!("{} is down: answered ", backend.address));
        assert!(line.ends_with(&format!(" ms {mends}")), "{line}");
    }
}

#[test]
fn a_backend_that_takes_a_proxy_header_for_a_request_is_told_with_what_sends_it() {
    let backend = Backend::answers("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let balancer = Balancer::before(&[backend.address]).flag("--health-path", SCRIPTED);
    let line = balancer.flag("--backend-proxy-protocol", "v1").start().said("is down: answered 400 in ");
    assert!(line.ends_with(" ms (not 2xx; see --backend-proxy-protocol)"), "{line}");
}

#[test]
fn a_backend_that_serves_one_host_only_is_healthy_where_checks_say_it() {
    let backend = serves("app.example");
    let balancer = || Balancer::before(&[backend.address]).flag("--health-path", SCRIPTED);
    let line = balancer().start().said(&format!("{} is down: answered 400 in ", backend.address));
    assert!(line.contains(" ms (not 2xx; see --health-host, or "), "{line}");
    let well = format!("{} is healthy: answered 200 in ", backend.address);
    balancer().flag("--health-host", "app.example").start().said(&well);
    balancer().env("LOADBALANCER_HEALTH_HOST", "app.example").start().said(&well);
    let line = balancer().flag("--health-host", "other.example").start().said("is down: answered 400 in ");
    assert!(line.contains(" ms (not 2xx; see --health-statuses, or "), "{line}");
}

#[test]
fn over_http_2_the_host_of_checks_is_the_authority() {
    let backend = H2Backend::that(|exchange| async {
        let is_it = exchange.head.uri().authority().is_some_and(|authority| authority == "app.example:8443");
        exchange.answer(if is_it { StatusCode::OK } else { StatusCode::MISDIRECTED_REQUEST }, "");
    });
    let balancer = || {
        let balancer = Balancer::before(&[]).flag("--backend", &backend.url());
        balancer.flag("--health-path", SCRIPTED)
    };
    let line = balancer().start().said(&format!("{} is down: answered 421 in ", backend.url()));
    assert!(line.ends_with(" ms (not 2xx; see --health-host)"), "{line}");
    let balancer = balancer().flag("--health-host", "app.example:8443").start();
    balancer.said(&format!("{} is healthy: answered 200 in ", backend.url()));
}

/// A pool whose checks are of this kind.
fn pool(backend: SocketAddr, health: &str) -> String {
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n[pools.all]\n\
         backends = [\"{backend}\"]\nhealth = {{ path = \"{SCRIPTED}\", interval = \"1h\", {health} }}\n"
    )
}

#[test]
fn a_reload_that_wants_other_statuses_has_backends_checked_by_them_at_once() {
    let backend = Backend::answers(REDIRECTS);
    let settings = Settings::that_say(&pool(backend.address, "statuses = [\"200-399\", 401]"));
    let balancer = settings.balancer().start();
    balancer.said("is healthy: answered 302 in ");
    let check = &balancer.admin().backend(backend.address)["check"];
    assert_eq!(check["statuses"], json!(["200-399", "401"]));
    assert_eq!(check["host"], backend.address.to_string());
    settings.change(&balancer, &pool(backend.address, "statuses = [401]"));
    let line = balancer.said("is down: answered 302 in ");
    assert!(line.ends_with(" ms (not 401; see pools.NAME.health.statuses)"), "{line}");
    until("that is told", || balancer.admin().backend(backend.address)["state"] == "down");
    let told = balancer.admin().backend(backend.address);
    assert!(told["why"].as_str().is_some_and(|why| line.ends_with(why)), "{told}");
    settings.change(&balancer, &pool(backend.address, "statuses = [302]"));
    balancer.said_times("is healthy: answered 302 in ", 2);
}

#[test]
fn a_reload_that_names_another_host_has_backends_asked_for_it_at_once() {
    let backend = serves("app.example");
    let settings = Settings::that_say(&pool(backend.address, "host = \"app.example\""));
    let balancer = settings.balancer().start();
    balancer.said("is healthy: answered 200 in ");
    assert_eq!(balancer.admin().backend(backend.address)["check"]["host"], "app.example");
    settings.change(&balancer, &pool(backend.address, "host = \"other.example\""));
    balancer.said("is down: answered 400 in ");
    settings.change(&balancer, &pool(backend.address, "host = \"app.example\""));
    balancer.said_times("is healthy: answered 200 in ", 2);
}

#[test]
fn what_cannot_be_asked_or_wanted_is_refused_with_its_line_and_column() {
    let statuses = "use one or two from 200 to 599, the lower one first, for example 401 or 200-399";
    let host = "write a name or an address, and maybe a port";
    for (says, column, message, help) in [
        ("statuses = []", 19, "an empty list, by which no backend would be healthy", "leave the key out"),
        ("statuses = [199]", 20, "199: not a status for this", statuses),
        ("statuses = ['200', '600']", 27, "600: not a status for this", statuses),
        ("statuses = ['100-299']", 20, "100-299: not a status for this", statuses),
        ("statuses = ['399-200']", 20, "399-200: not a status for this", statuses),
        ("statuses = ['2xx']", 20, "2xx: not a status for this", statuses),
        ("statuses = [true]", 20, "true: expected a status, or two in quotes, such as \"200-399\"", ""),
        ("statuses = '200'", 19, "200: expected a list", "write it in brackets"),
        ("host = ''", 15, "not a host", host),
        ("host = 'http://app.example'", 15, "http://app.example: not a host", host),
        ("host = 'app.example:x'", 15, "app.example:x: not a host", host),
        ("host = '*.example'", 15, "*.example: not a host", host),
        (
            "statuses = [200]\nhealth.path = '/grpc.health.v1.Health/Check'",
            19,
            "do nothing, for gRPC's own check goes by what is said in gRPC",
            "remove them, or check another path",
        ),
    ] {
        let folder = Folder::new();
        let text = format!("[pools.a]\nbackends = ['[::1]:1']\nhealth.{says}\n");
        let (code, said) = Balancer::configured(&folder.write("lb.toml", text)).fail();
        assert_eq!((code, said.matches("error: ").count()), (Some(2), 1), "{says}\n{said}");
        assert!(said.contains(message), "{says}\n{said}");
        assert!(said.contains(&format!("--> lb.toml:3:{column}\n")), "{says}\n{said}");
        assert!(help.is_empty() || said.contains(&format!("= help: {help}")), "{says}\n{said}");
    }
}

#[test]
fn what_is_shown_of_checks_means_the_same_in_a_file() {
    let folder = Folder::new();
    let shown = |file: &str| {
        let path = folder.path(file);
        let balancer = Balancer::configured(&path).word("config").word("show");
        let (code, shown) = balancer.word("--effective").word("--format=json").fail();
        assert_eq!(code, Some(0), "{shown}");
        shown
    };
    for (path, statuses) in [("/", "200-299"), ("/grpc.health.v1.Health/Check", "")] {
        folder.write("lb.toml", format!("[pools.a]\nbackends = ['[::1]:1']\nhealth.path = '{path}'"));
        let first = shown("lb.toml");
        assert_eq!(first.contains("\"200-299\""), !statuses.is_empty(), "{first}");
        folder.write("lb.json", &first);
        assert_eq!(shown("lb.json"), first);
    }
}
