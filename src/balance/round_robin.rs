//! The usable members in turn, each as often as its weight says, and its turns as far apart as can be.

use std::sync::Arc;

use super::asking::{Asking, TRIES};
use super::level::{Level, Order, WHOLE};
use super::{Member, Turn};

/// Slots that a round has at most, unless there are very many members: weights that need more are rounded.
const MOST_SLOTS: u64 = 65_536;

/// Whose turn it is in each slot of a round. Over a whole round each member has just the turns that its weight says.
#[derive(Clone, Debug)]
pub(super) struct Round {
    slots: Arc<[u32]>,
    made_of: Arc<[Part]>,
}

/// The place of a member, its weight, and where its level begins and what its share is.
type Part = (u32, u32, usize, u64);

impl Round {
    /// That of these members: the one of before, if it is the same.
    pub(super) fn of(order: &Order, members: &[Member], before: Option<&Self>) -> Self {
        let made_of = parts(order, members);
        match before.filter(|before| before.made_of[..] == made_of[..]) {
            Some(before) => before.clone(),
            None => Self { slots: slots(order, members), made_of: made_of.into() },
        }
    }

    /// Whose turn it is, whether it can take it or not.
    #[inline]
    pub(super) fn next(&self, turn: &Turn) -> Option<u32> {
        Some(self.slots[turn.next().checked_rem(self.slots.len())?])
    }

    pub(super) fn pick(&self, asking: &Asking<'_>) -> Option<u32> {
        if !asking.tried.is_empty() {
            return self.draw(asking);
        }
        let start = asking.ask.turn.next().checked_rem(self.slots.len())?;
        let index = self.slots[start];
        if asking.takes(index) { Some(index) } else { self.pick_after(start, asking) }
    }

    /// The turn of one that cannot take it goes to the next, and of one that is still warming up to any.
    #[cold]
    fn pick_after(&self, start: usize, asking: &Asking<'_>) -> Option<u32> {
        let first = self.slots[start];
        if asking.is_open(first) {
            return self.draw(asking).or(Some(first));
        }
        let (before, after) = self.slots.split_at(start);
        let walk = after.iter().chain(before).copied().take(2 * asking.pool.members().len());
        let mut cold = None;
        walk.filter(|index| asking.is_open(*index))
            .find(|index| {
                cold.get_or_insert(*index);
                asking.is_warm(*index)
            })
            .or(cold)
    }

    /// Somebody who can take it, by chance, and out of turn. Retries go by it: if they took turns, those after a backend that
    /// fails would be theirs, and first requests would fall to that one again and again.
    #[cold]
    fn draw(&self, asking: &Asking<'_>) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let one = || self.slots[asking.ask.turn.below(self.slots.len())];
        (0..TRIES).map(|_| one()).find(|index| asking.takes(*index))
    }
}

fn parts(order: &Order, members: &[Member]) -> Vec<Part> {
    let of_level = |level: &Level| {
        let (from, share) = (level.from, level.share);
        order.of_level(level).iter().map(move |index| (*index, members[*index as usize].weight, from, share))
    };
    order.levels.iter().flat_map(of_level).collect()
}

fn slots(order: &Order, members: &[Member]) -> Arc<[u32]> {
    let mut with_share = order.levels.iter().filter(|level| level.share > 0);
    let counts = match (with_share.next(), with_share.next()) {
        (Some(only), None) => exact(order.of_level(only), members),
        _ => None,
    };
    let mut slots = Vec::new();
    for (index, count) in counts.unwrap_or_else(|| rounded(order, members)) {
        // The middles of as many equal parts of the round.
        slots.extend((0..count).map(|slot| ((((2 * slot + 1) << 40) / (2 * count)), index)));
    }
    slots.sort_by_key(|(at, _)| *at);
    slots.into_iter().map(|(_, index)| index).collect()
}

/// As many slots as weights say, reduced; none if that were too many.
fn exact(level: &[u32], members: &[Member]) -> Option<Vec<(u32, u64)>> {
    let weight = |index: &u32| u64::from(members[*index as usize].weight);
    let divisor = level.iter().map(weight).fold(0, greatest_divisor);
    let counts: Vec<_> = level.iter().map(|index| (*index, weight(index) / divisor.max(1))).collect();
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    (total <= MOST_SLOTS.max(level.len() as u64)).then_some(counts)
}

/// As many slots as come nearest to the members' parts of all requests, but one for each that has a part.
fn rounded(order: &Order, members: &[Member]) -> Vec<(u32, u64)> {
    let slots = u128::from(MOST_SLOTS.max(4 * members.len() as u64));
    let with_share = order.levels.iter().filter(|level| level.share > 0);
    let counts = with_share.flat_map(|level| {
        order.of_level(level).iter().map(move |index| {
            let portion = u128::from(portion(level, members[*index as usize].weight));
            let count = (portion * slots + u128::from(WHOLE / 2)) / u128::from(WHOLE);
            (*index, u64::try_from(count).expect("it is at most the number of slots").max(1))
        })
    });
    counts.collect()
}

/// The part of all requests (of [`WHOLE`]) that a member of a level should get.
pub(super) fn portion(level: &Level, weight: u32) -> u64 {
    let portion = u128::from(level.share) * u128::from(weight) / u128::from(level.weight);
    u64::try_from(portion).expect("it is a part of the whole")
}

fn greatest_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::members;

    #[test]
    fn a_round_is_kept_while_its_members_are_and_backups_that_wait_do_not_lengthen_it() {
        let mut all = members(&[3, 1, 1]);
        all[2].tier = 1;
        let order = Order::of(&all, 70, None);
        let round = Round::of(&order, &all, None);
        assert_eq!(round.slots.len(), 4);
        assert!(Arc::ptr_eq(&Round::of(&order, &all, Some(&round)).slots, &round.slots));
        all[1].weight = 3;
        let order = Order::of(&all, 70, None);
        assert_eq!(Round::of(&order, &all, Some(&round)).slots.len(), 2);
    }
}
