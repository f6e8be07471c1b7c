//! What came while nothing of what is to be said to it went out.

use std::task::Context;

/// Frames that may come meanwhile.
const MOST: u32 = 4096;

/// Frames of one connection since something went out. h2 reads on whatever waits to be written, and keeps what it has to say to each
/// frame that is wrong: to an end that does not read, or always has more to say, without bounds.
#[derive(Debug, Default)]
pub struct Backlog {
    frames: u32,
    /// Whether somebody wanted to read meanwhile, and was not let.
    is_asked: bool,
}

impl Backlog {
    /// One more frame came.
    pub fn came(&mut self) {
        self.frames += 1;
    }

    /// Whether nothing is to be read until something goes out, which wakes the reader.
    pub fn is_full(&mut self) -> bool {
        let is_full = self.frames >= MOST;
        self.is_asked |= is_full;
        is_full
    }

    /// Something went out, or there was nothing to say.
    pub fn went_out(&mut self, cx: &Context<'_>) {
        self.frames = 0;
        if self.is_asked {
            self.is_asked = false;
            cx.waker().wake_by_ref();
        }
    }
}
