//! Requests take the routes that the file says.

mod answers;
mod elsewhere;
mod heads;
mod listeners;
mod mirror;
mod refused;
mod retry;
mod split;
mod time;

use std::net::SocketAddr;

use crate::support::{Answer, Backend, Http2, Running, Sample, Settings, get, request, until};

/// Settings with these routes, and pools of one backend each.
fn settings(routes: &str, pools: &[(&str, SocketAddr)]) -> Settings {
    Settings::that_say(&text(routes, pools))
}

fn text(routes: &str, pools: &[(&str, SocketAddr)]) -> String {
    let pool = |(name, address): &(&str, SocketAddr)| {
        format!("[pools.{name}]\nbackends = [\"{address}\"]\nhealth = {{ path = \"/health\" }}\n")
    };
    let pools: String = pools.iter().map(pool).collect();
    format!("[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n{pools}{routes}")
}

/// A balancer with these routes and pools.
fn start(routes: &str, pools: &[(&str, SocketAddr)]) -> (Running, Settings) {
    let settings = settings(routes, pools);
    (settings.balancer().start(), settings)
}

/// GETs a path of a host, with more header lines.
fn ask(address: SocketAddr, host: &str, path: &str, lines: &str) -> Answer {
    request(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}Connection: close\r\n\r\n"))
}

#[test]
fn each_request_goes_where_the_most_specific_route_says() {
    let backends = ["all", "api", "users", "beta", "posts"].map(|name| (name, named(name)));
    let pools: Vec<_> = backends.iter().map(|(name, backend)| (*name, backend.address)).collect();
    let routes = r#"
        [routes.all]
        pool = "all"
        [routes.api]
        host = "*.example.com"
        path = "/v1/*"
        pool = "api"
        [routes.users]
        host = "api.example.com"
        path = "/v1/users/{id}"
        pool = "users"
        [routes.beta]
        host = "api.example.com"
        path = "/v1/users/{id}"
        headers = { x-beta = "~ [0-9]+" }
        query = { debug = true }
        cookies = { canary = "1" }
        pool = "beta"
        [routes.posts]
        path = "~ /posts/[0-9]+"
        methods = ["GET"]
        clients = ["127.0.0.0/8"]
        pool = "posts"
    "#;
    let (balancer, _settings) = start(routes, &pools);
    let beta = "X-Beta: 17\r\nCookie: a=b; canary=1\r\n";
    for (host, path, lines, name) in [
        ("test", "/", "", "all"),
        ("www.example.com:8080", "/v1/users/7", "", "api"),
        ("API.example.com", "/v1/users/7", "", "users"),
        ("api.example.com.", "/v1/users/7/more", "", "api"),
        ("api.example.com", "/v1/users/7?debug", beta, "beta"),
        ("api.example.com", "/v1/users/7", beta, "users"),
        ("api.example.com", "/v1/users/7?debug", "X-Beta: x\r\nCookie: canary=1\r\n", "users"),
        ("example.com", "/v1/users", "", "all"),
        ("test", "/posts/12", "", "posts"),
        ("test", "/posts/x", "", "all"),
        ("test", "/x/%2e%2e/p%6fsts/12", "", "posts"),
    ] {
        let answer = ask(balancer.address, host, path, lines).expect_status(200);
        assert_eq!(answer.text(), name, "{host} {path}");
    }
    let post = "POST /posts/12 HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(request(balancer.address, post).expect_status(200).text(), "all");
    assert_eq!(Http2::to(balancer.address).get("/posts/12").text(), "posts");
}

/// A backend whose answers are its name.
fn named(name: &str) -> Backend {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
    Backend::that(move |mut transport| {
        loop {
            transport.send(&answer);
            if !transport.read_head() {
                return;
            }
        }
    })
}

#[test]
fn a_request_that_no_route_is_for_is_not_found() {
    let sample = Sample::start("one");
    let (balancer, _settings) =
        start("[routes.one]\npath = \"/one/*\"\npool = \"one\"\n", &[("one", sample.address())]);
    let answer = get(balancer.address, "/two").expect_status(404);
    assert_eq!(
        answer.header("proxy-status"),
        Some("loadbalancer; error=destination_not_found; details=\"no_route\"")
    );
    assert_eq!(answer.text(), "nothing is here for this host, path and kind of request\n");
    assert_eq!(Http2::to(balancer.address).get("/two").status, 404);
    assert_eq!(get(balancer.address, "/one/bytes/1").expect_status(404).header("proxy-status"), None);
}

#[test]
fn a_host_that_is_an_address_is_known_however_it_is_written() {
    let routes = "[routes.six]\nhost = \"[2001:DB8:0:0::7]\"\nanswer = { body = \"six\" }\n";
    let (balancer, _settings) = start(routes, &[("unused", Backend::refuses())]);
    for host in
        ["[2001:db8::7]", "[2001:DB8:0:0::7]:80", "[2001:0db8:0:0:0:0:0:7]", "[2001:db8::0.0.0.7]:8080"]
    {
        ask(balancer.address, host, "/", "").expect_status(200);
    }
    for host in ["[2001:db8::8]", "2001.db8.7"] {
        ask(balancer.address, host, "/", "").expect_status(404);
    }
}

#[test]
fn a_path_that_can_be_read_in_two_ways_does_not_pass_by_a_route() {
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let routes = "[routes.all]\npool = \"all\"\n[routes.admin]\npath = \"/admin/*\"\nanswer = { status = 403 }\n\
         [routes.login]\npath = \"/login\"\npool = \"all\"\n";
    let (balancer, _settings) = start(routes, &[("all", backend.address)]);
    for path in ["/admin", "/%61dmin/x", "/x/../admin", "/x/%2E./admin/"] {
        get(balancer.address, path).expect_status(403);
    }
    for path in [
        "//admin",
        "/x/..%2fadmin",
        "/admin;x/y",
        "/x\\..\\admin",
        "/admin%2fx",
        "/a//../admin",
        "/admin%2Fx/../users",
        "/x/;/../admin",
        "/admin/x%2F/../../y",
        "/x;a%2F..%2Fadmin",
        "/x;\\..\\admin",
        "/admin%2Fx/../login",
        "/admin%3Bx/y",
        "/x/..%3b/admin",
    ] {
        let answer = get(balancer.address, path).expect_status(400);
        assert!(answer.text().contains("can be read in two ways"), "{answer:?}");
    }
    assert_eq!(backend.requests(), 0);
    for path in ["/files/a%2Fb", "/x//y", "/a;b=c", "/a%3Bb", "/adm%69n-not"] {
        get(balancer.address, path).expect_status(200);
    }
}

#[test]
fn an_answer_for_want_of_backends_speaks_of_its_own_pool_only() {
    let (one, two) = (Backend::refuses(), Backend::refuses());
    let routes =
        "[routes.one]\npath = \"/one/*\"\npool = \"one\"\n[routes.two]\npath = \"/two/*\"\npool = \"two\"\n";
    let (balancer, _settings) = start(routes, &[("one", one), ("two", two)]);
    until("both are known to be down", || {
        let answer = get(balancer.address, "/one/").expect_status(503);
        answer.text().contains("no backend for this request is healthy")
    });
    let answer = get(balancer.address, "/one/").expect_status(503);
    assert!(
        answer.text().contains(&one.to_string()) && !answer.text().contains(&two.to_string()),
        "{answer:?}"
    );
}

#[test]
fn other_routes_come_with_other_settings() {
    let (one, two) = (Sample::start("one"), Sample::start("two"));
    let pools = [("one", one.address()), ("two", two.address())];
    let (balancer, settings) = start("[routes.r]\npool = \"one\"\n", &pools);
    assert_eq!(get(balancer.address, "/").text(), "hello from one\n");
    settings.change(&balancer, &text("[routes.r]\npool = \"two\"\n", &pools));
    until("it goes by the new routes", || get(balancer.address, "/").text() == "hello from two\n");
    settings.write(&text("[routes.r]\npool = \"one\"\n[routes.s]\npriority = 1\npool = \"two\"\n", &pools));
    balancer.signal("HUP");
    balancer.said("route r: never reached, for all its requests go to s before");
    assert_eq!(get(balancer.address, "/").text(), "hello from two\n");
}
