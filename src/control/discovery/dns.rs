//! Backends that a name leads to: its addresses, or its SRV records (RFC 2782).

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::{Either, select};
use futures::stream::{self, StreamExt, TryStreamExt};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::lookup_ip::LookupIp;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as Answered, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::SRV;
use tokio::time::timeout;

use crate::config::{Backend, BackendUrl, Scheme};

use super::{Found, MOST_FOUND};

/// How long one question may take, and how often it is asked.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: u8 = 2;
/// How long the first addresses of one family wait for those of the other, for there are servers that never answer for one (RFC
/// 8305 section 3). Later ones wait for as long as a question may take: what is known still holds.
const GRACE: Duration = Duration::from_millis(500);
/// Targets of a service that are asked for at one time: half of the questions that one connection to a server may have.
const AT_ONCE: usize = 16;

/// What is said of a name's addresses of one family.
type Answer = Result<LookupIp, NetError>;

/// Why a name led nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DnsError {
    /// The system does not say whom to ask.
    #[error("nobody to ask for names: {0}; name some with dns_servers")]
    NoServers(String),
    /// There was no answer, or none of use.
    #[error("the name cannot be resolved: {0}")]
    NoAnswer(Reason),
    /// There was an answer for addresses of the other family alone.
    #[error("its {family} addresses cannot be found: {reason}")]
    Half {
        /// Of which there was none.
        family: &'static str,
        /// Why.
        reason: Reason,
    },
    /// It is said that nobody offers the service (RFC 2782: a target of one dot).
    #[error("it says that there is no such service")]
    NoService,
    /// A service has a target of no use.
    #[error("its target {target} {why}")]
    Target {
        /// The name of the target.
        target: String,
        /// What is wrong with it.
        why: BadTarget,
    },
}

/// What is wrong with the target of a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadTarget {
    /// It leads nowhere.
    #[error("cannot be resolved: {0}")]
    Nowhere(Reason),
    /// Nothing can be reached there.
    #[error("has the port 0, which nobody can be reached at")]
    NoPort,
}

/// Why there was no answer, or none of use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Reason {
    #[error("there is no such name")]
    NoName,
    #[error("there is nothing of this kind under it")]
    NoRecords,
    #[error("the server of names says {0}")]
    Refused(String),
    #[error("no answer in time")]
    Slow,
    #[error("{0}")]
    Other(String),
}

impl Reason {
    /// Whether it was said that there are none, and not that this cannot be told.
    fn is_none_there(&self) -> bool {
        matches!(self, Self::NoName | Self::NoRecords)
    }
}

impl From<NetError> for Reason {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Dns(Answered::NoRecordsFound(none)) => match none.response_code {
                ResponseCode::NXDomain => Self::NoName,
                _ => Self::NoRecords,
            },
            NetError::Dns(Answered::ResponseCode(code)) => Self::Refused(code.to_string()),
            NetError::Timeout => Self::Slow,
            other => Self::Other(other.to_string()),
        }
    }
}

/// Asks servers of names. Addresses of the two families are asked for apart, so that it is known which of them there was
/// no answer for.
#[derive(Debug)]
pub(super) struct Resolver {
    ipv4: TokioResolver,
    ipv6: TokioResolver,
}

impl Resolver {
    /// Asks these servers, or those of the system.
    pub(super) fn asking(servers: &[SocketAddr]) -> Result<Self, DnsError> {
        let of = |strategy| resolver(servers, strategy);
        Ok(Self { ipv4: of(LookupIpStrategy::Ipv4Only)?, ipv6: of(LookupIpStrategy::Ipv6Only)? })
    }

    /// What is said of the addresses of both families, IPv4 first.
    async fn both(&self, name: &str, grace: Duration) -> (Answer, Answer) {
        let (ipv4, ipv6) = (pin!(self.ipv4.lookup_ip(name)), pin!(self.ipv6.lookup_ip(name)));
        let (ipv4, mut ipv6) = match select(ipv4, ipv6).await {
            Either::Left((ipv4, ipv6)) => {
                let ipv6 = beside(&ipv4, ipv6, grace).await;
                (ipv4, ipv6)
            }
            Either::Right((ipv6, ipv4)) => (beside(&ipv6, ipv4, grace).await, ipv6),
        };
        // A name may be short for another one, but for one alone.
        if let (Ok(one), Ok(other)) = (&ipv4, &ipv6)
            && one.query().name() != other.query().name()
        {
            let name = one.query().name().clone();
            ipv6 = beside(&ipv4, self.ipv6.lookup_ip(name), grace).await;
        }
        (ipv4, ipv6)
    }
}

/// What is said of one family beside what was said of the other. When there are addresses of that, it must be said soon.
async fn beside(first: &Answer, second: impl Future<Output = Answer>, grace: Duration) -> Answer {
    match first {
        Ok(found) if found.iter().next().is_some() => {
            timeout(grace, second).await.unwrap_or(Err(NetError::Timeout))
        }
        _ => second.await,
    }
}

fn resolver(servers: &[SocketAddr], strategy: LookupIpStrategy) -> Result<TokioResolver, DnsError> {
    let refused = |error: NetError| DnsError::NoServers(error.to_string());
    let mut builder = match servers {
        [] => TokioResolver::builder_tokio().map_err(refused)?,
        servers => {
            let servers = servers.iter().map(|address| {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                    connection.port = address.port();
                    connection
                });
                NameServerConfig::new(address.ip(), true, connections.into())
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS.into();
    options.ip_strategy = strategy;
    // Who asks waits for as long as an answer holds, and asks again sooner than the servers say that there is no such name.
    options.cache_size = 0;
    builder.build().map_err(refused)
}

/// The addresses of a name. Of a family for which there was no answer, those that are known still count.
pub(super) async fn addresses(
    resolver: &Resolver,
    scheme: Scheme,
    name: &str,
    port: u16,
    known: &[Backend],
) -> Result<Found, DnsError> {
    let grace = if known.is_empty() { GRACE } else { TIMEOUT * u32::from(ATTEMPTS) };
    let (found, failed) = match resolver.both(name, grace).await {
        (Ok(ipv4), Ok(ipv6)) => (vec![ipv4, ipv6], None),
        (Ok(found), Err(error)) => (vec![found], half("IPv6", error)),
        (Err(error), Ok(found)) => (vec![found], half("IPv4", error)),
        (Err(one), Err(other)) => {
            let (one, other) = (Reason::from(one), Reason::from(other));
            return Err(DnsError::NoAnswer(if one.is_none_there() { other } else { one }));
        }
    };
    let mut addresses: Vec<_> = found.iter().flat_map(|found| found.iter()).collect();
    if failed.is_some() {
        addresses.extend(of_the_other_family(found[0].iter().next(), name, port, known));
    }
    // Servers turn the order round; ours is one of preference.
    addresses.sort_unstable();
    addresses.dedup();
    let backend = |ip| Backend::at(BackendUrl::found(scheme, name, SocketAddr::new(ip, port)));
    let holds = found.iter().map(|found| left(found.valid_until())).min().unwrap_or_default();
    Ok(Found { backends: addresses.into_iter().map(backend).collect(), holds, failed })
}

/// Why there are no addresses of one family, unless there are none.
fn half(family: &'static str, error: NetError) -> Option<DnsError> {
    let reason = Reason::from(error);
    (!reason.is_none_there()).then_some(DnsError::Half { family, reason })
}

/// The addresses that are known of a name and are not of this one's family.
fn of_the_other_family(one: Option<IpAddr>, name: &str, port: u16, known: &[Backend]) -> Vec<IpAddr> {
    let authority = format!("{}:{port}", name.trim_end_matches('.'));
    let own = known.iter().filter(|backend| backend.url.authority() == authority);
    let addresses = own.filter_map(|backend| backend.url.address.ip()).map(|address| address.ip());
    addresses.filter(|ip| one.is_none_or(|one| one.is_ipv4() != ip.is_ipv4())).collect()
}

/// The services that a name has: those of the lowest priority are the first tier.
pub(super) async fn services(
    resolver: &Resolver,
    scheme: Scheme,
    name: &str,
    known: &[Backend],
) -> Result<Found, DnsError> {
    let answer = resolver.ipv4.srv_lookup(name).await.map_err(|error| DnsError::NoAnswer(error.into()))?;
    let (mut holds, mut failed) = (left(answer.valid_until()), None);
    let mut services: Vec<&SRV> = answer
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(service) => Some(service),
            _ => None,
        })
        .filter(|service| !service.target.is_root())
        .collect();
    if services.is_empty() {
        return Err(DnsError::NoService);
    }
    let mut priorities: Vec<_> = services.iter().map(|service| service.priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    // Each may lead to as many addresses as an answer holds, of which no more are made than are used.
    services.sort_by_key(|service| (service.priority, &service.target, service.port));
    let targets = stream::iter(&services)
        .map(|service| async move { Ok((service, target(resolver, scheme, service, known).await?)) });
    let mut targets = pin!(targets.buffered(AT_ONCE));
    let mut backends = Vec::new();
    // One that cannot be resolved fails all: the others alone would take it away.
    while backends.len() <= MOST_FOUND
        && let Some((service, found)) = targets.try_next().await?
    {
        holds = holds.min(found.holds);
        failed = failed.or(found.failed);
        let tier = priorities.iter().position(|priority| *priority == service.priority).unwrap_or_default();
        for mut backend in found.backends {
            backend.tier = u8::try_from(tier).unwrap_or(u8::MAX);
            // A weight of 0 is a small chance (RFC 2782), not none.
            backend.weight = u32::from(service.weight).max(1);
            backends.push(backend);
        }
    }
    backends.sort_by(|one, other| (one.tier, one.url.name()).cmp(&(other.tier, other.url.name())));
    Ok(Found { backends, holds, failed })
}

/// Where a service is.
async fn target(
    resolver: &Resolver,
    scheme: Scheme,
    service: &SRV,
    known: &[Backend],
) -> Result<Found, DnsError> {
    let name = service.target.to_utf8();
    let bad = |why| DnsError::Target { target: name.trim_end_matches('.').to_owned(), why };
    if service.port == 0 {
        return Err(bad(BadTarget::NoPort));
    }
    addresses(resolver, scheme, &name, service.port, known).await.map_err(|error| match error {
        DnsError::NoAnswer(reason) => bad(BadTarget::Nowhere(reason)),
        other => other,
    })
}

fn left(valid_until: Instant) -> Duration {
    valid_until.saturating_duration_since(Instant::now())
}
