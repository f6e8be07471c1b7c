//! What groups of flags are called in the help.

pub(in crate::config) const LISTENING: &str = "Listening and TLS";
pub(in crate::config) const FORWARDING: &str = "Backends";
pub(in crate::config) const HEALTH: &str = "Health of backends";
pub(in crate::config) const TIMEOUTS: &str = "Timeouts";
pub(in crate::config) const LIMITS: &str = "Limits";
pub(in crate::config) const ACCESS: &str = "Who is believed and let in";
pub(in crate::config) const LOGS: &str = "Logs and the admin API";
pub(in crate::config) const ASKED: &str = "Which balancer is asked";
