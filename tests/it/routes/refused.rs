//! Routes that stand in each other's way.

use super::{settings, text};
use crate::support::{Backend, Settings};

const CONFLICTS: &str = r#"
    [routes.all]
    pool = "one"
    [routes.first]
    priority = 1
    host = "*.example.com"
    pool = "one"
    [routes.shadowed]
    host = "api.example.com"
    path = "/v1/*"
    pool = "one"
    [routes.left]
    headers = { x-left = true }
    pool = "one"
    [routes.right]
    headers = { x-right = true }
    pool = "one"
    [routes.open]
    path = "/open/{name}"
    redirect = "https://{name}.example.com/"
"#;

const SAID: [&str; 3] = [
    "route shadowed: never reached, for all its requests go to first before; remove it, or raise its priority",
    "routes left and right: some requests could go to either, and neither is more specific; give one of them a higher priority, or a condition that the other lacks",
    "route open: https://{name}.example.com/: whoever asks could choose the host; have only text and {host} before the first / of the path",
];

#[test]
fn all_conflicts_are_told_at_once_and_nothing_is_started() {
    let settings = settings(CONFLICTS, &[("one", Backend::refuses())]);
    let (code, said) = settings.balancer().fail();
    assert_eq!(code, Some(2), "{said}");
    expect_conflicts(&said);
}

#[test]
fn validate_tells_of_conflicts() {
    let settings = settings(CONFLICTS, &[("one", Backend::refuses())]);
    let (code, said) = settings.balancer().word("validate").fail();
    assert_eq!(code, Some(2), "{said}");
    expect_conflicts(&said);
}

/// Each is drawn with its route, and with how to mend it below.
fn expect_conflicts(said: &str) {
    for conflict in SAID {
        let (wrong, mend) = conflict.split_once("; ").expect("a way to mend it");
        assert!(said.contains(wrong) && said.contains(&format!("= help: {mend}")), "{said}");
    }
    for place in ["[routes.shadowed]", "[routes.right]", "[routes.open]"] {
        assert!(said.contains(place), "{said}");
    }
}

const IN_NORMAL_FORM: &str = "no path in its normal form begins as its regular expression does";

#[test]
fn a_route_that_no_request_can_take_is_refused_with_what_to_write() {
    for (route, wrong, mend) in [
        ("path = \"~ \\\\.php$\"", "no path begins as its regular expression does", "as in `~ /.*\\.php`"),
        ("path = \"~ foo.*\"", "no path begins as its regular expression does", "begin it with `/`"),
        ("path = \"~ /caf%c3%a9/.*\"", IN_NORMAL_FORM, "`%C3%A9` an é"),
        ("path = \"~ /café/.*\"", IN_NORMAL_FORM, "`%C3%A9` an é"),
        ("path = \"~ /a b\"", IN_NORMAL_FORM, "`%20` is a space"),
        ("methods = [\"CONNECT\"]", "CONNECT is answered with 405", "take CONNECT out of its methods"),
    ] {
        let routes = format!("[routes.dead]\n{route}\npool = \"one\"\n[routes.rest]\npool = \"one\"\n");
        let (code, said) = settings(&routes, &[("one", Backend::refuses())]).balancer().fail();
        assert_eq!(code, Some(2), "{route}: {said}");
        assert!(said.contains("route dead: never reached, for ") && said.contains(wrong), "{said}");
        assert!(said.contains(mend), "{said}");
    }
}

#[test]
fn tags_that_no_backend_of_a_pool_has_are_refused() {
    let settings = |backends: &str| {
        Settings::that_say(&format!(
            "[listeners.web]\naddress = \"127.0.0.1:0\"\n[pools.app]\n{backends}\n\
             [routes.newest]\npool = \"app\"\ntags = {{ version = \"3\" }}\n",
        ))
    };
    let tagged = |version| {
        let backend = Backend::refuses();
        format!("backends = [{{ address = \"{backend}\", tags = {{ version = \"{version}\" }} }}]\n")
    };
    // Of what a source tells of nothing has a tag.
    let source = "discover = [\"file:list\"]\n";
    for backends in [tagged(2), tagged(2) + source, source.to_owned()] {
        let (code, said) = settings(&backends).balancer().word("validate").fail();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("route newest: no backend of pool app has version = 3"), "{said}");
        let help = "= help: give one of them these tags";
        assert!(said.contains("[routes.newest]") && said.contains(help), "{said}");
    }
    let (code, said) = settings(&(tagged(3) + source)).balancer().word("validate").fail();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn of_a_pool_without_backends_nothing_else_is_said() {
    for (tags, backends) in [("", ""), ("", "backends = []"), ("tags = { version = \"3\" }", "")] {
        let settings = format!("[routes.all]\npool = \"app\"\n{tags}\n[pools.app]\n{backends}\n");
        let (code, said) = Settings::that_say(&settings).balancer().word("validate").fail();
        assert_eq!((code, said.matches("error: ").count()), (Some(2), 1), "{said}");
        assert!(said.starts_with("error: has no backends\n"), "{said}");
    }
}

#[test]
fn what_the_page_shows_is_taken() {
    let page = include_str!("../../../docs/routing.md");
    let blocks: Vec<_> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 10, "{page}");
    let pools = ["api", "canary", "web", "shadow"].map(|name| (name, Backend::refuses()));
    for block in blocks {
        let tagged = text(block, &pools)
            .replace("backends = [\"", "backends = [{ tags = { version = \"2\" }, address = \"")
            .replace("\"]\nhealth", "\" }]\nhealth");
        let settings = Settings::that_say(&tagged);
        let (code, said) = settings.balancer().env("STAGING_LOGIN", "YTpi").word("validate").fail();
        assert_eq!(code, Some(0), "{block}\n{said}");
    }
}

#[test]
fn only_who_sets_the_host_as_a_header_line_is_told_of_the_key_for_it() {
    for (line, is_told) in [("Host", true), ("Content-Length", false), ("Connection", false)] {
        let route =
            format!("[routes.all]\npool = \"one\"\nrequest_headers = {{ set = {{ {line} = \"3\" }} }}\n");
        let (code, said) = settings(&route, &[("one", Backend::refuses())]).balancer().fail();
        assert_eq!((code, said.contains("= help: remove it")), (Some(2), true), "{said}");
        assert_eq!(said.contains("set_host"), is_told, "{said}");
    }
}

#[test]
fn a_new_host_is_one_that_a_request_could_name() {
    let validate = |host: &str| {
        let route = format!("[routes.all]\npool = \"one\"\nset_host = \"{host}\"\n");
        settings(&route, &[("one", Backend::refuses())]).balancer().word("validate").fail()
    };
    for host in ["inner", "in_ner.example:8080", "10.0.0.1:80", "[::1]", "[2001:db8::7]:8080"] {
        let (code, said) = validate(host);
        assert_eq!(code, Some(0), "{host}: {said}");
    }
    for host in ["::1", "", ":80", "inner:80:81", "inner:80x", "[a", "[::1", "[:1]", "[a.b]:80", "[::1]x"] {
        let (code, said) = validate(host);
        assert_eq!(code, Some(2), "{host}: {said}");
        assert!(said.contains("not a host") && said.contains("[::1]:8080"), "{host}: {said}");
    }
}
