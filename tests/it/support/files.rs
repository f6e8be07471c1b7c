//! How many files a process may have open.

use std::fs;
use std::process::Command;

use super::Running;

/// The numbers of the files that a process has open.
pub fn files_of(process: &Running) -> Vec<usize> {
    let entries = fs::read_dir(format!("/proc/{}/fd", process.id())).expect("it runs");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Lets a process have no file of this number or a higher one.
pub fn limit_files(process: &Running, most: usize) {
    let (pid, limit) = (process.id().to_string(), format!("--nofile={most}"));
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().expect("prlimit").success());
}

/// Leaves it no file beside those that it has.
pub fn leave_none(process: &Running) {
    let files = files_of(process);
    limit_files(process, (0..).find(|number| !files.contains(number)).expect("one is free"));
}
