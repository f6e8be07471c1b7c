//! Settings read anew while requests run.

use std::fmt::Display;
use std::future::Future;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::config::{Config, Sources};

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

/// Reads the settings anew and puts them in force at each SIGHUP, for ever. Bad ones change nothing and are told.
pub async fn reload<A, F, R>(hangups: Option<Signal>, sources: Option<Sources>, apply: A)
where
    A: Fn(Config) -> F,
    F: Future<Output = Result<Outcome, R>>,
    R: Display,
{
    let Some(mut hangups) = hangups else { return };
    while hangups.recv().await.is_some() {
        let Some(sources) = sources.clone() else {
            warn!("SIGHUP: the settings are built in, there is nothing to read anew");
            continue;
        };
        // Files and names take their time, and with one worker this is its thread, too.
        let applied = match spawn_blocking(move || sources.load()).await {
            Ok(Ok(loaded)) => apply(loaded.config).await.map_err(|error| error.to_string()),
            Ok(Err(problems)) => Err(problems.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match applied {
            Ok(Outcome::Unchanged) => info!("reload: nothing has changed"),
            Ok(Outcome::Changed | Outcome::Later(_)) => info!("reloaded"),
            Err(error) => warn!("reload refused, the settings stay as they were: {error}"),
        }
    }
}
