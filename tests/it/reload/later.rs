//! Files that are watched, and say what can be put in force only later.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::{Sample, pool};
use crate::support::{Running, Settings, until};

const REFUSED: &str = "reload refused, the settings stay as they were: ";

/// Watched settings whose second listener somebody else has, and who that is.
fn taken() -> (Sample, Settings, Running, PathBuf, UnixListener) {
    let sample = Sample::start("only");
    let text = pool("first", &[sample.address().to_string()]).replace("\"off\"", "\"127.0.0.1:0\"");
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().word("--watch").start();
    balancer.said("the files of settings are watched");
    let path = Path::new(settings.path()).with_file_name("more");
    let other = UnixListener::bind(&path).expect("a folder of ours");
    other.set_nonblocking(true).expect("it is open");
    settings.write(&format!("{text}[listeners.more]\naddress = \"unix:{}\"\n", path.display()));
    (sample, settings, balancer, path, other)
}

fn until_tried(other: &UnixListener, times: usize) {
    let mut tries = 0;
    until("it is tried", || {
        tries += usize::from(other.accept().is_ok());
        tries == times
    });
}

fn refused(balancer: &Running) -> String {
    let page = balancer.admin().ask("GET", "/metrics", "", "").expect_status(200);
    let mut lines = page.text().lines();
    lines
        .find_map(|line| line.strip_prefix("loadbalancer_settings_refused_total "))
        .expect("it is told")
        .to_owned()
}

#[test]
fn what_is_refused_for_a_reason_that_passes_is_tried_again_and_the_same_refusal_told_once() {
    let (_sample, _settings, balancer, path, other) = taken();
    balancer.said(REFUSED);
    until_tried(&other, 2);
    drop(other);
    balancer.said(&format!("listening on unix:{}", path.display()));
    balancer.said(" reloaded");
    assert_eq!((balancer.times_said(REFUSED), &*refused(&balancer)), (1, "1"));
}

#[test]
fn another_refusal_of_the_same_files_is_told() {
    let (_sample, _settings, balancer, path, other) = taken();
    balancer.said(REFUSED);
    fs::remove_file(&path).expect("a folder of ours");
    drop(other);
    fs::write(&path, "no socket").expect("a folder of ours");
    balancer.said_times(REFUSED, 2);
    assert_eq!(refused(&balancer), "2");
}

#[test]
fn what_was_refused_is_not_tried_again_over_settings_that_came_later() {
    let (sample, _settings, balancer, path, other) = taken();
    balancer.said(REFUSED);
    let posted = pool("random", &[sample.address().to_string()]).replace("\"off\"", "\"127.0.0.1:0\"");
    let lines = "Content-Type: application/toml\r\n";
    balancer.admin().ask("POST", "/api/v1/config?confirm=5s", lines, &posted).expect_status(200);
    drop(other);
    fs::remove_file(&path).expect("a folder of ours");
    balancer.said("the change stays: nothing got worse in 5s");
    assert_eq!(balancer.times_said(&format!("listening on unix:{}", path.display())), 0);
}
