//! The control thread: what changes while requests run.

mod admin;
pub mod api;
mod confirm;
mod desk;
mod discovery;
mod guard;
mod history;
mod metrics;
mod plan;
mod publish;
mod reload;
mod stray;
mod successor;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::backends::{Registry, check};
use crate::config::Config;
use crate::connect::HeadLimits;
use crate::proxy::Deadlines;
use crate::snapshot::{Settings, Snapshot};
use crate::telemetry::Watchman;

pub use admin::{AdminDoor, admin, openapi};
pub use desk::{Apply, Confirmation, Desk, Intent, Means, Outcome, Refusal, Turn, Unfit, Verdict};
pub use discovery::{Discovery, Objection};
pub use guard::{Vitals, Worse};
pub use metrics::reference as metrics_reference;
pub use plan::starved;
pub use reload::{hangups, reload, watch};
pub use stray::{explain, outlive_full_files, stray};
pub use successor::{dies, refer};

/// Between two looks at whether removed backends have ended what they did.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Checks backends, publishes a snapshot whenever a fact or a setting changes, and moves the workers' clocks on, until
/// `stopped` is ready.
pub async fn run(
    settings: watch::Receiver<Arc<Settings>>,
    registry: &'static Registry,
    snapshots: watch::Sender<Arc<Snapshot>>,
    beat: watch::Sender<()>,
    stopped: impl Future<Output = ()>,
) {
    let clock = spawn_local(keep_time(settings.clone(), beat));
    let publisher = spawn_local(publish::run(settings.clone(), registry, snapshots));
    let limits = move || HeadLimits::of(&settings.borrow().config);
    let checker = spawn_local(check::run(registry, limits));
    let sweeper = spawn_local(async move {
        loop {
            sleep(SWEEP_EVERY).await;
            registry.sweep();
        }
    });
    stopped.await;
    sweeper.abort();
    clock.abort();
    checker.abort();
    publisher.abort();
}

/// Moves the workers' clocks on, as often as the settings need, and notices when the process has not run.
async fn keep_time(mut settings: watch::Receiver<Arc<Settings>>, beat: watch::Sender<()>) {
    let tick = |config: &Config| Duration::from_millis(Deadlines::of(config).tick());
    let mut pause = tick(&settings.borrow_and_update().config);
    let mut watchman = Watchman::begin();
    while beat.send(()).is_ok() {
        sleep(pause).await;
        watchman.look(pause);
        if settings.has_changed().unwrap_or_default() {
            pause = tick(&settings.borrow_and_update().config);
        }
    }
}
