//! Who comes first: tiers of backends, and in each those of our own zone before the others.

use std::collections::BTreeMap;

use super::Member;
use super::draw::Draw;

/// All requests, as a sum of shares.
pub(super) const WHOLE: u64 = 1 << 32;

/// Usable members that stand equal before a policy.
#[derive(Debug)]
pub(super) struct Level {
    /// Where it begins in the order of preference.
    pub(super) from: usize,
    /// Where it ends there.
    pub(super) to: usize,
    /// The shares (of [`WHOLE`]) of this level and of those before it.
    pub(super) shares: u64,
    /// Its own share.
    pub(super) share: u64,
    /// The sum of its members' weights.
    pub(super) weight: u64,
    /// Draws among its members.
    pub(super) draw: Draw,
}

/// The usable members in the order of preference, by their places, and the levels that they make up.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub(super) members: Vec<u32>,
    pub(super) levels: Vec<Level>,
}

/// What a level has, of which some may be down or drained.
#[derive(Default)]
struct Tally {
    members: Vec<u32>,
    weights: Vec<u32>,
    usable: u64,
    total: u64,
}

impl Order {
    /// Divides requests between levels. Each takes as many as it can carry, which is all of them while `overflow` per cent of
    /// its weight are usable, and in proportion fewer below that; what is left goes to the next one. When all together
    /// cannot carry all, they share in proportion to what they can.
    pub(super) fn of(members: &[Member], overflow: u32, zone: Option<&str>) -> Self {
        let mut tallies = BTreeMap::<(u8, bool), Tally>::new();
        for (index, member) in members.iter().enumerate().filter(|(_, member)| member.weight > 0) {
            let is_far = zone.is_some() && member.zone.as_deref() != zone;
            let tally = tallies.entry((member.tier, is_far)).or_default();
            tally.total += u64::from(member.weight);
            // Who is drained carries as little as who is down.
            if member.usable && !member.drained {
                tally.usable += u64::from(member.weight);
                tally.members.push(u32::try_from(index).expect("backends are far fewer"));
                tally.weights.push(member.weight);
            }
        }
        tallies.retain(|_, tally| tally.usable > 0);
        let carried: Vec<_> = tallies.values().map(|tally| tally.carries(overflow)).collect();
        let mut order = Self::default();
        let mut shares = 0;
        for (tally, share) in tallies.into_values().zip(divide(&carried)) {
            shares += share;
            order.add(tally, share, shares);
        }
        order
    }

    fn add(&mut self, tally: Tally, share: u64, shares: u64) {
        let from = self.members.len();
        self.members.extend(tally.members);
        let (to, draw) = (self.members.len(), Draw::new(&tally.weights));
        self.levels.push(Level { from, to, shares, share, weight: tally.usable, draw });
    }

    /// The level on whose share a number of 32 bits falls. There must be one.
    pub(super) fn level_at(&self, number: u64) -> usize {
        match self.levels.len() {
            1 => 0,
            _ => self.levels.iter().position(|level| number < level.shares).unwrap_or_default(),
        }
    }

    /// The members of a level.
    pub(super) fn of_level(&self, level: &Level) -> &[u32] {
        &self.members[level.from..level.to]
    }
}

impl Tally {
    fn carries(&self, overflow: u32) -> u64 {
        let needed = u128::from(self.total) * u128::from(overflow);
        let carried = (u128::from(self.usable) * 100 * u128::from(WHOLE)).checked_div(needed);
        carried.and_then(|carried| u64::try_from(carried).ok()).map_or(WHOLE, |carried| carried.min(WHOLE))
    }
}

/// Shares that make up the whole, if any level carries anything.
fn divide(carried: &[u64]) -> Vec<u64> {
    let total: u64 = carried.iter().sum();
    let mut left = WHOLE;
    let mut shares: Vec<_> = carried
        .iter()
        .map(|carries| {
            let wanted = if total < WHOLE { scaled(*carries, total) } else { *carries };
            let share = wanted.min(left);
            left -= share;
            share
        })
        .collect();
    // What rounding left over.
    if let Some(first) = shares.first_mut() {
        *first += left;
    }
    shares
}

fn scaled(carries: u64, total: u64) -> u64 {
    let share = u128::from(carries) * u128::from(WHOLE) / u128::from(total.max(1));
    u64::try_from(share).expect("it is a part of the whole")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn per_cent(carried: &[u64]) -> Vec<u64> {
        let carried: Vec<_> = carried.iter().map(|per_cent| per_cent * WHOLE / 100).collect();
        divide(&carried).iter().map(|share| (share * 100 + WHOLE / 2) / WHOLE).collect()
    }

    #[test]
    fn a_level_gives_away_only_what_it_cannot_carry() {
        assert_eq!(per_cent(&[100, 100]), [100, 0]);
        assert_eq!(per_cent(&[60, 100]), [60, 40]);
        assert_eq!(per_cent(&[60, 30, 100]), [60, 30, 10]);
        assert_eq!(per_cent(&[20, 30]), [40, 60]);
        assert_eq!(divide(&[1, 1, 1]).iter().sum::<u64>(), WHOLE);
    }

    #[test]
    fn what_a_level_carries_depends_on_how_much_of_it_is_usable() {
        let carries = |usable, overflow| Tally { usable, total: 100, ..Tally::default() }.carries(overflow);
        assert_eq!(carries(70, 70), WHOLE);
        assert_eq!(carries(35, 70), WHOLE / 2);
        assert_eq!(carries(1, 0), WHOLE, "0 means that one is enough");
    }
}
