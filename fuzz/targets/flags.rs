//! The command line: whatever the words are, they mean something or are refused in one line. Words are separated by line
//! feeds.
#![no_main]

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use loadbalancer::config::Flags;

/// Whether nobody is asked for the address: names are looked up where they are resolved.
fn is_numeric(backend: &str) -> bool {
    let authority = backend.split_once("://").map_or(backend, |(_, authority)| authority);
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    backend.starts_with("unix:") || !has_port || authority.parse::<SocketAddr>().is_ok()
}

fuzz_target!(|bytes: &[u8]| {
    let words = bytes.split(|byte| *byte == b'\n').map(|word| OsStr::from_bytes(word).to_owned());
    let Ok(flags) = Flags::try_parse_from([OsString::from("loadbalancer")].into_iter().chain(words)) else {
        return;
    };
    // Files are read where they are resolved, too.
    let reads = flags.config.is_some() || flags.admin_token_file.is_some();
    if reads || !flags.backend.backends.iter().all(|backend| is_numeric(backend)) {
        return;
    }
    match flags.resolve(1024) {
        Ok(config) => {
            assert!(!config.listeners.is_empty() && !config.pools[0].backends.is_empty());
            assert!(config.limits.header_size >= 8192 && config.limits.connections > 0);
            let health = &config.pools[0].health;
            assert!(!health.interval.is_zero() && health.path.starts_with('/'));
            assert_ne!(health.statuses.to_string(), "");
            assert!(config.listeners.iter().any(|listener| listener.tls) == config.tls.is_some());
        }
        Err(refusal) => {
            let line = refusal.to_string();
            assert!(line.starts_with("--") && line.lines().count() == 1, "{line:?}");
        }
    }
});
