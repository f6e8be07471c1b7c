//! Files that are watched, and that somebody asks for beside that.

use std::fs;
use std::mem::MaybeUninit;
use std::path::Path;

use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};

use super::{Sample, pool};
use crate::support::{Settings, until};

fn by(policy: &str, sample: &Sample) -> String {
    pool(policy, &[sample.address().to_string()]).replace("\"off\"", "\"127.0.0.1:0\"")
}

#[test]
fn what_a_signal_had_refused_is_not_refused_again_by_who_watches() {
    let sample = Sample::start("only");
    let settings = Settings::that_say(&by("first", &sample));
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
    settings.change(&balancer, &by("round_robin", &sample));
    assert_eq!(balancer.times_said("reload refused"), 1);
    let page = balancer.admin().ask("GET", "/metrics", "", "").expect_status(200);
    assert!(page.text().contains("loadbalancer_settings_refused_total 1\n"), "{}", page.text());
}

#[test]
fn what_a_signal_had_refused_is_refused_again_when_it_comes_back() {
    let sample = Sample::start("only");
    let settings = Settings::that_say(&by("first", &sample));
    let balancer = settings.balancer().word("--watch").start();
    balancer.said("the files of settings are watched");
    let (good, bad) =
        (settings.put("good", by("round_robin", &sample)), settings.put("bad", "workers = \"many\""));
    let switch_to = |file: &Path| {
        let next = file.with_extension("next");
        fs::hard_link(file, &next).expect("a folder of ours");
        fs::rename(&next, settings.path()).expect("a folder of ours");
    };
    switch_to(&bad);
    balancer.signal("HUP");
    balancer.said("reload refused");
    switch_to(&good);
    balancer.said("reloaded");
    switch_to(&bad);
    balancer.said_times("reload refused", 2);
}
