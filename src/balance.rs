//! Which backend gets a request: pure rules over what the snapshot says. Time and randomness are told them.

mod asking;
mod draw;
mod drawn;
mod first;
mod hash;
mod hashed;
mod lease;
mod level;
mod make;
mod round_robin;
mod sticky;
mod table;
#[cfg(test)]
mod tests;
mod turn;
mod warm;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backends::{BackendId, Experience, Load};
use crate::config::Balancing;
use crate::connect::Way;

pub use hash::hash;
pub use lease::{Lease, Tried};
pub use sticky::Word;
pub use turn::Turn;
pub use warm::per_cent_warm;

use asking::Asking;
use hashed::Hashed;
use level::Order;
use round_robin::Round;
use sticky::Words;
use warm::Warming;

/// Tags and the values that they must have.
pub type Tags = [(Arc<str>, Arc<str>)];

/// Keys that are tried to tell how many move.
const SAMPLE: u64 = 10_000;

/// A set of backends with one balancing policy. All that can be known before there is a request is worked out when it is
/// made, so that a pick costs little.
#[derive(Debug)]
pub struct Pool {
    members: Vec<Member>,
    balancing: Balancing,
    order: Order,
    rule: Rule,
    shortcut: Shortcut,
    /// Whether any member may have only so many requests.
    capped: bool,
    warming: Option<Warming>,
    words: Option<Arc<Words>>,
    /// The same for some of the members each.
    subsets: Vec<(Box<Tags>, Self)>,
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
    /// Since when, if it got well or joined others: for slow start.
    pub well_since: Option<Instant>,
    /// Its share beside that of the others. With 0 only clients that a cookie keeps there are sent to it.
    pub weight: u32,
    /// Whether for now only clients that a cookie keeps there are sent to it.
    pub drained: bool,
    /// Whether an operator disabled it, be it well or not.
    pub disabled: bool,
    /// Its tier: lower ones come first.
    pub tier: u8,
    /// Where it stands.
    pub zone: Option<Arc<str>>,
    /// Requests that it may have at one time.
    pub max_requests: Option<NonZeroU32>,
    /// What else is said of it.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
}

/// What a pick goes by.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What the worker remembers of this pool.
    pub turn: &'a Turn,
    /// The time, which a coarse clock is good enough for.
    pub now: Instant,
    /// The hash of what the request is known by; only looked at if the pool [wants](Pool::wants_key) one.
    pub key: u64,
    /// The value of the pool's sticky cookie, if the request has it.
    pub cookie: Option<Word>,
}

/// Why no backend was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPick {
    /// None is usable, but for those that were tried before.
    NoneUsable,
    /// All that are usable have as many requests as they may have.
    AllFull,
}

/// The policy and what it needs.
#[derive(Debug)]
enum Rule {
    First,
    RoundRobin(Round),
    Random,
    LeastRequests(Option<NonZeroU32>),
    PeakEwma(Duration),
    Hashed(Hashed),
}

/// Whom a request gets that no backend has seen yet, where that takes no thought: it is what most pools are asked.
#[derive(Debug)]
enum Shortcut {
    None,
    To(u32),
    InTurn(Round),
}

impl Member {
    /// Whether it has as many requests as it may have.
    pub fn is_full(&self) -> bool {
        self.max_requests.is_some_and(|most| self.load.in_flight() >= most.get() as usize)
    }
}

impl Pool {
    /// The members, in order of preference.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// How it balances.
    pub fn balancing(&self) -> &Balancing {
        &self.balancing
    }

    /// Whether a pick looks at the key.
    pub fn wants_key(&self) -> bool {
        matches!(self.rule, Rule::Hashed(_))
    }

    /// Whether it wants to [learn](Pool::learn) how requests go.
    pub fn wants_experience(&self) -> bool {
        matches!(self.rule, Rule::PeakEwma(_))
    }

    /// Chooses a usable backend that was not tried before.
    ///
    /// # Errors
    /// There is no such.
    #[inline]
    pub fn pick(&self, ask: &Ask<'_>, tried: &Tried) -> Result<Lease, NoPick> {
        if tried.is_empty() {
            let index = match &self.shortcut {
                Shortcut::To(index) => Some(*index),
                Shortcut::InTurn(round) => round.next(ask.turn),
                Shortcut::None => None,
            };
            if let Some(index) = index {
                return Ok(Lease::unlimited(&self.members[index as usize], None));
            }
        }
        self.pick_with_care(ask, tried)
    }

    #[inline(never)]
    fn pick_with_care(&self, ask: &Ask<'_>, tried: &Tried) -> Result<Lease, NoPick> {
        let asking = Asking { pool: self, ask, tried };
        while let Some(index) = self.choose(&asking) {
            if let Some(lease) = self.lease(index, ask.now) {
                return Ok(lease);
            }
            // Another worker took its last place: it is full when we look again.
        }
        Err(self.why_none(tried))
    }

    /// Takes into account how a request went, if the policy goes by that.
    pub fn learn(&self, lease: &Lease, experience: &Experience, now: Instant) {
        if let Rule::PeakEwma(decay) = self.rule {
            lease.load().learn(experience, now, decay);
        }
    }

    /// The value of the sticky cookie that leads to a lease's backend; none if there is no such cookie.
    pub fn cookie(&self, lease: &Lease) -> Option<Word> {
        let words = self.words.as_ref()?;
        let index = self.members.binary_search_by_key(&lease.place(), |member| member.place).ok()?;
        Some(words.word(index))
    }

    /// The part of all keys, from 0 to 1, that belong to another backend in the other pool than in this one; none if one
    /// of them does not go by keys. Load has no say in it.
    pub fn moved(&self, other: &Self) -> Option<f64> {
        let (Rule::Hashed(ours), Rule::Hashed(theirs)) = (&self.rule, &other.rule) else { return None };
        let keys = (0..SAMPLE).map(hash::mix);
        let moved = keys.filter(|key| ours.home(self, *key) != theirs.home(other, *key));
        Some(moved.count() as f64 / SAMPLE as f64)
    }

    /// The pool of only those members that have these tags, which it must have been [given](Pool::with_subset), or all of it
    /// without any.
    #[inline]
    pub fn within(&self, tags: &Tags) -> &Self {
        match tags.is_empty() {
            true => self,
            false => self.subset(tags).expect("a pool is compiled with what routes ask of it"),
        }
    }

    /// The tags of each of its subsets.
    pub fn tags(&self) -> impl Iterator<Item = &Tags> {
        self.subsets.iter().map(|(tags, _)| &tags[..])
    }

    fn subset(&self, tags: &Tags) -> Option<&Self> {
        self.subsets.iter().find(|(of, _)| **of == *tags).map(|(_, pool)| pool)
    }

    #[inline]
    fn choose(&self, asking: &Asking<'_>) -> Option<u32> {
        if let (Some(words), Some(cookie)) = (&self.words, asking.ask.cookie)
            && let Some(index) = words.owner(&cookie)
            && asking.member(index).usable
            && asking.is_open(index)
        {
            return Some(index);
        }
        let chosen = match &self.rule {
            Rule::First => return first::pick(&self.order.members, |index| asking.is_open(index)),
            Rule::RoundRobin(round) => round.pick(asking),
            Rule::Random => drawn::random(asking),
            Rule::LeastRequests(choices) => drawn::least_requests(asking, *choices),
            Rule::PeakEwma(decay) => drawn::peak_ewma(asking, *decay),
            Rule::Hashed(hashed) => return hashed.pick(asking),
        };
        chosen.or_else(|| self.choose_any(asking))
    }

    /// When the policy found nobody: it looks at some, and all that it looked at may be tried, full or at rest.
    #[cold]
    fn choose_any(&self, asking: &Asking<'_>) -> Option<u32> {
        let start = asking.ask.turn.random();
        let awake = match self.rule {
            Rule::PeakEwma(_) => asking.any(start, |index| !asking.member(index).load.rests(asking.now())),
            _ => None,
        };
        awake.or_else(|| asking.any(start, |_| true))
    }

    fn lease(&self, index: u32, now: Instant) -> Option<Lease> {
        let member = &self.members[index as usize];
        let total = match &self.rule {
            Rule::PeakEwma(_) => {
                member.load.give(now);
                None
            }
            Rule::Hashed(hashed) => hashed.bound.as_ref().map(|bound| &bound.total),
            Rule::First | Rule::RoundRobin(_) | Rule::Random | Rule::LeastRequests(_) => None,
        };
        Lease::on(member, total)
    }

    /// Each policy has looked at all at last, so whoever is usable and was not tried was full, even if it is no longer.
    #[cold]
    fn why_none(&self, tried: &Tried) -> NoPick {
        let was_full = |index: &u32| !tried.contains(self.members[*index as usize].id);
        if self.order.members.iter().any(was_full) { NoPick::AllFull } else { NoPick::NoneUsable }
    }
}
