//! Keys stay at their backends.

use super::*;

const HASHING: [PolicyName; 2] = [PolicyName::Maglev, PolicyName::Ring];

fn home(pool: &Pool, key: u64) -> usize {
    let (worker, key) = (Worker::new(key), hash::mix(key));
    let ask = Ask { turn: &worker.turn, now: worker.now, key, cookie: None };
    pool.pick(&ask, &Tried::default()).unwrap().place()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn only_the_keys_of_a_backend_that_fails_or_is_drained_move_and_they_come_back(
        weights in vec(1..5_u32, 2..10),
        failing: prop::sample::Index,
    ) {
        let failing = failing.index(weights.len());
        for policy in HASHING {
            let before = pool(policy, members(&weights));
            let mut sick = members(&weights);
            match failing % 2 {
                0 => sick[failing].usable = false,
                _ => sick[failing].drained = true,
            }
            let after = before.succeed(before.balancing().clone(), sick);
            let well = after.succeed(before.balancing().clone(), members(&weights));
            for key in 0..500 {
                let (was, is) = (home(&before, key), home(&after, key));
                prop_assert!(is != failing && (was == failing || is == was));
                prop_assert_eq!(home(&well, key), was);
            }
        }
    }

    #[test]
    fn in_a_small_level_beside_a_large_one_only_the_keys_of_one_that_fails_move_and_evenly(
        near in 3..6_usize,
        far in 50..200_usize,
        failing: prop::sample::Index,
    ) {
        let failing = failing.index(near);
        for policy in HASHING {
            let one = |index| Member { zone: (index < near).then(|| "a".into()), ..member(index) };
            let members: Vec<_> = (0..near + far).map(one).collect();
            let balancing = Balancing { zone: Some("a".into()), overflow: 1, ..Balancing::by(policy) };
            let before = Pool::new(balancing.clone(), members.clone());
            let mut sick = members;
            match failing % 2 {
                0 => sick[failing].usable = false,
                _ => sick[failing].drained = true,
            }
            let after = before.succeed(balancing, sick);
            let mut shares = vec![0; near];
            for key in 0..1000 {
                let (was, is) = (home(&before, key), home(&after, key));
                prop_assert!(is != failing && is < near && (was == failing || is == was));
                shares[is] += 1;
            }
            let even = 1000 / (near - 1);
            let others = (0..near).filter(|place| *place != failing);
            for share in others.map(|place| shares[place]) {
                prop_assert!((even / 2..2 * even).contains(&share), "{policy}: {shares:?}");
            }
        }
    }

    #[test]
    fn at_most_its_share_of_keys_and_little_more_moves_when_a_backend_joins_or_leaves(count in 2..40_usize) {
        for (policy, more) in [(PolicyName::Maglev, 0.05), (PolicyName::Ring, 0.05)] {
            let (less, full) = (pool(policy, equal(count)), pool(policy, equal(count + 1)));
            let share = 1.0 / (count + 1) as f64;
            for moved in [less.moved(&full).unwrap(), full.moved(&less).unwrap()] {
                prop_assert!(moved > share / 2.0 && moved < share + more, "{policy}: {moved} of {count}");
            }
        }
    }

    #[test]
    fn balancers_agree_whatever_order_they_have_the_backends_in(count in 1..20_usize, seed: u64) {
        for policy in HASHING {
            let mut other = equal(count);
            fastrand::Rng::with_seed(seed).shuffle(&mut other);
            prop_assert_eq!(pool(policy, equal(count)).moved(&pool(policy, other)), Some(0.0));
        }
    }

    #[test]
    fn no_backend_has_more_than_the_bound_says(
        weights in vec(1..5_u32, 1..8),
        bound in 101..200_u32,
        steps in vec((any::<bool>(), 0..4_u64, any::<prop::sample::Index>()), 1..200),
    ) {
        for policy in HASHING {
            let balancing = Balancing { hash_bound: NonZeroU32::new(bound), ..Balancing::by(policy) };
            let pool = Pool::new(balancing, members(&weights));
            let (worker, total) = (Worker::new(0), weights.iter().sum::<u32>());
            let mut leases = Vec::<Lease>::new();
            for (ends, key, which) in &steps {
                if *ends && !leases.is_empty() {
                    leases.swap_remove(which.index(leases.len()));
                }
                // Few keys: without the bound they would all be at few backends.
                let key = hash::mix(*key);
                let ask = Ask { turn: &worker.turn, now: worker.now, key, cookie: None };
                let lease = pool.pick(&ask, &Tried::default()).unwrap();
                let member = &pool.members()[lease.place()];
                leases.push(lease);
                let average = leases.len() as f64 * f64::from(member.weight) / f64::from(total);
                let most = (average * f64::from(bound) / 100.0 + 1e-6).ceil() as usize;
                prop_assert!(member.load.in_flight() <= most);
            }
        }
    }
}

#[test]
fn without_load_the_bound_changes_nothing() {
    for policy in HASHING {
        let balancing = Balancing { hash_bound: NonZeroU32::new(125), ..Balancing::by(policy) };
        let (bounded, free) = (Pool::new(balancing, equal(8)), pool(policy, equal(8)));
        assert!((0..500).all(|key| home(&bounded, key) == home(&free, key)));
    }
}

#[test]
fn when_nearly_all_are_down_the_rest_share_the_keys() {
    for policy in HASHING {
        let members = (0..200).map(|index| Member { usable: index % 50 == 0, ..member(index) });
        let shares = Worker::new(1).shares(&pool(policy, members.collect()), 4000);
        for place in [0, 50, 100, 150] {
            assert!((0.1..0.5).contains(&shares[place]), "{policy}: {shares:?}");
        }
    }
}

#[test]
fn in_a_small_level_beside_a_large_one_weights_count_too() {
    let one = |index| Member {
        zone: (index < 2).then(|| "a".into()),
        weight: if index == 0 { 1 } else { 4 },
        ..member(index)
    };
    for policy in HASHING {
        let balancing = Balancing { zone: Some("a".into()), overflow: 1, ..Balancing::by(policy) };
        let pool = Pool::new(balancing, (0..200).map(one).collect());
        let first = (0..1000).filter(|key| home(&pool, *key) == 0).count();
        assert!((150..250).contains(&first), "{policy}: {first}");
    }
}

#[test]
fn how_many_keys_move_is_told_of_a_small_level_too() {
    let near = |index| Member { zone: (index < 2).then(|| "a".into()), ..member(index) };
    for policy in HASHING {
        let balancing = Balancing { zone: Some("a".into()), overflow: 1, ..Balancing::by(policy) };
        let before = Pool::new(balancing.clone(), (0..200).map(near).collect());
        let mut sick = before.members().to_vec();
        sick[0].usable = false;
        let after = before.succeed(balancing, sick);
        let moved = (0..SAMPLE).filter(|key| home(&before, *key) != home(&after, *key)).count();
        assert_eq!(before.moved(&after), Some(moved as f64 / SAMPLE as f64), "{policy}");
    }
}

#[test]
fn only_pools_that_go_by_keys_can_tell_how_many_move() {
    let (keys, turns) = (pool(PolicyName::Ring, equal(2)), pool(PolicyName::RoundRobin, equal(2)));
    assert_eq!(keys.moved(&turns), None);
    assert_eq!(keys.moved(&keys), Some(0.0));
}

/// By a model in another language, of the same papers: balancers of two versions are to agree, or each update moves all keys.
#[test]
fn whose_a_key_is_never_changes() {
    for (policy, homes) in [
        (PolicyName::Maglev, "013330213213200033323113230313203332100033030233"),
        (PolicyName::Ring, "313023233233332031330333312332102330331323122113"),
    ] {
        let pool = pool(policy, members(&[1, 2, 1, 3]));
        let digits: String = (0..48).map(|key| home(&pool, key).to_string()).collect();
        assert_eq!(digits, homes, "{policy}");
    }
    let secret = Arc::from(*b"a secret of ours");
    let sticky = Sticky { cookie: "lb".into(), secret, max_age: None, secure: None };
    let balancing = Balancing { sticky: Some(sticky), ..Balancing::by(PolicyName::First) };
    let pool = Pool::new(balancing, members(&[0, 1]));
    let picked = Worker::new(1).pick(&pool).unwrap();
    assert_eq!(pool.cookie(&picked).unwrap().as_str(), "iHrWhf9D-R8skM4eq5LC2w");
}
