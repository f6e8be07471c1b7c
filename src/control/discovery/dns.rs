//! Backends that a name leads to: its addresses, or its SRV records (RFC 2782).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::SRV;

use crate::config::{Backend, BackendUrl, Scheme};

use super::Found;

/// How long one question may take, and how often it is asked.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// Why a name led nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DnsError {
    /// The system does not say whom to ask.
    #[error("nobody to ask for names: {0}; name some with dns_servers")]
    NoServers(String),
    /// There was no answer, or none of use.
    #[error("the name cannot be resolved: {0}")]
    NoAnswer(String),
}

impl From<NetError> for DnsError {
    fn from(error: NetError) -> Self {
        Self::NoAnswer(error.to_string())
    }
}

/// Asks these servers, or those of the system.
pub(super) fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, DnsError> {
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
    options.attempts = ATTEMPTS;
    builder.build().map_err(refused)
}

/// The addresses of a name.
pub(super) async fn addresses(
    resolver: &TokioResolver,
    scheme: Scheme,
    name: &str,
    port: u16,
) -> Result<Found, DnsError> {
    let answer = resolver.lookup_ip(name).await?;
    let backend = |ip| Backend::at(BackendUrl::found(scheme, name, SocketAddr::new(ip, port)));
    let mut addresses: Vec<_> = answer.iter().collect();
    // Servers turn the order round; ours is one of preference.
    addresses.sort_unstable();
    addresses.dedup();
    Ok(Found { backends: addresses.into_iter().map(backend).collect(), holds: left(answer.valid_until()) })
}

/// The services that a name has: those of the lowest priority are the first tier.
pub(super) async fn services(
    resolver: &TokioResolver,
    scheme: Scheme,
    name: &str,
) -> Result<Found, DnsError> {
    let answer = resolver.srv_lookup(name).await?;
    let mut holds = left(answer.valid_until());
    let services: Vec<&SRV> = answer
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(service) => Some(service),
            _ => None,
        })
        .collect();
    let mut priorities: Vec<_> = services.iter().map(|service| service.priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    let mut backends = Vec::new();
    for service in services {
        // One that cannot be resolved fails all: the others alone would take it away.
        let found = addresses(resolver, scheme, &service.target.to_utf8(), service.port).await?;
        holds = holds.min(found.holds);
        let tier = priorities.iter().position(|priority| *priority == service.priority).unwrap_or_default();
        for mut backend in found.backends {
            backend.tier = u8::try_from(tier).unwrap_or(u8::MAX);
            // A weight of 0 is a small chance (RFC 2782), not none.
            backend.weight = u32::from(service.weight).max(1);
            backends.push(backend);
        }
    }
    backends.sort_by(|one, other| (one.tier, one.url.name()).cmp(&(other.tier, other.url.name())));
    Ok(Found { backends, holds })
}

fn left(valid_until: Instant) -> Duration {
    valid_until.saturating_duration_since(Instant::now())
}
