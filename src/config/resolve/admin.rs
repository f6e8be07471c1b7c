//! The admin API: where it is, and who may use it.

use super::Spot;
use super::shared::secret;
use crate::config::address::Address;
use crate::config::admin::{Admin, DEFAULT_ADDRESS, Token};
use crate::config::fault::PoolFault;
use crate::config::file;
use crate::config::listen::{Listener, parse};

/// With a file it is there unless it is turned off; without one only if a flag asks for it.
pub(super) fn admin(
    given: &file::Admin,
    listeners: &[Listener],
    has_file: bool,
    root: &Spot<'_>,
) -> Option<Admin> {
    let at = root.key("admin");
    let (at_address, at_token) = (at.key("address"), at.key("token_file"));
    let text = match given.address.as_deref() {
        None if has_file => DEFAULT_ADDRESS,
        None | Some("off") => {
            // A flag may turn off for a while what the file says.
            let is_overruled = at_address.is_of_flag() && !at_token.is_of_flag();
            if given.token_file.is_some() && !is_overruled {
                at_token.fault(PoolFault::NoAdmin);
            }
            return None;
        }
        Some(address) => address,
    };
    let address = at_address.take(text, parse(text, at_address.folder()));
    let token = given.token_file.as_ref().map(|name| token(name, &at_token));
    let address = address?;
    let is_near = match &address {
        Address::Ip(address) => address.ip().is_loopback(),
        Address::Unix(_) => true,
    };
    if token.is_none() && !is_near {
        at_address.wrong(text, PoolFault::NoToken);
    }
    if let Some(listener) = listeners.iter().find(|listener| listener.overlaps(&address)) {
        let name = listener.name.to_string();
        match given.address {
            Some(_) => at_address.wrong(text, PoolFault::AdminTwice(Some(name))),
            None => {
                let at = root.key("listeners");
                at.key(&name).key("address").wrong(&address, PoolFault::AdminTwice(None));
            }
        }
    }
    Some(Admin { address, token: token.flatten() })
}

/// What a caller can say behind `Bearer` (RFC 9110 section 5.5): blanks around it would be none of it.
fn token(name: &str, at: &Spot<'_>) -> Option<Token> {
    let secret = secret(name, at)?;
    let is_line = secret.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_line || secret.trim_ascii().len() < secret.len() {
        at.wrong(name, PoolFault::NoLine);
        return None;
    }
    Some(Token::new(secret))
}
