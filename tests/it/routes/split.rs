//! Requests that are divided between pools.

use super::{ask, settings, start};
use crate::support::{Backend, Sample, get};

#[test]
fn pools_get_the_shares_that_their_weights_say() {
    let (old, new) = (Sample::start("old"), Sample::start("new"));
    let pools = [("old", old.address()), ("new", new.address())];
    let (balancer, _settings) = start("[routes.all]\npools = { old = 3, new = 1 }\n", &pools);
    let mut counts = [0, 0];
    for _ in 0..200 {
        counts[usize::from(get(balancer.address, "/").text() == "hello from new\n")] += 1;
    }
    // A quarter, give or take five times the square root of the variance.
    assert!((20..=80).contains(&counts[1]), "{counts:?}");
}

#[test]
fn a_cookie_keeps_a_client_at_its_share() {
    let (old, new) = (Sample::start("old"), Sample::start("new"));
    let pools = [("old", old.address()), ("new", new.address())];
    let routes = "[routes.all]\npools = { old = 1, new = 1 }\nsplit_cookie = \"share\"\n";
    let (balancer, _settings) = start(routes, &pools);
    for _ in 0..5 {
        let answer = ask(balancer.address, "test", "/", "").expect_status(200);
        let name = answer.text().trim_end().trim_start_matches("hello from ").to_owned();
        let cookie = format!("share={name}; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(answer.header("set-cookie"), Some(&*cookie));
        for _ in 0..5 {
            let again = ask(balancer.address, "test", "/", &format!("Cookie: a=b; share={name}\r\n"));
            assert_eq!(again.text(), answer.text());
            assert_eq!(again.header("set-cookie"), None);
        }
    }
    let unknown = ask(balancer.address, "test", "/", "Cookie: share=gone\r\n").expect_status(200);
    assert!(unknown.header("set-cookie").is_some());
}

#[test]
fn who_is_kept_at_a_share_that_gets_nothing_any_more_moves_on() {
    let (old, new) = (Sample::start("old"), Sample::start("new"));
    let pools = [("old", old.address()), ("new", new.address())];
    let routes = "[routes.all]\npools = { old = 0, new = 1 }\nsplit_cookie = \"share\"\n";
    let (balancer, _settings) = start(routes, &pools);
    let answer = ask(balancer.address, "test", "/", "Cookie: share=old\r\n");
    assert_eq!(answer.text(), "hello from new\n");
    assert!(answer.header("set-cookie").is_some_and(|cookie| cookie.starts_with("share=new;")));
}

#[test]
fn who_came_over_tls_to_a_trusted_proxy_gets_a_cookie_for_tls_alone() {
    let sample = Sample::start("only");
    let routes = "[routes.all]\npools = { only = 1 }\nsplit_cookie = \"share\"\n";
    for (trusted, secure) in [("127.0.0.1", "; Secure"), ("192.0.2.1", "")] {
        let routes = format!("[access]\ntrusted_proxies = [\"{trusted}\"]\n{routes}");
        let (balancer, _settings) = start(&routes, &[("only", sample.address())]);
        let answer = ask(balancer.address, "test", "/", "X-Forwarded-Proto: https\r\n").expect_status(200);
        let cookie = format!("share=only; Path=/; HttpOnly; SameSite=Lax{secure}");
        assert_eq!(answer.header("set-cookie"), Some(&*cookie));
    }
}

/// What is said of these routes, given by name and text.
fn validate(routes: &[(&str, &str)]) -> (Option<i32>, String) {
    let route = |(name, route): &(&str, &str)| format!("[routes.{name}]\n{route}\n");
    let routes: String = routes.iter().map(route).collect();
    let pools = ["a", "b", "c"].map(|name| (name, Backend::refuses()));
    let settings = settings(&routes, &pools);
    settings.put("secret", "a secret that is long enough");
    settings.balancer().word("validate").fail()
}

const AB: &str = "pools = { a = 1, b = 1 }\nsplit_cookie = \"share\"";
const C: &str = "pools = { b = 0, c = 1 }\nsplit_cookie = \"share\"";

#[test]
fn routes_that_undo_each_others_cookie_are_refused() {
    for (one, other) in [
        ("", "path = \"/x/*\""),
        ("methods = [\"GET\"]", "methods = [\"POST\"]"),
        ("query = { x = \"1\" }", ""),
        ("host = \"a.example\"", "hosts = [\"b.example\", \"A.example\"]\npath = \"/x\""),
        ("host = \"*.example\"", "host = \"*.example\"\npath = \"/x\""),
        ("headers = { x = true }", "headers = { x = true }\npath = \"/x\""),
    ] {
        let (code, said) = validate(&[("one", &format!("{one}\n{AB}")), ("two", &format!("{other}\n{C}"))]);
        assert_eq!(code, Some(2), "{one}, {other}: {said}");
        let told = "routes one and two: keep clients at different pools by one cookie, share, so that each undoes what the other did";
        assert!(said.contains(told) && said.contains("[routes.two]"), "{said}");
        assert!(said.contains("= help: name another split_cookie in one of them"), "{said}");
    }
}

#[test]
fn routes_whose_cookie_means_the_same_or_goes_to_others_are_taken() {
    for (one, other) in [
        (AB.to_owned(), "path = \"/x\"\npools = { b = 9, a = 0 }\nsplit_cookie = \"share\"".to_owned()),
        (AB.to_owned(), format!("path = \"/x\"\n{}", C.replace("share", "other"))),
        (AB.to_owned(), "path = \"/x\"\npool = \"c\"".to_owned()),
        (AB.to_owned(), format!("path = \"/x\"\n{}", C.replace("b = 0", "b = 1"))),
        (AB.to_owned(), format!("path = \"/x\"\n{}", AB.replace("b = 1", "b = 1, c = 0"))),
        (format!("host = \"a.example\"\n{AB}"), format!("host = \"b.example\"\n{C}")),
        (format!("host = \"a.example\"\n{AB}"), C.to_owned()),
        (format!("headers = {{ x-app = true }}\n{AB}"), format!("path = \"/x\"\n{C}")),
        (format!("clients = [\"192.0.2.0/24\"]\n{AB}"), format!("path = \"/x\"\n{C}")),
    ] {
        let (code, said) = validate(&[("one", &one), ("two", &other)]);
        assert_eq!(code, Some(0), "{one}, {other}: {said}");
    }
}

#[test]
fn a_cookie_of_a_split_that_keeps_another_routes_clients_at_backends_is_refused() {
    let sticky = |cookie: &str, more: &str| {
        let kept = format!(
            "path = \"/x\"\npool = \"kept\"\n{more}\n[pools.kept]\nsticky = {{ cookie = \"{cookie}\", secret_file = \"secret\" }}\n\
             backends = [{{ address = \"127.0.0.1:1\", tags = {{ version = \"2\" }} }}]"
        );
        validate(&[("one", AB), ("two", &kept)])
    };
    let (code, said) = sticky("share", "");
    assert_eq!(code, Some(2), "{said}");
    let told = "routes one and two: keep clients at a pool and at a backend by one cookie, share, so that each undoes what the other did";
    assert!(said.contains(told) && said.contains("[routes.two]"), "{said}");
    for (cookie, more) in
        [("other", ""), ("share", "tags = { version = \"2\" }"), ("share", "host = \"a.example\"")]
    {
        let (code, said) = sticky(cookie, more);
        assert_eq!(code, Some(0), "{cookie}, {more}: {said}");
    }
}
