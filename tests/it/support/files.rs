//! How many files a process may have open.

use std::fs;
use std::process::Command;

use super::Running;

/// The numbers of the files that a process has open.
pub fn files_of(process: &Running) -> Vec<usize> {
    files(process.id())
}

fn files(id: u32) -> Vec<usize> {
    let entries = fs::read_dir(format!("/proc/{id}/fd")).expect("it runs");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Lets a process have no file of this number or a higher one, until it is told otherwise.
pub fn limit_files(process: &Running, most: usize) {
    limit(process.id(), most);
}

fn limit(id: u32, most: usize) {
    let (pid, limit) = (id.to_string(), format!("--nofile={most}:"));
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().expect("prlimit").success());
}

/// Leaves it no file beside those that it has.
pub fn leave_none(process: &Running) {
    leave_files(process.id(), 0);
}

/// Leaves a process so many files beside those that it has.
pub fn leave_files(id: u32, spare: usize) {
    let files = files(id);
    limit(id, (0..).filter(|number| !files.contains(number)).nth(spare).expect("numbers do not end"));
}
