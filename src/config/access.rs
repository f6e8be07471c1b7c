//! Who is believed, who is let in and how much each may ask: the flags, and what is known of it.

mod fault;
mod networks;
mod rate;

use std::net::IpAddr;
use std::num::{NonZeroU64, NonZeroUsize};

use clap::{ArgAction, Args};
use ipnet::IpNet;

use super::heading;
use super::number::parse_number;
use super::size::parse_bytes_per_second;

pub(super) use fault::AccessFault;
pub use networks::Networks;
pub(super) use networks::parse_network;
pub use rate::Rate;
pub(super) use rate::{MOST_RATE, parse_rate};

/// Who is believed and who is let in, as the operator wrote it.
#[derive(Args, Clone, Debug)]
pub struct AccessFlags {
    /// Network (ADDRESS or ADDRESS/BITS) of proxies that are believed in X-Forwarded-For, -Proto and -Host or Forwarded; repeat it for more. Every other X-Forwarded-*, X-Real-IP and Client-Cert is removed from everybody
    #[arg(
        long = "trusted-proxy",
        env = "LOADBALANCER_TRUSTED_PROXY",
        value_name = "NET",
        value_delimiter = ',',
        action = ArgAction::Append
    )]
    pub trusted_proxies: Vec<String>,

    /// Network whose clients are let in, and nobody else but those of other --allow; repeat it for more
    #[arg(
        long,
        env = "LOADBALANCER_ALLOW",
        value_name = "NET",
        value_delimiter = ',',
        action = ArgAction::Append
    )]
    pub allow: Vec<String>,

    /// Network whose clients are refused; repeat it for more. Of --allow and --deny the most specific network counts
    #[arg(
        long,
        env = "LOADBALANCER_DENY",
        value_name = "NET",
        value_delimiter = ',',
        action = ArgAction::Append
    )]
    pub deny: Vec<String>,

    /// Connections at one time of one client address (IPv6: of one /64) [default: any]
    #[arg(long, env = "LOADBALANCER_MAX_CONNECTIONS_PER_CLIENT", value_name = "N", value_parser = parse_number::<usize>, help_heading = heading::LIMITS)]
    pub max_connections_per_client: Option<usize>,

    /// Requests of one client address (IPv6: of one /64), for example 100/s or 600/m [default: any]
    #[arg(long, env = "LOADBALANCER_RATE_LIMIT", value_name = "RATE", help_heading = heading::LIMITS)]
    pub rate_limit: Option<String>,

    /// Requests that one client address may send at once after a rest [default: a second's worth of --rate-limit]
    #[arg(long, env = "LOADBALANCER_RATE_BURST", value_name = "N", value_parser = parse_number::<usize>, help_heading = heading::LIMITS)]
    pub rate_burst: Option<usize>,

    /// Requests of all clients together, written as for --rate-limit [default: any]
    #[arg(long, env = "LOADBALANCER_TOTAL_RATE_LIMIT", value_name = "RATE", help_heading = heading::LIMITS)]
    pub total_rate_limit: Option<String>,

    /// What a client must send of a request's body or take of an answer's, on average: 1KiB/s, or a number of bytes per second alone [default: anything]
    #[arg(long, env = "LOADBALANCER_MIN_DATA_RATE", value_name = "RATE", value_parser = parse_bytes_per_second, help_heading = heading::LIMITS)]
    pub min_data_rate: Option<u64>,
}

/// Who is believed, who is let in and how much each may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Proxies whose word on where a request comes from is taken.
    pub trusted: Networks<()>,
    /// Who is let in.
    pub lists: Lists,
    /// Connections at one time of one client address.
    pub connections_per_client: Option<NonZeroUsize>,
    /// Requests of one client address.
    pub rate: Option<Rate>,
    /// Requests of all clients together.
    pub total_rate: Option<Rate>,
    /// Bytes per second that a client must send or take.
    pub min_data_rate: Option<NonZeroU64>,
}

/// Networks that are let in, and those that are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists {
    allowed: Networks<bool>,
    /// Whether who is in no list is let in.
    others: bool,
}

impl Lists {
    /// The most specific network counts, of both lists. Who is in none is let in unless some are allowed.
    pub(super) fn of(allowed: Vec<IpNet>, denied: Vec<IpNet>) -> Self {
        let others = allowed.is_empty();
        let allowed = allowed.into_iter().map(|network| (network, true));
        let denied = denied.into_iter().map(|network| (network, false));
        Self { allowed: Networks::of(allowed.chain(denied)), others }
    }

    /// Whether a client with this address is let in.
    pub fn admit(&self, address: IpAddr) -> bool {
        self.allowed.find(address).unwrap_or(self.others)
    }

    /// Whether a list says that a client with this address is not.
    pub fn deny(&self, address: IpAddr) -> bool {
        self.allowed.find(address).is_some_and(|allowed| !allowed)
    }

    /// Whether everybody is.
    pub fn admit_all(&self) -> bool {
        self.allowed.is_empty()
    }
}
