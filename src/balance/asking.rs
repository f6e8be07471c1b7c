//! One pick, as the policies see it: which members can take the request.

use std::time::Instant;

use super::hash::mix;
use super::level::Level;
use super::{Ask, Member, Pool, Tried, warm};

/// How often a policy draws again when whom it drew cannot take the request.
pub(super) const TRIES: usize = 8;

/// A request that asks for a backend, and the pool that it asks.
pub(super) struct Asking<'a> {
    pub(super) pool: &'a Pool,
    pub(super) ask: &'a Ask<'a>,
    pub(super) tried: &'a Tried,
}

impl Asking<'_> {
    /// Whether it was not tried before, and may have one more request.
    pub(super) fn is_open(&self, index: u32) -> bool {
        let member = self.member(index);
        (self.tried.is_empty() || !self.tried.contains(member.id)) && (!self.pool.capped || !member.is_full())
    }

    /// Whether it is open and, if it is warming up, its luck says that this request is among those that it takes already.
    pub(super) fn takes(&self, index: u32) -> bool {
        self.is_open(index) && self.is_warm(index)
    }

    /// See [`Asking::takes`].
    pub(super) fn is_warm(&self, index: u32) -> bool {
        !self.is_warming() || self.warmth(index) > self.ask.turn.random() % warm::FULL
    }

    /// The same, but always with the same luck for one key and one member.
    pub(super) fn is_warm_for(&self, key: u64, hash: u64, index: u32) -> bool {
        !self.is_warming() || self.warmth(index) > mix(key ^ hash) % warm::FULL
    }

    /// How warm it is, of [`warm::FULL`].
    pub(super) fn warmth(&self, index: u32) -> u64 {
        let (Some(warming), Some(since)) = (&self.pool.warming, self.member(index).well_since) else {
            return warm::FULL;
        };
        warm::warmth(since, warming.over, self.now())
    }

    fn is_warming(&self) -> bool {
        self.pool.warming.as_ref().is_some_and(|warming| self.now() < warming.until)
    }

    pub(super) fn member(&self, index: u32) -> &Member {
        &self.pool.members[index as usize]
    }

    pub(super) fn now(&self) -> Instant {
        self.ask.now
    }

    /// Draws a level by the shares.
    pub(super) fn level(&self) -> Option<&Level> {
        let order = &self.pool.order;
        match &order.levels[..] {
            [] => None,
            [only] => Some(only),
            levels => Some(&levels[order.level_at(self.ask.turn.random() >> 32)]),
        }
    }

    /// Draws a member of this level that can take the request and is `good`, and tells its place in the level.
    pub(super) fn draw(&self, level: &Level, good: impl Fn(u32) -> bool) -> Option<usize> {
        let members = self.pool.order.of_level(level);
        let mut cold = None;
        let drawn = (0..TRIES).map(|_| level.draw.at(self.ask.turn.random()));
        drawn
            .filter(|place| self.is_open(members[*place]) && good(members[*place]))
            .find(|place| {
                cold.get_or_insert(*place);
                self.is_warm(members[*place])
            })
            .or(cold)
    }

    /// Any member that is open and `good`, of the most preferred level that has one; where the search begins in each level
    /// is said by a random number.
    pub(super) fn any(&self, start: u64, good: impl Fn(u32) -> bool) -> Option<u32> {
        self.pool.order.levels.iter().find_map(|level| {
            let members = self.pool.order.of_level(level);
            let (before, after) = members.split_at(super::turn::scale(start, members.len()));
            after.iter().chain(before).copied().find(|index| self.is_open(*index) && good(*index))
        })
    }
}
