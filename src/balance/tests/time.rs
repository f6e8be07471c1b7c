//! Slow start, and backends that ask to be spared.

use crate::backends::Ending;

use super::*;

const OVER: Duration = Duration::from_secs(100);

fn shares_after(policy: PolicyName, seconds: u64, new: &[usize]) -> Vec<f64> {
    let mut worker = Worker::new(9);
    let one =
        |index: usize| Member { well_since: new.contains(&index).then_some(worker.now), ..member(index) };
    let balancing = Balancing { slow_start: Some(OVER), ..Balancing::by(policy) };
    let pool = Pool::new(balancing, (0..4).map(one).collect());
    worker.now += Duration::from_secs(seconds);
    worker.shares(&pool, 8000)
}

#[test]
fn who_got_well_takes_its_share_little_by_little() {
    for policy in POLICIES.into_iter().filter(|policy| *policy != PolicyName::First) {
        for (seconds, warmth) in [(0, 0.1), (50, 0.5), (100, 1.0), (1000, 1.0)] {
            let shares = shares_after(policy, seconds, &[2]);
            let wanted = warmth / (3.0 + warmth);
            // A policy with two choices draws it more often than others do.
            let most = if seconds < 100 { wanted * 1.35 + 0.03 } else { wanted + 0.04 };
            assert!(shares[2] > wanted * 0.6 && shares[2] < most, "{policy} after {seconds} s: {shares:?}");
        }
    }
}

#[test]
fn who_comes_back_takes_no_more_because_its_measurements_have_faded() {
    let mut worker = Worker::new(3);
    let away = Duration::from_secs(120);
    let back = worker.now + away;
    let one = |index: usize| Member { well_since: (index == 0).then_some(back), ..member(index) };
    let balancing = Balancing { slow_start: Some(OVER), ..Balancing::by(PolicyName::PeakEwma) };
    let pool = Pool::new(balancing, (0..2).map(one).collect());
    let experience =
        Experience { took: Duration::from_millis(10), ending: Ending::Answered, retry_after: None };
    for (place, now) in [(0, worker.now), (1, back)] {
        let other = &pool.members()[1 - place];
        let lease = pool.pick(&worker.ask(), &Tried::of([other.id])).unwrap();
        pool.learn(&lease, &experience, now);
    }
    worker.now = back;
    let shares = worker.shares(&pool, 8000);
    assert!(shares[0] < 0.25, "{shares:?}");
}

#[test]
fn when_all_got_well_at_once_nobody_is_spared() {
    for policy in POLICIES.into_iter().filter(|policy| *policy != PolicyName::First) {
        let shares = shares_after(policy, 0, &[0, 1, 2, 3]);
        assert!(shares.iter().all(|share| (0.2..0.3).contains(share)), "{policy}: {shares:?}");
    }
}

#[test]
fn a_bound_on_load_goes_before_slow_start() {
    for policy in [PolicyName::Maglev, PolicyName::Ring] {
        let mut worker = Worker::new(5);
        let one = |index: usize| Member { well_since: (index == 0).then_some(worker.now), ..member(index) };
        let bound = NonZeroU32::new(125);
        let balancing = Balancing { slow_start: Some(OVER), hash_bound: bound, ..Balancing::by(policy) };
        let pool = Pool::new(balancing, (0..2).map(one).collect());
        let leases: Vec<_> = (0..1000).map(|_| worker.pick(&pool).unwrap()).collect();
        let cold = leases.iter().filter(|lease| lease.place() == 0).count();
        assert!((300..450).contains(&cold), "{policy}: {cold}");
    }
}

#[test]
fn first_has_no_slow_start() {
    assert_eq!(shares_after(PolicyName::First, 0, &[0]), [1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn warming_up_moves_a_key_once() {
    for policy in [PolicyName::Maglev, PolicyName::Ring] {
        let mut worker = Worker::new(1);
        let began = worker.now;
        let one = |index: usize| Member { well_since: (index == 0).then_some(began), ..member(index) };
        let balancing = Balancing { slow_start: Some(OVER), ..Balancing::by(policy) };
        let pool = Pool::new(balancing, (0..4).map(one).collect());
        for key in 0..200 {
            let places = (0..=100).map(|seconds| {
                worker.now = began + Duration::from_secs(seconds);
                let ask = Ask { key: hash::mix(key), ..worker.ask() };
                pool.pick(&ask, &Tried::default()).unwrap().place()
            });
            let places: Vec<_> = places.collect();
            let moves = places.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(moves <= 1, "{policy}: {places:?}");
        }
    }
}

#[test]
fn a_backend_that_asks_to_be_spared_is_until_nobody_else_is_left() {
    let pool = pool(PolicyName::PeakEwma, equal(3));
    let mut worker = Worker::new(4);
    let experience = Experience {
        took: Duration::from_millis(1),
        ending: Ending::Failed,
        retry_after: Some(Duration::from_secs(5)),
    };
    let lease = worker.pick(&pool).unwrap();
    let resting = lease.place();
    pool.learn(&lease, &experience, worker.now);
    drop(lease);
    assert_eq!(worker.shares(&pool, 1000)[resting], 0.0);
    let others = pool.members().iter().filter(|member| member.place != resting);
    let tried = Tried::of(others.map(|member| member.id));
    assert_eq!(pool.pick(&worker.ask(), &tried).unwrap().place(), resting);
    worker.now += Duration::from_secs(60);
    assert!(worker.shares(&pool, 1000)[resting] > 0.0);
}

#[test]
fn a_backend_that_asks_to_be_spared_still_has_whom_a_cookie_keeps_there() {
    let sticky = Sticky { cookie: "lb".into(), secret: Arc::from(*b"s"), max_age: None, secure: None };
    let balancing = Balancing { sticky: Some(sticky), ..Balancing::by(PolicyName::PeakEwma) };
    let pool = Pool::new(balancing, equal(2));
    let mut worker = Worker::new(4);
    let experience = Experience {
        took: Duration::from_millis(1),
        ending: Ending::Failed,
        retry_after: Some(Duration::from_secs(5)),
    };
    let lease = worker.pick(&pool).unwrap();
    pool.learn(&lease, &experience, worker.now);
    assert_eq!(worker.shares(&pool, 1000)[lease.place()], 0.0);
    let ask = Ask { cookie: pool.cookie(&lease), ..worker.ask() };
    assert_eq!(pool.pick(&ask, &Tried::default()).unwrap().place(), lease.place());
}
