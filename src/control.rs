//! The control thread: what changes while requests run.

mod publish;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, interval};

use crate::backends::{Registry, check};
use crate::config::Config;
use crate::proxy::Deadlines;
use crate::snapshot::Snapshot;

/// Checks backends, publishes a snapshot whenever a fact about them changes, and moves the workers' clocks on,
/// until `stopped` is ready.
pub async fn run(
    config: Arc<Config>,
    registry: &'static Registry,
    snapshots: watch::Sender<Arc<Snapshot>>,
    beat: watch::Sender<()>,
    stopped: impl Future<Output = ()>,
) {
    let tick = Duration::from_millis(Deadlines::of(&config).tick());
    let clock = spawn_local(async move {
        let mut interval = interval(tick);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while beat.send(()).is_ok() {
            interval.tick().await;
        }
    });
    let publisher = spawn_local(publish::run(config, registry, snapshots));
    let checker = spawn_local(check::run(registry));
    stopped.await;
    clock.abort();
    checker.abort();
    publisher.abort();
}
