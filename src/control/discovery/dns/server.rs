//! One server of names.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as Answered, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::AT_ONCE;

/// How long one may take for a question.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);
/// For how long others are asked before a server that was silent, and one that was silent on one family is not waited for.
const REST: Duration = Duration::from_secs(60);

/// Why there was no answer, or none of use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::control::discovery) enum Reason {
    #[error("there is no such name")]
    NoName,
    #[error("there is nothing of this kind under it")]
    NoRecords,
    #[error("the server of names says {0}")]
    Refused(String),
    #[error("no answer in time")]
    Slow,
    #[error("nobody to ask for names: {0}; name some with dns_servers")]
    Nobody(String),
    #[error("{0}")]
    Other(String),
}

/// Asks one server of names, and remembers whether it is there.
#[derive(Debug)]
pub(super) struct Server {
    resolver: TokioResolver,
    /// When it told something last.
    answered: Cell<Option<Instant>>,
    /// When it told nothing though it was waited for, if it has told nothing since.
    silent: Cell<Option<Instant>>,
    /// The same of addresses of each family, IPv4 first, though it told of other things: some tell of one family alone.
    mute: [Cell<Option<Instant>>; 2],
}

/// What was said of a name, and for how long that holds.
pub(super) struct Told<T> {
    pub all: Vec<T>,
    pub holds: Duration,
}

impl Reason {
    /// Whether it was said that there are none, and not that this cannot be told.
    pub(super) fn is_none_there(&self) -> bool {
        matches!(self, Self::NoName | Self::NoRecords)
    }
}

impl From<NetError> for Reason {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Dns(Answered::NoRecordsFound(none)) => match none.response_code {
                ResponseCode::NXDomain => Self::NoName,
                ResponseCode::NoError => Self::NoRecords,
                code => Self::Refused(code.to_string()),
            },
            NetError::Dns(Answered::ResponseCode(code)) => Self::Refused(code.to_string()),
            NetError::Timeout => Self::Slow,
            other => Self::Other(other.to_string()),
        }
    }
}

impl Server {
    pub(super) fn at(server: NameServerConfig, options: ResolverOpts) -> Result<Self, Reason> {
        let config = ResolverConfig::from_name_servers(vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let options = builder.options_mut();
        options.timeout = TIMEOUT;
        // Who is asked next is decided here.
        options.attempts = 0;
        options.use_hosts_file = ResolveHosts::Never;
        // Who asks waits for as long as an answer holds, and asks again sooner than the servers say that there is no such name.
        options.cache_size = 0;
        // Each target is asked for by two families, and there are other sources.
        options.max_active_requests = 4 * AT_ONCE;
        let resolver = builder.build()?;
        Ok(Self { resolver, answered: Cell::default(), silent: Cell::default(), mute: <_>::default() })
    }

    pub(super) async fn ask(&self, name: &Name, kind: RecordType) -> Result<Lookup, Reason> {
        let asked = Instant::now();
        let answer = self.resolver.lookup(name.clone(), kind).await.map_err(Reason::from);
        match answer {
            Err(Reason::Slow | Reason::Other(_)) => {
                let now = Some(Instant::now());
                if self.answered.get() < Some(asked) {
                    self.silent.set(now);
                } else if let Some(mute) = self.mute_on(kind) {
                    mute.set(now);
                }
            }
            _ => {
                self.answered.set(Some(Instant::now()));
                self.silent.set(None);
                if let Some(mute) = self.mute_on(kind) {
                    mute.set(None);
                }
            }
        }
        answer
    }

    /// Whether others are asked before.
    pub(super) fn rests(&self) -> bool {
        self.silent.get().is_some_and(is_fresh)
    }

    /// Whether it need not be waited for what it says of this family of addresses.
    pub(super) fn is_silent_on(&self, kind: RecordType) -> bool {
        self.rests() || self.mute_on(kind).and_then(Cell::get).is_some_and(is_fresh)
    }

    fn mute_on(&self, kind: RecordType) -> Option<&Cell<Option<Instant>>> {
        let [ipv4, ipv6] = &self.mute;
        match kind {
            RecordType::A => Some(ipv4),
            RecordType::AAAA => Some(ipv6),
            _ => None,
        }
    }
}

impl<T> Told<T> {
    /// What an answer tells of this kind.
    pub(super) fn of(answer: &Lookup, kind: impl Fn(&RData) -> Option<T>) -> Self {
        let all = answer.answers().iter().filter_map(|record| kind(&record.data)).collect();
        Self { all, holds: answer.valid_until().saturating_duration_since(Instant::now()) }
    }
}

fn is_fresh(since: Instant) -> bool {
    since.elapsed() < REST
}

/// A server there, with all else as usual.
pub(super) fn server_at(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}
