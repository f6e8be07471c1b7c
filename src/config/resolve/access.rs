//! Who is believed, who is let in and how much each may ask.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use ipnet::IpNet;

use super::Spot;
use crate::config::access::{
    Access, AccessFault, Lists, MOST_RATE, Networks, Rate, parse_network, parse_rate,
};
use crate::config::file::{self, File};
use crate::config::introduced::Introduced;

/// What stands for those who come through a Unix socket.
const UNIX: &str = "unix";

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
    let burst = at.between(burst, 1, MOST_RATE.into())?;
    let burst = u32::try_from(burst).ok().and_then(NonZeroU32::new)?;
    rate.map(|rate| Rate { burst, ..rate })
}

/// The networks of a list.
pub(super) fn networks(texts: &[String], at: &Spot<'_>) -> Vec<IpNet> {
    indexed(texts, at).map(|(_, network)| network).collect()
}

/// The networks of a list, with their places there.
fn indexed<'a>(texts: &'a [String], at: &'a Spot<'_>) -> impl Iterator<Item = (usize, IpNet)> + 'a {
    let parse =
        |(index, text): (usize, &String)| Some((index, at.index(index).take(text, parse_network(text))?));
    texts.iter().enumerate().filter_map(parse)
}

fn lists(given: &file::Access, at: &Spot<'_>) -> Lists {
    at.key("allow").not_empty();
    let allow = networks(&given.allow, &at.key("allow"));
    let deny_at = at.key("deny");
    let deny: Vec<_> = indexed(&given.deny, &deny_at).collect();
    for (index, network) in deny.iter().filter(|(_, network)| allow.contains(network)) {
        deny_at.index(*index).wrong(network, AccessFault::Both);
    }
    Lists::of(allow, deny.into_iter().map(|(_, network)| network).collect())
}

/// Whose connections begin with a PROXY header, in the networks of a list.
pub(super) fn introduced(texts: &[String], at: &Spot<'_>) -> Introduced {
    let networks = texts.iter().enumerate().filter(|(_, text)| *text != UNIX);
    let networks = networks.filter_map(|(index, text)| at.index(index).take(text, parse_network(text)));
    Introduced {
        networks: Networks::of(networks.map(|network| (network, ()))),
        unix: texts.iter().any(|text| text == UNIX),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::config::{Config, Flags};

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
