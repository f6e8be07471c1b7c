//! The publisher: facts and settings in, snapshots out.

use std::sync::Arc;

use tokio::sync::watch;

use crate::backends::Registry;
use crate::snapshot::{Settings, Snapshot};

/// Compiles a snapshot whenever facts or settings have changed. A burst of changes costs one.
pub(super) async fn run(
    mut settings: watch::Receiver<Arc<Settings>>,
    registry: &'static Registry,
    snapshots: watch::Sender<Arc<Snapshot>>,
) {
    let mut revision = registry.subscribe();
    loop {
        // Before the facts themselves, which may be newer.
        let as_of = *revision.borrow_and_update();
        let newest = Arc::clone(&settings.borrow_and_update());
        let before = Arc::clone(&snapshots.borrow());
        let snapshot = Snapshot::compile(&newest, (as_of, &registry.backends()), Some(&before));
        snapshots.send_replace(Arc::new(snapshot));
        let changed = tokio::select! {
            changed = revision.changed() => changed,
            changed = settings.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}
