//! Backends that are missed: they are down, and requests came for which there is no other. Who comes back is found by a check, and
//! after a long time the next one may be far away.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Registry;

/// Between two looks at who is missed: no backend is checked more often for that.
const LOOK: Duration = Duration::from_secs(1);

/// Has backends checked that are missed; for ever.
pub(super) async fn watch(registry: &Registry) {
    loop {
        sleep(LOOK).await;
        registry.seek();
    }
}

impl Registry {
    /// Has those checked at once that were missed since this was last done.
    fn seek(&self) {
        let now = Instant::now();
        let mut backends = self.lock();
        let missed = backends.iter_mut().filter(|backend| backend.load.was_missed());
        let sought = missed.filter_map(|missed| missed.health.doubt(now).then_some(())).count();
        drop(backends);
        if sought > 0 {
            self.doubts.send_replace(());
        }
    }
}
