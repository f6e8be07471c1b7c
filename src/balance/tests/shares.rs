//! Each backend's share is as its weight says.

use super::*;

fn wanted(weights: &[u32]) -> Vec<f64> {
    let total: u32 = weights.iter().sum();
    weights.iter().map(|weight| f64::from(*weight) / f64::from(total)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn in_each_round_of_round_robin_each_backend_has_just_its_turns(weights in vec(1..9_u32, 1..9), seed: u64) {
        let pool = pool(PolicyName::RoundRobin, members(&weights));
        let mut worker = Worker::new(seed);
        let round = weights.iter().sum::<u32>() as usize;
        for _ in 0..3 {
            let shares = worker.shares(&pool, round);
            for (share, wanted) in shares.iter().zip(wanted(&weights)) {
                prop_assert!((share - wanted).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn turns_of_one_backend_are_far_apart(weights in vec(1..9_u32, 2..9)) {
        let pool = pool(PolicyName::RoundRobin, members(&weights));
        let (mut worker, round) = (Worker::new(0), weights.iter().sum::<u32>() as usize);
        let turns: Vec<_> = (0..3 * round).map(|_| worker.pick(&pool).unwrap().place()).collect();
        for (place, weight) in weights.iter().enumerate() {
            let mine: Vec<_> = (0..turns.len()).filter(|turn| turns[*turn] == place).collect();
            let widest = mine.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            // As many others may come at the same moment as there are.
            prop_assert!(widest <= round.div_ceil(*weight as usize) + weights.len(), "{widest} {turns:?}");
        }
    }

    #[test]
    fn the_share_is_as_the_weight_says_when_backends_are_equally_idle(weights in vec(1..9_u32, 1..6), seed: u64) {
        for policy in [PolicyName::Random, PolicyName::LeastRequests, PolicyName::PeakEwma] {
            let pool = pool(policy, members(&weights));
            let shares = Worker::new(seed).shares(&pool, 4000);
            for (share, wanted) in shares.iter().zip(wanted(&weights)) {
                prop_assert!((share - wanted).abs() < 0.05, "{policy}: {shares:?} of {weights:?}");
            }
        }
    }

    #[test]
    fn the_share_of_keys_is_as_the_weight_says(weights in vec(1..9_u32, 1..6), seed: u64) {
        // Points of the ring lie as chance will have it.
        for (policy, error) in [(PolicyName::Maglev, 0.03), (PolicyName::Ring, 0.12)] {
            let shares = Worker::new(seed).shares(&pool(policy, members(&weights)), 4000);
            for (share, wanted) in shares.iter().zip(wanted(&weights)) {
                prop_assert!((share - wanted).abs() < error, "{policy}: {shares:?} of {weights:?}");
            }
        }
    }

    #[test]
    fn a_draw_is_fair_to_the_last_weight(weights in vec(1..100_000_u32, 1..20)) {
        let draw = draw::Draw::new(&weights);
        let (draws, mut counts) = (1 << 16, vec![0_u32; weights.len()]);
        // All numbers at even distances: no chance.
        (0..draws).for_each(|n: u64| counts[draw.at((n << 48) | (n.reverse_bits() >> 32))] += 1);
        for (count, wanted) in counts.iter().zip(wanted(&weights)) {
            prop_assert!((f64::from(*count) / draws as f64 - wanted).abs() < 0.01);
        }
    }
}

#[test]
fn weights_that_need_too_many_slots_are_rounded_but_nobody_is_left_out() {
    let pool = pool(PolicyName::RoundRobin, members(&[1, 1_000_000, 2_000_000]));
    let shares = Worker::new(0).shares(&pool, 70_000);
    assert!(shares[0] > 0.0 && shares[0] < 0.0001, "{shares:?}");
    assert!((shares[1] - 1.0 / 3.0).abs() < 0.001, "{shares:?}");
}

#[test]
fn a_retry_takes_nobodys_turn_and_goes_to_any_of_the_others() {
    let pool = pool(PolicyName::RoundRobin, equal(3));
    let mut worker = Worker::new(0);
    let (mut firsts, mut retries) = ([0_u32; 3], [0_u32; 3]);
    for _ in 0..3000 {
        let lease = worker.pick(&pool).unwrap();
        firsts[lease.place()] += 1;
        if lease.place() == 0 {
            let mut tried = Tried::default();
            tried.add(&lease);
            retries[pool.pick(&worker.ask(), &tried).unwrap().place()] += 1;
        }
    }
    assert_eq!(firsts, [1000; 3]);
    assert!(retries[0] == 0 && retries[1].abs_diff(retries[2]) < 200, "{retries:?}");
}

#[test]
fn without_weight_or_drained_a_backend_gets_only_whom_a_cookie_keeps_there() {
    for policy in POLICIES {
        let sticky = Sticky { cookie: "lb".into(), secret: Arc::from(*b"s"), max_age: None, secure: None };
        let balancing = Balancing { sticky: Some(sticky), ..Balancing::by(policy) };
        let before = Pool::new(balancing.clone(), equal(1));
        let mut worker = Worker::new(1);
        let cookie = before.cookie(&worker.pick(&before).unwrap()).unwrap();
        let mut drained = equal(2);
        drained[0].drained = true;
        for members in [members(&[0, 1]), drained] {
            let pool = Pool::new(balancing.clone(), members);
            assert_eq!(worker.shares(&pool, 100), [0.0, 1.0]);
            let ask = Ask { cookie: Some(cookie), ..worker.ask() };
            assert_eq!(pool.pick(&ask, &Tried::default()).unwrap().place(), 0);
        }
    }
}
