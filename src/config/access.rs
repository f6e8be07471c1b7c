//! Who is believed, who is let in and how much each may ask: the flags, and what they mean.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use clap::{ArgAction, Args};
use ipnet::IpNet;

use super::networks::{Networks, parse_network};
use super::rate::{self, Rate, parse_rate};
use super::resolve::between;
use super::{ConfigError, parse_number};

/// Who is believed and who is let in, as the operator wrote it.
#[derive(Args, Clone, Debug)]
pub struct AccessFlags {
    /// Network (ADDRESS or ADDRESS/BITS) of proxies whose X-Forwarded-* and Forwarded are believed; repeat it for more
    #[arg(
        long = "trusted-proxy",
        env = "LOADBALANCER_TRUSTED_PROXY",
        value_name = "NET",
        value_delimiter = ',',
        action = ArgAction::Append,
        global = true
    )]
    pub trusted_proxies: Vec<String>,

    /// Network whose clients are let in, and nobody else but those of other --allow; repeat it for more
    #[arg(
        long,
        env = "LOADBALANCER_ALLOW",
        value_name = "NET",
        value_delimiter = ',',
        action = ArgAction::Append,
        global = true
    )]
    pub allow: Vec<String>,

    /// Network whose clients are refused; repeat it for more. Of --allow and --deny the most specific network counts
    #[arg(
        long,
        env = "LOADBALANCER_DENY",
        value_name = "NET",
        value_delimiter = ',',
        action = ArgAction::Append,
        global = true
    )]
    pub deny: Vec<String>,

    /// Connections at one time of one client address (IPv6: of one /64) [default: any]
    #[arg(long, env = "LOADBALANCER_MAX_CONNECTIONS_PER_CLIENT", value_name = "N", value_parser = parse_number::<usize>, global = true)]
    pub max_connections_per_client: Option<usize>,

    /// Requests of one client address (IPv6: of one /64), for example 100/s or 600/m [default: any]
    #[arg(long, env = "LOADBALANCER_RATE_LIMIT", value_name = "RATE", global = true)]
    pub rate_limit: Option<String>,

    /// Requests that one client address may send at once after a rest [default: a second's worth of --rate-limit]
    #[arg(long, env = "LOADBALANCER_RATE_BURST", value_name = "N", value_parser = parse_number::<usize>, global = true)]
    pub rate_burst: Option<usize>,

    /// Requests of all clients together, written as for --rate-limit [default: any]
    #[arg(long, env = "LOADBALANCER_TOTAL_RATE_LIMIT", value_name = "RATE", global = true)]
    pub total_rate_limit: Option<String>,

    /// Bytes per second that a client must send of a request's body or take of an answer's, on average [default: any]
    #[arg(long, env = "LOADBALANCER_MIN_DATA_RATE", value_name = "BYTES", value_parser = parse_number::<u64>, global = true)]
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

/// Why networks or rates make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// A network is not one.
    #[error("{flag} {text}: not a network; write ADDRESS or ADDRESS/BITS, for example 10.0.0.0/8")]
    Network {
        /// The flag.
        flag: &'static str,
        /// As the operator wrote it.
        text: String,
    },
    /// A network's address has bits that are not its network's.
    #[error(
        "{flag} {text}: the address is more than a network of that size; write {network} for the network or {address} for one address"
    )]
    HostBits {
        /// The flag.
        flag: &'static str,
        /// As the operator wrote it.
        text: String,
        /// The network that may be meant.
        network: IpNet,
        /// The address that may be meant.
        address: IpAddr,
    },
    /// A network is both allowed and denied.
    #[error("--deny {0}: --allow has the same network; remove one of them")]
    Both(IpNet),
    /// A rate without its unit.
    #[error("{flag} {number}: a unit is missing: write {number}/s or {number}/m")]
    RateUnit {
        /// The flag.
        flag: &'static str,
        /// The number.
        number: u32,
    },
    /// A rate is not one.
    #[error(
        "{flag} {text}: not a rate; write a number from 1 to 1000000 and its unit, for example 100/s or 600/m"
    )]
    Rate {
        /// The flag.
        flag: &'static str,
        /// As the operator wrote it.
        text: String,
    },
    /// A burst, and no rate that it could exceed.
    #[error(
        "--rate-burst {0}: there is no rate that it belongs to; add --rate-limit, for example --rate-limit 100/s"
    )]
    BurstAlone(usize),
}

impl AccessFlags {
    /// What these flags mean.
    pub(super) fn resolve(&self) -> Result<Access, ConfigError> {
        let trusted = networks("--trusted-proxy", &self.trusted_proxies)?;
        let connections_per_client = match self.max_connections_per_client {
            Some(number) => {
                between("--max-connections-per-client", number, 1, usize::MAX)?;
                NonZeroUsize::new(number)
            }
            None => None,
        };
        if self.min_data_rate == Some(0) {
            return Err(ConfigError::TooSmall { flag: "--min-data-rate", value: 0, least: 1 });
        }
        let parse =
            |flag, text: &Option<String>| text.as_ref().map(|text| parse_rate(flag, text)).transpose();
        Ok(Access {
            trusted: Networks::of(trusted.into_iter().map(|network| (network, ()))),
            lists: self.lists()?,
            connections_per_client,
            rate: self.with_burst(parse("--rate-limit", &self.rate_limit)?)?,
            total_rate: parse("--total-rate-limit", &self.total_rate_limit)?,
            min_data_rate: self.min_data_rate.and_then(NonZeroU64::new),
        })
    }

    fn lists(&self) -> Result<Lists, AccessError> {
        let allow = networks("--allow", &self.allow)?;
        let deny = networks("--deny", &self.deny)?;
        if let Some(both) = deny.iter().find(|network| allow.contains(network)) {
            return Err(AccessError::Both(*both));
        }
        let others = allow.is_empty();
        let allow = allow.into_iter().map(|network| (network, true));
        let deny = deny.into_iter().map(|network| (network, false));
        Ok(Lists { allowed: Networks::of(allow.chain(deny)), others })
    }

    fn with_burst(&self, rate: Option<Rate>) -> Result<Option<Rate>, ConfigError> {
        let Some(burst) = self.rate_burst else { return Ok(rate) };
        let Some(rate) = rate else { return Err(AccessError::BurstAlone(burst).into()) };
        between("--rate-burst", burst, 1, rate::MOST as usize)?;
        let burst = u32::try_from(burst).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        Ok(Some(Rate { burst, ..rate }))
    }
}

fn networks(flag: &'static str, texts: &[String]) -> Result<Vec<IpNet>, AccessError> {
    texts.iter().map(|text| parse_network(flag, text)).collect()
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
