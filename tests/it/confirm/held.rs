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
