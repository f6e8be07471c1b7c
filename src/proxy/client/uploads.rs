//! What the uploads of one connection have to share.

use std::cell::Cell;

/// Uploads whose windows make that of their connection: that many, if their backends take nothing, leave others no room.
pub const MOST_HELD: u32 = 16;

/// The uploads of one HTTP/2 connection's streams. Times are in milliseconds of the worker's clock.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    /// Those of which bytes may wait for a backend.
    held: Cell<u32>,
    /// Since when there are so many that others may have no room, if there are.
    since: Cell<u64>,
    /// For how long that was so before.
    before: Cell<u64>,
}

impl Uploads {
    /// One more, or one less, may hold what others would send.
    pub(super) fn count(&self, more: bool, now: u64) {
        let held = self.held.get();
        match more {
            true => {
                if held + 1 == MOST_HELD {
                    self.since.set(now);
                }
                self.held.set(held + 1);
            }
            false => {
                self.before.set(self.without_room(now));
                self.since.set(now);
                self.held.set(held - 1);
            }
        }
    }

    /// For how long in all others may have had no room. What is over within a tick does not count, or a client that begins
    /// many at once would gain time by that.
    pub(super) fn without_room(&self, now: u64) -> u64 {
        let lasts = if self.held.get() >= MOST_HELD { now.saturating_sub(self.since.get()) } else { 0 };
        self.before.get() + lasts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_in_which_so_many_are_held_counts() {
        let uploads = Uploads::default();
        (1..MOST_HELD).for_each(|_| uploads.count(true, 100));
        assert_eq!(uploads.without_room(900), 0);
        uploads.count(true, 1000);
        uploads.count(true, 1200);
        assert_eq!(uploads.without_room(1500), 500);
        uploads.count(false, 2000);
        assert_eq!(uploads.without_room(2100), 1100);
        uploads.count(false, 3000);
        assert_eq!(uploads.without_room(9000), 2000);
        uploads.count(true, 9000);
        uploads.count(false, 9000);
        assert_eq!(uploads.without_room(9999), 2000);
    }
}
