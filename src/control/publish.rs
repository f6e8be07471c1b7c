//! The publisher: facts and settings in, snapshots out.

use std::sync::Arc;

use tokio::sync::watch;

use crate::backends::Registry;
use crate::config::Config;
use crate::snapshot::Snapshot;

/// Compiles a snapshot whenever facts or settings have changed. A burst of changes costs one.
pub(super) async fn run(
    mut configs: watch::Receiver<Arc<Config>>,
    registry: &'static Registry,
    snapshots: watch::Sender<Arc<Snapshot>>,
) {
    let mut revision = registry.subscribe();
    loop {
        revision.mark_unchanged();
        let config = Arc::clone(&configs.borrow_and_update());
        let before = Arc::clone(&snapshots.borrow());
        let snapshot = Snapshot::compile(&config, &registry.backends(), Some(&before));
        snapshots.send_replace(Arc::new(snapshot));
        let changed = tokio::select! {
            changed = revision.changed() => changed,
            changed = configs.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}
