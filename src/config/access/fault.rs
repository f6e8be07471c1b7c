//! What can be wrong with networks and rates.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::said::{By, Said, holds_a_blank, say};

/// What can be wrong with networks or rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum AccessFault {
    /// A network is not one.
    Network,
    /// A network with a blank in it.
    Blank,
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
    pub(in crate::config) fn said(&self, by: By) -> Said {
        match self {
            Self::Network => say("not a network", "write ADDRESS or ADDRESS/BITS, for example 10.0.0.0/8"),
            Self::Blank => holds_a_blank(by),
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
