//! Fields that do not pass through us: those for one hop (RFC 9110 section 7.6.1), and those that say what only we may say.

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, HeaderMap, HeaderName, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE, VIA,
};

pub(super) const KEEP_ALIVE: &str = "keep-alive";
pub(super) const PROXY_CONNECTION: &str = "proxy-connection";
const X_REAL_IP: &str = "x-real-ip";
const X_FORWARDED: &str = "x-forwarded-";

/// What must not pass in trailers: a field that frames or routes a message, that is for one hop, or that only we may say
/// (RFC 9110 section 6.5.1), as the `id` of requests is, if they have one.
pub(super) fn clean_trailers(trailers: &mut HeaderMap, id: Option<&HeaderName>) {
    for name in [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA] {
        trailers.remove(name);
    }
    trailers.remove(KEEP_ALIVE);
    trailers.remove(PROXY_CONNECTION);
    remove_claims(trailers);
    if let Some(id) = id {
        remove_like(trailers, id);
    }
}

/// Removes what only we may say.
pub(super) fn remove_claims(headers: &mut HeaderMap) {
    headers.remove(FORWARDED);
    let claimed: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name.as_str())).cloned().collect();
    for name in claimed {
        headers.remove(name);
    }
}

/// Removes all that is read as a field of this name where `_` is taken for `-`.
pub(super) fn remove_like(headers: &mut HeaderMap, name: &HeaderName) {
    let alike: Vec<_> =
        headers.keys().filter(|other| is_like(other.as_str(), name.as_str())).cloned().collect();
    for name in alike {
        headers.remove(name);
    }
}

/// Whether a field of this name says what only we may say, or says it to a backend that makes variables of names and so
/// takes `_` for `-` (RFC 3875 section 4.1.18). Inlined, for a call would cost more than most names do.
#[inline(always)]
pub(super) fn is_claim(name: &str) -> bool {
    // Most names are told by a byte or two.
    match name.as_bytes() {
        [b'x', _, b'f', ..] => name.get(..X_FORWARDED.len()).is_some_and(|start| is_like(start, X_FORWARDED)),
        [b'x', _, b'r', ..] => is_like(name, X_REAL_IP),
        [b'c', .., b'h'] => name.contains('_') && is_like(name, "content-length"),
        [b'c', b'l', ..] => is_like(name, "client-cert") || is_like(name, "client-cert-chain"),
        [b't', .., b'g'] => name.contains('_') && is_like(name, "transfer-encoding"),
        _ => false,
    }
}

/// Whether a name, as it came, and another one are the same if `_` is `-`.
pub(super) fn is_like(name: impl AsRef<[u8]>, other: &str) -> bool {
    let name = name.as_ref();
    let folded = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == other.len()
        && name.iter().zip(other.bytes()).all(|(own, other)| folded(*own) == folded(other))
}
