//! Slow start: a backend that got well, or joined others, takes its share little by little.

use std::time::{Duration, Instant};

use crate::config::Balancing;

use super::Member;

/// The warmth of who takes all of its share.
pub(super) const FULL: u64 = 1000;
/// The warmth of who has just got well: with less it would learn nothing.
const LEAST: u64 = 100;

/// How warm a member is that is well since then: from a tenth it grows evenly to all.
pub(super) fn warmth(since: Instant, over: Duration, now: Instant) -> u64 {
    let age = now.saturating_duration_since(since);
    if age >= over {
        return FULL;
    }
    let part = age.as_nanos() * u128::from(FULL) / over.as_nanos().max(1);
    u64::try_from(part).unwrap_or(FULL).clamp(LEAST, FULL)
}

/// Per cent of its share that a backend of such a pool takes that is well since then.
pub fn per_cent_warm(balancing: &Balancing, since: Option<Instant>, now: Instant) -> u8 {
    let warmth = since.zip(balancing.slow_start).map_or(FULL, |(since, over)| warmth(since, over, now));
    u8::try_from(warmth * 100 / FULL).unwrap_or(100)
}

/// Until when a member may be warming up, and how long that takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Warming {
    pub(super) over: Duration,
    pub(super) until: Instant,
}

impl Warming {
    /// Nothing if nobody got well.
    pub(super) fn of(members: &[Member], over: Option<Duration>) -> Option<Self> {
        let over = over?;
        let usable = members.iter().filter(|member| member.usable);
        let until = usable.filter_map(|member| member.well_since).max()? + over;
        Some(Self { over, until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_evenly_from_a_tenth_to_all() {
        let since = Instant::now();
        let after = |seconds| warmth(since, Duration::from_secs(100), since + Duration::from_secs(seconds));
        assert_eq!([0, 5, 10, 50, 99, 100, 1000].map(after), [100, 100, 100, 500, 990, 1000, 1000]);
    }
}
