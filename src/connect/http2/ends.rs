//! Which streams the backend has ended.
//!
//! When the connection ends amid a request, h2 forgets that its answer was whole: what nobody has taken of that yet would be
//! taken for a part. Only streams that began before all of their request was here are watched, for of others it remembers.

use std::cell::{Cell, RefCell};

use crate::connect::frames::{CONTINUATION, Head};

/// What the backend's frames tell of streams that are watched.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Each with the number of the read that brought its end, once that has come.
    watched: RefCell<Vec<(u32, Option<u64>)>>,
    reads: Cell<u64>,
    /// The stream whose last frame has begun to come, or 0.
    ending: Cell<u32>,
}

impl Ends {
    pub(super) fn watch(&self, stream: u32) {
        self.watched.borrow_mut().push((stream, None));
    }

    pub(super) fn forget(&self, stream: u32) {
        self.watched.borrow_mut().retain(|(watched, _)| *watched != stream);
    }

    /// Whether h2 was given all of a stream that is watched, and has looked at it.
    pub(super) fn has_come(&self, stream: u32) -> bool {
        let reads = self.reads.get();
        let has_come = |(watched, read): &(u32, Option<u64>)| {
            *watched == stream && read.is_some_and(|read| read < reads)
        };
        self.watched.borrow().iter().any(has_come)
    }

    /// h2 asks for more, which it does when it has looked at all that it was given before.
    pub(super) fn begin_read(&self) {
        self.reads.set(self.reads.get() + 1);
    }

    /// A frame begins, and so the one before it is whole.
    #[inline]
    pub(super) fn look(&self, head: Head) {
        if head.kind != CONTINUATION {
            self.end_frame();
        }
        if head.ends() {
            self.ending.set(head.stream);
        }
    }

    /// The frame that came last is whole, with what belongs to it.
    #[inline]
    pub(super) fn end_frame(&self) {
        match self.ending.take() {
            0 => {}
            ended => self.note(ended),
        }
    }

    fn note(&self, ended: u32) {
        if let Some((_, read)) = self.watched.borrow_mut().iter_mut().find(|(watched, _)| *watched == ended) {
            *read = Some(self.reads.get());
        }
    }
}
