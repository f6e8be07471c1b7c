//! Changes beside what an operator said of backends before.

use super::{post, settings};
use crate::support::{Sample, Settings, get};

#[test]
fn a_change_that_leaves_a_pool_only_backends_that_an_operator_had_taken_out_is_taken_back() {
    for patch in [r#"{"hold": "drain"}"#, r#"{"weight": 0}"#] {
        let (first, second) = (Sample::start("first"), Sample::start("second"));
        let both = [first.address().to_string(), second.address().to_string()];
        let settings_now = Settings::that_say(&settings(&both, ""));
        let balancer = settings_now.balancer().start();
        let admin = balancer.admin();
        balancer.said_times("is healthy", 2);
        admin.patch(second.address(), patch);
        post(admin.address, "config?confirm=60s", &settings(&both[1..], "")).expect_status(200);
        balancer.said("the change was taken back: no backend of pool all could be used");
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from first\n");
    }
}

#[test]
fn what_an_operator_says_of_a_backend_that_a_watched_change_brought_is_not_put_down_to_the_change() {
    let watched = [r#"{"hold": "drain"}"#, r#"{"hold": "disable"}"#, r#"{"weight": 0}"#].map(|patch| {
        let (first, second) = (Sample::start("first"), Sample::start("second"));
        let settings_now = Settings::that_say(&settings(&[first.address().to_string()], ""));
        let balancer = settings_now.balancer().start();
        let admin = balancer.admin();
        balancer.said("is healthy");
        let brought = settings(&[second.address().to_string()], "");
        post(admin.address, "config?confirm=3s", &brought).expect_status(200);
        admin.patch(second.address(), patch);
        (balancer, first, second)
    });
    for (balancer, ..) in &watched {
        balancer.said("the change stays: nothing got worse in 3s");
    }
}

#[test]
fn a_change_that_leaves_a_pool_only_a_backend_that_it_brings_back_drained_is_taken_back() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let [first_alone, second_alone] =
        [&first, &second].map(|sample| settings(&[sample.address().to_string()], ""));
    let settings_now = Settings::that_say(&second_alone);
    let balancer = settings_now.balancer().start();
    let admin = balancer.admin();
    admin.patch(second.address(), r#"{"hold": "drain"}"#);
    post(admin.address, "config", &first_alone).expect_status(200);
    balancer.said(&format!("{} is healthy", first.address()));
    post(admin.address, "config?confirm=60s", &second_alone).expect_status(200);
    balancer.said("the change was taken back: no backend of pool all could be used");
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from first\n");
}
