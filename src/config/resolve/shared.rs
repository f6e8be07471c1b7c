//! What several settings have in common.

use std::io;
use std::net::Ipv6Addr;
use std::ops::Range;
use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use indexmap::IndexMap;

use super::Spot;
use crate::config::elsewhere::{self, Elsewhere, Means};
use crate::config::fault::{Fault, Mend, PoolFault, RouteFault, Table};
use crate::config::file;
use crate::config::host::is_host;
use crate::config::nearest::nearest;
use crate::config::plain::read_file;
use crate::config::status::StatusRange;
use crate::telemetry::remedy;

/// Header lines that say how a message is sent (RFC 9110, section 7.6.1; RFC 9112, section 6).
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// The pools that routes can name.
pub(super) type Pools = IndexMap<String, file::Pool>;

/// The place of a pool among all, by its name.
pub(super) fn pool_named(name: &str, pools: &Pools, at: &Spot<'_>) -> Option<usize> {
    let found = pools.get_index_of(name);
    if found.is_none() && !at.is_told_enough() {
        at.wrong(name, unknown_pool(name, pools));
    }
    found
}

/// What is said of a name that no pool has.
pub(super) fn unknown_pool(name: &str, pools: &Pools) -> Fault {
    unknown(Table::Pools, name, pools.keys().map(String::as_str))
}

/// What is said of a name that none of a table has.
pub(super) fn unknown<'n>(table: Table, name: &str, known: impl Iterator<Item = &'n str> + Clone) -> Fault {
    let nearest = nearest(name, known.clone()).map(str::to_owned);
    Fault::Unknown { table, name: name.to_owned(), nearest, known: known.map(str::to_owned).collect() }
}

/// The name of a header line that can be changed.
pub(super) fn header_name(text: &str) -> Result<HeaderName, RouteFault> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| RouteFault::HeaderName)?;
    match name.as_str() {
        "host" => Err(RouteFault::HostLine),
        known if FRAMING.contains(&known) => Err(RouteFault::Framing),
        _ => Ok(name),
    }
}

/// Whether nothing in a redirect or a rewrite is another balancer's word for a part of a request.
pub(super) fn is_of_ours(text: &str, at: &Spot<'_>) -> bool {
    let written = at.with_variables();
    let written = written.as_deref().unwrap_or(text);
    let found = elsewhere::of_templates(written).next();
    refuse(text, found, |_| Mend::Template(elsewhere::in_our_words(written)), at)
}

/// Whether nothing in a text that is sent as it is looks like another balancer's word for a part of a request. What variables of
/// the environment hold is not looked at: no secret is refused for a `$` in it.
pub(super) fn is_fixed(text: &str, mend: fn(Means) -> Mend, at: &Spot<'_>) -> bool {
    let written = at.with_variables();
    refuse(text, elsewhere::of_texts(written.as_deref().unwrap_or(text)).next(), mend, at)
}

fn refuse(text: &str, found: Option<Elsewhere<'_>>, mend: impl FnOnce(Means) -> Mend, at: &Spot<'_>) -> bool {
    if let Some(Elsewhere { word, of, means, .. }) = found {
        at.wrong(text, RouteFault::Elsewhere { word: word.to_owned(), of, mend: mend(means) });
    }
    found.is_none()
}

/// A text with names in braces, all of which stand for something. Without `captures` nobody knows which ones the path gives.
pub(super) fn template(text: &str, captures: Option<&[String]>, at: &Spot<'_>) -> Option<Arc<str>> {
    let captures = captures?;
    let mut fits = true;
    let of_request = ["host", "path", "query"];
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').unwrap_or((behind, ""));
        if !of_request.contains(&name) && !captures.iter().any(|capture| capture == name) {
            let known = captures.iter().cloned().chain(of_request.map(str::to_owned)).collect();
            at.wrong(text, RouteFault::Placeholder { name: name.to_owned(), known });
            fits = false;
        }
        rest = behind;
    }
    fits.then(|| text.into())
}

/// What can be the value of a header line.
pub(super) fn header_value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

/// What `Host` can say: a name or an address, and maybe a port.
pub(super) fn host(text: &str, at: &Spot<'_>) -> Option<HeaderValue> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let bare = text.strip_prefix('[').map(|rest| rest.split(']').next().unwrap_or_default());
    let is_address = bare.is_none_or(|bare| bare.parse::<Ipv6Addr>().is_ok());
    let is_one = is_host(text.as_bytes()) && is_address && text.bytes().all(fits);
    let value = header_value(text).filter(|_| is_one);
    at.take(text, value.ok_or(RouteFault::HostAndPort))
}

/// The status with this number, if it is one of these.
pub(super) fn status_within(which: Range<u64>, number: u64) -> Option<StatusCode> {
    let number = Some(number).filter(|number| which.contains(number))?;
    StatusCode::from_u16(u16::try_from(number).ok()?).ok()
}

/// `502` or `502-504`, if all of them are of these.
pub(super) fn status_range(text: &str, which: Range<u64>) -> Option<StatusRange> {
    let parse = |text: &str| status_within(which.clone(), text.parse().ok()?);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    StatusRange::new(parse(first)?, parse(last)?)
}

/// The media type that is said by the key `content_type` here.
pub(super) fn content_type(given: Option<&str>, usual: &'static str, at: &Spot<'_>) -> Option<HeaderValue> {
    let Some(text) = given else { return Some(HeaderValue::from_static(usual)) };
    let value = header_value(text).filter(|_| text.contains('/'));
    at.key("content_type").take(text, value.ok_or(RouteFault::HeaderValue))
}

/// A file that holds a secret: what is in it, without the end of its last line.
pub(super) fn secret(name: &str, at: &Spot<'_>) -> Option<Vec<u8>> {
    const LEAST_SECRET: usize = 16;
    let mut secret = contents(name, at)?;
    while secret.last().is_some_and(|byte| b"\r\n".contains(byte)) {
        secret.pop();
    }
    if secret.len() < LEAST_SECRET {
        at.wrong(name, PoolFault::ShortSecret);
        return None;
    }
    Some(secret)
}

/// What is in a file.
pub(super) fn contents(name: &str, at: &Spot<'_>) -> Option<Vec<u8>> {
    const MOST: u64 = 1 << 20;
    let read = read_file(&at.file(name), MOST);
    let unreadable = |error: io::Error| Fault::File {
        reason: error.to_string(),
        help: remedy(&error, "name a file that we may read"),
    };
    at.take(name, read.map_err(unreadable))
}
