//! From what the operator wrote to what it means.

use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use crate::telemetry::access_log::Destination;

use super::{
    AccessError, Backend, Balancing, Config, Flags, Health, Limits, Listener, Pool, Route, Timeouts,
};

/// The connections that we accept when the limit on open files allows more.
const MOST_CONNECTIONS: usize = 65_536;
/// Open files that are kept for listeners, logs, checks and runtimes.
const RESERVED_FILES: u64 = 64;
/// Clients at one time that are refused and told why, with no file to spare and with many.
const LEAST_REFUSALS: usize = 32;
const MOST_REFUSALS: usize = 4096;
/// hyper's read buffer starts at this size, so a smaller limit would not be one.
const LEAST_HEADER_SIZE: usize = 8192;
/// The name of the route and of the pool that the command line means.
const DEFAULT: &str = "default";

/// A setting that makes no sense: says which flag, its value, what was expected and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The address to listen on is not one.
    #[error(
        "{flag} {text}: not an address; write ADDRESS:PORT, :PORT, PORT or unix:PATH, for example 127.0.0.1:8080"
    )]
    Listen {
        /// The flag.
        flag: &'static str,
        /// As the operator wrote it.
        text: String,
    },
    /// A Unix socket's path is none, or longer than the system takes.
    #[error("{flag} {text}: not a path for a socket; write unix:PATH with a path of up to 107 bytes")]
    SocketPath {
        /// The flag.
        flag: &'static str,
        /// As the operator wrote it.
        text: String,
    },
    /// An address to listen on was given twice.
    #[error("{flag} {text}: given twice; remove one of them, for each address speaks either TLS or not")]
    DuplicateListener {
        /// The flag.
        flag: &'static str,
        /// As the operator wrote it.
        text: String,
    },
    /// A setting for TLS, and no listener that speaks it.
    #[error("{0}: no listener speaks TLS; add one with --tls-listen, for example --tls-listen :8443")]
    NoTlsListener(&'static str),
    /// Certificates without keys, or keys without certificates.
    #[error(
        "--tls-listen: {certificates} of --tls-cert and {keys} of --tls-key were given; give both for each certificate, in the same order"
    )]
    UnpairedKeys {
        /// How many of the one.
        certificates: usize,
        /// How many of the other.
        keys: usize,
    },
    /// Clients' certificates were asked for, and no authority was named.
    #[error("--tls-client-auth: nobody is named who signs clients' certificates; add --tls-client-ca FILE")]
    NoClientCa,
    /// A backend's address is not one.
    #[error("--backend {0}: not an address; write HOST:PORT, for example 127.0.0.1:3000")]
    Backend(String),
    /// A backend's URL has a scheme that we do not speak.
    #[error(
        "--backend {0}: not a scheme that is spoken; write http://, https:// or h2c:// before HOST:PORT, or unix:PATH"
    )]
    BackendScheme(String),
    /// A backend's URL has a path.
    #[error("--backend {text}: has a path, but requests keep their own; write {fix}")]
    BackendPath {
        /// As the operator wrote it.
        text: String,
        /// Without the path.
        fix: String,
    },
    /// A setting for TLS to backends, and no backend that speaks it.
    #[error("{0}: no backend speaks TLS; write --backend https://HOST:PORT for those that do")]
    NoTlsBackend(&'static str),
    /// Any certificate is to be taken, and only some.
    #[error(
        "--backend-tls-insecure: takes any certificate, but --backend-ca says which are good; remove one of them"
    )]
    TrustTwice,
    /// A certificate for backends without its key, or a key without its certificate.
    #[error("--backend-cert and --backend-key: only one of them was given; give both, or none")]
    UnpairedBackendKey,
    /// The name that certificates must be for is none.
    #[error(
        "--backend-tls-name {0}: not a name; write a host name or an IP address, for example app.internal"
    )]
    TlsName(String),
    /// A backend's name has no address.
    #[error(
        "--backend {name}: the name cannot be resolved ({reason}); check the spelling, or write an IP address"
    )]
    Unresolved {
        /// As the operator wrote it.
        name: String,
        /// As the system's resolver put it.
        reason: String,
    },
    /// A backend was given twice.
    #[error("--backend {0}: given twice; remove one of them")]
    DuplicateBackend(String),
    /// A backend is the balancer itself.
    #[error(
        "--backend {0}: that is where we listen, so requests would go round in circles; name another address"
    )]
    Loop(String),
    /// The path of a check is not in origin form.
    #[error(
        "--health-path {0}: must start with / and hold no spaces, # or control characters, for example /health"
    )]
    HealthPath(String),
    /// A limit is below what can work.
    #[error("{flag} {value}: too small; use at least {least}")]
    TooSmall {
        /// The flag.
        flag: &'static str,
        /// As the operator wrote it.
        value: usize,
        /// The smallest value that works.
        least: usize,
    },
    /// A limit is above what can work.
    #[error("{flag} {value}: too large; use at most {most}")]
    TooLarge {
        /// The flag.
        flag: &'static str,
        /// As the operator wrote it.
        value: usize,
        /// The largest value that works.
        most: usize,
    },
    /// A network or a rate makes no sense.
    #[error(transparent)]
    Access(#[from] AccessError),
}

impl Flags {
    /// The configuration that these flags mean. `open_files` is the process's limit on open files.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    pub fn resolve(&self, open_files: u64) -> Result<Config, ConfigError> {
        let listeners = self.listen.listeners()?;
        Ok(Config {
            tls: self.listen.tls()?,
            introduced: self.introduced.resolve()?,
            routes: vec![Route::to_first_pool(DEFAULT)],
            pools: vec![self.pool(&listeners)?],
            listeners,
            workers: self.workers()?,
            timeouts: Timeouts {
                header: self.header_timeout,
                connect: self.connect_timeout,
                response: self.response_timeout,
                body: self.body_timeout,
                client_idle: self.client_idle_timeout,
                backend_idle: self.backend_idle_timeout,
                tunnel_idle: self.tunnel_idle_timeout,
                drain: self.drain_timeout,
            },
            limits: self.limits(open_files)?,
            access: self.access.resolve()?,
            access_log: self.access_log.as_deref().map(|path| match path {
                path if path == Path::new("-") => Destination::Stdout,
                path => Destination::File(path.to_owned()),
            }),
            log_level: self.log_level,
            admin: None,
        })
    }

    /// All backends of the command line are one pool.
    fn pool(&self, listeners: &[Listener]) -> Result<Pool, ConfigError> {
        let backends = self.backend.urls(listeners)?;
        Ok(Pool {
            name: DEFAULT.into(),
            tls: self.backend.tls(&backends)?,
            backends: backends.into_iter().map(Backend::at).collect(),
            sources: Vec::new(),
            balancing: Balancing::by(self.policy),
            health: Health {
                interval: self.health_interval,
                timeout: self.health_timeout,
                path: parse_path(&self.health_path)?,
            },
            proxy_protocol: self.backend.backend_proxy_protocol,
        })
    }

    fn workers(&self) -> Result<NonZeroUsize, ConfigError> {
        let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let workers = self.workers.unwrap_or_else(cores);
        between("--workers", workers, 1, 1024)?;
        Ok(NonZeroUsize::new(workers).expect("it is at least 1"))
    }

    fn limits(&self, open_files: u64) -> Result<Limits, ConfigError> {
        between("--max-header-size", self.max_header_size, LEAST_HEADER_SIZE, 1 << 20)?;
        between("--max-headers", self.max_headers, 1, 10_000)?;
        // A proxied connection takes two files: the client's and the backend's.
        let affordable = usize::try_from(open_files.saturating_sub(RESERVED_FILES) / 2).unwrap_or(usize::MAX);
        let affordable = affordable.max(1);
        let connections = self.max_connections.unwrap_or(affordable.min(MOST_CONNECTIONS));
        between("--max-connections", connections, 1, affordable)?;
        Ok(Limits {
            header_size: self.max_header_size,
            headers: self.max_headers,
            body: self.max_body_size,
            connections,
            // Files that nobody else may need are theirs, too.
            refusals: LEAST_REFUSALS + (affordable - connections).min(MOST_REFUSALS),
        })
    }
}

pub(super) fn between(
    flag: &'static str,
    value: usize,
    least: usize,
    most: usize,
) -> Result<(), ConfigError> {
    match value {
        value if value < least => Err(ConfigError::TooSmall { flag, value, least }),
        value if value > most => Err(ConfigError::TooLarge { flag, value, most }),
        _ => Ok(()),
    }
}

fn parse_path(text: &str) -> Result<String, ConfigError> {
    let fits = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if fits { Ok(text.to_owned()) } else { Err(ConfigError::HealthPath(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::super::PolicyName;
    use super::*;

    fn resolve(arguments: &[&str]) -> Result<Config, ConfigError> {
        let arguments = ["loadbalancer"].iter().chain(arguments);
        Flags::try_parse_from(arguments).expect("flags that parse").resolve(4096)
    }

    #[test]
    fn no_flags_mean_the_small_system_it_grew_from() {
        let config = resolve(&[]).unwrap();
        assert_eq!(config.listeners.len(), 1);
        assert_eq!(config.listeners[0].to_string(), "http://127.0.0.1:8080");
        let pool = &config.pools[0];
        let backends: Vec<_> = pool.backends.iter().map(|backend| backend.url.to_string()).collect();
        assert_eq!(backends, ["127.0.0.1:3000", "127.0.0.1:3001"]);
        assert_eq!(pool.balancing.policy, PolicyName::First);
        assert_eq!(pool.health.interval, Duration::from_secs(30));
        assert_eq!(pool.health.path, "/");
        assert_eq!(config.limits.connections, (4096 - 64) / 2);
    }

    #[test]
    fn an_address_to_listen_on_may_leave_out_what_is_obvious() {
        for (text, means) in [
            ("8081", "127.0.0.1:8081"),
            ("localhost:8081", "127.0.0.1:8081"),
            (":8081", "0.0.0.0:8081"),
            ("[::1]:8081", "[::1]:8081"),
            ("unix:/run/lb", "unix:/run/lb"),
        ] {
            let listeners = resolve(&["--listen", text]).unwrap().listeners;
            assert_eq!(listeners[0].address.to_string(), means, "{text}");
        }
        assert_eq!(
            resolve(&["--listen", "here"]),
            Err(ConfigError::Listen { flag: "--listen", text: "here".into() })
        );
    }

    #[test]
    fn backends_that_make_no_sense_are_refused_by_name() {
        let refused = |backend: &str| resolve(&["--backend", backend]).unwrap_err();
        for text in ["3000", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:0", "0.0.0.0:3000", "a b:1", ":1", ""]
        {
            assert_eq!(refused(text), ConfigError::Backend(text.into()));
        }
        assert_eq!(refused("127.0.0.1:8080"), ConfigError::Loop("127.0.0.1:8080".into()));
        assert_eq!(refused("127.0.0.1:1,127.0.0.1:1"), ConfigError::DuplicateBackend("127.0.0.1:1".into()));
        let twice = resolve(&["--backend", "localhost:1", "--backend", "127.0.0.1:1"]);
        assert_eq!(twice, Err(ConfigError::DuplicateBackend("127.0.0.1:1".into())));
    }

    #[test]
    fn a_health_path_is_an_origin_form_target() {
        for text in ["health", "", "/a b", "/a#b", "/\r\nHost: x"] {
            assert_eq!(resolve(&["--health-path", text]), Err(ConfigError::HealthPath(text.into())));
        }
        assert_eq!(resolve(&["--health-path", "/ok?deep=1"]).unwrap().pools[0].health.path, "/ok?deep=1");
    }

    #[test]
    fn limits_that_cannot_work_are_refused_with_the_nearest_that_can() {
        let least = ConfigError::TooSmall { flag: "--max-header-size", value: 100, least: 8192 };
        assert_eq!(resolve(&["--max-header-size", "100"]), Err(least));
        let most = ConfigError::TooLarge { flag: "--max-connections", value: 9999, most: 2016 };
        assert_eq!(resolve(&["--max-connections", "9999"]), Err(most));
    }
}
