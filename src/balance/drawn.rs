//! Policies that draw: the backend that was drawn, or the best of several.

use std::num::NonZeroU32;
use std::time::Duration;

use super::asking::Asking;
use super::level::Level;

/// How often slow backends are tried all the same: each as often as a tenth of the decay, but at most this part (of 2^64) of
/// the requests for which it is drawn.
const PROBES: u64 = u64::MAX / 16;
/// Another backend takes a request over only if its answer should come in this part of the time: what is nearer is chance,
/// and to follow it would send all requests to one.
const CLEARLY: f32 = 0.8;

/// One at random, each as likely as its weight says.
pub(super) fn random(asking: &Asking<'_>) -> Option<u32> {
    let level = asking.level()?;
    let place = asking.draw(level, |_| true)?;
    Some(asking.pool.order.of_level(level)[place])
}

/// One at random, unless another has room for one more at less load: of those that are looked at, all or so many.
/// No other of them could take the request and then have no more for its weight than the chosen one has already.
pub(super) fn least_requests(asking: &Asking<'_>, choices: Option<NonZeroU32>) -> Option<u32> {
    let level = asking.level()?;
    let members = asking.pool.order.of_level(level);
    let place = asking.draw(level, |_| true)?;
    let others = members.len() - 1;
    let mut best = members[place];
    let mut consider = |other: usize| {
        let index = members[(place + 1 + other) % members.len()];
        if asking.is_open(index) && has_room(asking, index, best) {
            best = index;
        }
    };
    match choices {
        None => (0..others).for_each(&mut consider),
        Some(_) if others == 0 => {}
        Some(choices) => (1..choices.get()).for_each(|_| consider(asking.ask.turn.below(others))),
    }
    Some(best)
}

/// Whether it could take the request and would have no more for its weight than the other has already.
fn has_room(asking: &Asking<'_>, index: u32, than: u32) -> bool {
    let weight = |index| u128::from(asking.member(index).weight) * u128::from(asking.warmth(index));
    let requests = |index| asking.member(index).load.in_flight() as u128;
    (requests(index) + 1) * weight(than) <= requests(than) * weight(index)
}

/// Of two at random, the one whose answer should come first.
pub(super) fn peak_ewma(asking: &Asking<'_>, decay: Duration) -> Option<u32> {
    let level = asking.level()?;
    let members = asking.pool.order.of_level(level);
    let is_awake = |index| !asking.member(index).load.rests(asking.now());
    let place = asking.draw(level, is_awake)?;
    let drawn = members[place];
    if members.len() == 1 {
        return Some(drawn);
    }
    let other = members[(place + 1 + asking.ask.turn.below(members.len() - 1)) % members.len()];
    let is_probe =
        asking.member(drawn).load.is_quiet(asking.now(), decay / 10) && asking.ask.turn.random() < PROBES;
    // What was measured of who comes back has faded, so that it looks fast while it is cold.
    let stays = is_probe || !asking.takes(other) || !is_awake(other);
    Some(if stays || !is_better(asking, level, decay, other, drawn) { drawn } else { other })
}

/// Whether the answer should come clearly sooner: because it is faster, or has room for one more by its weight. Who was not
/// measured is taken to be as fast as the other.
fn is_better(asking: &Asking<'_>, level: &Level, decay: Duration, index: u32, than: u32) -> bool {
    let expected = |index| asking.member(index).load.expected(asking.now(), decay);
    let (ours, theirs) = match (expected(index), expected(than)) {
        (Some(ours), Some(theirs)) => (ours, theirs),
        (known, other) => {
            let same = known.or(other).unwrap_or(1.0);
            (same, same)
        }
    };
    let queue = |index| {
        let member = asking.member(index);
        let weight = member.weight as f32 * asking.warmth(index) as f32 / super::warm::FULL as f32;
        let average = level.weight as f32 / (level.to - level.from) as f32;
        1.0 + member.load.in_flight() as f32 * average / weight
    };
    ours * queue(index) < theirs * queue(than) * CLEARLY
        && (ours < theirs * CLEARLY || has_room(asking, index, than))
}
