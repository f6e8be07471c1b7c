//! What we run out of ourselves: files, ports, memory.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::kept_files;
use crate::telemetry::{Seldom, is_want_of_files};

const ENOMEM: i32 = 12;
const EMFILE: i32 = 24;
const EADDRNOTAVAIL: i32 = 99;

/// Files that idle connections to backends leave for what is rare and cannot wait: a check, an operator, a change of settings.
const SPARE: usize = 8;

/// The number of the first file that is kept from clients and backends. The system gives the lowest that is free.
static FIRST_KEPT: AtomicU64 = AtomicU64::new(u64::MAX);

/// How often this process ran out of files, all of whose threads share them.
static SHORTAGES: AtomicUsize = AtomicUsize::new(0);

/// Whether a connection failed for want of something of ours, which says nothing of the other end.
pub fn is_our_want(error: &io::Error) -> bool {
    is_want_of_files(error) || matches!(error.raw_os_error(), Some(ENOMEM | EADDRNOTAVAIL))
}

/// That there is no file left, as the system says it.
pub fn want_of_files() -> io::Error {
    io::Error::from_raw_os_error(EMFILE)
}

/// Whether there was no file left. All workers hear of it at their next tick, and give up idle connections.
pub fn ran_out_of_files(error: &io::Error) -> bool {
    let out = is_want_of_files(error);
    if out {
        SHORTAGES.fetch_add(1, Ordering::Relaxed);
    }
    out
}

/// How often there was no file left.
pub fn shortages() -> usize {
    SHORTAGES.load(Ordering::Relaxed)
}

/// Whether fewer files are left than are to be spare. All workers hear of it.
pub fn are_files_scarce() -> bool {
    spare_files(SPARE).is_err_and(|error| ran_out_of_files(&error))
}

/// How many files this process may have open.
///
/// # Errors
/// The system does not say.
pub fn most_files() -> io::Result<u64> {
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?.0)
}

/// Lets this process have as many files open as the system allows, and tells how many.
///
/// # Errors
/// The system does not say.
pub fn raise_most_files() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    Ok(if raised.is_ok() { hard } else { soft })
}

/// Keeps the last files of so many for what is rare and cannot wait.
pub fn keep_files(most: u64) {
    FIRST_KEPT.store(most - kept_files(most), Ordering::Relaxed);
}

/// Whether this is one of those that are kept.
pub fn is_kept(file: &impl AsFd) -> bool {
    let number = u64::try_from(file.as_fd().as_raw_fd()).unwrap_or_default();
    number >= FIRST_KEPT.load(Ordering::Relaxed)
}

/// Finds out whether so many files could be opened.
///
/// # Errors
/// They could not.
pub fn spare_files(count: usize) -> io::Result<()> {
    let stderr = io::stderr();
    let spare = (0..count).map(|_| stderr.as_fd().try_clone_to_owned());
    let spare: io::Result<Vec<OwnedFd>> = spare.collect();
    spare.map(drop)
}

/// What failed for want of something of ours, which is said once in a while.
#[derive(Debug, Default)]
pub struct Wants {
    seldom: Seldom,
    /// The system's number for the last reason.
    reason: Cell<i32>,
}

impl Wants {
    /// It failed once more.
    pub fn add(&self, error: &io::Error) {
        self.seldom.add(1);
        self.reason.set(error.raw_os_error().unwrap_or_default());
    }

    /// How often it failed and why it did last, if it did since that was said and it is time to say so.
    pub fn to_say(&self, now: Instant) -> Option<(u64, io::Error)> {
        let count = self.seldom.to_say(now)?;
        Some((count, io::Error::from_raw_os_error(self.reason.get())))
    }
}
