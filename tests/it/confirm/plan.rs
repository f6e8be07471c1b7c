//! What a plan says is what would be.

use crate::support::{Backend, Balancer, Running, Settings, get};

use super::{admin, body, post, settings};

/// What the command line says of a plan, and the exit status.
fn ask(balancer: &Running, settings: &Settings, text: &str) -> (Option<i32>, String) {
    let file = settings.put("new.toml", text);
    let asked = Balancer::bare().flag("--admin", &admin(balancer).to_string()).word("plan");
    asked.word(file.to_str().expect("a path")).fail()
}

#[test]
fn settings_that_could_not_be_put_in_force_are_refused_when_they_are_planned() {
    let backend = Backend::refuses().to_string();
    let usual = settings(std::slice::from_ref(&backend), "");
    let settings_now = Settings::that_say(&usual);
    let balancer = settings_now.balancer().start();
    // An address of documentation (RFC 5737), which no interface has.
    let elsewhere = format!("{usual}[listeners.b]\naddress = \"192.0.2.1:20005\"\n");
    let tried = post(admin(&balancer), "config?dry_run=1", &elsewhere).expect_status(409);
    let planned = post(admin(&balancer), "plan", &elsewhere).expect_status(409);
    assert_eq!(body(&planned)["detail"], body(&tried)["detail"]);
    let (code, said) = ask(&balancer, &settings_now, &elsewhere);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot listen on 192.0.2.1:20005"), "{said}");
    // One that could be opened is not opened by a plan.
    let more = format!("{usual}[listeners.b]\naddress = \"127.0.0.1:0\"\n");
    post(admin(&balancer), "plan", &more).expect_status(200);
    assert_eq!(ask(&balancer, &settings_now, &usual), (Some(0), "nothing would change".to_owned()));
    get(balancer.address, "/").expect_status(503);
}
