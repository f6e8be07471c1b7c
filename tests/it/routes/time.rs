//! Deadlines of a route's own.

use super::start;
use crate::support::{Backend, Client, get};

#[test]
fn a_route_may_wait_for_less_than_others() {
    let (silent, slow) = (Backend::stalls(), Backend::stalls_mid_body());
    let routes = r#"
        [routes.head]
        path = "/head"
        pool = "silent"
        response_timeout = "200ms"
        [routes.body]
        path = "/body"
        pool = "slow"
        body_timeout = "200ms"
    "#;
    let (balancer, _settings) = start(routes, &[("silent", silent.address), ("slow", slow.address)]);
    // With the usual ones it would take longer than any test has patience.
    let answer = get(balancer.address, "/head").expect_status(504);
    assert!(answer.header("proxy-status").is_some_and(|status| status.contains("http_response_timeout")));
    let mut client = Client::to(balancer.address);
    client.send("GET /body HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.remains(), b"first");
}
