//! How large the head of a request or an answer may be.

use crate::config::Config;

/// hyper keeps room for this many header lines on the stack; any other number costs an allocation for each message.
const HEADERS_ON_THE_STACK: usize = 100;
/// Bytes that hyper may buffer of what it reads, and of what it is to write. Larger pieces of bodies are no faster, and who stalls
/// holds them.
const BUFFER: usize = 96 * 1024;
/// Bytes that a buffer has more than the largest head.
const BEYOND_THE_HEAD: usize = 16 * 1024;

/// What a client may send as the head of a request, and a backend as that of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes.
    pub size: usize,
    /// Lines.
    pub headers: usize,
}

impl HeadLimits {
    /// What the settings allow.
    pub fn of(config: &Config) -> Self {
        Self { size: config.limits.header_size, headers: config.limits.headers }
    }

    /// The larger of each.
    pub fn or_more(self, other: Self) -> Self {
        Self { size: self.size.max(other.size), headers: self.headers.max(other.headers) }
    }

    /// Bytes that hyper may buffer.
    pub fn buffer(self) -> usize {
        BUFFER.max(self.size + BEYOND_THE_HEAD)
    }

    /// The number of header lines to tell hyper, if it must be told.
    pub fn headers_off_the_stack(self) -> Option<usize> {
        (self.headers != HEADERS_ON_THE_STACK).then_some(self.headers)
    }
}
