//! What one worker remembers between two picks.

use std::cell::Cell;

use super::hash::mix;

/// Whose turn it is in a pool, and the worker's random source for it. It outlives snapshots, so that a change of one
/// backend starts no new round.
#[derive(Debug, Default)]
pub struct Turn {
    next: Cell<usize>,
    random: Cell<u64>,
}

impl Turn {
    /// A turn that starts anywhere, so that workers do not all begin with the same backend.
    pub fn starting_at(seed: u64) -> Self {
        let next = usize::try_from(seed >> 32).expect("32 bits fit");
        Self { next: Cell::new(next), random: Cell::new(seed) }
    }

    pub(super) fn next(&self) -> usize {
        let turn = self.next.get();
        self.next.set(turn.wrapping_add(1));
        turn
    }

    /// SplitMix64: what it gives can be foreseen, which harms nobody here.
    pub(super) fn random(&self) -> u64 {
        let random = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(random);
        mix(random)
    }

    /// Any number below this one, which is not 0.
    pub(super) fn below(&self, count: usize) -> usize {
        scale(self.random(), count)
    }
}

/// Where of `count` equal parts a number lies among all numbers of 64 bits.
pub(super) fn scale(number: u64, count: usize) -> usize {
    let scaled = (u128::from(number) * count as u128) >> 64;
    usize::try_from(scaled).expect("it is below the count")
}
