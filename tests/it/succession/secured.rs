//! TLS with clients, and a process that was replaced.

use std::sync::Arc;

use super::{GET, runs};
use crate::support::pki::Authority;
use crate::support::tls::trusting;
use crate::support::{Balancer, Client, Sample, Successor, until};

#[test]
fn who_was_replaced_renews_no_certificates() {
    let authority = Authority::new();
    let [pair, second, third] = [(); 3].map(|()| authority.signs(&["localhost"]));
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).secured(&[&pair]).start();
    let config = Arc::new(trusting(&authority));
    // A client that was here a moment ago keeps it for a while.
    let mut client = Client::secure(balancer.address, &config);
    client.send(GET);
    client.answer().expect_status(200);
    let id = balancer.id();
    let _successor = Successor::of(id, &balancer, 0);
    for renewed in [&second, &third] {
        pair.become_that_of(renewed);
        until("the new certificate is shown", || {
            let client = Client::secure(balancer.address, &config);
            client.agreed().peer_certificates().expect("a certificate")[0] == renewed.der
        });
    }
    assert!(runs(id), "it has a client");
    drop(client);
    until("it has ended", || !runs(id));
    // One each at the two starts and of the two renewals.
    assert_eq!(balancer.times_said(" is for localhost and valid until "), 4);
}
