//! Files that are watched, and that somebody asks for beside that.

use std::mem::MaybeUninit;

use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};

use super::{Sample, pool};
use crate::support::{Settings, until};

#[test]
fn what_a_signal_had_refused_is_not_refused_again_by_who_watches() {
    let sample = Sample::start("only");
    let by =
        |policy: &str| pool(policy, &[sample.address().to_string()]).replace("\"off\"", "\"127.0.0.1:0\"");
    let settings = Settings::that_say(&by("first"));
    let balancer = settings.balancer().word("--watch").start();
    balancer.said("the files of settings are watched");
    let readers = init(CreateFlags::NONBLOCK).expect("one of a few");
    // So that the signal is there before the file is looked at.
    balancer.signal("STOP");
    settings.write("workers = \"many\"");
    add_watch(&readers, settings.path(), WatchFlags::OPEN).expect("it is there");
    balancer.signal("HUP");
    balancer.signal("CONT");
    balancer.said("reload refused");
    let mut buffer = [MaybeUninit::uninit(); 512];
    let mut readers = Reader::new(readers, &mut buffer);
    while readers.next().is_ok() {}
    until("it is read by who watches", || readers.next().is_ok());
    // Takes its turn behind that.
    settings.change(&balancer, &by("round_robin"));
    assert_eq!(balancer.times_said("reload refused"), 1);
    let page = balancer.admin().ask("GET", "/metrics", "", "").expect_status(200);
    assert!(page.text().contains("loadbalancer_settings_refused_total 1\n"), "{}", page.text());
}
