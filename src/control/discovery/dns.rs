//! Backends that a name leads to: its addresses, or its SRV records (RFC 2782).

mod resolver;
mod server;
mod system;

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;

use futures::stream::{self, StreamExt, TryStreamExt};
use hickory_resolver::proto::rr::rdata::SRV;

use crate::config::{Backend, BackendUrl, Scheme};

use super::{Found, MOST_FOUND};
pub(super) use resolver::Resolver;
use server::Reason;
pub(super) use system::{Stamp, stamp};

/// Targets of a service that are asked for at one time.
const AT_ONCE: usize = 16;

/// Why a name led nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DnsError {
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
    /// One of its addresses, or all that it has, is none (RFC 1122 section 3.2.1.3). The system would take it for this machine's.
    #[error("{} {address}, which is no machine's address", if *.alone { "it leads only to" } else { "it leads to" })]
    Unspecified {
        /// The address.
        address: IpAddr,
        /// There is no other.
        alone: bool,
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
    /// The system would take its only address for this machine's.
    #[error("leads only to {0}, which is no machine's address")]
    Unspecified(IpAddr),
    /// Nothing can be reached there.
    #[error("has the port 0, which nobody can be reached at")]
    NoPort,
}

/// The addresses of a name. Of a family for which there was no answer, those that are known still count.
pub(super) async fn addresses(
    resolver: &Resolver,
    scheme: Scheme,
    name: &str,
    port: u16,
    known: &[Backend],
) -> Result<Found, DnsError> {
    let (found, failed) = match resolver.addresses(name, !known.is_empty()).await {
        (Ok(ipv4), Ok(ipv6)) => (vec![ipv4, ipv6], None),
        (Ok(found), Err(reason)) => (vec![found], half("IPv6", reason)),
        (Err(reason), Ok(found)) => (vec![found], half("IPv4", reason)),
        (Err(one), Err(other)) => {
            return Err(DnsError::NoAnswer(if one.is_none_there() { other } else { one }));
        }
    };
    let mut addresses: Vec<_> = found.iter().flat_map(|found| &found.all).copied().collect();
    if failed.is_some() {
        addresses.extend(of_the_other_family(found[0].all.first().copied(), name, port, known));
    }
    let unspecified = addresses.extract_if(.., |ip| ip.to_canonical().is_unspecified()).last();
    let unspecified =
        unspecified.map(|address| DnsError::Unspecified { address, alone: addresses.is_empty() });
    if let Some(error) = unspecified.as_ref().filter(|_| addresses.is_empty()) {
        return Err(error.clone());
    }
    // Servers turn the order round; ours is one of preference.
    addresses.sort_unstable();
    addresses.dedup();
    let backend = |ip| Backend::at(BackendUrl::found(scheme, name, SocketAddr::new(ip, port)));
    let holds = found.iter().map(|found| found.holds).min().unwrap_or_default();
    Ok(Found {
        backends: addresses.into_iter().map(backend).collect(),
        holds,
        failed: failed.or(unspecified),
    })
}

/// Why there are no addresses of one family, unless there are none.
fn half(family: &'static str, reason: Reason) -> Option<DnsError> {
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
    let told = resolver.services(name).await.map_err(DnsError::NoAnswer)?;
    let (mut holds, mut failed) = (told.holds, None);
    let mut services: Vec<_> = told.all.iter().filter(|service| !service.target.is_root()).collect();
    if services.is_empty() {
        return Err(DnsError::NoService);
    }
    let mut priorities: Vec<_> = services.iter().map(|service| service.priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    // Each may lead to as many addresses as an answer holds, of which no more are made than are used.
    services.sort_by_key(|service| (service.priority, &service.target, service.port, service.weight));
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
    // As it stands in certificates and in `Host`, whatever its alphabet (RFC 5890).
    let name = service.target.to_ascii();
    let bad = |why| DnsError::Target { target: name.trim_end_matches('.').to_owned(), why };
    if service.port == 0 {
        return Err(bad(BadTarget::NoPort));
    }
    addresses(resolver, scheme, &name, service.port, known).await.map_err(|error| match error {
        DnsError::NoAnswer(reason) => bad(BadTarget::Nowhere(reason)),
        DnsError::Unspecified { address, alone: true } => bad(BadTarget::Unspecified(address)),
        other => other,
    })
}
