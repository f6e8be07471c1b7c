//! Requests that are divided between pools.

use super::{ask, start};
use crate::support::{Sample, get};

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
