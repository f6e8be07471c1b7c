//! What every policy promises, tried on pools of all kinds.

mod keys;
mod levels;
mod load;
mod shares;
mod time;

use std::net::SocketAddr;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::config::{BackendUrl, PolicyName, Sticky};

use super::*;

pub(super) const POLICIES: [PolicyName; 7] = [
    PolicyName::First,
    PolicyName::RoundRobin,
    PolicyName::Random,
    PolicyName::LeastRequests,
    PolicyName::PeakEwma,
    PolicyName::Maglev,
    PolicyName::Ring,
];

/// A member that is usable and has weight 1.
pub(super) fn member(index: usize) -> Member {
    let number = u32::try_from(index).expect("a small one");
    let [.., high, low] = number.to_be_bytes();
    let address = SocketAddr::from(([10, 0, high, low], 80));
    Member {
        id: number.into(),
        place: index,
        way: Arc::new(Way::from(BackendUrl::from(address))),
        load: Arc::new(Load::new(Instant::now())),
        usable: true,
        well_since: None,
        weight: 1,
        drained: false,
        disabled: false,
        tier: 0,
        zone: None,
        max_requests: None,
        tags: BTreeMap::new(),
    }
}

pub(super) fn members(weights: &[u32]) -> Vec<Member> {
    let weighed = |(index, weight): (usize, &u32)| Member { weight: *weight, ..member(index) };
    weights.iter().enumerate().map(weighed).collect()
}

pub(super) fn equal(count: usize) -> Vec<Member> {
    (0..count).map(member).collect()
}

pub(super) fn pool(policy: PolicyName, members: Vec<Member>) -> Pool {
    Pool::new(Balancing::by(policy), members)
}

/// Somebody who asks again and again.
pub(super) struct Worker {
    pub(super) turn: Turn,
    pub(super) now: Instant,
    keys: u64,
}

impl Worker {
    pub(super) fn new(seed: u64) -> Self {
        Self { turn: Turn::starting_at(seed), now: Instant::now(), keys: 0 }
    }

    pub(super) fn ask(&mut self) -> Ask<'_> {
        self.keys += 1;
        Ask { turn: &self.turn, now: self.now, key: hash::mix(self.keys), cookie: None }
    }

    pub(super) fn pick(&mut self, pool: &Pool) -> Result<Lease, NoPick> {
        pool.pick(&self.ask(), &Tried::default())
    }

    /// The parts that members get of so many requests, each of which ends at once.
    pub(super) fn shares(&mut self, pool: &Pool, requests: usize) -> Vec<f64> {
        let mut counts = vec![0_u32; pool.members().len()];
        for _ in 0..requests {
            counts[self.pick(pool).expect("somebody is usable").place()] += 1;
        }
        counts.into_iter().map(|count| f64::from(count) / requests as f64).collect()
    }
}

fn takes_part(member: &Member) -> bool {
    member.weight > 0 && !member.drained
}

prop_compose! {
    fn any_member()(
        usable: bool,
        weight in 0..5_u32,
        drained in prop::bool::weighted(0.2),
        tier in 0..3_u8,
        zone in prop::sample::select(&[None, Some("a"), Some("b")][..]),
        most in 0..4_u32,
        is_new: bool,
    ) -> Member {
        Member {
            usable,
            weight,
            drained,
            tier,
            zone: zone.map(Arc::from),
            max_requests: NonZeroU32::new(most),
            well_since: is_new.then(Instant::now),
            ..member(0)
        }
    }
}

/// Members of all kinds.
fn any_members() -> impl Strategy<Value = Vec<Member>> {
    vec(any_member(), 0..12).prop_map(|all| {
        let placed = |(index, one): (usize, Member)| {
            let Member { id, place, way, load, .. } = member(index);
            Member { id, place, way, load, ..one }
        };
        all.into_iter().enumerate().map(placed).collect()
    })
}

/// Settings of all kinds.
fn any_balancing(policy: PolicyName) -> impl Strategy<Value = Balancing> {
    let parts = (0..4_u32, 0..150_u32, any::<bool>(), any::<bool>(), 100..200_u32, any::<bool>());
    parts.prop_map(move |(choices, overflow, slow, zone, bound, sticky)| Balancing {
        choices: NonZeroU32::new(choices),
        overflow,
        slow_start: slow.then_some(Duration::from_secs(30)),
        zone: zone.then(|| "a".into()),
        hash_bound: NonZeroU32::new(bound).filter(|bound| bound.get() > 100),
        sticky: sticky.then(|| Sticky {
            cookie: "lb".into(),
            secret: Arc::from(*b"secret"),
            max_age: None,
            secure: None,
        }),
        ..Balancing::by(policy)
    })
}

fn any_policy() -> impl Strategy<Value = Balancing> {
    proptest::sample::select(&POLICIES[..]).prop_flat_map(any_balancing)
}

proptest! {
    #[test]
    fn whom_nobody_should_ask_is_never_picked_and_whoever_can_take_a_request_is_found(
        balancing in any_policy(),
        members in any_members(),
        tried in vec(0..12_usize, 0..6),
        seed: u64,
    ) {
        let pool = Pool::new(balancing, members);
        let mut worker = Worker::new(seed);
        let mut leases = Vec::new();
        for _ in 0..40 {
            let can = |member: &&Member| {
                let is_new = !tried.contains(&member.place);
                is_new && member.usable && takes_part(member) && !member.is_full()
            };
            let open: Vec<_> = pool.members().iter().filter(can).map(|member| member.place).collect();
            let tried = Tried::of(tried.iter().map(|index| u32::try_from(*index).unwrap().into()));
            match pool.pick(&worker.ask(), &tried) {
                Ok(lease) => {
                    prop_assert!(open.contains(&lease.place()));
                    leases.push(lease);
                }
                Err(_) => prop_assert!(open.is_empty(), "one of {open:?} can take it"),
            }
        }
        for member in pool.members() {
            let held = leases.iter().filter(|lease| lease.place() == member.place).count();
            prop_assert_eq!(member.load.in_flight(), held);
            prop_assert!(member.max_requests.is_none_or(|most| held <= most.get() as usize));
        }
    }

    #[test]
    fn the_same_request_in_the_same_situation_gets_the_same_backend(
        balancing in any_policy(),
        members in any_members(),
        seed: u64,
    ) {
        let pools = [(); 2].map(|()| Pool::new(balancing.clone(), members.clone()));
        let now = Instant::now();
        let picked = pools.map(|pool| {
            let mut worker = Worker { now, ..Worker::new(seed) };
            worker.pick(&pool).map(|lease| lease.place())
        });
        prop_assert_eq!(picked[0], picked[1]);
    }

    #[test]
    fn first_prefers_the_lowest_tier_and_in_it_the_earliest(members in any_members(), seed: u64) {
        let pool = pool(PolicyName::First, members);
        let usable = pool.members().iter().filter(|member| member.usable && takes_part(member));
        let best = usable.min_by_key(|member| (member.tier, member.place)).map(|member| member.place);
        let picked = Worker::new(seed).pick(&pool).ok().map(|lease| lease.place());
        prop_assert_eq!(picked, best);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_cookie_leads_back_to_its_backend_as_long_as_that_can_take_requests(
        members in any_members(),
        seed: u64,
    ) {
        for policy in POLICIES {
            let sticky = Sticky { cookie: "lb".into(), secret: Arc::from(*b"secret"), max_age: None, secure: None };
            let pool = Pool::new(Balancing { sticky: Some(sticky), ..Balancing::by(policy) }, members.clone());
            let mut worker = Worker::new(seed);
            let Ok(lease) = worker.pick(&pool) else { continue };
            let (place, cookie) = (lease.place(), pool.cookie(&lease).expect("it has one"));
            drop(lease);
            for _ in 0..10 {
                let ask = Ask { cookie: Some(cookie), ..worker.ask() };
                prop_assert_eq!(pool.pick(&ask, &Tried::default()).unwrap().place(), place);
            }
            let mut sick = pool.members().to_vec();
            sick[place].usable = false;
            let pool = pool.succeed(pool.balancing().clone(), sick);
            let ask = Ask { cookie: Some(cookie), ..worker.ask() };
            prop_assert_ne!(pool.pick(&ask, &Tried::default()).map(|lease| lease.place()), Ok(place));
        }
    }
}

#[test]
fn a_cookie_tells_nothing_and_cannot_be_made_up_without_the_secret() {
    let words = |secret: &[u8]| {
        let sticky = Sticky { cookie: "lb".into(), secret: secret.into(), max_age: None, secure: None };
        let balancing = Balancing { sticky: Some(sticky), ..Balancing::by(PolicyName::First) };
        let pool = Pool::new(balancing, equal(1));
        let lease = Worker::new(1).pick(&pool).unwrap();
        pool.cookie(&lease).unwrap()
    };
    assert_eq!(words(b"one"), words(b"one"), "another process with the same secret says the same");
    assert_ne!(words(b"one"), words(b"other"));
    assert_eq!(words(b"one").as_str().len(), 22);
    assert_eq!(Word::read(words(b"one").as_str().as_bytes()), Some(words(b"one")));
}

#[test]
fn requests_that_ask_for_tags_get_only_backends_that_have_them() {
    for policy in POLICIES {
        let tagged = |index: usize| Member {
            tags: [("version".into(), if index < 2 { "1" } else { "2" }.into())].into(),
            ..member(index)
        };
        let tags = |version: &str| vec![(Arc::from("version"), Arc::from(version))];
        let pool = pool(policy, (0..4).map(tagged).collect());
        let pool = pool.with_subset(&tags("2"), None).with_subset(&tags("3"), None);
        let mut worker = Worker::new(1);
        for _ in 0..20 {
            assert!(worker.pick(pool.within(&tags("2"))).unwrap().place() >= 2);
        }
        let none = pool.within(&tags("3")).pick(&worker.ask(), &Tried::default());
        assert_eq!(none.unwrap_err(), NoPick::NoneUsable);
    }
}

#[test]
fn a_lease_counts_as_in_flight_until_it_is_dropped() {
    for policy in POLICIES {
        let pool = pool(policy, equal(1));
        let lease = Worker::new(1).pick(&pool);
        assert_eq!(pool.members()[0].load.in_flight(), 1);
        drop(lease);
        assert_eq!(pool.members()[0].load.in_flight(), 0);
    }
}
