//! The publisher: facts and settings in, snapshots out.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::backends::{Registry, pause};
use crate::snapshot::{Settings, Snapshot};

/// Compiles a snapshot whenever facts or settings have changed. A burst of changes costs one, and where those of many backends change all
/// the time there is a pause between two; other settings do not wait for its end.
pub(super) async fn run(
    mut settings: watch::Receiver<Arc<Settings>>,
    registry: &'static Registry,
    snapshots: watch::Sender<Arc<Snapshot>>,
) {
    let mut revision = registry.subscribe();
    loop {
        let began = Instant::now();
        // Before the facts themselves, which may be newer.
        let as_of = *revision.borrow_and_update();
        let newest = Arc::clone(&settings.borrow_and_update());
        let before = Arc::clone(&snapshots.borrow());
        let backends = registry.backends();
        let snapshot = Snapshot::compile(&newest, (as_of, &backends), Some(&before));
        snapshots.send_replace(Arc::new(snapshot));
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
