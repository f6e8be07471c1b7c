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

#[test]
fn what_an_operator_said_of_a_backend_that_left_is_shown_by_the_new_process_and_can_be_taken_back() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    let (here, elsewhere) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 9));
    let both: &[Ipv4Addr] = &[here, elsewhere];
    dns.says("app.test.", both);
    let (servers, port) = (dns.address, sample.address().port());
    let settings = Settings::that_say(&format!(
        "dns_servers = [\"{servers}\"]\n[listeners.web]\naddress = \"127.0.0.1:0\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n\
         [pools.all]\ndiscover = [\"dns:app.test:{port}\"]\nhealth = {{ path = \"/health\" }}\n"
    ));
    let balancer = settings.balancer().start();
    balancer.said("tells of 2 backends");
    let (admin, address) = (balancer.admin(), sample.address());
    let state = || admin.backend(address)["state"].clone();
    admin.patch(address, r#"{"hold": "drain", "weight": 7}"#);
    dns.says("app.test.", &[elsewhere]);
    until("it leaves", || state() == "leaving");
    let mut at_work = balancer.id();
    let _successors = [0, 1].map(|earlier| {
        let successor = Successor::of(at_work, &balancer, earlier);
        at_work = successor.0;
        let listed =
            serde_json::json!([{ "pool": "all", "address": address.to_string(), "hold": "drain", "weight": 7 }]);
        assert_eq!(admin.get("/api/v1/overrides")["overrides"], listed);
        assert_eq!(state(), "leaving");
        successor
    });
    let ask = |words: &[&str]| {
        let asked = Balancer::bare().flag("--admin", &admin.address.to_string());
        words.iter().fold(asked, |asked, word| asked.word(word)).fail()
    };
    let (_, said) = ask(&["status"]);
    assert!(said.contains("what an operator said of it is remembered"), "{said}");
    let name = format!("all/{address}");
    for words in [&["enable", &*name][..], &["weight", &name, "default"]] {
        let (code, said) = ask(words);
        assert_eq!(code, Some(0), "{said}");
    }
    assert_eq!(admin.get("/api/v1/overrides")["overrides"], serde_json::json!([]));
    dns.says("app.test.", both);
    until("it is back", || {
        let all = admin.get("/api/v1/pools/all")["backends"].clone();
        all.as_array()
            .unwrap()
            .iter()
            .any(|one| one["address"] == address.to_string() && one["state"] == "up")
    });
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn who_drains_a_backend_is_told_as_long_as_the_old_process_may_have_requests_for_it() {
    let (backend, came, let_go) = Backend::held_up();
    let settings = Settings::that_say(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
         [pools.all]\nbackends = [\"{}\"]\n",
        backend.address
    ));
    let balancer = settings.balancer().start();
    let (old, admin) = (balancer.id(), balancer.admin());
    let mut slow = Client::to(balancer.address);
    slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    came.wait();
    let _successor = Successor::of(old, &balancer, 0);
    let may_have = format!("; process {old}, which was replaced, may still have requests for it");
    for (hold, why) in [
        ("disable", "an operator disabled it"),
        ("drain", "an operator drains it; it has nothing left to do here"),
    ] {
        let said = admin.patch(backend.address, &format!("{{\"hold\": {hold:?}}}"));
        assert_eq!(said["why"], format!("{why}{may_have}"));
    }
    let_go.open();
    slow.answer().expect_status(200);
    assert!(balancer.ended().success());
    let why = admin.backend(backend.address)["why"].clone();
    assert_eq!(why, "an operator drains it; it has nothing left to do");
}
