//! Who is believed, who is let in and how much each may ask: the flags, and what they mean.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use clap::{ArgAction, Args};
use ipnet::IpNet;

use super::file::{self, File};
use super::heading;
use super::networks::{Networks, parse_network};
use super::rate::{self, Rate, parse_rate};
use super::resolve::Spot;
use super::said::{By, Said, say};
use super::{parse_bytes_per_second, parse_number};

/// Who is believed and who is let in, as the operator wrote it.
#[derive(Args, Clone, Debug)]
pub struct AccessFlags {
    /// Network (ADDRESS or ADDRESS/BITS) of proxies whose X-Forwarded-* and Forwarded are believed; repeat it for more
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
    /// Whether a client with this address is let in.
    pub fn admit(&self, address: IpAddr) -> bool {
        self.allowed.find(address).unwrap_or(self.others)
    }

    /// Whether everybody is.
    pub fn admit_all(&self) -> bool {
        self.allowed.is_empty()
    }
}

/// What can be wrong with networks or rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AccessFault {
    /// A network is not one.
    Network,
    /// A network's address has bits that are not its network's.
    HostBits {
        /// The network that may be meant.
        network: IpNet,
        /// The address that may be meant.
        address: IpAddr,
    },
    /// A network is both allowed and denied.
    Both,
    /// A rate without its unit.
    RateUnit(u32),
    /// A rate is not one.
    Rate,
    /// A burst, and no rate that it could exceed.
    BurstAlone,
}

impl AccessFault {
    pub(super) fn said(&self, by: By) -> Said {
        match self {
            Self::Network => say("not a network", "write ADDRESS or ADDRESS/BITS, for example 10.0.0.0/8"),
            Self::HostBits { network, address } => say(
                "the address is more than a network of that size",
                format!("write {network} for the network or {address} for one address"),
            ),
            Self::Both => {
                let allow = by.pick("--allow", "allow");
                say(format!("{allow} has the same network"), "remove one of them")
            }
            Self::RateUnit(number) => say(format!("a unit is missing: write {number}/s or {number}/m"), ""),
            Self::Rate => {
                say("not a rate", "write a number from 1 to 1000000 and its unit, for example 100/s or 600/m")
            }
            Self::BurstAlone => say(
                "there is no rate that it belongs to",
                by.pick(
                    "add --rate-limit, for example --rate-limit 100/s",
                    "add rate, for example rate = \"100/s\"",
                ),
            ),
        }
    }
}

/// What a file says of access, in its two sections.
pub(super) fn access(file: &File, root: &Spot<'_>) -> Access {
    let (given, at) = (&file.access, root.key("access"));
    let (limits, limits_at) = (&file.limits, root.key("limits"));
    let trusted = networks(&given.trusted_proxies, &at.key("trusted_proxies"));
    let per_client = limits
        .connections_per_client
        .and_then(|number| limits_at.key("connections_per_client").between(number, 1, u32::MAX.into()));
    let data_rate =
        limits.min_data_rate.and_then(|rate| limits_at.key("min_data_rate").between(rate.0, 1, u64::MAX));
    let total =
        limits.total_rate.as_ref().and_then(|text| limits_at.key("total_rate").take(text, parse_rate(text)));
    Access {
        trusted: Networks::of(trusted.into_iter().map(|network| (network, ()))),
        lists: lists(given, &at),
        connections_per_client: per_client
            .and_then(|number| NonZeroUsize::new(usize::try_from(number).ok()?)),
        rate: rate(limits.rate.as_deref(), limits.rate_burst, &limits_at),
        total_rate: total,
        min_data_rate: data_rate.and_then(NonZeroU64::new),
    }
}

/// The rate that is said by the keys `rate` and `rate_burst` here, if any.
pub(super) fn rate(text: Option<&str>, burst: Option<u64>, at: &Spot<'_>) -> Option<Rate> {
    let rate = text.and_then(|text| at.key("rate").take(text, parse_rate(text)));
    let Some(burst) = burst else { return rate };
    let at = at.key("rate_burst");
    if text.is_none() {
        at.wrong(burst, AccessFault::BurstAlone);
    }
    let burst = at.between(burst, 1, rate::MOST.into())?;
    let burst = u32::try_from(burst).ok().and_then(NonZeroU32::new)?;
    rate.map(|rate| Rate { burst, ..rate })
}

/// The networks of a list.
pub(super) fn networks(texts: &[String], at: &Spot<'_>) -> Vec<IpNet> {
    let parse = |(index, text): (usize, &String)| at.index(index).take(text, parse_network(text));
    texts.iter().enumerate().filter_map(parse).collect()
}

fn lists(given: &file::Access, at: &Spot<'_>) -> Lists {
    at.key("allow").not_empty();
    let allow = networks(&given.allow, &at.key("allow"));
    let deny_at = at.key("deny");
    let deny = networks(&given.deny, &deny_at);
    for (index, network) in deny.iter().enumerate().filter(|(_, network)| allow.contains(network)) {
        deny_at.index(index).wrong(network, AccessFault::Both);
    }
    let others = allow.is_empty();
    let allow = allow.into_iter().map(|network| (network, true));
    let deny = deny.into_iter().map(|network| (network, false));
    Lists { allowed: Networks::of(allow.chain(deny)), others }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Config, Flags};

    fn resolve(arguments: &[&str]) -> Result<Config, String> {
        let arguments = ["loadbalancer"].iter().chain(arguments);
        let flags = Flags::try_parse_from(arguments).expect("flags that parse");
        flags.resolve(4096).map_err(|error| error.to_string())
    }

    fn admitted(arguments: &[&str], address: [u8; 4]) -> bool {
        resolve(arguments).expect("settings").access.lists.admit(address.into())
    }

    #[test]
    fn who_is_allowed_shuts_out_the_rest_and_the_most_specific_network_counts() {
        assert!(admitted(&[], [192, 0, 2, 1]));
        let deny = ["--deny=10.0.0.0/8", "--deny=192.0.2.7"];
        assert!(!admitted(&deny, [10, 1, 2, 3]) && !admitted(&deny, [192, 0, 2, 7]));
        assert!(admitted(&deny, [192, 0, 2, 8]));
        let both = ["--allow=10.0.0.0/8", "--deny=10.1.0.0/16", "--allow=10.1.2.0/24"];
        assert!(admitted(&both, [10, 2, 0, 1]) && admitted(&both, [10, 1, 2, 1]));
        assert!(!admitted(&both, [10, 1, 3, 1]) && !admitted(&both, [192, 0, 2, 1]));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_in_a_line_that_says_how_to_mend_them() {
        let refused = |arguments: &[&str]| resolve(arguments).expect_err("no sense");
        assert_eq!(
            refused(&["--allow=10.0.0.0/8", "--deny=::ffff:10.0.0.0/104"]),
            "--deny 10.0.0.0/8: --allow has the same network; remove one of them"
        );
        assert!(
            refused(&["--rate-burst=5"]).starts_with("--rate-burst 5: there is no rate that it belongs to")
        );
        assert_eq!(
            refused(&["--rate-limit=1/s", "--rate-burst=0"]),
            "--rate-burst 0: too small; use at least 1"
        );
        assert_eq!(
            refused(&["--max-connections-per-client=0"]),
            "--max-connections-per-client 0: too small; use at least 1"
        );
        assert_eq!(refused(&["--min-data-rate=0"]), "--min-data-rate 0: too small; use at least 1");
        assert!(
            refused(&["--trusted-proxy=10.0.0.0/33"])
                .starts_with("--trusted-proxy 10.0.0.0/33: not a network")
        );
    }

    #[test]
    fn a_burst_takes_the_place_of_a_seconds_worth() {
        let access = resolve(&["--rate-limit=10/s", "--rate-burst=3"]).expect("settings").access;
        assert_eq!(access.rate.map(|rate| rate.burst.get()), Some(3));
    }
}
