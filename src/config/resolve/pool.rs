//! Pools.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::header::HeaderName;
use indexmap::IndexMap;

use super::backend::{Speaks, tls, urls};
use super::shared::{host, secret, status_range};
use super::{Known, Spot, useless};
use crate::config::backend::{BackendUrl, Scheme};
use crate::config::fault::{PoolFault, RouteFault};
use crate::config::file::{self, Choices, StatusText};
use crate::config::listen::Listener;
use crate::config::name::check_name;
use crate::config::pool::{
    Backend, Balancing, Checks, HashKey, MOST_WEIGHT, PolicyName, Pool, Source, Sticky,
};
use crate::config::status::Statuses;

/// Between two checks.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);

/// Keys of a pool that do not say which backends are in it.
pub(super) const ASIDE: [&str; 12] = [
    "policy",
    "hash_key",
    "hash_bound",
    "choices",
    "decay",
    "slow_start",
    "overflow",
    "zone",
    "sticky",
    "proxy_protocol",
    "health",
    "tls",
];

/// A pool whose backends make sense, and whether all else does. What does not is as if it were not given.
pub(super) fn pool(
    name: &str,
    given: &file::Pool,
    beside: (&[Listener], &Known),
    at: &Spot<'_>,
) -> Option<(Pool, bool)> {
    if given.backends.is_empty() && given.discover.is_empty() {
        at.fault(PoolFault::Empty);
    }
    let texts: Vec<_> = given.backends.iter().map(|backend| backend.0.address.as_deref()).collect();
    let list = at.key("backends");
    let urls = urls(name, &texts, beside, &list);
    let sources_at = at.key("discover");
    let sources: Vec<_> = given
        .discover
        .iter()
        .enumerate()
        .filter_map(|(index, text)| source(text, &sources_at.index(index)))
        .collect();
    useless::of_pool(given, at);
    // A file of backends may come to name some that speak TLS.
    let may_speak = sources.iter().any(|source| match source {
        Source::Dns { scheme, .. } | Source::Srv { scheme, .. } => *scheme == Scheme::Https,
        Source::File(_) => true,
    });
    let speaks = urls.iter().flatten().any(|url| url.scheme == Scheme::Https);
    // So may those whose addresses, or sources, are none.
    let is_unsure = urls.iter().any(Option::is_none) || sources.len() < given.discover.len();
    let speaks = match (speaks || may_speak, is_unsure) {
        (true, _) => Speaks::Yes,
        (false, true) => Speaks::Unknown,
        (false, false) => Speaks::No,
    };
    let tls = tls(&given.tls, speaks, &at.key("tls"));
    let backends = given.backends.iter().zip(urls).enumerate();
    let backends = backends.map(|(index, (given, url))| backend(&given.0, url, &list.index(index)));
    let backends: Vec<_> = backends.collect();
    let (balancing, health) = (balancing(given, at), health(&given.health, &at.key("health")));
    let is_whole = balancing.is_some() && health.is_some();
    let pool = Pool {
        name: name.into(),
        backends: backends.into_iter().collect::<Option<_>>()?,
        sources,
        balancing: balancing.unwrap_or_else(|| Balancing::by(PolicyName::First)),
        health: health.unwrap_or_else(|| Checks::usual("/")),
        tls,
        proxy_protocol: given.proxy_protocol.map(|word| word.0),
    };
    Some((pool, is_whole))
}

fn backend(given: &file::BackendTable, url: Option<BackendUrl>, at: &Spot<'_>) -> Option<Backend> {
    let weight = at.key("weight").between(given.weight.unwrap_or(1), 0, MOST_WEIGHT.into());
    let most = given.max_requests.map(|most| at.key("max_requests").between(most.into(), 1, u32::MAX.into()));
    Some(Backend {
        url: url?,
        weight: u32::try_from(weight?).ok()?,
        tier: given.tier.unwrap_or(0),
        max_requests: most.flatten().and_then(|most| NonZeroU32::new(u32::try_from(most).ok()?)),
        zone: given.zone.as_deref().map(Arc::from),
        tags: tags(&given.tags).into_iter().collect::<BTreeMap<_, _>>(),
    })
}

/// What is said of a backend, or wanted of one.
pub(super) fn tags(given: &IndexMap<String, String>) -> Vec<(Arc<str>, Arc<str>)> {
    let mut tags: Vec<_> =
        given.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
    // In whatever order they are written they mean the same, and name the same cookie.
    tags.sort_unstable();
    tags
}

fn source(text: &str, at: &Spot<'_>) -> Option<Source> {
    let named = |name: &str, source: Source| match check_name(name) {
        Ok(()) => Ok(source),
        Err(_) if name.parse::<IpAddr>().is_ok() => Err(PoolFault::AddressOfSource),
        Err(fault) => Err(PoolFault::NameOfSource(fault)),
    };
    let source = match text.split_once(':') {
        Some(("dns", rest)) => {
            let (scheme, rest) = scheme(rest);
            rest.rsplit_once(':').ok_or(PoolFault::Source).and_then(|(name, port)| {
                let port = port.parse().ok().filter(|port| *port != 0).ok_or(PoolFault::Source)?;
                named(name, Source::Dns { scheme, name: name.into(), port })
            })
        }
        Some(("srv", rest)) => {
            let (scheme, name) = scheme(rest);
            named(name, Source::Srv { scheme, name: name.into() })
        }
        Some(("file", path)) if !path.is_empty() => Ok(Source::File(at.file(path))),
        _ => Err(PoolFault::Source),
    };
    at.take(text, source)
}

/// What is to be spoken to those that a name leads to, and the rest.
fn scheme(text: &str) -> (Scheme, &str) {
    match text.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("h2c", rest)) => (Scheme::H2c, rest),
        Some(("http", rest)) => (Scheme::Http, rest),
        _ => (Scheme::Http, text),
    }
}

fn health(given: &file::Health, at: &Spot<'_>) -> Option<Checks> {
    let host = given.host.as_deref().map(|text| host(text, &at.key("host")).map(|_| text.into()));
    let statuses = given.statuses.as_deref().map(|list| statuses(list, &at.key("statuses")));
    let path = given.path.as_deref().unwrap_or("/");
    let is_plain = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    // What asks for it knows more that it may not hold.
    if !is_plain || path.parse::<Uri>().is_err() {
        at.key("path").wrong(path, fault_of_path(path));
        return None;
    }
    let usual = Checks::usual(path);
    let interval = given.interval.map_or(usual.interval, |time| time.0);
    if interval < LEAST_INTERVAL {
        at.key("interval").wrong(file::Time(interval), PoolFault::TooOften);
        return None;
    }
    let timeout = given.timeout.map_or(usual.timeout, |time| time.0);
    Some(Checks {
        interval,
        timeout,
        written: at.key("path").with_variables(),
        host: match host {
            Some(host) => Some(host?),
            None => None,
        },
        statuses: match statuses {
            Some(statuses) => statuses?,
            None => usual.statuses,
        },
        ..usual
    })
}

/// What is wrong with the path of a check that is none.
fn fault_of_path(path: &str) -> PoolFault {
    if !path.starts_with('/') || path.bytes().any(|byte| byte.is_ascii_control()) {
        return PoolFault::NoHealthPath;
    }
    let mut fix = String::new();
    for character in path.chars() {
        if character.is_ascii_graphic() && !"\"#<>\\^`{|}".contains(character) {
            fix.push(character);
        } else {
            let bytes = character.to_string();
            fix.extend(bytes.bytes().map(|byte| format!("%{byte:02X}")));
        }
    }
    PoolFault::HealthPath { fix }
}

/// Those that mean healthy. A status below 200 is none of a final answer.
fn statuses(list: &[StatusText], at: &Spot<'_>) -> Option<Statuses> {
    if list.is_empty() {
        at.fault(PoolFault::NoStatuses);
        return None;
    }
    let which = "one or two from 200 to 599, the lower one first, for example 401 or 200-399";
    let range = |(index, StatusText(text)): (usize, &StatusText)| {
        let range = status_range(text, 200..600);
        at.index(index).take(text, range.ok_or_else(|| RouteFault::of_status(text, which)))
    };
    let ranges: Vec<_> = list.iter().enumerate().map(range).collect();
    ranges.into_iter().collect::<Option<_>>().map(Statuses::of)
}

fn balancing(given: &file::Pool, at: &Spot<'_>) -> Option<Balancing> {
    let usual = Balancing::by(given.policy.map_or(PolicyName::First, |word| word.0));
    let number = |key, value: Option<u64>, least, most| {
        value.map(|value| at.key(key).between(value, least, most).and_then(|value| u32::try_from(value).ok()))
    };
    let hash_bound = number("hash_bound", given.hash_bound, 101, 10_000);
    let overflow = number("overflow", given.overflow, 1, 100);
    let choices = match given.choices {
        None => usual.choices,
        Some(Choices::All) => None,
        Some(Choices::Some(choices)) => {
            number("choices", Some(choices), 1, 100).flatten().and_then(NonZeroU32::new)
        }
    };
    let hash_key = match &given.hash_key {
        None => Some(usual.hash_key),
        Some(text) => at.key("hash_key").take(text, hash_key(text).ok_or(PoolFault::HashKey)),
    };
    let sticky = given.sticky.as_ref().map(|given| sticky(given, &at.key("sticky")));
    Some(Balancing {
        hash_key: hash_key?,
        hash_bound: hash_bound.flatten().and_then(NonZeroU32::new),
        choices,
        decay: given.decay.map_or(usual.decay, |time| time.0),
        slow_start: given.slow_start.map(|time| time.0),
        overflow: overflow.flatten().unwrap_or(usual.overflow),
        zone: given.zone.as_deref().map(Arc::from),
        sticky: match sticky {
            Some(sticky) => Some(sticky?),
            None => None,
        },
        policy: usual.policy,
    })
}

fn hash_key(text: &str) -> Option<HashKey> {
    match text.split_once(':') {
        None if text == "client" => Some(HashKey::Client),
        None if text == "path" => Some(HashKey::Path),
        Some(("header", name)) => HeaderName::from_bytes(name.as_bytes()).ok().map(HashKey::Header),
        Some(("cookie", name)) if is_token(name) => Some(HashKey::Cookie(name.into())),
        Some(("query", name)) if !name.is_empty() => Some(HashKey::Query(name.into())),
        _ => None,
    }
}

fn sticky(given: &file::Sticky, at: &Spot<'_>) -> Option<Sticky> {
    let cookie = given.cookie.as_deref().and_then(|name| cookie(name, &at.key("cookie")));
    if given.cookie.is_none() {
        at.fault(PoolFault::Required("cookie"));
    }
    let secret = given.secret_file.as_deref().and_then(|name| secret(name, &at.key("secret_file")));
    if given.secret_file.is_none() {
        at.fault(PoolFault::Required("secret_file"));
    }
    Some(Sticky {
        cookie: cookie?,
        secret: secret?.into(),
        // A cookie counts whole seconds.
        max_age: given.max_age.and_then(|age| NonZeroU64::new(age.0.as_secs().max(1))),
        secure: given.secure,
    })
}

/// A cookie's name.
pub(super) fn cookie(name: &str, at: &Spot<'_>) -> Option<Arc<str>> {
    at.take(name, if is_token(name) { Ok(name.into()) } else { Err(PoolFault::Name) })
}

/// RFC 9110, section 5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}
