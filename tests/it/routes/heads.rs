//! What a route makes of the heads that pass.

use std::sync::mpsc::channel;

use hyper::{HeaderMap, Request};

use super::{ask, settings, start};
use crate::support::{Backend, Client, Http2, PATIENCE};

const OK: &str = "HTTP/1.1 200 OK\r\nServer: secret\r\nX-Two: 1\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_request_is_rewritten_and_its_query_is_kept() {
    let (backend, heads) = Backend::tells(OK);
    let routes = r#"
        [routes.prefix]
        path = "/api/*"
        pool = "one"
        rewrite = "/inner/{rest}"
        set_host = "inner.example"
        [routes.template]
        path = "/users/{id}/{what...}"
        pool = "one"
        rewrite = "/{what}?user={id}&{query}"
        [routes.regex]
        path = "~ /v(?<version>[0-9]+)/.*"
        pool = "one"
        rewrite = "/{host}{path}?"
    "#;
    let (balancer, _settings) = start(routes, &[("one", backend.address)]);
    for (path, target) in [
        ("/api/a/b?c=d", "/inner/a/b?c=d"),
        ("/api", "/inner/"),
        ("/api/", "/inner/"),
        ("/api/a%20b//c", "/inner/a%20b//c"),
        ("/api/x/../y", "/inner/y"),
        ("/users/7/a/b?c=d", "/a/b?user=7&c=d"),
        ("/users/7/a", "/a?user=7"),
        ("/v2/x?c=d", "/test/v2/x"),
    ] {
        ask(balancer.address, "test:80", path, "").expect_status(200);
        let head = heads.recv_timeout(PATIENCE).expect("a head").to_lowercase();
        assert!(head.starts_with(&format!("get {target} http/1.1\r\n")), "{path}: {head}");
        let host = if path.starts_with("/api") { "inner.example" } else { "test:80" };
        assert!(head.contains(&format!("\r\nhost: {host}\r\n")), "{head}");
        assert!(head.contains("\r\nx-forwarded-host: test:80\r\n"), "{head}");
    }
    let answer = ask(balancer.address, "test", "/api/..%2fadmin", "").expect_status(400);
    assert!(answer.text().contains("two ways"), "{answer:?}");
}

#[test]
fn a_path_that_could_lead_out_of_a_rewrite_is_refused_as_that_and_its_route_is_logged() {
    let routes = "[routes.inner]\npath = \"/*\"\npool = \"one\"\nrewrite = \"/inner/{rest}\"\n";
    let settings = settings(routes, &[("one", Backend::refuses())]);
    let balancer = settings.balancer().flag("--access-log", "-").start();
    let answer = ask(balancer.address, "test", "/..%2Fadmin", "").expect_status(400);
    let told = "the request is malformed: its path could lead out of where its route's rewrite puts it\n";
    assert_eq!(answer.text(), told);
    let line = balancer.said("\"reason\":\"malformed_request\"");
    assert!(line.contains("\"route\":\"inner\""), "{line}");
}

#[test]
fn a_path_that_could_lead_out_of_a_rewrite_is_refused_as_its_route_says() {
    let routes = r#"
        [routes.inner]
        path = "/*"
        pool = "one"
        rewrite = "/inner/{rest}"
        rate = "1/m"
        answer_headers = { set = { x-route = "inner" } }
        error_pages = { "400" = { body = "not so" } }
    "#;
    let (balancer, _settings) = start(routes, &[("one", Backend::refuses())]);
    let answer = ask(balancer.address, "test", "/..%2Fadmin", "").expect_status(400);
    assert_eq!((answer.text(), answer.header("x-route")), ("not so", Some("inner")));
    ask(balancer.address, "test", "/..%2Fadmin", "").expect_status(429);
}

#[test]
fn a_part_of_a_path_is_one_value_in_a_query() {
    let (backend, heads) = Backend::tells(OK);
    let routes = r#"
        [routes.user]
        path = "/users/{id}"
        pool = "one"
        rewrite = "/echo/{id}?id={id}&{query}"
        [routes.from]
        path = "/from/*"
        pool = "one"
        rewrite = "/{rest}?host={host}&path={path}"
    "#;
    let (balancer, _settings) = start(routes, &[("one", backend.address)]);
    for (host, path, target) in [
        ("test", "/users/1&admin=true", "/echo/1&admin=true?id=1%26admin%3Dtrue"),
        ("test", "/users/1%26admin=true?a=b&c", "/echo/1%26admin=true?id=1%26admin%3Dtrue&a=b&c"),
        ("test", "/users/a+b%2Bc%20d", "/echo/a+b%2Bc%20d?id=a%2Bb%2Bc%20d"),
        ("test", "/from/a%2526:@,x", "/a%2526:@,x?host=test&path=/from/a%2526:@,x"),
        ("a&b=c", "/from/x&y", "/x&y?host=a%26b%3Dc&path=/from/x%26y"),
    ] {
        ask(balancer.address, host, path, "").expect_status(200);
        let head = heads.recv_timeout(PATIENCE).expect("a head");
        assert_eq!(head.lines().next(), Some(&*format!("GET {target} HTTP/1.1")), "{path}");
    }
}

#[test]
fn header_lines_are_removed_set_and_added_both_ways() {
    let (backend, heads) = Backend::tells(OK);
    let routes = r#"
        [routes.one]
        pool = "one"
        request_headers = { remove = ["x-gone"], set = { x-set = "ours" }, add = { x-added = "ours" } }
        answer_headers = { remove = ["server"], set = { x-two = "2" }, add = { strict-transport-security = "max-age=1" } }
    "#;
    let (balancer, _settings) = start(routes, &[("one", backend.address)]);
    let lines = "X-Gone: 1\r\nX-Set: theirs\r\nX-Set: again\r\nX-Added: theirs\r\n";
    let answer = ask(balancer.address, "test", "/", lines).expect_status(200);
    assert_eq!((answer.header("server"), answer.header("x-two")), (None, Some("2")));
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=1"));
    let head = heads.recv_timeout(PATIENCE).expect("a head").to_lowercase();
    let values = |name: &str| -> Vec<String> {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| *known == name).map(|(_, value)| value.to_owned()).collect()
    };
    assert_eq!(values("x-gone"), Vec::<String>::new());
    assert_eq!(values("x-set"), ["ours"]);
    assert_eq!(values("x-added"), ["theirs", "ours"]);
}

#[test]
fn what_a_route_removes_or_sets_does_not_come_behind_a_body_either() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        tell.send(transport.read_chunks().1.to_ascii_lowercase()).unwrap();
        transport.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n");
        transport.send("Trailer: server, x-two, x-sum\r\n\r\n");
        transport.send("2\r\nok\r\n0\r\nServer: secret\r\nX-Two: 1\r\nX-Sum: 7\r\n\r\n");
    });
    let changes = r#"
        request_headers = { remove = ["x-gone"], set = { x-set = "ours" }, add = { x-added = "ours" } }
        answer_headers = { remove = ["server"], set = { x-two = "2" } }
    "#;
    let routes = format!("[routes.one]\npool = \"one\"\n{changes}");
    let (balancer, _settings) = start(&routes, &[("one", backend.address)]);
    let mut client = Client::to(balancer.address);
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: te\r\n\
         Trailer: x-gone, x-set, x-added\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Gone: 1\r\nX-Set: theirs\r\nX-Set: again\r\nX-Added: theirs\r\n\r\n",
    );
    let answer = client.answer().expect_status(200);
    assert_eq!((answer.header("server"), answer.header("x-two")), (None, Some("2")));
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "x-added: theirs\r\n\r\n");

    let request = Request::post("http://a/").header("te", "trailers");
    let request = request.header("trailer", "x-gone, x-set, x-added").body(()).unwrap();
    let mut stream = Http2::to(balancer.address).begin(request);
    stream.send("hi", false).unwrap();
    let trailers = [("x-gone", "1"), ("x-set", "theirs"), ("x-added", "theirs")];
    let trailers = trailers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    stream.finish_with(HeaderMap::from_iter(trailers));
    assert_eq!(stream.answer().expect_status(200).trailers, [("x-sum".to_owned(), "7".to_owned())]);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "x-added: theirs\r\n\r\n");
}

#[test]
fn what_a_route_removes_or_sets_does_not_come_in_interim_answers_either() {
    let backend = Backend::answers(
        "HTTP/1.1 103 Early Hints\r\nServer: secret\r\nX-Two: 1\r\nLink: </a>\r\n\r\n\
         HTTP/1.1 103 Early Hints\r\nsErver: more\r\nLink: <server: b>\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    );
    let routes = r#"
        [routes.changed]
        path = "/changed"
        pool = "one"
        answer_headers = { remove = ["server"], set = { x-two = "2" }, add = { x-three = "3" } }
        [routes.others]
        pool = "one"
    "#;
    let (balancer, _settings) = start(routes, &[("one", backend.address)]);
    let mut client = Client::to(balancer.address);
    let (first, second) = (("link", "</a>"), ("link", "<server: b>"));
    for (path, heads) in [
        ("/changed", [vec![first], vec![second]]),
        ("/", [vec![("server", "secret"), ("x-two", "1"), first], vec![("server", "more"), second]]),
        ("/changed", [vec![first], vec![second]]),
    ] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        for lines in heads {
            let hints = client.head();
            assert_eq!(hints.status, 103);
            let passed: Vec<_> = hints.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(passed, lines, "{path}");
        }
        assert_eq!(client.answer().expect_status(200).header("x-three").is_some(), path == "/changed");
    }
}

#[test]
fn routes_look_at_and_change_what_backends_are_told_of_a_client() {
    let (backend, heads) = Backend::tells(OK);
    let routes = r#"
        [routes.changed]
        path = "/changed"
        headers = { x-forwarded-proto = "http", x-forwarded-host = "test" }
        pool = "one"
        request_headers = { remove = ["x-forwarded-for"], set = { x-forwarded-proto = "https" }, add = { via = "1.1 other" } }
        [routes.others]
        pool = "one"
    "#;
    let (balancer, _settings) = start(routes, &[("one", backend.address)]);
    let told = |path: &str| {
        ask(balancer.address, "test", path, "Via: 1.0 first\r\nX-Forwarded-Proto: ftp\r\n")
            .expect_status(200);
        let head = heads.recv_timeout(PATIENCE).expect("a head").to_lowercase();
        let told = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via"];
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut lines: Vec<_> = lines
            .filter(|(name, _)| told.contains(name))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(
        told("/changed"),
        [
            "via: 1.0 first",
            "via: 1.1 loadbalancer",
            "via: 1.1 other",
            "x-forwarded-host: test",
            "x-forwarded-proto: https"
        ]
    );
    assert_eq!(
        told("/"),
        [
            "via: 1.0 first",
            "via: 1.1 loadbalancer",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: test",
            "x-forwarded-proto: http"
        ]
    );
}

#[test]
fn answers_of_ours_are_changed_too() {
    let routes = r#"
        [routes.one]
        pool = "one"
        answer_headers = { set = { x-route = "one" } }
    "#;
    let (balancer, _settings) = start(routes, &[("one", Backend::refuses())]);
    let answer = ask(balancer.address, "test", "/", "").expect_status(503);
    assert_eq!(answer.header("x-route"), Some("one"));
    assert!(answer.header("proxy-status").is_some_and(|status| status.starts_with("loadbalancer; error=")));
}
