//! What groups of flags are called in the help.

pub(super) const LISTENING: &str = "Listening and TLS";
pub(super) const FORWARDING: &str = "Backends";
pub(super) const HEALTH: &str = "Health of backends";
pub(super) const TIMEOUTS: &str = "Timeouts";
pub(super) const LIMITS: &str = "Limits";
pub(super) const ACCESS: &str = "Who is believed and let in";
pub(super) const LOGS: &str = "Logs and the admin API";
pub(super) const ASKED: &str = "Which balancer is asked";
