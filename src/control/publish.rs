//! The publisher: facts and settings in, snapshots out.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::backends::{Registry, pause};
use crate::proxy::Stop;
use crate::snapshot::{Settings, Snapshot};

use super::outages::Outages;

/// Compiles a snapshot whenever facts or settings have changed. A burst of changes costs one, and where those of many backends change all
/// the time there is a pause between two; other settings do not wait for its end. Which pools have nobody left it tells as requests find it.
pub(super) async fn run(
    mut settings: watch::Receiver<Arc<Settings>>,
    registry: &'static Registry,
    snapshots: watch::Sender<Arc<Snapshot>>,
    stopping: watch::Receiver<Option<Stop>>,
) {
    let (mut revision, mut outages) = (registry.subscribe(), Outages::default());
    loop {
        let began = Instant::now();
        // Before the facts themselves, which may be newer.
        let as_of = *revision.borrow_and_update();
        let newest = Arc::clone(&settings.borrow_and_update());
        let before = Arc::clone(&snapshots.borrow());
        let backends = registry.backends();
        let snapshot = Snapshot::compile(&newest, (as_of, &backends), Some(&before));
        snapshots.send_replace(Arc::new(snapshot));
        // Backends often go with us, and who takes our place tells of its own.
        if stopping.borrow().is_none() {
            outages.look(&newest.config, &backends);
        }
        let count = backends.len();
        drop(backends);
        let took = began.elapsed();
        let of_facts = async {
            pause(count, took).await;
            revision.changed().await
        };
        let changed = tokio::select! {
            changed = of_facts => changed,
            changed = settings.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}
