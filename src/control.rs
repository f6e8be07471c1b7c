//! The control thread: what changes while requests run.

mod publish;

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::spawn_local;

use crate::backends::{Registry, check};
use crate::config::Config;
use crate::snapshot::Snapshot;

/// Checks backends and publishes a snapshot whenever a fact about them changes, until `stopped` is ready.
pub async fn run(
    config: Arc<Config>,
    registry: &'static Registry,
    snapshots: watch::Sender<Arc<Snapshot>>,
    stopped: impl Future<Output = ()>,
) {
    let publisher = spawn_local(publish::run(Arc::clone(&config), registry, snapshots));
    let checker = spawn_local(async move { check::run(registry, &config.health).await });
    stopped.await;
    checker.abort();
    publisher.abort();
}
