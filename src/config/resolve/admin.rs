//! The admin API: where it is, and who may use it.

use super::{PoolFault, Spot, secret};
use crate::config::file;
use crate::config::listen::parse;
use crate::config::{Address, Admin, Token};

/// Where it is when nobody says so.
const DEFAULT: &str = "127.0.0.1:8081";

/// With a file it is there unless it is turned off; without one only if a flag asks for it.
pub(super) fn admin(given: &file::Admin, has_file: bool, at: &Spot<'_>) -> Option<Admin> {
    let text = match given.address.as_deref() {
        None if has_file => DEFAULT,
        None => {
            if given.token_file.is_some() {
                at.key("token_file").fault(PoolFault::NoAdmin);
            }
            return None;
        }
        Some("off") => return None,
        Some(address) => address,
    };
    let at_address = at.key("address");
    let address = at_address.take(text, parse(text));
    let token = given.token_file.as_ref().map(|name| secret(name, &at.key("token_file")).map(Token::new));
    let address = address?;
    let is_near = match &address {
        Address::Ip(address) => address.ip().is_loopback(),
        Address::Unix(_) => true,
    };
    if token.is_none() && !is_near {
        at_address.wrong(text, PoolFault::NoToken);
    }
    Some(Admin { address, token: token.flatten() })
}
