//! Changes that cannot be taken back at once.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::support::{Backend, Balancer, Running, Sample, Settings, get, until};

use super::{admin, confirmation, post, settings};

#[test]
fn backends_that_a_file_told_of_are_back_though_it_is_gone_by_then() {
    let good = Sample::start("good");
    let files = Settings::that_say("");
    let list = files.put("backends.txt", good.address().to_string());
    let from_file = format!("discover = [\"file:{}\"]", list.display());
    files.write(&settings(&[], "").replace("backends = []", &from_file));
    let balancer = files.balancer().start();
    balancer.said("is healthy");
    fs::remove_file(&list).unwrap();
    let bad = settings(&[Backend::refuses().to_string()], "");
    post(admin(&balancer), "config?confirm=60s", &bad).expect_status(200);
    balancer.said("the change was taken back: no backend of pool all could be used");
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from good\n");
}

#[test]
fn a_source_that_only_settings_of_before_name_is_forgotten_when_the_change_stays() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let files = Settings::that_say("");
    let list = files.put("backends.txt", first.address().to_string());
    let from_file = settings(&[], "").replace("[]", &format!("[]\ndiscover = [\"file:{}\"]", list.display()));
    files.write(&from_file);
    let balancer = files.balancer().start();
    balancer.said("tells of 1 backend");
    let other = settings(&[second.address().to_string()], "");
    post(admin(&balancer), "config?confirm=1s", &other).expect_status(200);
    balancer.said("the change stays: nothing got worse in 1s");
    fs::remove_file(&list).unwrap();
    let refused = post(admin(&balancer), "config", &from_file);
    assert!(refused.text().contains("would have none"), "{}", refused.text());
}

/// Settings before this backend, who goes by them, and the path of a listener whose place others may take once there is none.
fn with_one_listener_more(good: &Sample) -> (Settings, Running, PathBuf) {
    let files = Settings::that_say("");
    let path = Path::new(files.path()).with_file_name("more");
    let more = format!("[listeners.more]\naddress = \"unix:{}\"\n", path.display());
    files.write(&settings(&[good.address().to_string()], &more));
    let balancer = files.balancer().start();
    balancer.said("is healthy");
    (files, balancer, path)
}

fn until_stuck(balancer: &Running) {
    until("it is stuck", || {
        // That it is down is seen by a request, however long it is until the next check.
        get(balancer.address, "/");
        confirmation(admin(balancer))["verdict"] == "stuck"
    });
}

#[test]
fn a_change_that_cannot_be_taken_back_at_once_is_as_soon_as_it_can_be() {
    let (good, bad) = (Sample::start("good"), Sample::start("bad"));
    let (files, balancer, path) = with_one_listener_more(&good);
    let admin = admin(&balancer);
    files.write(&settings(&[bad.address().to_string()], ""));
    let caller = Balancer::bare().flag("--admin", &admin.to_string());
    let caller = caller.word("reload").word("--confirm=60s").run();
    caller.said("watched for 60s");
    let other = UnixListener::bind(&path).unwrap();
    other.set_nonblocking(true).unwrap();
    bad.kill();
    until_stuck(&balancer);
    let line = balancer.said("the change should be taken back (");
    assert!(line.contains(path.to_str().unwrap()), "{line}");
    let mut tries = 0;
    until("it is tried again", || {
        tries += usize::from(other.accept().is_ok());
        tries == 4
    });
    assert_eq!(confirmation(admin)["verdict"], "stuck");
    drop(other);
    balancer.said("the change was taken back: ");
    assert_eq!(balancer.times_said("the change should be taken back"), 1);
    assert_eq!(confirmation(admin)["verdict"], "rolled_back");
    assert_eq!(caller.ended().code(), Some(3));
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from good\n");
}

#[test]
fn a_change_that_cannot_be_taken_back_is_left_alone_when_others_change_the_settings() {
    let (good, bad) = (Sample::start("good"), Sample::start("bad"));
    let (_files, balancer, path) = with_one_listener_more(&good);
    let admin = admin(&balancer);
    post(admin, "config?confirm=60s", &settings(&[bad.address().to_string()], "")).expect_status(200);
    let _other = UnixListener::bind(&path).unwrap();
    bad.kill();
    until_stuck(&balancer);
    post(admin, "config", &settings(&[good.address().to_string()], "")).expect_status(200);
    until("it is overtaken", || confirmation(admin)["verdict"] == "overtaken");
}
