//! The control thread: what changes while requests run.

mod admin;
pub mod api;
mod confirm;
mod desk;
mod discovery;
mod history;
mod metrics;
mod outages;
mod plan;
mod publish;
mod reload;
mod stray;
mod successor;
mod vitals;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::backends::{Registry, check};
use crate::config::Config;
use crate::connect::{Chores, HeadLimits};
use crate::proxy::{Deadlines, Stop};
use crate::snapshot::{Settings, Snapshot};
use crate::telemetry::Watchman;

pub use admin::{AdminDoor, admin, openapi};
pub use desk::{Apply, Confirmation, Desk, Intent, Kept, Means, Outcome, Refusal, Turn, Unfit, Verdict};
pub use discovery::{Discovery, Objection, SourceState, Trouble, unlisted};
pub use metrics::reference as metrics_reference;
pub use plan::starved;
pub use reload::{hangups, reload, watch};
pub use stray::{explain, outlive_full_files, stray};
pub use successor::{dies, refer};
pub use vitals::{Vitals, Worse};

/// Between two looks at whether removed backends have ended what they did.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Checks backends, publishes a snapshot whenever a fact or a setting changes, and moves the workers' clocks on, until
/// `stopped` is ready. All of these are `chores`.
pub async fn run(
    settings: watch::Receiver<Arc<Settings>>,
    registry: &'static Registry,
    (snapshots, beat): (watch::Sender<Arc<Snapshot>>, watch::Sender<()>),
    stopping: watch::Receiver<Option<Stop>>,
    chores: &Chores,
    stopped: impl Future<Output = ()>,
) {
    let time = || keep_time(settings.clone(), beat.clone());
    let mut clock = chores.begin(time());
    let publisher = chores.begin(publish::run(settings.clone(), registry, snapshots, stopping));
    let known = settings.clone();
    let limits = move || HeadLimits::of(&known.borrow().config);
    let checker = chores.begin(check::run(registry, limits));
    let sweeper = chores.begin(async move {
        loop {
            sleep(SWEEP_EVERY).await;
            registry.sweep();
        }
    });
    let mut stopped = pin!(stopped);
    loop {
        tokio::select! {
            () = stopped.as_mut() => break,
            // It has fallen, and the time of those who are stopped for that has to end.
            Err(_) = &mut clock => clock = spawn_local(time()),
        }
    }
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
