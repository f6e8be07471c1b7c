//! What a connection's client was given of its answers and has not taken.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use bytes::{Buf, Bytes};

use crate::connect::frames::Head;
use crate::proxy::{Client, Mark};

/// RFC 9113 sections 6.5 and 6.5.2.
const ACK: u8 = 0x1;
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
const USUAL_WINDOW: u32 = 65_535;
/// Bytes of a setting.
const SETTING: usize = 6;

/// What is known of it.
#[derive(Debug)]
pub(super) struct Given {
    /// Bytes that each stream has room for, however many it was given room for later.
    window: Cell<u32>,
    /// Pieces of answers that are over for us, and wait for room on the connection: on their streams there is enough.
    left: Cell<u32>,
    /// Set whenever a piece is taken.
    taken: Cell<bool>,
}

/// A piece of an answer. h2 holds it until its client had room for all of it, or is told to forget it.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    given: Rc<Given>,
    /// h2 lets go of it while nobody may touch its streams, which a client may have parts of.
    client: Weak<Client>,
}

impl Default for Given {
    fn default() -> Self {
        Self { window: Cell::new(USUAL_WINDOW), left: Cell::new(0), taken: Cell::new(false) }
    }
}

impl Given {
    /// The client's settings have come, or begun to. Of those that do not come in one piece the rest is not seen.
    #[cold]
    pub(super) fn note_settings(&self, head: Head, behind: &[u8]) {
        if head.flags & ACK > 0 {
            return;
        }
        let Some(settings) = behind.get(..head.length) else { return self.window.set(0) };
        for setting in settings.chunks_exact(SETTING) {
            if let ([name @ .., _, _, _, _], Some(value)) = (setting, setting.last_chunk())
                && *name == INITIAL_WINDOW_SIZE
            {
                self.window.set(u32::from_be_bytes(*value));
            }
        }
    }

    /// Whether a stream has room for so many bytes, whatever its client does.
    pub(super) fn fits(&self, bytes: u64) -> bool {
        bytes <= u64::from(self.window.get())
    }

    /// Whether answers that are over for us wait for room.
    pub(super) fn is_left(&self) -> bool {
        self.left.get() > 0
    }

    /// Whether a piece was taken since last asked.
    pub(super) fn has_taken(&self) -> bool {
        self.taken.replace(false)
    }

    /// An answer is over for us, of which its client has yet to take so many pieces.
    pub(super) fn leave(&self, pieces: u32) {
        self.left.set(self.left.get() + pieces);
    }
}

impl Piece {
    pub(super) fn of(bytes: Bytes, given: &Rc<Given>, client: &Rc<Client>) -> Self {
        Self { bytes, given: Rc::clone(given), client: Rc::downgrade(client) }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let is_taken = self.bytes.is_empty();
        if is_taken {
            self.given.taken.set(true);
        }
        match self.client.upgrade().filter(|client| client.owes()) {
            Some(client) => {
                client.took_piece();
                if !is_taken {
                    client.set(Mark::CutShort, true);
                }
            }
            None => self.given.left.update(|left| left.saturating_sub(1)),
        }
    }
}
