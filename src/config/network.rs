//! Networks as operators write them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::ConfigError;

/// Parses `10.0.0.0/8`, `::1` and the like.
pub(super) fn parse_network(flag: &'static str, text: &str) -> Result<IpNet, ConfigError> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_canonical().into()),
        Err(_) => text.parse().map_err(|_| ConfigError::Network { flag, text: text.to_owned() }),
    }
}
