//! Whoever renames or removes the log has the next lines in a new one.

use std::fs;

use super::{Log, logging};
use crate::support::{Balancer, Client, Running, Sample, Settings, get, limit_files, until};

#[test]
fn a_log_that_was_rotated_goes_on_in_a_new_file_and_no_line_is_lost() {
    let (_sample, balancer, log, rotated) = rotated_after_a_201();
    get(balancer.address, "/status/202");
    until("there is a new file", || log.0.exists());
    assert_eq!(log.wait_for_a_line()["status"], 202);
    fs::remove_file(log.path()).unwrap();
    get(balancer.address, "/status/203");
    let lines = log.lines_after(&balancer, 1);
    assert!(lines.len() == 1 && lines[0]["status"] == 203, "{lines:?}");
    assert_eq!(rotated.wait_for_a_line()["status"], 201);
}

#[test]
fn a_log_that_cannot_be_begun_anew_goes_on_in_the_old_file() {
    let (_sample, balancer, log, rotated) = rotated_after_a_201();
    fs::create_dir(log.path()).unwrap();
    get(balancer.address, "/status/202");
    let path = log.path();
    let line = balancer.said(&format!("the access log {path} cannot be written: Is a directory"));
    assert!(line.ends_with("; remove the folder of that name"), "{line}");
    fs::remove_dir(log.path()).unwrap();
    let lines = rotated.lines_after(&balancer, 2);
    assert_eq!(lines[1]["status"], 202);
}

#[test]
fn what_fails_for_want_of_files_is_told_with_what_would_help() {
    let (sample, log) = (Sample::start("one"), Log::new());
    let settings = Settings::that_say(&format!(
        "access_log = {:?}\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [pools.all]\nbackends = [\"{}\"]\n",
        log.path(),
        sample.address()
    ));
    let balancer = settings.balancer().start();
    let mut client = Client::to(balancer.address);
    let ask = |client: &mut Client| {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        client.answer();
    };
    ask(&mut client);
    log.wait_for_a_line();
    let rotated = Log::new();
    fs::rename(log.path(), rotated.path()).unwrap();
    limit_files(&balancer, 3);
    ask(&mut client);
    let why = "Too many open files (os error 24); raise the limit with `ulimit -n`";
    balancer.said(&format!("the access log {} cannot be written: {why}", log.path()));
    balancer.signal("HUP");
    balancer.said(&format!("{}: cannot be read: {why}", settings.path()));
}

#[test]
fn lines_for_a_log_that_was_removed_with_its_folder_are_counted_until_there_is_a_folder_again() {
    let sample = Sample::start("one");
    let place = Log::new();
    let folder = Log(place.0.with_extension("folder"));
    let log = Log(folder.0.join("log"));
    fs::create_dir(folder.path()).unwrap();
    let balancer = Balancer::before(&[sample.address()]).flag("--access-log", log.path()).start();
    get(balancer.address, "/status/201");
    log.wait_for_a_line();
    fs::remove_dir_all(folder.path()).unwrap();
    get(balancer.address, "/status/202");
    let why = "cannot be written: No such file or directory (os error 2); make its folder; lost: 1 line";
    balancer.said(&format!("the access log {} {why}", log.path()));
    fs::create_dir(folder.path()).unwrap();
    get(balancer.address, "/status/203");
    let lines = log.lines_after(&balancer, 1);
    assert!(lines.len() == 1 && lines[0]["status"] == 203, "{lines:?}");
    fs::remove_dir_all(folder.path()).unwrap();
}

/// A balancer whose log was renamed when it had a line, and where to.
fn rotated_after_a_201() -> (Sample, Running, Log, Log) {
    let sample = Sample::start("one");
    let (balancer, log) = logging(&[sample.address()]);
    let rotated = Log::new();
    get(balancer.address, "/status/201");
    log.wait_for_a_line();
    fs::rename(log.path(), rotated.path()).unwrap();
    (sample, balancer, log, rotated)
}
