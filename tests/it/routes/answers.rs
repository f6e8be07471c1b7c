//! Answers that a route writes itself.

use std::sync::Arc;
use std::time::Duration;

use super::{ask, settings, start};
use crate::support::pki::Authority;
use crate::support::tls::trusting;
use crate::support::{Backend, Client, Http2, Sample, Settings, address_in, get, request};

#[test]
fn a_redirect_sends_the_client_elsewhere() {
    let routes = r#"
        [routes.secure]
        redirect = "https://{host}{path}"
        [routes.moved]
        path = "/old/*"
        redirect = "/new/{rest}"
        redirect_status = 301
        [routes.user]
        path = "/u/{id}"
        redirect = "https://users.example.com/{id}?from={host}"
        redirect_status = 302
        [routes.at]
        path = "/at/{name}"
        redirect = "https://social.example/@{name}?by=me@example.com"
        [routes.page]
        path = "/p/{section}/{page...}"
        redirect = "/{section}?page={page}&{query}#{page}"
    "#;
    let (balancer, _settings) = start(routes, &[("unused", Backend::refuses())]);
    for (host, path, status, location) in [
        ("shop.test:8080", "/a/b?c=d", 308, "https://shop.test/a/b?c=d"),
        ("SHOP.test", "/", 308, "https://shop.test/"),
        ("shop.test", "/old/a?b", 301, "/new/a?b"),
        ("shop.test", "/old//evil.example/", 301, "/new//evil.example/"),
        ("shop.test", "/u/7%20", 302, "https://users.example.com/7%20?from=shop.test"),
        ("shop.test", "/at/me", 308, "https://social.example/@me?by=me@example.com"),
        ("shop.test", "/p/a/b&c=d/e?f=g&h", 308, "/a?page=b%26c%3Dd/e&f=g&h#b&c=d/e"),
    ] {
        let answer = ask(balancer.address, host, path, "").expect_status(status);
        assert_eq!((answer.header("location"), answer.text()), (Some(location), ""), "{path}");
        assert_eq!(answer.header("proxy-status"), None);
    }
    let answer = Http2::to(balancer.address).get("/old/x");
    assert_eq!((answer.status, answer.header("location")), (301, Some("/new/x")));
}

#[test]
fn who_comes_in_the_clear_is_sent_to_https_whatever_it_claims_and_who_comes_by_tls_is_served() {
    let backend = Sample::start("one");
    let authority = Authority::new();
    let pair = authority.signs(&["localhost"]);
    let settings = Settings::that_say(&format!(
        r#"
        [listeners]
        plain = {{ address = "127.0.0.1:0" }}
        secure = {{ address = "127.0.0.1:0", tls = true }}
        [admin]
        address = "off"
        [tls]
        certificates = [{{ cert_file = "{}", key_file = "{}" }}]
        [routes.to_https]
        headers = {{ x-forwarded-proto = "http" }}
        redirect = "https://{{host}}:8443{{path}}"
        [routes.all]
        pool = "all"
        [pools.all]
        backends = ["{}"]
        "#,
        pair.certificate().display(),
        pair.key().display(),
        backend.address()
    ));
    let balancer = settings.balancer().start();
    let answer =
        ask(balancer.address, "shop.test", "/a?b=c", "X-Forwarded-Proto: https\r\n").expect_status(308);
    assert_eq!(answer.header("location"), Some("https://shop.test:8443/a?b=c"));
    let secure = address_in(&balancer.said("listening on https://"));
    let mut client = Client::secure(secure, &Arc::new(trusting(&authority)));
    client.send("GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-Proto: http\r\n\r\n");
    assert_eq!(client.answer().expect_status(200).text(), "hello from one\n");
}

#[test]
fn a_redirect_leads_to_no_host_of_the_clients_choice() {
    let routes = "[routes.one]\npath = \"/*\"\nredirect = \"/{rest}\"\n[routes.two]\npath = \"/two/*\"\nredirect = \"{path}\"\n";
    let (balancer, _settings) = start(routes, &[("unused", Backend::refuses())]);
    for path in ["//evil.example/", "/\\evil.example/", "///evil.example/"] {
        let answer = ask(balancer.address, "test", path, "").expect_status(308);
        let location = answer.header("location").expect("a location");
        assert!(location.starts_with('/') && !location.starts_with("//"), "{path}: {location}");
        assert!(!location.contains('\\'), "{location}");
    }
}

#[test]
fn a_fixed_answer_is_given_as_it_is_written() {
    let routes = r#"
        [routes.closed]
        answer = { status = 503, body = "<h1>closed</h1>", content_type = "text/html" }
        [routes.empty]
        path = "/empty"
        answer = { status = 204 }
        [routes.nameless]
        path = "/nameless"
        answer = { status = 420 }
    "#;
    let (balancer, _settings) = start(routes, &[("unused", Backend::refuses())]);
    let answer = get(balancer.address, "/").expect_status(503);
    assert_eq!((answer.header("content-type"), answer.text()), (Some("text/html"), "<h1>closed</h1>"));
    let answer = get(balancer.address, "/empty").expect_status(204);
    assert_eq!((answer.header("content-type"), answer.header("content-length")), (None, None));
    let mut client = Client::to(balancer.address);
    client.send("GET /nameless HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert!(client.rest().starts_with(b"HTTP/1.1 420 \r\n"), "nobody gave that status a phrase");
    let mut client = Client::to(balancer.address);
    client.send(
        "HEAD / HTTP/1.1\r\nHost: test\r\n\r\nPOST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc",
    );
    let head = client.head();
    assert_eq!((head.status, head.header("content-length")), (503, Some("15")));
    assert_eq!(client.answer().expect_status(503).text(), "<h1>closed</h1>");
    let answer = Http2::to(balancer.address).get("/");
    assert_eq!((answer.status, &*answer.body), (503, &b"<h1>closed</h1>"[..]));
}

#[test]
fn an_error_page_is_shown_in_place_of_errors() {
    let sample = Sample::start("one");
    let routes = r#"
        [routes.one]
        pool = "one"
        error_pages = { "404" = { body = "not here" }, "500-599" = { file = "down.html", content_type = "text/html" } }
        [routes.down]
        path = "/down"
        pool = "down"
        error_pages = { "503" = { body = "we are down" } }
    "#;
    let settings = settings(routes, &[("one", sample.address()), ("down", Backend::refuses())]);
    settings.put("down.html", "<h1>down</h1>");
    let balancer = settings.balancer().start();
    let mut client = Client::to(balancer.address);
    for (path, status, text, kind) in [
        ("/status/404", 404, "not here", "text/html; charset=utf-8"),
        ("/status/503", 503, "<h1>down</h1>", "text/html"),
        ("/status/503", 503, "<h1>down</h1>", "text/html"),
    ] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let answer = client.answer().expect_status(status);
        assert_eq!((answer.text(), answer.header("content-type")), (text, Some(kind)), "{path}");
    }
    client.send("GET /status/403 HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_ne!(client.answer().expect_status(403).text(), "not here");
    let answer = get(balancer.address, "/down").expect_status(503);
    assert_eq!(answer.text(), "we are down");
    assert!(answer.header("proxy-status").is_some());
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let answer = Http2::to(balancer.address).get("/status/404");
    assert_eq!((answer.status, &*answer.body), (404, &b"not here"[..]));
}

#[test]
fn what_is_refused_before_a_route_is_found_has_no_page_and_no_header_lines_of_one() {
    let routes = r#"
        [routes.one]
        path = "/one"
        pool = "one"
        error_pages = { "400-599" = { body = "a page" } }
        answer_headers = { set = { x-route = "one" } }
        [limits]
        body_size = "4B"
        rate = "1/m"
        rate_burst = 4
    "#;
    let (balancer, _settings) = start(routes, &[("one", Backend::refuses())]);
    let mut client = Client::to(balancer.address);
    let mut ask = |path: &str, length: &str| {
        client.send(format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n"));
        let answer = client.answer();
        let is_of_the_route = (answer.text() == "a page", answer.header("x-route") == Some("one"));
        client = Client::to(balancer.address);
        (answer.status, is_of_the_route)
    };
    let (theirs, ours) = ((true, true), (false, false));
    assert_eq!(ask("/one", "0"), (503, theirs));
    assert_eq!(ask("/one", "5"), (413, theirs), "its route is found before a body is too large");
    assert_eq!(ask("/other", "0"), (404, ours));
    assert_eq!(ask("/one", "x"), (400, ours));
    assert_eq!(ask("/one", "0"), (503, theirs));
    assert_eq!(ask("/one", "0"), (429, ours));
}

#[test]
fn a_page_in_place_of_an_answer_keeps_what_is_not_of_its_body() {
    let backend = Backend::answers(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Encoding: gzip\r\nETag: \"1\"\r\nContent-Digest: sha-256=:YQ==:\r\nRepr-Digest: sha-256=:YQ==:\r\nDigest: sha=YQ==\r\nContent-MD5: YQ==\r\nContent-Length: 3\r\n\r\nabc",
    );
    let routes = "[routes.one]\npool = \"one\"\nerror_pages = { \"401\" = { body = \"who are you?\" } }\n";
    let (balancer, _settings) = start(routes, &[("one", backend.address)]);
    for _ in 0..3 {
        let answer = get(balancer.address, "/").expect_status(401);
        assert_eq!((answer.text(), answer.header("www-authenticate")), ("who are you?", Some("Basic")));
        assert_eq!((answer.header("content-encoding"), answer.header("etag")), (None, None));
    }
    assert_eq!(backend.requests(), 1, "one connection is enough");
}

#[test]
fn a_client_may_send_so_much_to_a_route() {
    let sample = Sample::start("one");
    let routes = r#"
        [routes.small]
        pool = "one"
        body_size = "4B"
        [routes.large]
        path = "/echo"
        pool = "one"
        rate = "1/m"
        rate_burst = 2
    "#;
    let (balancer, _settings) = start(routes, &[("one", sample.address())]);
    let post = |path: &str, body: &str| {
        let length = body.len();
        request(
            balancer.address,
            &format!(
                "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            ),
        )
    };
    post("/", "12345").expect_status(413);
    post("/echo", "12345").expect_status(200);
    let chunked = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\n12345\r\n0\r\n\r\n";
    request(balancer.address, chunked).expect_status(413);
    post("/echo", "12345").expect_status(200);
    let answer = post("/echo", "12345").expect_status(429);
    assert!(answer.header("proxy-status").is_some_and(|status| status.ends_with("details=\"route_rate\"")));
    let wait = answer.header("retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    assert!(wait.is_some_and(|wait| wait <= Duration::from_secs(60)), "{answer:?}");
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn a_grpc_client_gets_what_a_route_writes_as_a_status() {
    let routes = "[routes.closed]\npath = \"/closed/*\"\nanswer = { status = 503, body = \"closed\" }\nanswer_headers = { set = { x-route = \"closed\" } }\n";
    let (balancer, _settings) = start(routes, &[("unused", Backend::refuses())]);
    let mut client = Http2::to(balancer.address);
    let mut call = |path: &str| {
        let request =
            hyper::Request::post(format!("http://a{path}")).header("content-type", "application/grpc");
        let answer = client.ask(request.body(()).unwrap()).answer();
        let field = |name: &str| answer.header(name).map(str::to_owned);
        (answer.status, field("grpc-status"), field("grpc-message"), field("x-route"))
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(call("/closed/x"), (200, text("14"), text("closed"), text("closed")));
    let nothing = text("nothing is here for this host, path and kind of request");
    assert_eq!(call("/x"), (200, text("12"), nothing, None));
}

#[test]
fn two_routes_ask_for_one_password_as_the_page_says_and_their_backend_does_not_hear_it() {
    let page = include_str!("../../../docs/routing.md");
    let mut blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let routes = blocks.find(|block| block.contains("STAGING_LOGIN")).expect("it is on the page");
    let (backend, heads) = Backend::tells("HTTP/1.1 204 No Content\r\n\r\n");
    let settings = settings(routes, &[("web", backend.address)]);
    let balancer = settings.balancer().env("STAGING_LOGIN", "YW5uYTpzM2NyZXQ=").start();
    let knock = |line: &str| ask(balancer.address, "test", "/staging/page", line);
    for line in ["", "Authorization: Basic YW5uYTpndWVzcw==\r\n", "Authorization: Basic\r\n"] {
        let refused = knock(line).expect_status(401);
        assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"staging\""));
    }
    knock("Authorization: Basic YW5uYTpzM2NyZXQ=\r\n").expect_status(204);
    let head = heads.iter().find(|head| head.starts_with("GET /staging/page ")).expect("it came");
    assert!(!head.to_lowercase().contains("authorization"), "{head}");
}
