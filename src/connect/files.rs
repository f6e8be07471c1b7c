//! What we run out of ourselves: files, ports, memory.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const EADDRNOTAVAIL: i32 = 99;

/// How often this process ran out of files, all of whose threads share them.
static SHORTAGES: AtomicUsize = AtomicUsize::new(0);

/// Whether a connection failed for want of something of ours, which says nothing of the other end.
pub fn is_our_want(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ENOMEM | ENFILE | EMFILE | EADDRNOTAVAIL))
}

/// Whether there was no file left. All workers hear of it.
pub fn ran_out_of_files(error: &io::Error) -> bool {
    let out = matches!(error.raw_os_error(), Some(ENFILE | EMFILE));
    if out {
        SHORTAGES.fetch_add(1, Ordering::Relaxed);
    }
    out
}

/// How often there was no file left.
pub fn shortages() -> usize {
    SHORTAGES.load(Ordering::Relaxed)
}
