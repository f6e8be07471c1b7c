//! What is one backend to several pools is checked once for all of them.

use std::net::SocketAddr;

use crate::support::{Backend, Sample, Settings, get, until};

use super::SCRIPTED;

const WELL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A pool of each of these names, all with this backend and checks of these paths, which are made once.
fn pools(pools: &[(&str, &str)], backend: SocketAddr) -> String {
    let pool = |(name, path): &(&str, &str)| {
        format!(
            "[pools.{name}]\nbackends = [\"{backend}\"]\nhealth = {{ path = \"{path}\", interval = \"1h\" }}\n\
             [routes.{name}]\npath = \"/{name}\"\npool = \"{name}\"\n"
        )
    };
    let pools: String = pools.iter().map(pool).collect();
    format!("[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n{pools}")
}

#[test]
fn one_check_tells_all_pools_that_ask_the_same_of_a_backend() {
    let backend = Backend::answers(WELL);
    let same = [("a", SCRIPTED), ("b", SCRIPTED), ("c", "/other")];
    let settings = Settings::that_say(&pools(&same, backend.address));
    let balancer = settings.balancer().start();
    balancer.said_times("is healthy: answered 200", 3);
    assert_eq!(backend.requests(), 2, "one for a and b, and one for c");
}

#[test]
fn a_pool_that_joins_others_has_its_backend_checked_at_once() {
    let backend = Backend::answers(WELL);
    let settings = Settings::that_say(&pools(&[("a", SCRIPTED)], backend.address));
    let balancer = settings.balancer().start();
    balancer.said_times("is healthy: answered 200", 1);
    settings.change(&balancer, &pools(&[("a", SCRIPTED), ("b", SCRIPTED)], backend.address));
    balancer.said_times("is healthy: answered 200", 2);
    settings.change(&balancer, &pools(&[("b", SCRIPTED)], backend.address));
    settings.change(&balancer, &pools(&[("b", SCRIPTED), ("a", SCRIPTED)], backend.address));
    balancer.said_times("is healthy: answered 200", 3);
}

#[test]
fn what_a_request_of_one_pool_finds_dead_is_soon_checked_for_all() {
    let mut sample = Sample::start("one");
    let settings = Settings::that_say(&pools(&[("a", "/health"), ("b", "/health")], sample.address()));
    let balancer = settings.balancer().start();
    balancer.said_times("is healthy: answered 200", 2);
    sample.kill();
    get(balancer.address, "/b").expect_status(503);
    // Of the other pool by the check that follows.
    balancer.said_times("is down: connection refused", 2);
    sample.restart();
    balancer.said_times("is healthy: answered 200", 4);
    until("both answer", || ["/a", "/b"].iter().all(|path| get(balancer.address, path).status == 404));
}
