//! Settings that were taken back count like any others once somebody insisted.

use crate::support::{Backend, Sample, Settings};

use super::{admin, post, settings};

#[test]
fn what_was_taken_back_and_insisted_upon_may_come_again_by_itself() {
    let good = Sample::start("good");
    let text = |backends: &[String], more: &str| format!("watch = true\n{}", settings(backends, more));
    let usual = text(&[good.address().to_string()], "");
    let settings_now = Settings::that_say(&usual);
    let balancer = settings_now.balancer().start();
    balancer.said("is healthy");
    let bad = text(&[Backend::refuses().to_string()], "");
    post(admin(&balancer), "config?confirm=60s", &bad).expect_status(200);
    balancer.said("the change was taken back: no backend of pool all could be used");
    settings_now.write(&bad);
    balancer.said("the files say what was taken back");
    balancer.signal("HUP");
    balancer.said_times(" reloaded", 2);
    settings_now.write(&usual);
    balancer.said_times(" reloaded", 3);
    settings_now.write(&bad);
    balancer.said_times(" reloaded", 4);
    assert_eq!(balancer.times_said("the files say what was taken back"), 1);
}
