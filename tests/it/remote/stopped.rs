//! A balancer that is asked while its process is stopped.

use crate::support::{Backend, Balancer, Settings};

use super::{pools, start};

#[test]
fn who_asks_a_balancer_that_is_stopped_is_soon_told_what_it_waited_for_and_what_to_look_at() {
    let settings = Settings::that_say(&pools("first", Backend::refuses(), Backend::refuses()));
    let balancer = start(&settings);
    let admin = balancer.admin().address.to_string();
    balancer.signal("STOP");
    let words = [&["status"][..], &["drain", "web/127.0.0.1:1"], &["reload"], &["plan", settings.path()]];
    let asked = words.map(|words| {
        let asked = Balancer::bare().flag("--admin", &admin);
        words.iter().fold(asked, |asked, word| asked.word(word)).run()
    });
    for asked in &asked {
        assert_eq!(asked.ended().code(), Some(1));
        let said = asked.all_said();
        let line = format!("loadbalancer: {admin}: waited 10s for an answer, and none came; see whether ");
        assert!(said.starts_with(&line), "{said}");
    }
    balancer.signal("CONT");
    // What was not asked for is not done.
    assert_eq!(balancer.times_said("reload: "), 0);
}
