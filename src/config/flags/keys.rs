//! Which keys of files say the same as flags.

use std::cmp::Reverse;
use std::sync::OnceLock;

use super::Given;

/// Where each setting stands that a flag can say. A `*` stands for any name.
const FLAGS: [(&str, &str); 51] = [
    ("listeners.*.address", "--listen"),
    ("listeners.*.tls", "--tls-listen"),
    ("tls.certificates", "--tls-listen"),
    ("tls.certificates.cert_file", "--tls-cert"),
    ("tls.certificates.key_file", "--tls-key"),
    ("tls.client_ca_file", "--tls-client-ca"),
    ("tls.client_auth", "--tls-client-auth"),
    ("access.proxy_protocol_from", "--proxy-protocol-from"),
    ("pools.*.backends.address", "--backend"),
    ("pools.*.tls", "--backend-cert and --backend-key"),
    ("pools.*.tls.ca_file", "--backend-ca"),
    ("pools.*.tls.name", "--backend-tls-name"),
    ("pools.*.tls.cert_file", "--backend-cert"),
    ("pools.*.tls.key_file", "--backend-key"),
    ("pools.*.tls.insecure", "--backend-tls-insecure"),
    ("pools.*.proxy_protocol", "--backend-proxy-protocol"),
    ("pools.*.policy", "--policy"),
    ("pools.*.health.interval", "--health-interval"),
    ("pools.*.health.timeout", "--health-timeout"),
    ("pools.*.health.path", "--health-path"),
    ("pools.*.health.host", "--health-host"),
    ("pools.*.health.statuses", "--health-statuses"),
    ("workers", "--workers"),
    ("timeouts.header", "--header-timeout"),
    ("timeouts.connect", "--connect-timeout"),
    ("timeouts.response", "--response-timeout"),
    ("timeouts.body", "--body-timeout"),
    ("timeouts.client_idle", "--client-idle-timeout"),
    ("timeouts.backend_idle", "--backend-idle-timeout"),
    ("timeouts.tunnel_idle", "--tunnel-idle-timeout"),
    ("timeouts.notice", "--notice-timeout"),
    ("timeouts.drain", "--drain-timeout"),
    ("timeouts.succession", "--succession-timeout"),
    ("limits.header_size", "--max-header-size"),
    ("limits.headers", "--max-headers"),
    ("limits.body_size", "--max-body-size"),
    ("limits.connections", "--max-connections"),
    ("limits.connections_per_client", "--max-connections-per-client"),
    ("limits.rate", "--rate-limit"),
    ("limits.rate_burst", "--rate-burst"),
    ("limits.total_rate", "--total-rate-limit"),
    ("limits.min_data_rate", "--min-data-rate"),
    ("access.trusted_proxies", "--trusted-proxy"),
    ("access.allow", "--allow"),
    ("access.deny", "--deny"),
    ("access_log", "--access-log"),
    ("request_id", "--request-id"),
    ("log_level", "--log-level"),
    ("watch", "--watch"),
    ("admin.address", "--admin"),
    ("admin.token_file", "--admin-token-file"),
];

/// The flags beside the files that this process has its settings from, if it does.
static BESIDE_FILES: OnceLock<Given> = OnceLock::new();

/// A text that names flags, with the keys that say the same in place of those that nobody wrote.
pub(in crate::config) fn in_words_of_files(text: &str, given: &Given) -> String {
    let mut flags = FLAGS;
    // A flag may begin as another one does.
    flags.sort_by_key(|(_, flag)| Reverse(flag.len()));
    let foreign = flags.iter().filter(|(_, flag)| !given.has(flag));
    foreign.fold(text.to_owned(), |text, (key, flag)| text.replace(flag, &key.replace('*', "NAME")))
}

/// From now on what is said names keys of files. Flags are read once in the life of a process, so this stays.
pub(in crate::config) fn say_keys(given: &Given) {
    let _ = BESIDE_FILES.set(given.clone());
}

/// What is said of settings that are in force, and names flags, in the words in which they were written.
pub fn as_written(text: &str) -> String {
    BESIDE_FILES.get().map_or_else(|| text.to_owned(), |given| in_words_of_files(text, given))
}

/// The names of all flags that say a setting.
pub(in crate::config) fn flags() -> impl Iterator<Item = &'static str> {
    FLAGS.into_iter().map(|(_, flag)| flag)
}

/// The flag that says a setting, if one does.
pub(in crate::config) fn flag_of(key: &str) -> Option<&'static str> {
    FLAGS.iter().find(|(known, _)| *known == key).map(|(_, flag)| *flag)
}
