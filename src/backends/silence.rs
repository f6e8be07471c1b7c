//! Backends that say nothing: of a machine that has lost its power, or of the way to it, nobody tells us.

use std::collections::HashMap;
use std::mem;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{BackendId, Registry};

/// Between two looks at who has answered.
const LOOK: Duration = Duration::from_secs(1);
/// After so many looks at which a backend had requests under way and had answered none since the first, it is checked. If the
/// check finds it well, as where answers take long, twice as many pass before the next one.
const SILENT: u32 = 2;

/// What a backend with requests under way has said.
pub(super) struct Heard {
    /// How often it had answered, or failed to.
    times: u64,
    /// Looks since then.
    looks: u32,
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
    /// What is heard at a look at which it had said something so often.
    fn next(before: Option<&Self>, times: u64) -> Self {
        let known = before.filter(|before| before.times == times);
        Self { times, looks: known.map_or(0, |before| before.looks.saturating_add(1)) }
    }

    fn is_to_be_checked(&self) -> bool {
        self.looks >= SILENT && self.looks.is_power_of_two()
    }
}

impl Registry {
    /// Looks once at who has answered since the look before.
    pub(super) fn listen(&self, heard: &mut HashMap<BackendId, Heard>) {
        let (before, mut any_news) = (mem::take(heard), false);
        let mut backends = self.lock();
        for backend in backends.iter_mut().filter(|backend| backend.load.in_flight() > 0) {
            let now = Heard::next(before.get(&backend.id), backend.load.score().all());
            let health = &mut backend.health;
            // Of one that is none any more nobody looks otherwise whether it is dead still.
            let is_asked_of = backend.leaving || health.is_usable();
            any_news |= now.is_to_be_checked() && is_asked_of && health.doubt(Instant::now());
            any_news |= now.looks >= SILENT && health.abandon();
            heard.insert(backend.id, now);
        }
        drop(backends);
        if any_news {
            self.publish();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stays_silent_is_checked_less_and_less_often() {
        let mut heard = None;
        let mut checked = |times, looks: std::ops::Range<u32>| {
            let mut next = |look| {
                let now = heard.insert(Heard::next(heard.as_ref(), times));
                now.is_to_be_checked().then_some(look)
            };
            looks.filter_map(&mut next).collect::<Vec<_>>()
        };
        assert_eq!(checked(7, 0..40), [2, 4, 8, 16, 32]);
        assert_eq!(checked(8, 0..5), [2, 4]);
    }
}
