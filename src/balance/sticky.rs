//! What a cookie says that keeps a client at its backend.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::backends::BackendId;

use super::Member;

/// Bytes of a signature that are used: nobody guesses so many.
const BYTES: usize = 16;

/// For each member a word that says nothing to others and that nobody can make up: its address, signed (HMAC-SHA-256).
/// Balancers that share the secret, and the same one after a restart, have the same words.
#[derive(Debug)]
pub(super) struct Words {
    made_of: Vec<BackendId>,
    secret: Arc<[u8]>,
    words: Vec<Arc<str>>,
    owners: HashMap<Arc<str>, u32>,
}

impl Words {
    pub(super) fn of(secret: &Arc<[u8]>, members: &[Member]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let word = |member: &Member| -> Arc<str> {
            let signature = hmac::sign(&key, member.way.url.address.to_string().as_bytes());
            URL_SAFE_NO_PAD.encode(&signature.as_ref()[..BYTES]).into()
        };
        let words: Vec<_> = members.iter().map(word).collect();
        let owners = words.iter().map(Arc::clone).zip(0..).collect();
        Self { made_of: made_of(members), secret: Arc::clone(secret), words, owners }
    }

    /// Whether they are those of these members, too.
    pub(super) fn are_of(&self, secret: &Arc<[u8]>, members: &[Member]) -> bool {
        self.secret == *secret && self.made_of == made_of(members)
    }

    /// Whose word it is, if it is one.
    pub(super) fn owner(&self, word: &str) -> Option<u32> {
        self.owners.get(word).copied()
    }

    /// The word of a member.
    pub(super) fn word(&self, index: usize) -> &Arc<str> {
        &self.words[index]
    }
}

fn made_of(members: &[Member]) -> Vec<BackendId> {
    members.iter().map(|member| member.id).collect()
}
