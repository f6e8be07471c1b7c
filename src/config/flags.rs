//! The command line and the environment, as the operator wrote them.

mod environment;
mod keys;
mod line;
mod meaning;
mod remote;
mod textless;
mod told;
mod tool;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, FromArgMatches, Id, Parser, Subcommand};

use crate::telemetry::LogLevel;

use super::access::AccessFlags;
use super::backend::BackendFlags;
use super::duration::parse_duration;
use super::heading;
use super::introduced::IntroducedFlags;
use super::listen::ListenFlags;
use super::number::parse_number;
use super::pool::PolicyName;
use super::size::parse_bytes;
use super::switch::parse_switch;

pub use environment::slips;
pub use keys::as_written;
pub(super) use keys::{flag_of, in_words_of_files, say_keys};
pub use remote::{CONFIRM_TIMES, Form, NewWeight, Remote, Target};
pub use told::in_one_line;
pub use tool::{ConfigTool, Tool};

/// An HTTP load balancer: sends each request to a healthy backend, notices sick ones before users do, and says why it
/// did what it did.
///
/// With no flags at all it listens on 127.0.0.1:8080 and forwards to 127.0.0.1:3000, or to 127.0.0.1:3001 when the
/// first is down.
#[derive(Clone, Debug, Parser)]
#[command(name = "loadbalancer", version, max_term_width = 110, args_override_self = true)]
pub struct Flags {
    /// What to do instead of balancing, if anything.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// File with the settings (TOML, or YAML or JSON by its name), a folder of TOML files, or `-` for TOML on standard input; it takes the place of the flags that say where requests come from and go to
    #[arg(long, env = "LOADBALANCER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Read the files of --config anew when they change, as upon SIGHUP
    #[arg(long, env = "LOADBALANCER_WATCH", value_parser = parse_switch, action = ArgAction::SetTrue)]
    pub watch: bool,

    /// Where clients connect.
    #[command(flatten, next_help_heading = heading::LISTENING)]
    pub listen: ListenFlags,

    /// Which connections begin with a PROXY header.
    #[command(flatten, next_help_heading = heading::ACCESS)]
    pub introduced: IntroducedFlags,

    /// Where requests go.
    #[command(flatten, next_help_heading = heading::FORWARDING)]
    pub backend: BackendFlags,

    /// How a backend is chosen among the usable ones
    #[arg(
        long,
        env = "LOADBALANCER_POLICY",
        value_enum,
        value_name = "POLICY",
        default_value = "first",
        help_heading = heading::FORWARDING
    )]
    pub policy: PolicyName,

    /// Between two checks of a healthy backend; one that is down is checked sooner
    #[arg(long, env = "LOADBALANCER_HEALTH_INTERVAL", value_name = "DURATION", value_parser = parse_duration, default_value = "30s", help_heading = heading::HEALTH)]
    pub health_interval: Duration,

    /// How long a check may take. It may be longer than the interval, which begins when a check has ended
    #[arg(long, env = "LOADBALANCER_HEALTH_TIMEOUT", value_name = "DURATION", value_parser = parse_duration, default_value = "2s", help_heading = heading::HEALTH)]
    pub health_timeout: Duration,

    /// What a check GETs
    #[arg(long, env = "LOADBALANCER_HEALTH_PATH", value_name = "PATH", default_value = "/", help_heading = heading::HEALTH)]
    pub health_path: String,

    /// What `Host` says in a check, for backends that serve some hosts only [default: the host and the port of each --backend]
    #[arg(long, env = "LOADBALANCER_HEALTH_HOST", value_name = "HOST", help_heading = heading::HEALTH)]
    pub health_host: Option<String>,

    /// Statuses of an answer that mean healthy, alone or with the last of a range: 401 or 200-399; repeat it for more [default: 200-299]
    #[arg(long, env = "LOADBALANCER_HEALTH_STATUSES", value_name = "STATUSES", value_delimiter = ',', action = ArgAction::Append, help_heading = heading::HEALTH)]
    pub health_statuses: Vec<String>,

    /// Threads that serve clients [default: one per core]
    #[arg(long, env = "LOADBALANCER_WORKERS", value_name = "N", value_parser = parse_number::<usize>)]
    pub workers: Option<usize>,

    /// For a client to send the head of a request, from its first byte; of the first, from the connection
    #[arg(long, env = "LOADBALANCER_HEADER_TIMEOUT", value_name = "DURATION", value_parser = parse_duration, default_value = "10s", help_heading = heading::TIMEOUTS)]
    pub header_timeout: Duration,

    /// To establish a connection to a backend
    #[arg(long, env = "LOADBALANCER_CONNECT_TIMEOUT", value_name = "DURATION", value_parser = parse_duration, default_value = "2s", help_heading = heading::TIMEOUTS)]
    pub connect_timeout: Duration,

    /// For a backend to answer, from the end of the request to the end of the answer's head
    #[arg(long, env = "LOADBALANCER_RESPONSE_TIMEOUT", value_name = "DURATION", value_parser = parse_duration, default_value = "60s", help_heading = heading::TIMEOUTS)]
    pub response_timeout: Duration,

    /// Without progress of a body, in either direction
    #[arg(long, env = "LOADBALANCER_BODY_TIMEOUT", value_name = "DURATION", value_parser = parse_duration, default_value = "60s", help_heading = heading::TIMEOUTS)]
    pub body_timeout: Duration,

    /// Between two requests of a client on one connection
    #[arg(long, env = "LOADBALANCER_CLIENT_IDLE_TIMEOUT", value_name = "DURATION", value_parser = parse_duration, default_value = "75s", help_heading = heading::TIMEOUTS)]
    pub client_idle_timeout: Duration,

    /// Before an unused connection to a backend is closed; keep it below the backend's own
    #[arg(long, env = "LOADBALANCER_BACKEND_IDLE_TIMEOUT", value_name = "DURATION", value_parser = parse_duration, default_value = "55s", help_heading = heading::TIMEOUTS)]
    pub backend_idle_timeout: Duration,

    /// Without a byte in either direction of an upgraded connection (WebSocket)
    #[arg(long, env = "LOADBALANCER_TUNNEL_IDLE_TIMEOUT", value_name = "DURATION", value_parser = parse_duration, default_value = "1h", help_heading = heading::TIMEOUTS)]
    pub tunnel_idle_timeout: Duration,

    /// For whoever looks at `/readyz` to hear of a stop (SIGINT, SIGTERM or SIGQUIT) while clients are still served as ever [default: none]
    #[arg(long, env = "LOADBALANCER_NOTICE_TIMEOUT", value_name = "DURATION", value_parser = parse_duration, help_heading = heading::TIMEOUTS)]
    pub notice_timeout: Option<Duration>,

    /// For running requests to finish after SIGINT, SIGTERM or SIGQUIT
    #[arg(long, env = "LOADBALANCER_DRAIN_TIMEOUT", value_name = "DURATION", value_parser = parse_duration, default_value = "30s", help_heading = heading::TIMEOUTS)]
    pub drain_timeout: Duration,

    /// For running requests and tunnels to finish in a process that another one has replaced (SIGUSR2)
    #[arg(long, env = "LOADBALANCER_SUCCESSION_TIMEOUT", value_name = "DURATION", value_parser = parse_duration, default_value = "1h", help_heading = heading::TIMEOUTS)]
    pub succession_timeout: Duration,

    /// Size of the head of a request or an answer
    #[arg(long, env = "LOADBALANCER_MAX_HEADER_SIZE", value_name = "SIZE", value_parser = parse_bytes, default_value = "64KiB", help_heading = heading::LIMITS)]
    pub max_header_size: u64,

    /// Header lines that a request or an answer may have
    #[arg(long, env = "LOADBALANCER_MAX_HEADERS", value_name = "N", value_parser = parse_number::<usize>, default_value_t = 100, help_heading = heading::LIMITS)]
    pub max_headers: usize,

    /// Size of a request's body: 512B, 64KiB, 10MB, or a number of bytes alone [default: any]
    #[arg(long, env = "LOADBALANCER_MAX_BODY_SIZE", value_name = "SIZE", value_parser = parse_bytes, help_heading = heading::LIMITS)]
    pub max_body_size: Option<u64>,

    /// Client connections at one time [default: what the limit on open files allows, at most 65536]
    #[arg(long, env = "LOADBALANCER_MAX_CONNECTIONS", value_name = "N", value_parser = parse_number::<usize>, help_heading = heading::LIMITS)]
    pub max_connections: Option<usize>,

    /// Who is believed and who is let in.
    #[command(flatten, next_help_heading = heading::ACCESS)]
    pub access: AccessFlags,

    /// Write a JSON line for each request to FILE, or to standard output if it is `-`
    #[arg(long, env = "LOADBALANCER_ACCESS_LOG", value_name = "FILE", help_heading = heading::LOGS)]
    pub access_log: Option<PathBuf>,

    /// Header line with an id that each request gets, for its backend, its client and the access log: X-Request-ID, for example. One that a proxy of --trusted-proxy has given stays [default: none]
    #[arg(long, env = "LOADBALANCER_REQUEST_ID", value_name = "NAME", help_heading = heading::LOGS)]
    pub request_id: Option<String>,

    /// How much the program says of itself, on standard error
    #[arg(
        long,
        env = "LOADBALANCER_LOG_LEVEL",
        value_enum,
        value_name = "LEVEL",
        default_value = "info",
        help_heading = heading::LOGS
    )]
    pub log_level: LogLevel,

    /// Address of the admin API, written as for --listen, or `off` [default: 127.0.0.1:8081 with --config, otherwise off]
    #[arg(long, env = "LOADBALANCER_ADMIN", value_name = "ADDRESS", help_heading = heading::LOGS)]
    pub admin: Option<String>,

    /// File with what a caller of the admin API must know
    #[arg(long, env = "LOADBALANCER_ADMIN_TOKEN_FILE", value_name = "FILE", help_heading = heading::LOGS)]
    pub admin_token_file: Option<PathBuf>,

    /// Which flags somebody wrote, on the command line or in the environment.
    #[arg(skip)]
    pub(super) given: Given,
}

/// Which flags somebody wrote. Of flags that did not come by [`Flags::read`], all count as written.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    written: Option<Vec<&'static str>>,
    /// Those of all that were written in the environment.
    in_environment: Vec<String>,
}

/// What to do instead of balancing.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the whole system in this one process: the balancer and, in place of --backend, two sample backends that are
    /// checked every 2 s
    Demo,
    #[command(flatten)]
    #[expect(missing_docs, reason = "it would be the documentation of each of them")]
    Tool(Tool),
    #[command(flatten)]
    #[expect(missing_docs, reason = "it would be the documentation of each of them")]
    Remote(Remote),
}

/// Flags that say what a file says by name.
const BY_NAME: [&str; 20] = [
    "--listen",
    "--tls-listen",
    "--tls-cert",
    "--tls-key",
    "--tls-client-ca",
    "--tls-client-auth",
    "--backend",
    "--backend-ca",
    "--backend-tls-name",
    "--backend-cert",
    "--backend-key",
    "--backend-tls-insecure",
    "--backend-proxy-protocol",
    "--policy",
    "--health-interval",
    "--health-timeout",
    "--health-path",
    "--health-host",
    "--health-statuses",
    "--backend-cert and --backend-key",
];

/// Flags in whose place `demo` has values of its own.
const IDLE_IN_DEMO: [&str; 6] =
    ["config", "watch", "backend", "health-path", "health-interval", "notice-timeout"];

impl Flags {
    /// All commands, each with the flags that say something to it.
    pub fn command_line() -> clap::Command {
        line::command_line()
    }

    /// What these words, of which the first is the program's name, and the environment say.
    ///
    /// # Errors
    /// They are no flags of ours, or ask for help.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let words: Vec<_> = words.into_iter().collect();
        let open = line::left_open(&words)?;
        let mut command = line::reading(|flag| open.contains(flag));
        let matches = command.try_get_matches_from_mut(&words);
        // The words alone make sense.
        let matches = matches.map_err(|error| match error.kind() {
            ErrorKind::InvalidUtf8 => textless::variable(&mut command),
            _ => environment::name_variable(line::mended(error, &mut command, &words)),
        })?;
        let mut flags = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        let from = |source| {
            let is_from = |id: &Id| matches.value_source(id.as_str()) == Some(source);
            let flags = command.get_arguments().filter(|argument| is_from(argument.get_id()));
            flags.filter_map(|flag| Some(format!("--{}", flag.get_long()?))).collect::<Vec<_>>()
        };
        let (on_command_line, in_environment) =
            (from(ValueSource::CommandLine), from(ValueSource::EnvVariable));
        let is_written =
            |flag: &&str| on_command_line.iter().chain(&in_environment).any(|known| known == flag);
        let written = Some(keys::flags().filter(is_written).collect());
        flags.given = Given { written, in_environment };
        Ok(flags)
    }

    /// A flag that somebody wrote, and in whose place `demo` has values of its own.
    pub fn idle_in_demo(&self) -> Option<String> {
        let idle = IDLE_IN_DEMO.into_iter().map(|flag| format!("--{flag}")).find(|flag| match &**flag {
            "--config" => self.config.is_some(),
            "--watch" => self.watch,
            flag => self.given.written.is_some() && self.given.has(flag),
        });
        idle.map(|flag| self.given.name(&flag))
    }
}

impl Given {
    /// Whether somebody wrote a flag.
    pub(super) fn has(&self, flag: &str) -> bool {
        self.written.as_ref().is_none_or(|given| given.contains(&flag))
    }

    /// What is to be mended to mend a flag: that, or the variable of the environment in which it was written.
    pub(super) fn name(&self, flag: &str) -> String {
        let is_variable = self.in_environment.iter().any(|known| known == flag);
        if is_variable { environment::variable(flag) } else { flag.to_owned() }
    }

    /// Whether somebody wrote a flag that wins over a file.
    pub(super) fn process_wide(&self, flag: &str) -> bool {
        self.has(flag) && !BY_NAME.contains(&flag)
    }

    /// A flag that somebody wrote, and that cannot be together with a file.
    pub(super) fn by_name(&self) -> Option<&'static str> {
        BY_NAME.into_iter().find(|flag| self.written.is_some() && self.has(flag))
    }
}
