//! Which backend gets a request: pure rules over what the snapshot says.

mod first;
mod round_robin;

use std::sync::Arc;

use crate::backends::{BackendId, Load};
use crate::config::{Balancing, PolicyName};
use crate::connect::Way;

pub use round_robin::Turn;

/// A set of backends with one balancing policy.
#[derive(Debug)]
pub struct Pool {
    members: Vec<Member>,
    /// Indices of the members that may be used, in order of preference.
    usable: Vec<usize>,
    balancing: Balancing,
}

/// One backend as a policy sees it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Which it is.
    pub id: BackendId,
    /// Its place among the backends of all pools.
    pub place: usize,
    /// How it is reached.
    pub way: Arc<Way>,
    /// What it is doing for us.
    pub load: Arc<Load>,
    /// Whether requests may be sent to it.
    pub usable: bool,
}

/// One request's hold on one backend. Dropped when the answer is through, however it ended.
#[derive(Debug)]
pub struct Lease {
    place: u32,
    backend: BackendId,
    load: Arc<Load>,
}

/// The backends that a request was sent to without success. They are known by their identity, for others may have taken
/// their places since.
#[derive(Debug, Default)]
pub struct Tried(Vec<BackendId>);

impl Pool {
    /// A pool of these members, in order of preference.
    pub fn new(balancing: Balancing, members: Vec<Member>) -> Self {
        let usable = (0..members.len()).filter(|index| members[*index].usable).collect();
        Self { members, usable, balancing }
    }

    /// The members, in order of preference.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Chooses a usable backend that was not tried before; none if there is no such.
    pub fn pick(&self, turn: &Turn, tried: &Tried) -> Option<Lease> {
        let is_new = |index: &usize| !tried.contains(self.members[*index].id);
        let index = match self.balancing.policy {
            PolicyName::First => first::pick(&self.usable, is_new),
            PolicyName::RoundRobin => round_robin::pick(&self.usable, turn, is_new),
        }?;
        Some(Lease::on(&self.members[index]))
    }
}

impl Lease {
    fn on(member: &Member) -> Self {
        member.load.begin();
        let place = u32::try_from(member.place).expect("backends are far fewer");
        Self { place, backend: member.id, load: Arc::clone(&member.load) }
    }

    /// Which backend it is a hold on, whatever becomes of the pool.
    pub fn backend(&self) -> BackendId {
        self.backend
    }

    /// The place of that backend among those of all pools, in the snapshot that it was picked from.
    pub fn place(&self) -> usize {
        self.place as usize
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.load.end();
    }
}

impl Tried {
    /// Remembers a backend.
    pub fn add(&mut self, lease: &Lease) {
        self.0.push(lease.backend);
    }

    fn contains(&self, backend: BackendId) -> bool {
        self.0.contains(&backend)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use crate::config::BackendUrl;

    use super::*;

    const POLICIES: [PolicyName; 2] = [PolicyName::First, PolicyName::RoundRobin];

    fn pool(policy: PolicyName, usable: &[bool]) -> Pool {
        let way = Arc::new(Way::from(BackendUrl::from(SocketAddr::from(([127, 0, 0, 1], 1)))));
        let member = |(index, usable): (usize, &bool)| Member {
            id: id(index),
            place: index,
            way: Arc::clone(&way),
            load: Arc::default(),
            usable: *usable,
        };
        Pool::new(Balancing::by(policy), usable.iter().enumerate().map(member).collect())
    }

    fn id(index: usize) -> BackendId {
        BackendId::from(u32::try_from(index).expect("a small one"))
    }

    fn tried(indices: &[usize]) -> Tried {
        Tried(indices.iter().copied().map(id).collect())
    }

    proptest! {
        #[test]
        fn an_unusable_or_tried_backend_is_never_picked(
            usable in vec(any::<bool>(), 0..12),
            tried_before in vec(0..12_usize, 0..6),
            turns in 0..40_usize,
        ) {
            for policy in POLICIES {
                let (pool, turn, tried) = (pool(policy, &usable), Turn::default(), tried(&tried_before));
                for _ in 0..turns {
                    if let Some(lease) = pool.pick(&turn, &tried) {
                        prop_assert!(usable[lease.place()]);
                        prop_assert!(!tried_before.contains(&lease.place()));
                    }
                }
            }
        }

        #[test]
        fn a_usable_backend_is_found_whenever_there_is_one(
            usable in vec(any::<bool>(), 0..12),
            tried_before in vec(0..12_usize, 0..6),
        ) {
            let left = usable.iter().enumerate().any(|(index, usable)| *usable && !tried_before.contains(&index));
            for policy in POLICIES {
                let picked = pool(policy, &usable).pick(&Turn::default(), &tried(&tried_before));
                prop_assert_eq!(picked.is_some(), left);
            }
        }

        #[test]
        fn first_prefers_the_earliest(usable in vec(any::<bool>(), 1..12)) {
            let picked = pool(PolicyName::First, &usable).pick(&Turn::default(), &Tried::default());
            prop_assert_eq!(picked.map(|lease| lease.place()), usable.iter().position(|usable| *usable));
        }

        #[test]
        fn round_robin_gives_each_usable_backend_the_same_share(usable in vec(any::<bool>(), 1..12)) {
            let (pool, turn) = (pool(PolicyName::RoundRobin, &usable), Turn::default());
            let mut shares = vec![0; usable.len()];
            let count = usable.iter().filter(|usable| **usable).count();
            for _ in 0..count * 3 {
                let lease = pool.pick(&turn, &Tried::default());
                shares[lease.expect("a usable one").place()] += 1;
            }
            for (share, usable) in shares.iter().zip(&usable) {
                prop_assert_eq!(*share, if *usable { 3 } else { 0 });
            }
        }
    }

    #[test]
    fn a_lease_counts_as_in_flight_until_it_is_dropped() {
        let pool = pool(PolicyName::First, &[true]);
        let lease = pool.pick(&Turn::default(), &Tried::default());
        assert_eq!(pool.members()[0].load.in_flight(), 1);
        drop(lease);
        assert_eq!(pool.members()[0].load.in_flight(), 0);
    }
}
