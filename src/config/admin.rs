//! Where the program is asked about itself and told what to do.

use std::fmt::{self, Debug, Formatter};
use std::path::PathBuf;
use std::sync::Arc;

use super::address::Address;

/// Where it is when nobody says so.
pub(super) const DEFAULT_ADDRESS: &str = "127.0.0.1:8081";

/// Where the admin API is, and who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it is.
    pub address: Address,
    /// What a caller must know; none means that whoever reaches the address may use it.
    pub token: Option<Token>,
}

/// Where the admin API of a balancer that runs is, for who asks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminPlace {
    /// Where it is.
    pub address: Address,
    /// The file with what a caller must know, if one is named.
    pub token_file: Option<PathBuf>,
}

/// What a caller must know. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<[u8]>);

impl Token {
    /// Of these bytes.
    pub fn new(secret: impl Into<Arc<[u8]>>) -> Self {
        Self(secret.into())
    }

    /// What must be known. To be compared in a time that does not depend on where two differ.
    pub fn secret(&self) -> &[u8] {
        &self.0
    }
}

impl Debug for Token {
    /// Without the secret.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}
