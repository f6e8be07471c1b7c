//! The publisher: facts in, snapshots out.

use std::sync::Arc;

use tokio::sync::watch;

use crate::backends::Registry;
use crate::config::Config;
use crate::snapshot::Snapshot;

/// Compiles a snapshot whenever facts have changed. A burst of changes costs one.
pub(super) async fn run(
    config: Arc<Config>,
    registry: &'static Registry,
    snapshots: watch::Sender<Arc<Snapshot>>,
) {
    let mut revision = registry.subscribe();
    loop {
        revision.mark_unchanged();
        let before = Arc::clone(&snapshots.borrow());
        let snapshot = Snapshot::compile(&config, &registry.backends(), Some(&before));
        snapshots.send_replace(Arc::new(snapshot));
        if revision.changed().await.is_err() {
            return;
        }
    }
}
