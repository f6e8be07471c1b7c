//! How many requests may come: from each client address, and from all together.
//!
//! The accounts of client addresses are shared by all workers. They lie in drawers with a lock each, and a request takes
//! one of these locks for the time of a look-up; a limit that is off takes none. Each drawer holds so many accounts and
//! no more: when it is full, newcomers share one account, so that neither memory nor the number of refused clients grows
//! with the number of addresses that an attacker has.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, MonotonicClock};
use governor::nanos::Nanos;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{NotUntil, Quota, RateLimiter};

use crate::config::{self, Rate};

use super::Error;

const DRAWERS: usize = 64;
/// Accounts of a drawer: some 100 000 in all.
const MOST_ACCOUNTS: usize = 1600;
/// Between two looks at which accounts are as good as new.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Of the system's clock, which never goes back. A processor's counter, which is as cheap, may begin anew after a suspend or in a
/// restored machine: all accounts would refuse until it had passed where it was, for days.
type Moment = <MonotonicClock as Clock>::Instant;

/// The rates that are limited.
#[derive(Debug)]
pub(super) struct Rates {
    each: Option<Arc<RateLimiter<Household, Accounts, MonotonicClock>>>,
    all: Option<Arc<RateLimiter<NotKeyed, InMemoryState, MonotonicClock>>>,
    swept: Mutex<Instant>,
}

/// A client's address as limits count it: an IPv6 network of 64 bits is one household, whose addresses are its own
/// choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Household(u128);

impl Household {
    /// Of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits() >> 64 << 64,
        })
    }
}

impl Rates {
    /// Those of the settings; nothing if none is limited. What was counted by those of `before` still counts for each of the two
    /// that is the same.
    pub(super) fn of(settings: &config::Access, before: Option<(&config::Access, &Self)>) -> Option<Self> {
        let kept = |is_same: fn(&config::Access, &config::Access) -> bool| {
            before.filter(|(before, _)| is_same(before, settings)).map(|(_, rates)| rates)
        };
        let each = kept(|one, other| one.rate == other.rate).and_then(|rates| rates.each.clone());
        let all = kept(|one, other| one.total_rate == other.total_rate).and_then(|rates| rates.all.clone());
        let each = each.or_else(|| settings.rate.map(each_at));
        let new_all = |rate| RateLimiter::new(quota(rate), InMemoryState::default(), MonotonicClock);
        let all = all.or_else(|| settings.total_rate.map(new_all).map(Arc::new));
        let is_limited = each.is_some() || all.is_some();
        is_limited.then(|| Self { each, all, swept: Mutex::new(Instant::now()) })
    }

    /// One for each client address.
    pub(super) fn of_each(rate: Rate) -> Self {
        Self { each: Some(each_at(rate)), all: None, swept: Mutex::new(Instant::now()) }
    }

    /// Counts a request, unless it is one too many.
    pub(super) fn check(&self, client: IpAddr) -> Result<(), Error> {
        if let Some(each) = &self.each {
            each.check_key(&Household::of(client)).map_err(|until| Error::ClientRate(seconds(&until)))?;
        }
        if let Some(all) = &self.all {
            all.check().map_err(|until| Error::TotalRate(seconds(&until)))?;
        }
        Ok(())
    }

    /// Forgets who has not asked for a while. Any worker may call it at any time.
    pub(super) fn sweep(&self) {
        let Some(each) = &self.each else { return };
        // Another worker is at it, or has just been.
        let Ok(mut swept) = self.swept.try_lock() else { return };
        if swept.elapsed() >= SWEEP_EVERY {
            *swept = Instant::now();
            each.retain_recent();
            each.shrink_to_fit();
        }
    }
}

fn each_at(rate: Rate) -> Arc<RateLimiter<Household, Accounts, MonotonicClock>> {
    Arc::new(RateLimiter::new(quota(rate), Accounts::new(MOST_ACCOUNTS), MonotonicClock))
}

fn quota(rate: Rate) -> Quota {
    Quota::with_period(rate.every).expect("a rate has a period").allow_burst(rate.burst)
}

/// Whole seconds until one may come again, for `Retry-After`.
fn seconds(until: &NotUntil<Moment>) -> u64 {
    let wait = until.wait_time_from(MonotonicClock.now());
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// When each client address is next in time, in governor's terms.
#[derive(Debug)]
struct Accounts {
    drawers: Vec<Mutex<Drawer>>,
    hasher: RandomState,
    most: usize,
}

#[derive(Debug, Default)]
struct Drawer {
    accounts: HashMap<Household, Nanos>,
    /// That of all who found the drawer full.
    newcomers: Option<Nanos>,
}

impl Accounts {
    /// With so many accounts in a drawer.
    fn new(most: usize) -> Self {
        let drawers = (0..DRAWERS).map(|_| Mutex::default()).collect();
        Self { drawers, hasher: RandomState::new(), most }
    }

    fn each(&self, mut act: impl FnMut(&mut Drawer)) {
        for drawer in &self.drawers {
            act(&mut drawer.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl StateStore for Accounts {
    type Key = Household;

    fn measure_and_replace<T, F, E>(&self, key: &Household, judge: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // The hash of a map's own hasher would put all of a drawer's keys into a part of its table.
        let place = (self.hasher.hash_one(key) >> 32) as usize % DRAWERS;
        let mut drawer = self.drawers[place].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = drawer.accounts.get_mut(key) {
            let (outcome, next) = judge(Some(*account))?;
            *account = next;
            return Ok(outcome);
        }
        if drawer.accounts.len() >= self.most {
            let (outcome, next) = judge(drawer.newcomers)?;
            drawer.newcomers = Some(next);
            return Ok(outcome);
        }
        let (outcome, next) = judge(None)?;
        drawer.accounts.insert(*key, next);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<Household> for Accounts {
    fn retain_recent(&self, drop_below: Nanos) {
        self.each(|drawer| drawer.accounts.retain(|_, next| *next > drop_below));
    }

    fn shrink_to_fit(&self) {
        self.each(|drawer| drawer.accounts.shrink_to_fit());
    }

    fn len(&self) -> usize {
        let mut sum = 0;
        self.each(|drawer| sum += drawer.accounts.len());
        sum
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::num::NonZeroU32;

    use governor::clock::FakeRelativeClock;
    use governor::middleware::NoOpMiddleware;

    use super::*;

    type Limiter = RateLimiter<Household, Accounts, FakeRelativeClock, NoOpMiddleware<Nanos>>;

    fn limiter(most: usize) -> (Limiter, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let burst = NonZeroU32::new(2).expect("not zero");
        let quota = quota(Rate { every: Duration::from_secs(1), burst });
        (RateLimiter::new(quota, Accounts::new(most), clock.clone()), clock)
    }

    fn key(number: u32) -> Household {
        Household::of(Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn each_address_has_an_account_of_its_own_and_an_ipv6_household_one() {
        let (limiter, clock) = limiter(10);
        let home = |low| Household::of(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, low).into());
        for of in [key(1), key(2), home(1)] {
            assert!(limiter.check_key(&of).is_ok() && limiter.check_key(&of).is_ok());
            assert!(limiter.check_key(&of).is_err());
        }
        assert!(limiter.check_key(&home(2)).is_err(), "the same household");
        clock.advance(Duration::from_secs(1));
        assert!(limiter.check_key(&home(2)).is_ok() && limiter.check_key(&home(1)).is_err());
        assert_eq!(
            Household::of("::ffff:192.0.2.1".parse().expect("an address")),
            Household::of([192, 0, 2, 1].into())
        );
    }

    #[test]
    fn addresses_without_end_take_bounded_memory_and_never_shut_everybody_out() {
        let (limiter, clock) = limiter(4);
        assert!(limiter.check_key(&key(0)).is_ok());
        let served = (1..10_000).filter(|number| limiter.check_key(&key(*number)).is_ok()).count();
        assert_eq!(limiter.len(), 4 * DRAWERS);
        assert_eq!(
            served + 1,
            4 * DRAWERS + 2 * DRAWERS,
            "each account once, and a burst of newcomers at each drawer"
        );
        assert!(limiter.check_key(&key(0)).is_ok(), "who was there before goes on as before");
        clock.advance(Duration::from_secs(1));
        let served = (20_000..30_000).filter(|number| limiter.check_key(&key(*number)).is_ok()).count();
        assert_eq!(served, DRAWERS, "newcomers are served at their common rate");
    }

    #[test]
    fn who_has_not_asked_for_a_while_is_forgotten() {
        let (limiter, clock) = limiter(4);
        for number in 0..100 {
            let _ = limiter.check_key(&key(number));
        }
        limiter.retain_recent();
        assert!(!limiter.is_empty());
        clock.advance(Duration::from_secs(3));
        limiter.retain_recent();
        limiter.shrink_to_fit();
        assert!(limiter.is_empty());
        let capacity = |accounts: &Accounts| {
            let mut sum = 0;
            accounts.each(|drawer| sum += drawer.accounts.capacity());
            sum
        };
        assert_eq!(capacity(&limiter.into_state_store()), 0);
    }
}
