//! Policies that look at load: a simulation, in which time is a number.

use crate::backends::Ending;

use super::*;

/// What a backend does with a request.
#[derive(Clone, Copy)]
struct Habit {
    millis: u64,
    fails: bool,
}

const fn takes(millis: u64) -> Habit {
    Habit { millis, fails: false }
}

/// Lets requests come at even distances and tells how many each backend got.
fn simulate(pool: &Pool, habits: &[Habit], requests: u32, every: Duration) -> Vec<u32> {
    go_on(pool, habits, requests, every, Instant::now())
}

/// The same from a later moment.
fn go_on(pool: &Pool, habits: &[Habit], requests: u32, every: Duration, began: Instant) -> Vec<u32> {
    let mut worker = Worker::new(1);
    let mut counts = vec![0; habits.len()];
    let mut running = Vec::<(Instant, Lease, Experience)>::new();
    for number in 0..requests {
        worker.now = began + every * number;
        let now = worker.now;
        for (ended, lease, experience) in running.extract_if(.., |(ends, ..)| *ends <= now) {
            pool.learn(&lease, &experience, ended);
        }
        let lease = worker.pick(pool).unwrap();
        let habit = habits[lease.place()];
        counts[lease.place()] += 1;
        let took = Duration::from_millis(habit.millis);
        let ending = if habit.fails { Ending::Failed } else { Ending::Answered };
        running.push((now + took, lease, Experience { took, ending, retry_after: None }));
    }
    counts
}

const MILLI: Duration = Duration::from_millis(1);

proptest! {
    #[test]
    fn nobody_could_take_a_request_with_less_load_than_whom_least_requests_chose(
        weights in vec(1..6_u32, 1..8),
        steps in vec((any::<bool>(), any::<prop::sample::Index>()), 1..100),
        seed: u64,
    ) {
        let all = Balancing { choices: None, ..Balancing::by(PolicyName::LeastRequests) };
        let pool = Pool::new(all, members(&weights));
        let (mut worker, mut leases) = (Worker::new(seed), Vec::<Lease>::new());
        for (ends, which) in &steps {
            if *ends && !leases.is_empty() {
                leases.swap_remove(which.index(leases.len()));
            }
            let before: Vec<_> = pool.members().iter().map(|member| member.load.in_flight()).collect();
            let lease = worker.pick(&pool).unwrap();
            let load = |place: usize, more: usize| (before[place] + more) as f64 / f64::from(weights[place]);
            for other in (0..weights.len()).filter(|other| *other != lease.place()) {
                prop_assert!(load(other, 1) > load(lease.place(), 0), "{before:?} of {weights:?}");
            }
            leases.push(lease);
        }
    }
}

#[test]
fn of_two_choices_the_more_loaded_one_is_never_taken() {
    let pool = pool(PolicyName::LeastRequests, equal(2));
    let mut worker = Worker::new(1);
    let leases: Vec<_> = (0..100).map(|_| worker.pick(&pool).unwrap()).collect();
    assert_eq!([0, 1].map(|place| leases.iter().filter(|lease| lease.place() == place).count()), [50, 50]);
}

#[test]
fn least_requests_spares_a_slow_backend_and_keeps_weights_under_load() {
    let counts = simulate(&pool(PolicyName::LeastRequests, equal(2)), &[takes(5), takes(500)], 20_000, MILLI);
    assert!(counts[1] < counts[0] / 10, "{counts:?}");
    let weighed = pool(PolicyName::LeastRequests, members(&[1, 3]));
    let counts = simulate(&weighed, &[takes(50), takes(50)], 20_000, MILLI);
    assert!((4400..5600).contains(&counts[0]), "{counts:?}");
}

#[test]
fn peak_ewma_keeps_away_from_the_slow_but_looks_at_it_now_and_then() {
    let slow = pool(PolicyName::PeakEwma, equal(3));
    let counts = simulate(&slow, &[takes(5), takes(5), takes(1000)], 60_000, MILLI);
    assert!(counts[2] > 10 && counts[2] < 1000, "{counts:?}");
    let fair = f64::from(counts[0]) / f64::from(counts[1]);
    assert!((0.8..1.25).contains(&fair), "{counts:?}");
}

#[test]
fn a_backend_that_got_fast_again_is_found_out() {
    let pool = pool(PolicyName::PeakEwma, equal(2));
    let slow = [takes(5), takes(1000)];
    let began = Instant::now();
    let counts = go_on(&pool, &slow, 20_000, MILLI, began);
    assert!(counts[1] < 1000, "{counts:?}");
    let later = began + MILLI * 20_000;
    let counts = go_on(&pool, &[takes(5), takes(5)], 80_000, MILLI, later);
    let counts_later = go_on(&pool, &[takes(5), takes(5)], 10_000, MILLI, later + MILLI * 80_000);
    assert!(counts_later[1] > 4000, "{counts:?} {counts_later:?}");
}

#[test]
fn who_fails_fast_does_not_look_fast() {
    let fails = Habit { millis: 1, fails: true };
    let counts = simulate(&pool(PolicyName::PeakEwma, equal(2)), &[takes(50), fails], 60_000, MILLI);
    assert!(counts[1] > 10 && counts[1] < 1500, "{counts:?}");
    // When all fail, nobody is better.
    let counts = simulate(&pool(PolicyName::PeakEwma, equal(2)), &[fails, fails], 10_000, MILLI);
    assert!((3000..7000).contains(&counts[0]), "{counts:?}");
}

#[test]
fn weights_hold_between_equally_fast_backends() {
    let weighed = pool(PolicyName::PeakEwma, members(&[1, 3]));
    let counts = simulate(&weighed, &[takes(20), takes(20)], 20_000, MILLI * 4);
    assert!((4000..6000).contains(&counts[0]), "{counts:?}");
}

#[test]
fn a_light_backend_gets_no_more_than_its_weight_because_it_is_idle() {
    for (weight, every, most) in [(9, 10, 2_600), (99, 2, 450)] {
        let weighed = pool(PolicyName::PeakEwma, members(&[1, weight]));
        let counts = simulate(&weighed, &[takes(20), takes(20)], 20_000, MILLI * every);
        assert!(counts[0] < most, "of 1 and {weight}, one in {every} ms: {counts:?}");
    }
}

#[test]
fn nobody_starves_however_slow_and_however_few_the_requests() {
    for every in [1, 20, 500] {
        let pool = pool(PolicyName::PeakEwma, equal(4));
        let habits = [takes(2), takes(2), takes(2), takes(20_000)];
        let counts = simulate(&pool, &habits, 20_000, MILLI * every);
        assert!(counts[3] >= 2 && counts[3] < 2000, "one in {every} ms: {counts:?}");
    }
}
