//! Which backend a key belongs to: a table of slots (Maglev) or points on a ring. Either holds all members, the unusable
//! ones, too: a pick passes over those. So a change of health costs no new table, and moves only the keys of the backend
//! that it is about.

use crate::backends::BackendId;
use crate::config::PolicyName;

use super::Member;
use super::hash::{hash, mix};
use super::turn::scale;

/// Slots of a Maglev table: a prime, as the method needs.
const SLOTS: u64 = 65_537;
/// Points on the ring of a backend of average weight, and of all backends at most.
const POINTS: u64 = 160;
const MOST_POINTS: u64 = 1 << 18;

/// For keys, their backends, as long as health and load have no say.
#[derive(Debug)]
pub(super) struct Table {
    policy: PolicyName,
    made_of: Vec<(BackendId, u32)>,
    /// What each member is known by: its address, so that balancers agree whatever order they have them in.
    hashes: Vec<u64>,
    places: Places,
}

#[derive(Debug)]
enum Places {
    Slots(Vec<u32>),
    /// In the order of the ring.
    Points(Vec<(u64, u32)>),
}

impl Table {
    pub(super) fn of(policy: PolicyName, members: &[Member]) -> Self {
        let hashes: Vec<_> =
            members.iter().map(|member| hash(member.way.url.address.to_string().as_bytes())).collect();
        let mut weighed: Vec<_> = members
            .iter()
            .zip(0_u32..)
            .filter(|(member, _)| member.weight > 0)
            .map(|(member, index)| (hashes[index as usize], index, u64::from(member.weight)))
            .collect();
        weighed.sort_unstable();
        let places = match policy {
            PolicyName::Ring => Places::Points(points(&weighed)),
            _ => Places::Slots(slots(&weighed)),
        };
        Self { policy, made_of: made_of(members), hashes, places }
    }

    /// Whether it is the one of these members, too.
    pub(super) fn is_of(&self, policy: PolicyName, members: &[Member]) -> bool {
        self.policy == policy && self.made_of == made_of(members)
    }

    /// Whose a hash is; nobody's if all weights are 0.
    pub(super) fn at(&self, hash: u64) -> Option<u32> {
        match &self.places {
            Places::Slots(slots) if slots.is_empty() => None,
            Places::Slots(slots) => Some(slots[scale(hash, slots.len())]),
            Places::Points(points) => {
                let next = points.partition_point(|(point, _)| *point < hash);
                points.get(next).or(points.first()).map(|(_, index)| *index)
            }
        }
    }

    /// What a member is known by.
    pub(super) fn hash_of(&self, index: u32) -> u64 {
        self.hashes[index as usize]
    }
}

fn made_of(members: &[Member]) -> Vec<(BackendId, u32)> {
    members.iter().map(|member| (member.id, member.weight)).collect()
}

/// Maglev (Eisenbud et al., NSDI 2016, section 3.4): members take turns, as often as their weights say, to claim the next free
/// slot of an order of their own.
fn slots(weighed: &[(u64, u32, u64)]) -> Vec<u32> {
    const FREE: u32 = u32::MAX;
    let Some(most) = weighed.iter().map(|(.., weight)| *weight).max() else { return Vec::new() };
    let mut slots = vec![FREE; SLOTS as usize];
    let mut claims: Vec<_> = weighed
        .iter()
        .map(|(hash, index, weight)| {
            let (at, step) = (mix(hash ^ 1) % SLOTS, mix(hash ^ 2) % (SLOTS - 1) + 1);
            (*index, *weight, at, step, 0)
        })
        .collect();
    let mut free = SLOTS;
    while free > 0 {
        for (index, weight, at, step, credit) in &mut claims {
            *credit += *weight;
            if *credit < most || free == 0 {
                continue;
            }
            *credit -= most;
            while slots[*at as usize] != FREE {
                *at = (*at + *step) % SLOTS;
            }
            slots[*at as usize] = *index;
            free -= 1;
        }
    }
    slots
}

/// As many points for each as its weight beside the average says; those of a lower weight are among those of a higher one.
fn points(weighed: &[(u64, u32, u64)]) -> Vec<(u64, u32)> {
    let count = weighed.len() as u64;
    let total: u64 = weighed.iter().map(|(.., weight)| weight).sum();
    let average = POINTS.min(MOST_POINTS / count.max(1)).max(1);
    let mut points = Vec::new();
    for (hash, index, weight) in weighed {
        let own = u128::from(average) * u128::from(*weight) * u128::from(count) / u128::from(total);
        let own = u64::try_from(own).unwrap_or(MOST_POINTS).max(1);
        points.extend((1..=own).map(|n| (mix(hash.wrapping_add(mix(n))), *index)));
    }
    points.sort_unstable();
    points
}
