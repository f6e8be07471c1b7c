//! Backends that say nothing: of a machine that has lost its power, or of the way to it, nobody tells us.

use std::collections::HashMap;
use std::mem;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{BackendId, Registry};

/// Between two looks at who has answered.
const LOOK: Duration = Duration::from_secs(1);
/// After so many looks at which a backend had requests under way and had answered none since the first, it is checked. If the
/// check finds it well, as where answers take long or tunnels are open, a silence has to last twice as long to have it checked again.
const SILENT: u32 = 2;
/// After so many looks without such a silence, one need last no longer than the first.
const FORGIVEN: u32 = 60;

/// What a backend has said.
pub(super) struct Heard {
    /// How often it had answered, or failed to.
    times: u64,
    /// With requests under way, the looks since then.
    looks: Option<u32>,
    /// After how many of these it is checked.
    checked_after: u32,
    /// Looks since it was silent last.
    well: u32,
}

/// Has backends checked that are silent, and ends the waiting for those that are found dead; for ever.
pub(super) async fn watch(registry: &Registry) {
    let mut heard = HashMap::new();
    loop {
        sleep(LOOK).await;
        registry.listen(&mut heard);
    }
}

impl Heard {
    /// What is heard at a look at which it had said something so often, and had requests under way or not; nothing of one of which
    /// nothing need be known at the next look.
    fn next(before: Option<&Self>, times: u64, is_busy: bool) -> Option<Self> {
        let Some(before) = before else {
            return is_busy.then_some(Self { times, looks: Some(0), checked_after: SILENT, well: 0 });
        };
        let goes_on = before.looks.filter(|_| before.times == times);
        let looks = is_busy.then_some(goes_on.map_or(0, |looks| looks.saturating_add(1)));
        let mut now = Self { times, looks, checked_after: before.checked_after, well: before.well + 1 };
        if now.is_silent() {
            now.well = 0;
        } else if now.well >= FORGIVEN {
            (now.checked_after, now.well) = (SILENT, 0);
        }
        (is_busy || now.checked_after > SILENT).then_some(now)
    }

    fn is_silent(&self) -> bool {
        self.looks.is_some_and(|looks| looks >= SILENT)
    }

    /// It is known to be dead. What it does not answer until it is well says nothing of it afterwards.
    fn excuse(&mut self) {
        self.looks = self.looks.map(|looks| looks.min(SILENT));
        self.checked_after = SILENT;
    }

    /// Whether it is to be checked at this look, after which that is so less soon.
    fn takes_a_check(&mut self) -> bool {
        let looks = self.looks.filter(|looks| *looks >= self.checked_after);
        self.checked_after = looks.map_or(self.checked_after, |looks| looks.saturating_mul(2));
        looks.is_some()
    }
}

impl Registry {
    /// Looks once at who has answered since the look before.
    pub(super) fn listen(&self, heard: &mut HashMap<BackendId, Heard>) {
        let (before, mut any_doubt, mut any_abandoned) = (mem::take(heard), false, false);
        let mut backends = self.lock();
        for backend in backends.iter_mut() {
            let (known, is_busy) = (before.get(&backend.id), backend.load.in_flight() > 0);
            let Some(mut now) = Heard::next(known, backend.load.score().all(), is_busy) else { continue };
            let is_taken_out = backend.is_taken_out();
            let health = &mut backend.health;
            // Of one that was taken out nobody looks otherwise whether it is dead still.
            if is_taken_out || health.is_usable() {
                any_doubt |= now.takes_a_check() && health.doubt(Instant::now());
            } else {
                now.excuse();
            }
            any_abandoned |= now.is_silent() && health.abandon();
            heard.insert(backend.id, now);
        }
        drop(backends);
        if any_doubt {
            self.doubts.send_replace(());
        }
        if any_abandoned {
            self.publish();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    /// At which of so many looks a backend is checked of which this is known, by how many answers it had given at each, and whether
    /// it had requests under way.
    fn checked(heard: &mut Option<Heard>, looks: Range<u32>, seen: impl Fn(u32) -> (u64, bool)) -> Vec<u32> {
        let mut is_checked = |look: &u32| {
            let (times, is_busy) = seen(*look);
            *heard = Heard::next(heard.as_ref(), times, is_busy);
            heard.as_mut().is_some_and(Heard::takes_a_check)
        };
        looks.filter(&mut is_checked).collect()
    }

    #[test]
    fn who_stays_silent_is_checked_less_and_less_often() {
        assert_eq!(checked(&mut None, 0..40, |_| (7, true)), [2, 4, 8, 16, 32]);
    }

    #[test]
    fn who_answers_now_and_then_beside_what_takes_long_is_not_checked_after_each_answer() {
        for (pause, at) in [(2, vec![]), (3, vec![2]), (6, vec![2, 4]), (10, vec![2, 4, 8])] {
            let now_and_then = |look| (u64::from(look / pause), true);
            assert_eq!(checked(&mut None, 0..3600, now_and_then), at, "{pause}");
        }
    }

    #[test]
    fn after_a_minute_in_which_it_is_not_silent_a_backend_is_checked_as_soon_as_at_first() {
        let mut heard = None;
        let silent = |_| (7, true);
        // It answers, or has nothing to answer, or either by turns.
        for well in [|look| (u64::from(look), true), |_| (7, false), |look| (u64::from(look), look % 2 == 0)]
        {
            // Two more looks pass before it is silent again.
            for (looks, checks) in [(FORGIVEN - 3, vec![]), (FORGIVEN - 2, vec![2])] {
                checked(&mut heard, 0..10, silent);
                assert!(checked(&mut heard, 0..looks, well).is_empty());
                assert_eq!(checked(&mut heard, 0..3, silent), checks, "{looks}");
            }
        }
    }

    #[test]
    fn what_a_backend_did_not_answer_while_it_was_dead_is_no_silence_of_one_that_is_well() {
        let mut heard = None;
        checked(&mut heard, 0..300, |_| (7, true));
        heard.iter_mut().for_each(Heard::excuse);
        assert_eq!(checked(&mut heard, 0..12, |_| (7, true)), [0, 3, 9]);
    }
}
