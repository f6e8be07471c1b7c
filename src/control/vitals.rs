//! Whether things got worse since the settings changed: pure rules over what was measured.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::backends::{Backend, BackendId, Hold};
use crate::telemetry::Report;

/// With fewer answers than this nothing is said of their failures.
const ENOUGH: u64 = 20;
/// More failures than before by this part of all answers, and twice as many, are worse; and by so many, or it may be chance.
const MORE_FAILURES: f64 = 0.01;
const MORE_THAN_CHANCE: f64 = 5.0;
/// Slower than before by this much, and twice as slow, is worse.
const SLOWER: Duration = Duration::from_millis(20);
/// Less usable weight than before by this part of all is worse.
const LESS_CAPACITY: f64 = 0.2;
/// What may be missing of it because parts are not told to the last digit.
const ROUNDING: f64 = 1e-9;

/// How the process does.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    /// What was counted in some time.
    pub counted: Report,
    /// How each backend does.
    backends: Vec<Vital>,
    /// The newest revision of the registry by which an operator had said something: what is said later has a newer one.
    said: u64,
}

/// How a backend does.
#[derive(Clone, Debug)]
struct Vital {
    id: BackendId,
    pool: Arc<str>,
    weight: u64,
    usable: bool,
    /// What an operator said of it.
    hold: Option<Hold>,
    own_weight: Option<u32>,
    /// By which revision of the registry, or 0 if it was not said to this process.
    as_of: u64,
}

/// For each pool that has backends, by its name: its weight, and how much of that can be used.
type Pools<'a> = IndexMap<&'a Arc<str>, Weights>;

#[derive(Clone, Copy, Debug, Default)]
struct Weights {
    all: u64,
    usable: u64,
}

/// What got worse.
#[derive(Clone, Debug, PartialEq)]
pub enum Worse {
    /// More answers are failures or break off, in parts of all.
    Failures {
        /// Before the change.
        before: f64,
        /// Since.
        now: f64,
    },
    /// Answers take longer: 99 of 100 are within these times.
    Slower {
        /// Before the change.
        before: Duration,
        /// Since.
        now: Duration,
    },
    /// Less of the weight of all backends can be used, in parts of all.
    Capacity {
        /// Before the change.
        before: f64,
        /// Now.
        now: f64,
    },
    /// None of a pool's backends can be used.
    Empty(Arc<str>),
}

impl Vitals {
    /// With what was counted, and what is known of the backends.
    pub fn of(counted: Report, backends: &[Backend]) -> Self {
        let said = backends.iter().map(|backend| backend.as_of).max().unwrap_or(0);
        let present = backends.iter().filter(|backend| !backend.leaving);
        let backends = present.map(|backend| Vital {
            id: backend.id,
            pool: Arc::clone(&backend.terms.pool),
            weight: u64::from(backend.weight()),
            usable: backend.is_usable(),
            hold: backend.hold,
            own_weight: backend.weight,
            as_of: backend.as_of,
        });
        Self { counted, backends: backends.collect(), said }
    }

    /// By pool, without those that an operator held then or now, or weighed otherwise meanwhile: no change of the settings took them
    /// away, or brought them back.
    fn pools(&self, other: &Self) -> Pools<'_> {
        let others: HashMap<_, _> = other.backends.iter().map(|vital| (vital.id, vital)).collect();
        let is_left_out = |vital: &Vital| {
            let differs = |other: &&Vital| other.hold.is_some() || other.own_weight != vital.own_weight;
            vital.hold.is_some() || others.get(&vital.id).is_some_and(differs)
        };
        let mut pools = Pools::new();
        for vital in self.backends.iter().filter(|vital| !is_left_out(vital)) {
            let weights = pools.entry(&vital.pool).or_default();
            weights.all += vital.weight;
            weights.usable += if vital.usable { vital.weight } else { 0 };
        }
        pools
    }

    /// What got worse since `before`, if anything did.
    pub fn worse_than(&self, before: &Self) -> Option<Worse> {
        let (failed, failed_before) = (self.counted.failed(), before.counted.failed());
        let total = self.counted.total();
        if total >= ENOUGH
            && failed > failed_before * 2.0
            && failed > failed_before + MORE_FAILURES
            && (failed - failed_before) * total as f64 >= MORE_THAN_CHANCE
        {
            return Some(Worse::Failures { before: failed_before, now: failed });
        }
        if let (Some(now), Some(before)) = (self.counted.p99(), before.counted.p99())
            && now > before * 2
            && now > before + SLOWER
        {
            return Some(Worse::Slower { before, now });
        }
        let (pools, pools_before) = (self.pools(before), before.pools(self));
        if let Some(name) = self.empty_since(before, &pools, &pools_before) {
            return Some(Worse::Empty(name));
        }
        let (now, before) = (capacity(&pools), capacity(&pools_before));
        (before - now > LESS_CAPACITY - ROUNDING).then_some(Worse::Capacity { before, now })
    }

    /// A pool that nobody serves: it is new, or somebody did before.
    fn empty_since(&self, before: &Self, pools: &Pools<'_>, pools_before: &Pools<'_>) -> Option<Arc<str>> {
        let down = pools.iter().filter(|(name, weights)| {
            let usable_before = pools_before.get(*name).map(|before| before.usable);
            weights.all > 0 && weights.usable == 0 && usable_before != Some(0)
        });
        let down = down.map(|(name, _)| *name);
        let mut by_pool: HashMap<_, Vec<_>> = HashMap::new();
        self.backends.iter().for_each(|vital| by_pool.entry(&vital.pool).or_default().push(vital));
        let of_pool = |name: &Arc<str>| by_pool.get(name).map_or(&[][..], Vec::as_slice);
        // All whom the change left there, or brought back, had been taken out before.
        let is_as_before = |vital: &&Vital| vital.as_of <= before.said;
        let served_before =
            pools_before.iter().filter(|(_, weights)| weights.usable > 0).map(|(name, _)| *name);
        let left =
            served_before.filter(|name| !of_pool(name).is_empty() && of_pool(name).iter().all(is_as_before));
        // Whoever serves it, whatever an operator said of that one.
        let is_served = |name: &Arc<str>| of_pool(name).iter().any(|vital| vital.usable && vital.weight > 0);
        down.chain(left).find(|name| !is_served(name)).map(Arc::clone)
    }
}

/// The part of all weight that can be used: of what is configured now, for backends that a change takes out are wanted gone, and
/// those that it brings are wanted well. It is one for all pools, as one backend of a small pool that fails meanwhile by chance is
/// no reason to take a change back; a pool that is left without any is.
fn capacity(pools: &Pools<'_>) -> f64 {
    let sum = |of: fn(&Weights) -> u64| pools.values().map(of).sum::<u64>();
    let (all, usable) = (sum(|weights| weights.all), sum(|weights| weights.usable));
    if all == 0 { 1.0 } else { usable as f64 / all as f64 }
}

impl Display for Worse {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failures { before, now } => {
                let [now, before] = [now, before].map(|part| part * 100.0);
                write!(f, "{now:.1} % of the answers were 5xx or broke off, before it {before:.1} %")
            }
            Self::Slower { before, now } => write!(
                f,
                "99 of 100 answers took up to {:.1} ms, before it {:.1} ms",
                now.as_secs_f64() * 1000.0,
                before.as_secs_f64() * 1000.0
            ),
            Self::Capacity { before, now } => write!(
                f,
                "{:.0} % of the backends' weight could be used, before it {:.0} %",
                now * 100.0,
                before * 100.0
            ),
            Self::Empty(pool) => write!(f, "no backend of pool {pool} could be used"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vitals(good: u64, bad: u64, millis: u64, usable: u64) -> Vitals {
        let mut counted = Report::default();
        counted.answers[2] = good;
        counted.answers[5] = bad;
        (0..600).for_each(|_| counted.times.add(Duration::from_millis(millis)));
        Vitals { counted, backends: [some(0, "a", 5, usable), some(10, "b", 5, 5)].concat(), said: 0 }
    }

    /// So many backends of a pool, of which so many can be used.
    fn some(from: u32, pool: &str, all: u64, usable: u64) -> Vec<Vital> {
        let one = |number: u64| Vital {
            id: BackendId::from(from + number as u32),
            pool: pool.into(),
            weight: 1,
            usable: number < usable,
            hold: None,
            own_weight: None,
            as_of: 0,
        };
        (0..all).map(one).collect()
    }

    #[test]
    fn what_is_as_before_or_better_is_not_worse() {
        let before = vitals(1000, 10, 50, 4);
        for now in
            [vitals(1000, 10, 50, 4), vitals(1000, 0, 10, 5), vitals(985, 15, 65, 3), vitals(0, 0, 50, 4)]
        {
            assert_eq!(now.worse_than(&before), None, "{now:?}");
        }
        let few = vitals(0, 19, 50, 4);
        assert_eq!(few.worse_than(&before), None, "too few to tell");
        let was_down = vitals(100, 0, 50, 0);
        assert_eq!(vitals(100, 0, 50, 0).worse_than(&was_down), None);
    }

    #[test]
    fn backends_that_the_change_removes_are_wanted_gone_and_those_that_fail_are_not() {
        let of = |all, usable| Vitals { backends: some(0, "a", all, usable), ..Vitals::default() };
        assert_eq!(of(1, 1).worse_than(&of(3, 3)), None);
        assert_eq!(of(1, 1).worse_than(&of(3, 1)), None);
        assert!(of(3, 1).worse_than(&of(3, 3)).is_some());
        assert!(of(2, 1).worse_than(&of(3, 3)).is_some());
        // A fifth, however it is written, is too much.
        for (all, usable) in [(5, 4), (10, 8), (15, 12)] {
            assert!(of(all, usable).worse_than(&of(all, all)).is_some(), "{usable} of {all}");
        }
        assert_eq!(of(6, 5).worse_than(&of(6, 6)), None);
    }

    #[test]
    fn what_an_operator_says_of_a_backend_meanwhile_is_nothing_of_the_change() {
        let of = |usable: &[bool], held: Option<usize>| {
            let mut backends = some(0, "a", usable.len() as u64, 0);
            for (number, vital) in backends.iter_mut().enumerate() {
                vital.usable = usable[number];
                if held == Some(number) {
                    (vital.hold, vital.as_of) = (Some(Hold::Drain), 1);
                }
            }
            let said = u64::from(held.is_some());
            Vitals { backends, said, ..Vitals::default() }
        };
        // Drained, where the other had been down before; and enabled again, but not well.
        assert_eq!(of(&[true, false], Some(0)).worse_than(&of(&[true, false], None)), None);
        assert_eq!(of(&[true, false], None).worse_than(&of(&[true, false], Some(1))), None);
        // Enabled again, and alone in serving: it is less than there was, but not nothing.
        let worse = of(&[false, true], None).worse_than(&of(&[true, true], Some(1)));
        assert!(matches!(worse, Some(Worse::Capacity { .. })), "{worse:?}");
        assert!(of(&[false, false], None).worse_than(&of(&[true, false], None)).is_some());
        // The only one that the change leaves, drained since; and drained before.
        assert_eq!(of(&[false], Some(0)).worse_than(&of(&[true, true], None)), None);
        let worse = of(&[false], Some(0)).worse_than(&of(&[false, true], Some(0)));
        assert_eq!(worse, Some(Worse::Empty("a".into())));
        // The only one that the change brings, drained since; and drained by word of the process before.
        let brought = |as_of| {
            let mut now = of(&[false], Some(0));
            (now.backends[0].id, now.backends[0].as_of) = (BackendId::from(7), as_of);
            now.worse_than(&of(&[true], None))
        };
        assert_eq!([brought(1), brought(0)], [None, Some(Worse::Empty("a".into()))]);
    }

    #[test]
    fn who_was_weighed_by_an_operator_before_counts_as_others_do() {
        let of = |usable: &[bool]| {
            let mut backends = some(0, "a", usable.len() as u64, 0);
            for (vital, usable) in backends.iter_mut().zip(usable) {
                (vital.usable, vital.own_weight) = (*usable, Some(1));
            }
            Vitals { backends, ..Vitals::default() }
        };
        let worse = of(&[false, false]).worse_than(&of(&[true, true]));
        assert_eq!(worse, Some(Worse::Empty("a".into())));
    }

    #[test]
    fn a_few_failures_may_be_chance() {
        let quiet = vitals(0, 0, 50, 5);
        assert_eq!(vitals(19, 1, 50, 5).worse_than(&quiet), None);
        assert_eq!(vitals(28, 1, 50, 5).worse_than(&vitals(59, 1, 50, 5)), None);
        assert!(vitals(15, 5, 50, 5).worse_than(&quiet).is_some());
    }

    #[test]
    fn more_failures_slower_answers_and_less_capacity_are_worse() {
        let before = vitals(1000, 0, 50, 5);
        let told = |now: Vitals| now.worse_than(&before).expect("it is worse").to_string();
        assert_eq!(
            told(vitals(900, 100, 50, 5)),
            "10.0 % of the answers were 5xx or broke off, before it 0.0 %"
        );
        assert!(told(vitals(1000, 0, 500, 5)).starts_with("99 of 100 answers took up to 5"));
        assert_eq!(
            told(vitals(1000, 0, 50, 2)),
            "70 % of the backends' weight could be used, before it 100 %"
        );
        assert_eq!(told(vitals(1000, 0, 50, 0)), "no backend of pool a could be used");
    }
}
