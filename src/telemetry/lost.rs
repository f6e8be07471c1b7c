//! Lines of logs that nobody will read, for there was no room for them: counted since the process began.

use std::sync::atomic::{AtomicU64, Ordering};

/// Where a line was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// Into the access log.
    Access,
    /// To standard error.
    Stderr,
}

static ACCESS: AtomicU64 = AtomicU64::new(0);
static STDERR: AtomicU64 = AtomicU64::new(0);

impl Log {
    /// All of them, with their names.
    pub const ALL: [(&str, Self); 2] = [("access", Self::Access), ("stderr", Self::Stderr)];

    /// Lines of it that are lost.
    pub fn lost(self) -> u64 {
        self.counter().load(Ordering::Relaxed)
    }

    pub(super) fn lose(self, lines: u64) {
        self.counter().fetch_add(lines, Ordering::Relaxed);
    }

    fn counter(self) -> &'static AtomicU64 {
        match self {
            Self::Access => &ACCESS,
            Self::Stderr => &STDERR,
        }
    }
}
