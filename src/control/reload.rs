//! Settings read anew while requests run.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::config::Config;

/// What came of settings that were to be put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They are the ones that were.
    Unchanged,
    /// They are in force.
    Changed,
    /// They are in force, but for the named ones, which wait for the next start.
    Later(Vec<&'static str>),
}

/// Watches for SIGHUP from now on; nothing if the system does not let us.
pub fn hangups() -> Option<Signal> {
    signal(SignalKind::hangup()).ok()
}

/// Reads the settings anew and puts them in force at each SIGHUP, for ever. A bad setting changes nothing and is said.
pub async fn reload<L, E, A, F, R>(hangups: Option<Signal>, load: Option<Arc<L>>, apply: A)
where
    L: Fn() -> Result<Config, E> + Send + Sync + ?Sized + 'static,
    E: Display + Send + 'static,
    A: Fn(Config) -> F,
    F: Future<Output = Result<Outcome, R>>,
    R: Display,
{
    let Some(mut hangups) = hangups else { return };
    while hangups.recv().await.is_some() {
        let Some(load) = &load else {
            warn!(
                "SIGHUP: there is no configuration file to read anew; start with --config FILE to have one"
            );
            continue;
        };
        let load = Arc::clone(load);
        let loaded = match spawn_blocking(move || load()).await {
            Ok(Ok(config)) => config,
            Ok(Err(error)) => {
                warn!("reload refused, the settings stay as they were: {error}");
                continue;
            }
            Err(error) => {
                warn!("reload failed, the settings stay as they were: {error}");
                continue;
            }
        };
        match apply(loaded).await {
            Ok(Outcome::Unchanged) => info!("reload: nothing has changed"),
            Ok(Outcome::Changed | Outcome::Later(_)) => info!("reloaded"),
            Err(error) => warn!("reload refused, the settings stay as they were: {error}"),
        }
    }
}
