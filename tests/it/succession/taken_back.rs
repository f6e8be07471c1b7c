//! What a new process would put in force that was just taken back.

use crate::support::{Backend, Sample, Settings, Successor, get};

use super::text;

#[test]
fn what_was_taken_back_no_successor_puts_in_force_until_somebody_insists() {
    let (good, refuses) = (Sample::start("good"), Backend::refuses());
    let usual = text(1, &good);
    let bad = usual.replace(&good.address().to_string(), &refuses.to_string());
    let settings = Settings::that_say(&usual);
    let balancer = settings.balancer().start();
    balancer.said("is healthy");
    settings.write(&bad);
    balancer.admin().post("/api/v1/reload?confirm=60s", "{}").expect_status(200);
    balancer.said("the files still say what was taken back");
    balancer.signal("USR2");
    balancer.said("no successor, this process goes on: the files say what was taken back");
    get(balancer.address, "/").expect_status(200);
    balancer.signal("HUP");
    balancer.said_times(" reloaded", 2);
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    assert!(balancer.ended().success());
    get(balancer.address, "/").expect_status(503);
}

#[test]
fn there_is_a_successor_after_a_change_was_taken_back_as_soon_as_the_files_say_something_else() {
    let (good, refuses) = (Sample::start("good"), Backend::refuses());
    let usual = text(1, &good);
    let settings = Settings::that_say(&usual);
    let balancer = settings.balancer().start();
    balancer.said("is healthy");
    settings.write(&usual.replace(&good.address().to_string(), &refuses.to_string()));
    balancer.admin().post("/api/v1/reload?confirm=60s", "{}").expect_status(200);
    balancer.said("the files still say what was taken back");
    settings.write(&usual);
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    assert!(balancer.ended().success());
    get(balancer.address, "/").expect_status(200);
}
