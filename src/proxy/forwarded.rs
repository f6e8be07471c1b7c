//! What proxies in front of us say of a request: who sent it, to which host and how (`X-Forwarded-*`, RFC 7239).
//!
//! These bytes are a stranger's until we know who wrote them. Each proxy adds to the right, so a chain is read from its
//! right end: the last entry was written by whoever connected to us, and if that one is trusted, what it names is true,
//! and so on until an entry names somebody who is not. What stands left of that may be invented. All of it takes one pass
//! over the bytes, and never more than [`MOST_HOPS`] entries are looked at.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use hyper::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use crate::config::{Networks, is_host};
use crate::connect::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, address};

/// Entries of a chain that are looked at: a longer one goes round in circles.
pub const MOST_HOPS: usize = 32;
/// Bytes of the longest address with brackets and a port.
const LONGEST_HOP: usize = 64;

/// What is believed of a request that came through trusted proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who sent it.
    pub client: IpAddr,
    /// Whether the proxy did, for it says nothing of anybody. One that says that it is for somebody unknown does not.
    pub is_own: bool,
    /// All addresses that it is said to have come by, the one that connected to us last.
    pub chain: HeaderValue,
    /// How it was sent, if that is known: `http` or `https`.
    pub proto: Option<HeaderValue>,
    /// The host that it was sent to, if that is known.
    pub host: Option<HeaderValue>,
}

/// What the entries of a `Forwarded` say, as far as they can be believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The addresses that were believed, the client's last. Empty if not even the last entry names one.
    pub hops: Vec<IpAddr>,
    /// How the client sent the request.
    pub proto: Option<Vec<u8>>,
    /// To which host it did.
    pub host: Option<Vec<u8>>,
}

/// What to believe of a request that `peer` sent us; nothing if it is not trusted.
///
/// `X-Forwarded-For` wins over `Forwarded`, and what is not used of the two families is not passed on.
pub fn origin(headers: &HeaderMap, peer: IpAddr, trusted: &Networks<()>) -> Option<Origin> {
    if !trusted.hold(peer) {
        return None;
    }
    let is_trusted = |address| trusted.hold(address);
    let forwarded = joined(headers, &FORWARDED);
    let is_own = !headers.contains_key(X_FORWARDED_FOR) && !headers.contains_key(FORWARDED);
    if headers.contains_key(X_FORWARDED_FOR) || forwarded.is_empty() {
        let mut chain = joined(headers, &X_FORWARDED_FOR);
        let client = client_of(&chain, is_trusted).unwrap_or(peer);
        add(&mut chain, address(peer).as_bytes());
        let (proto, host) = (joined(headers, &X_FORWARDED_PROTO), joined(headers, &X_FORWARDED_HOST));
        return Some(Origin {
            client,
            is_own,
            chain: HeaderValue::from_maybe_shared(Bytes::from(chain)).unwrap_or_else(|_| address(peer)),
            proto: proto_of(last(&proto)),
            host: host_of(last(&host)),
        });
    }
    let told = told(&forwarded, is_trusted);
    let mut chain = Vec::new();
    for hop in told.hops.iter().rev().chain([&peer]) {
        add(&mut chain, address(*hop).as_bytes());
    }
    Some(Origin {
        client: told.hops.last().copied().unwrap_or(peer),
        is_own,
        chain: HeaderValue::from_maybe_shared(Bytes::from(chain)).unwrap_or_else(|_| address(peer)),
        proto: told.proto.and_then(|proto| proto_of(&proto)),
        host: told.host.and_then(|host| host_of(&host)),
    })
}

/// Whether a client speaks TLS, `to_us` or to a proxy that we trust, as its backend is told.
pub(super) fn over_tls(headers: &HeaderMap, to_us: bool) -> bool {
    headers.get(X_FORWARDED_PROTO).map_or(to_us, |proto| proto == "https")
}

/// The client that an `X-Forwarded-For` names: from the right, the first address that is not trusted, or the last
/// trusted one before an entry that is no address or beyond [`MOST_HOPS`]; nothing if the last entry is no address.
pub fn client_of(chain: &[u8], is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let mut client = None;
    let entries = chain.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    for entry in entries.filter(|entry| !entry.is_empty()).take(MOST_HOPS) {
        let Some(address) = parse_hop(entry) else { break };
        client = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    client
}

/// What a `Forwarded` says, read in the same way. An entry that is malformed is not believed, nor is any before it.
pub fn told(field: &[u8], is_trusted: impl Fn(IpAddr) -> bool) -> Told {
    let mut told = Told::default();
    let mut rest = Some(field);
    for _ in 0..MOST_HOPS {
        let Some((before, entry)) = rest.and_then(split_last) else { break };
        rest = before;
        if entry.trim_ascii().is_empty() {
            continue;
        }
        let Some(entry) = Entry::parse(entry) else { break };
        (told.proto, told.host) = (entry.proto, entry.host);
        let Some(address) = entry.hop.as_deref().and_then(parse_node) else { break };
        told.hops.push(address);
        if !is_trusted(address) {
            break;
        }
    }
    told
}

/// One entry of a `Forwarded` (RFC 7239 section 4).
#[derive(Default)]
struct Entry {
    hop: Option<Vec<u8>>,
    proto: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
}

impl Entry {
    fn parse(mut text: &[u8]) -> Option<Self> {
        let mut entry = Self::default();
        loop {
            text = text.trim_ascii_start();
            let end = text.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            if !name.is_empty() {
                let (value, rest) = value(rest.strip_prefix(b"=")?)?;
                let place = match name.to_ascii_lowercase().as_slice() {
                    b"for" => Some(&mut entry.hop),
                    b"proto" => Some(&mut entry.proto),
                    b"host" => Some(&mut entry.host),
                    _ => None,
                };
                if let Some(place) = place
                    && place.replace(value).is_some()
                {
                    return None;
                }
                text = rest;
            } else {
                text = rest;
            }
            text = text.trim_ascii_start();
            match text.split_first() {
                None => return Some(entry),
                Some((b';', rest)) => text = rest,
                Some(_) => return None,
            }
        }
    }
}

/// A token or a quoted string (RFC 9110 section 5.6), and what comes behind it.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_vec(), &text[end..]));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    loop {
        match bytes.next()? {
            (index, b'"') => return Some((value, &quoted[index + 1..])),
            (_, b'\\') => value.push(*bytes.next()?.1),
            (_, byte) => value.push(*byte),
        }
    }
}

/// The last entry of a list, and what comes before it, if anything does; commas in quotes do not count. The quotes are
/// told from the right end too, or one that a client opens and never closes would swallow what a proxy added.
fn split_last(list: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let mut quoted = false;
    let mut index = list.len();
    while index > 0 {
        index -= 1;
        match list[index] {
            b',' if !quoted => return Some((Some(&list[..index]), &list[index + 1..])),
            b'"' => {
                let slashes = list[..index].iter().rev().take_while(|byte| **byte == b'\\').count();
                index -= slashes;
                quoted = !quoted || slashes % 2 == 1;
            }
            _ => {}
        }
    }
    (!quoted).then_some((None, list))
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// An entry of an `X-Forwarded-For`: an address, and perhaps a port behind it.
fn parse_hop(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST_HOP)?;
    let address = match text.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(bare) => IpAddr::V6(bare.parse().ok()?),
            None => text.parse::<SocketAddr>().ok()?.ip(),
        },
    };
    Some(address.to_canonical())
}

/// A node of a `Forwarded` (RFC 7239 section 6), in which an IPv6 address always has brackets.
fn parse_node(text: &[u8]) -> Option<IpAddr> {
    let bare = text.iter().filter(|byte| **byte == b':').count() > 1 && !text.starts_with(b"[");
    if bare { None } else { parse_hop(text) }
}

fn proto_of(text: &[u8]) -> Option<HeaderValue> {
    match text {
        _ if text.eq_ignore_ascii_case(b"https") => Some(HeaderValue::from_static("https")),
        _ if text.eq_ignore_ascii_case(b"http") => Some(HeaderValue::from_static("http")),
        _ => None,
    }
}

fn host_of(text: &[u8]) -> Option<HeaderValue> {
    let fits = is_host(text) && !text.contains(&b',');
    if fits { HeaderValue::from_bytes(text).ok() } else { None }
}

/// The last entry of a list: the only one that is surely the word of who connected to us.
fn last(list: &[u8]) -> &[u8] {
    list.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii()
}

/// All lines of a field as one (RFC 9110 section 5.3).
fn joined(headers: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let mut all = Vec::new();
    headers.get_all(name).iter().for_each(|line| add(&mut all, line.as_bytes()));
    all
}

fn add(list: &mut Vec<u8>, entry: &[u8]) {
    if !list.is_empty() && !entry.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(entry);
}

#[cfg(test)]
mod tests;
