//! What an operator said of weights outlasts a change, and a plan goes by it.

use serde_json::json;

use crate::support::{Running, Settings};

use super::plan::ask;
use super::{admin, body, post, settings};

const ONE: &str = "127.0.0.9:40001";
const OTHER: &str = "127.0.0.9:40002";

/// A pool of these two, with the weights that the settings give them.
fn weights(one: u32, other: u32, more: &str) -> String {
    let both = format!(
        "{{ address = \"{ONE}\", weight = {one} }}, \
         {{ address = \"{OTHER}\", weight = {other}, tags = {{ v = \"1\" }} }}"
    );
    settings(&[], more).replace("backends = []", &format!("backends = [{both}]"))
}

fn weigh(balancer: &Running, address: &str, weight: u32) {
    let path = format!("/api/v1/pools/all/backends/{address}");
    let patch = json!({ "weight": weight }).to_string();
    let lines = "Content-Type: application/json\r\n";
    balancer.admin().ask("PATCH", &path, lines, &patch).expect_status(200);
}

#[test]
fn a_backend_that_only_an_operator_gave_weight_is_named_when_it_is_taken_out() {
    let settings_now = Settings::that_say(&weights(1, 0, ""));
    let balancer = settings_now.balancer().start();
    let without = |address: &str| ask(&balancer, &settings_now, &settings(&[address.to_owned()], ""));
    let told = |gone: &str| format!("pool all: no more requests for {gone}; ");
    let (_, said) = without(ONE);
    assert!(!said.contains("no more requests"), "{said}");
    weigh(&balancer, OTHER, 50);
    let (_, said) = without(ONE);
    assert!(said.contains(&told(OTHER)), "{said}");
    weigh(&balancer, ONE, 0);
    let (_, said) = without(OTHER);
    assert!(!said.contains("no more requests"), "it gets none now: {said}");
}

#[test]
fn a_backend_to_which_settings_give_weight_0_keeps_what_an_operator_gave_it() {
    let route =
        "[routes.b]\npath = \"/b\"\npool = \"all\"\ntags = { v = \"1\" }\n[routes.rest]\npool = \"all\"\n";
    let settings_now = Settings::that_say(&weights(1, 1, route));
    let balancer = settings_now.balancer().start();
    let starved = "all backends of pool all that have its tags have weight 0";
    let gone = format!("no more requests for {OTHER}");
    for (weight, is_told) in [(0, [true, false]), (50, [false, false])] {
        weigh(&balancer, OTHER, weight);
        let (_, said) = ask(&balancer, &settings_now, &weights(1, 0, route));
        assert_eq!([starved, &gone].map(|told| said.contains(told)), is_told, "{said}");
    }
    let (_, said) = ask(&balancer, &settings_now, &weights(0, 1, route));
    assert!(said.contains(&format!("no more requests for {ONE}")), "{said}");
}

#[test]
fn keys_move_by_the_weights_that_backends_will_have() {
    let policy = "policy = \"maglev\"\n";
    let settings_now = Settings::that_say(&weights(1, 0, policy));
    let balancer = settings_now.balancer().start();
    let moved = || {
        let text = settings(&[ONE.to_owned()], policy);
        let plan = body(&post(admin(&balancer), "plan", &text).expect_status(200));
        plan["moved"][0]["percent"].as_f64().expect("a number")
    };
    assert!(moved() < 1.0);
    weigh(&balancer, OTHER, 50);
    assert!(moved() > 90.0);
}
