//! The usable backends in turn.

use std::cell::Cell;

/// Whose turn it is, kept by one worker: it outlives snapshots, so that a change of one backend starts no new round.
#[derive(Debug, Default)]
pub struct Turn(Cell<usize>);

impl Turn {
    /// A turn that starts anywhere, so that workers do not all begin with the same backend.
    pub fn starting_at(turn: usize) -> Self {
        Self(Cell::new(turn))
    }

    fn next(&self) -> usize {
        let turn = self.0.get();
        self.0.set(turn.wrapping_add(1));
        turn
    }
}

pub(super) fn pick(usable: &[usize], turn: &Turn, is_new: impl Fn(&usize) -> bool) -> Option<usize> {
    let (before, after) = usable.split_at(turn.next().checked_rem(usable.len())?);
    after.iter().chain(before).copied().find(is_new)
}
