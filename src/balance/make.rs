//! How a pool is made: all that can be worked out before there is a request.

use std::sync::Arc;

use crate::config::{Balancing, PolicyName};

use super::hashed::Hashed;
use super::level::Order;
use super::round_robin::Round;
use super::sticky::Words;
use super::table::Table;
use super::warm::Warming;
use super::{Member, Pool, Rule, Shortcut, Tags, hash};

impl Pool {
    /// A pool of these members, in order of preference.
    pub fn new(balancing: Balancing, members: Vec<Member>) -> Self {
        Self::made(balancing, members, None)
    }

    /// The pool that takes this one's place. What did not change is not worked out anew.
    #[must_use]
    pub fn succeed(&self, balancing: Balancing, members: Vec<Member>) -> Self {
        Self::made(balancing, members, Some(self))
    }

    /// The same pool, which can pick [within](Self::within) those members that have these tags, too.
    #[must_use]
    pub fn with_subset(mut self, tags: &Tags, before: Option<&Self>) -> Self {
        if self.subset(tags).is_some() {
            return self;
        }
        let has = |member: &Member| tags.iter().all(|(name, value)| member.tags.get(name) == Some(value));
        let members = self.members.iter().filter(|member| has(member)).cloned().collect();
        let before = before.and_then(|before| before.subset(tags));
        let mut balancing = self.balancing.clone();
        if let Some(sticky) = &mut balancing.sticky {
            // Each keeps its clients: with one cookie for all, who uses several would be moved with each change between them.
            sticky.cookie = format!("{}-{:08x}", sticky.cookie, hash_of(tags) >> 32).into();
        }
        let mut subset = Self::made(balancing, members, before);
        if let (Rule::Hashed(all), Rule::Hashed(some)) = (&self.rule, &mut subset.rule) {
            some.count_with(all);
        }
        self.subsets.push((tags.into(), subset));
        self
    }

    fn made(balancing: Balancing, members: Vec<Member>, before: Option<&Self>) -> Self {
        let order = Order::of(&members, balancing.overflow, balancing.zone.as_deref());
        let rule = match balancing.policy {
            PolicyName::First => Rule::First,
            PolicyName::RoundRobin => {
                let round = before.and_then(|before| match &before.rule {
                    Rule::RoundRobin(round) => Some(round),
                    _ => None,
                });
                Rule::RoundRobin(Round::of(&order, &members, round))
            }
            PolicyName::Random => Rule::Random,
            PolicyName::LeastRequests => Rule::LeastRequests(balancing.choices),
            PolicyName::PeakEwma => Rule::PeakEwma(balancing.decay),
            PolicyName::Maglev | PolicyName::Ring => {
                Rule::Hashed(hashed(&balancing, &members, &order, before))
            }
        };
        let words = balancing.sticky.as_ref().map(|sticky| {
            let known = before.and_then(|before| before.words.as_ref());
            let known = known.filter(|known| known.are_of(&sticky.secret, &members));
            known.map_or_else(|| Arc::new(Words::of(&sticky.secret, &members)), Arc::clone)
        });
        let capped = members.iter().any(|member| member.max_requests.is_some());
        let warming = Warming::of(&members, balancing.slow_start);
        let shortcut = match (&rule, order.members.first()) {
            _ if capped || warming.is_some() || words.is_some() => Shortcut::None,
            (Rule::First, Some(index)) => Shortcut::To(*index),
            (Rule::RoundRobin(round), Some(_)) => Shortcut::InTurn(round.clone()),
            _ => Shortcut::None,
        };
        let subsets = Vec::new();
        Self { members, balancing, order, rule, shortcut, capped, warming, words, subsets }
    }
}

/// The same in each run and on each machine.
fn hash_of(tags: &Tags) -> u64 {
    let texts: Vec<_> = tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
    hash(texts.join("\n").as_bytes())
}

fn hashed(balancing: &Balancing, members: &[Member], order: &Order, before: Option<&Pool>) -> Hashed {
    let before = before.and_then(|before| match &before.rule {
        Rule::Hashed(hashed) => Some(hashed),
        _ => None,
    });
    let known = before.map(|before| &before.table).filter(|table| table.is_of(balancing.policy, members));
    let table = known.map_or_else(|| Arc::new(Table::of(balancing.policy, members)), Arc::clone);
    let mut hashed = Hashed::new(table, order, members);
    if let Some(per_cent) = balancing.hash_bound {
        let total = before.and_then(|before| before.bound.as_ref()).map(|bound| Arc::clone(&bound.total));
        hashed.bound(per_cent, total.unwrap_or_default(), order, members);
    }
    hashed
}
