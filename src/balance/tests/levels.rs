//! Tiers overflow, and what is near comes first.

use super::*;

const ALL_BUT_FIRST: std::ops::Range<usize> = 1..7;

/// Of each tier this many backends, the first so many of which are usable.
fn tiers(of_each: usize, usable: &[usize]) -> Vec<Member> {
    let count = usable.len() * of_each;
    let one = |index: usize| {
        let (tier, place) = (index / of_each, index % of_each);
        Member { tier: u8::try_from(tier).unwrap(), usable: place < usable[tier], ..member(index) }
    };
    (0..count).map(one).collect()
}

fn share_of_tiers(policy: PolicyName, overflow: u32, members: Vec<Member>) -> Vec<f64> {
    let pool = Pool::new(Balancing { overflow, ..Balancing::by(policy) }, members);
    let shares = Worker::new(3).shares(&pool, 8000);
    let tiers = pool.members().iter().map(|member| usize::from(member.tier)).max().unwrap() + 1;
    let mut sums = vec![0.0; tiers];
    shares.iter().zip(pool.members()).for_each(|(share, member)| sums[usize::from(member.tier)] += share);
    sums
}

#[test]
fn backups_stand_by_until_too_few_of_the_first_tier_are_usable() {
    for policy in &POLICIES[ALL_BUT_FIRST] {
        for (usable, overflow, wanted) in [
            ([10, 10, 10], 70, [1.0, 0.0, 0.0]),
            ([7, 10, 10], 70, [1.0, 0.0, 0.0]),
            ([5, 10, 10], 100, [0.5, 0.5, 0.0]),
            ([1, 10, 10], 0, [1.0, 0.0, 0.0]),
            ([0, 10, 10], 70, [0.0, 1.0, 0.0]),
            ([2, 3, 10], 100, [0.2, 0.3, 0.5]),
            ([1, 1, 0], 100, [0.5, 0.5, 0.0]),
        ] {
            let shares = share_of_tiers(*policy, overflow, tiers(10, &usable));
            for (share, wanted) in shares.iter().zip(wanted) {
                assert!((share - wanted).abs() < 0.04, "{policy} {usable:?} {overflow}: {shares:?}");
            }
        }
    }
}

#[test]
fn a_drained_backend_leaves_as_much_to_the_next_tier_as_one_that_is_down() {
    for policy in &POLICIES[ALL_BUT_FIRST] {
        let mut members = tiers(2, &[2, 2]);
        members[0].drained = true;
        let shares = share_of_tiers(*policy, 100, members);
        assert!((shares[0] - 0.5).abs() < 0.04, "{policy}: {shares:?}");
    }
}

#[test]
fn first_takes_a_backup_only_when_nobody_of_the_first_tier_is_left() {
    assert_eq!(share_of_tiers(PolicyName::First, 100, tiers(10, &[1, 10])), [1.0, 0.0]);
    assert_eq!(share_of_tiers(PolicyName::First, 100, tiers(10, &[0, 10])), [0.0, 1.0]);
}

#[test]
fn backends_of_our_zone_are_preferred_as_long_as_enough_of_them_are_usable() {
    for policy in &POLICIES[ALL_BUT_FIRST] {
        for (usable_near, near) in [(4, 1.0), (3, 1.0), (2, 0.7143), (0, 0.0)] {
            let one = |index: usize| Member {
                zone: Some(if index < 4 { "a" } else { "b" }.into()),
                usable: index >= 4 || index < usable_near,
                ..member(index)
            };
            let balancing = Balancing { zone: Some("a".into()), ..Balancing::by(*policy) };
            let pool = Pool::new(balancing, (0..12).map(one).collect());
            let share: f64 = Worker::new(5).shares(&pool, 8000)[..4].iter().sum();
            assert!((share - near).abs() < 0.04, "{policy}, {usable_near}: {share}");
        }
    }
}

#[test]
fn when_a_tier_is_full_requests_go_to_the_next() {
    for policy in POLICIES {
        let one = |index: usize| Member {
            tier: u8::from(index >= 2),
            max_requests: NonZeroU32::new(3),
            ..member(index)
        };
        let pool = pool(policy, (0..4).map(one).collect());
        let mut worker = Worker::new(7);
        let leases: Vec<_> = (0..12).map(|_| worker.pick(&pool).unwrap()).collect();
        assert!(leases[..6].iter().all(|lease| lease.place() < 2), "{policy}");
        assert_eq!(worker.pick(&pool).unwrap_err(), NoPick::AllFull);
        drop(leases);
        assert!(worker.pick(&pool).unwrap().place() < 2);
    }
}

#[test]
fn a_full_pool_is_told_from_one_without_a_usable_backend() {
    for policy in POLICIES {
        let only = |usable| Member { usable, max_requests: NonZeroU32::new(1), ..member(0) };
        let mut worker = Worker::new(1);
        let sick = pool(policy, vec![only(false)]);
        assert_eq!(worker.pick(&sick).unwrap_err(), NoPick::NoneUsable);
        let full = pool(policy, vec![only(true)]);
        let lease = worker.pick(&full).unwrap();
        assert_eq!(worker.pick(&full).unwrap_err(), NoPick::AllFull);
        let mut tried = Tried::default();
        tried.add(&lease);
        assert_eq!(full.pick(&worker.ask(), &tried).unwrap_err(), NoPick::NoneUsable);
    }
}

#[test]
fn who_was_full_when_it_was_asked_is_told_as_full_though_a_request_has_ended_since() {
    let only = |usable| Member { usable, max_requests: NonZeroU32::new(1), ..member(0) };
    let why = |usable| pool(PolicyName::First, vec![only(usable)]).why_none(&Tried::default());
    assert_eq!((why(true), why(false)), (NoPick::AllFull, NoPick::NoneUsable));
}
