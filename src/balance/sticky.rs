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
/// Letters that they take.
const LETTERS: usize = 22;

/// The value of a cookie that leads to a backend. It says nothing to others, and nobody without the secret can make one up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Word([u8; LETTERS]);

/// For each member its word: its address, signed (HMAC-SHA-256). Balancers that share the secret, and the same one after a
/// restart, have the same words.
#[derive(Debug)]
pub(super) struct Words {
    made_of: Vec<BackendId>,
    secret: Arc<[u8]>,
    words: Vec<Word>,
    owners: HashMap<Word, u32>,
}

impl Word {
    /// The word that these bytes are, if they can be one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Words {
    pub(super) fn of(secret: &Arc<[u8]>, members: &[Member]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let word = |member: &Member| {
            let signature = hmac::sign(&key, member.way.url.address.to_string().as_bytes());
            let mut word = [0; LETTERS];
            let written = URL_SAFE_NO_PAD.encode_slice(&signature.as_ref()[..BYTES], &mut word);
            debug_assert_eq!(written, Ok(LETTERS));
            Word(word)
        };
        let words: Vec<_> = members.iter().map(word).collect();
        let owners = words.iter().copied().zip(0..).collect();
        Self { made_of: made_of(members), secret: Arc::clone(secret), words, owners }
    }

    /// Whether they are those of these members, too.
    pub(super) fn are_of(&self, secret: &Arc<[u8]>, members: &[Member]) -> bool {
        self.secret == *secret && self.made_of == made_of(members)
    }

    /// Whose word it is, if it is one.
    pub(super) fn owner(&self, word: &Word) -> Option<u32> {
        self.owners.get(word).copied()
    }

    /// The word of a member.
    pub(super) fn word(&self, index: usize) -> Word {
        self.words[index]
    }
}

fn made_of(members: &[Member]) -> Vec<BackendId> {
    members.iter().map(|member| member.id).collect()
}
