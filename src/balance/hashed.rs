//! Policies that go by a key: the same key meets the same backend, as long as that can take its requests.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::asking::Asking;
use super::hash::{mix, nth};
use super::level::{Level, Order, WHOLE};
use super::round_robin::portion;
use super::table::Table;
use super::{Member, Pool, hash};

/// Backends that a key asks one after the other, in an order of its own, before it takes any that is open.
const WALK: u64 = 64;
/// How many hashes there are.
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;
/// Whom it concerns: nobody.
const NO_LEVEL: u16 = u16::MAX;

/// What the policies need that go by a key.
#[derive(Debug)]
pub(super) struct Hashed {
    pub(super) table: Arc<Table>,
    pub(super) bound: Option<Bound>,
    /// For each member its level, if it is usable.
    levels: Vec<u16>,
}

/// How much more than the others a backend may have.
#[derive(Debug)]
pub(super) struct Bound {
    per_cent: NonZeroU32,
    /// For each member, its part (of [`WHOLE`]) of all requests.
    portions: Vec<u64>,
    /// Requests of this policy in flight.
    pub(super) total: Arc<AtomicUsize>,
}

impl Hashed {
    pub(super) fn new(table: Arc<Table>, order: &Order, members: &[Member]) -> Self {
        let mut levels = vec![NO_LEVEL; members.len()];
        for (level, number) in order.levels.iter().zip(0..) {
            order.of_level(level).iter().for_each(|index| levels[*index as usize] = number);
        }
        Self { table, bound: None, levels }
    }

    pub(super) fn bound(
        &mut self,
        per_cent: NonZeroU32,
        total: Arc<AtomicUsize>,
        order: &Order,
        members: &[Member],
    ) {
        let mut portions = vec![0; members.len()];
        for level in &order.levels {
            for index in order.of_level(level) {
                portions[*index as usize] = portion(level, members[*index as usize].weight);
            }
        }
        self.bound = Some(Bound { per_cent, portions, total });
    }

    /// Counts requests together with those of the pool that this is a part of: some of its members may be busy with those.
    pub(super) fn count_with(&mut self, all: &Self) {
        if let (Some(all), Some(some)) = (&all.bound, &mut self.bound) {
            some.total = Arc::clone(&all.total);
        }
    }

    pub(super) fn pick(&self, asking: &Asking<'_>) -> Option<u32> {
        let (key, order) = (asking.ask.key, &asking.pool.order);
        let level = level_of(order, key)?;
        let is_within = |index: u32| self.is_within(asking, index);
        let mut cold = None;
        let can = |index: &u32| asking.is_open(*index) && is_within(*index);
        let found = self.candidates(level, key).filter(can).find(|index| {
            cold.get_or_insert(*index);
            asking.is_warm_for(key, self.table.hash_of(*index), *index)
        });
        let is_open = |index: &u32| asking.is_open(*index);
        found
            .or(cold)
            .or_else(|| self.favourite(asking.pool, &order.levels[level], key, can))
            .or_else(|| self.favourite_of_all(asking.pool, key, can))
            .or_else(|| self.favourite_of_all(asking.pool, key, is_open))
    }

    /// What the member is known by that a key belongs to when there is no load.
    pub(super) fn home(&self, pool: &Pool, key: u64) -> Option<u64> {
        let level = level_of(&pool.order, key)?;
        let first = self.candidates(level, key).next();
        let home = first.or_else(|| self.favourite(pool, &pool.order.levels[level], key, |_| true))?;
        Some(self.table.hash_of(home))
    }

    /// Whom a key likes best of those members of a level that can take it, if none of its candidates is one. What it thinks of
    /// one depends on no other (rendezvous; by weight: Schindelhauer and Schomaker, SPAA 2005), so it moves only when its favourite
    /// goes, or a better one comes.
    fn favourite(&self, pool: &Pool, level: &Level, key: u64, can: impl Fn(&u32) -> bool) -> Option<u32> {
        let likes = |index: &u32| {
            let chance = (mix(key ^ self.table.hash_of(*index)) as f64 + 1.0) / TWO_TO_64;
            chance.ln() / f64::from(pool.members[*index as usize].weight)
        };
        let able = pool.order.of_level(level).iter().copied().filter(can);
        able.max_by(|one, other| likes(one).total_cmp(&likes(other)))
    }

    /// The same of the most preferred level that has one.
    #[cold]
    fn favourite_of_all(&self, pool: &Pool, key: u64, can: impl Fn(&u32) -> bool) -> Option<u32> {
        pool.order.levels.iter().find_map(|level| self.favourite(pool, level, key, &can))
    }

    /// The usable members of a level in the order in which a key asks them.
    fn candidates(&self, level: usize, key: u64) -> impl Iterator<Item = u32> {
        (0..WALK)
            .filter_map(move |n| self.table.at(nth(key, n)))
            .filter(move |index| usize::from(self.levels[*index as usize]) == level)
    }

    /// Whether it would have no more than the bound says, with this request.
    fn is_within(&self, asking: &Asking<'_>, index: u32) -> bool {
        self.bound.as_ref().is_none_or(|bound| {
            let requests = asking.member(index).load.in_flight();
            requests < bound.most(index)
        })
    }
}

/// The level on whose share a key falls; none if nobody is usable.
fn level_of(order: &Order, key: u64) -> Option<usize> {
    match order.levels.len() {
        0 => None,
        1 => Some(0),
        _ => Some(order.level_at(mix(key ^ hash::LEVEL) >> 32)),
    }
}

impl Bound {
    /// How many requests a member may have when there is one more.
    fn most(&self, index: u32) -> usize {
        let total = self.total.load(Ordering::Relaxed) as u128 + 1;
        let most = total * u128::from(self.per_cent.get()) * u128::from(self.portions[index as usize]);
        usize::try_from(most.div_ceil(100 * u128::from(WHOLE))).unwrap_or(usize::MAX)
    }
}
