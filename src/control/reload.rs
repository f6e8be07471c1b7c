//! Settings read anew while requests run.

use std::rc::Rc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::desk::{Desk, Intent, Outcome, Refusal};

/// Watches for SIGHUP from now on; nothing if the system does not let us.
pub fn hangups() -> Option<Signal> {
    signal(SignalKind::hangup()).ok()
}

/// Reads the settings anew and puts them in force at each SIGHUP, for ever. Bad ones change nothing and are told.
pub async fn reload(hangups: Option<Signal>, desk: Rc<Desk>) {
    let Some(mut hangups) = hangups else { return };
    while hangups.recv().await.is_some() {
        tell(&desk.turn().await.reload(Intent::Force).await);
    }
}

/// Tells what came of it.
pub(super) fn tell(reloaded: &Result<Outcome, Refusal>) {
    match reloaded {
        Ok(Outcome::Unchanged) => info!("reload: nothing has changed"),
        Ok(Outcome::Changed | Outcome::Later(_)) => info!("reloaded"),
        Err(error) => warn!("reload refused, the settings stay as they were: {error}"),
    }
}
