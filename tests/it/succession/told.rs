//! What sources told the old process, of which the new one hears nothing.

use std::net::Ipv4Addr;

use super::*;
use crate::support::Dns;

#[test]
fn backends_of_a_name_that_nobody_answers_for_meanwhile_are_those_that_the_old_process_was_told_of() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST]);
    let (servers, port) = (dns.address, sample.address().port());
    let settings = Settings::that_say(&format!(
        "dns_servers = [\"{servers}\"]\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [pools.all]\ndiscover = [\"dns:app.test:{port}\"]\nhealth = {{ path = \"/health\" }}\n"
    ));
    let balancer = settings.balancer().start();
    get(balancer.address, "/").expect_status(200);
    dns.fails(true);
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    assert!(balancer.ended().success());
    get(balancer.address, "/").expect_status(200);
    balancer.said("what was known of it before still holds");
    // And they may change again.
    dns.fails(false);
    dns.says("app.test.", &[Ipv4Addr::new(127, 0, 0, 9)]);
    balancer.said(&format!("127.0.0.1:{port} is removed"));
}
