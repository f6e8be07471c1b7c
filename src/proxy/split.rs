//! How a route's requests are divided between pools.

use std::sync::Arc;

use hyper::header::{COOKIE, HeaderMap, HeaderValue};

use crate::config::{Pool, Split};

/// The share that a request is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen<'s> {
    /// The place of its pool.
    pub(super) pool: usize,
    /// The cookie that keeps the client there and its value, if the client is to be given it.
    fresh: Option<(&'s str, &'s str)>,
}

/// Chooses the share that the request's cookie names, or one at random, as often as its weight says.
pub(super) fn choose<'s>(
    split: &'s Split,
    pools: &'s [Pool],
    headers: &HeaderMap,
    random: impl FnOnce(std::ops::Range<u64>) -> u64,
) -> Chosen<'s> {
    let kept = split.cookie.as_ref().and_then(|cookie| kept(split, cookie, pools, headers));
    if let Some(pool) = kept {
        return Chosen { pool, fresh: None };
    }
    let total: u64 = split.shares.iter().map(|share| u64::from(share.weight)).sum();
    let mut drawn = if split.shares.len() > 1 && total > 0 { random(0..total) } else { 0 };
    let share = split.shares.iter().find(|share| {
        let is_it = drawn < u64::from(share.weight);
        drawn = drawn.saturating_sub(share.weight.into());
        is_it
    });
    let pool = share.unwrap_or(&split.shares[0]).pool;
    Chosen { pool, fresh: split.cookie.as_deref().map(|cookie| (cookie, &*pools[pool].name)) }
}

/// The pool that a client was given before, if it still gets requests.
fn kept(split: &Split, cookie: &Arc<str>, pools: &[Pool], headers: &HeaderMap) -> Option<usize> {
    let lines = headers.get_all(COOKIE).iter();
    let cookies = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    let mut values = cookies.filter_map(|text| text.strip_prefix(cookie.as_bytes())?.strip_prefix(b"="));
    values.find_map(|value| {
        let is_it = |pool: usize| pools[pool].name.as_bytes() == value;
        split.shares.iter().find(|share| share.weight > 0 && is_it(share.pool)).map(|share| share.pool)
    })
}

impl Chosen<'_> {
    /// What the client is told, if anything.
    pub(super) fn cookie(&self, secure: bool) -> Option<HeaderValue> {
        let (name, value) = self.fresh?;
        let secure = if secure { "; Secure" } else { "" };
        HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}")).ok()
    }
}
