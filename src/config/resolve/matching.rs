//! Which requests a route is for.

use std::net::Ipv6Addr;
use std::sync::Arc;

use hyper::Method;
use hyper::header::HeaderName;
use indexmap::IndexMap;

use super::Spot;
use super::access::networks;
use super::listen::Listeners;
use super::pool::is_token;
use crate::config::access::Networks;
use crate::config::fault::{Fault, RouteFault};
use crate::config::file::{self, Wanted};
use crate::config::name::{check_host, check_name};
use crate::config::nearest::nearest;
use crate::config::pattern::Pattern;
use crate::config::route::{Condition, HostMatch, Match, Part, PathMatch, Segment, Test};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"];

/// The match, and the names that its path gives to parts of a request's. Each is there if it makes sense.
pub(super) fn matching(
    given: &file::Route,
    listeners: &Listeners<'_>,
    at: &Spot<'_>,
) -> (Option<Match>, Option<Vec<String>>) {
    for list in ["hosts", "paths", "methods", "clients", "listeners"] {
        at.key(list).not_empty();
    }
    let hosts = one_or_more(&given.host, &given.hosts, ("host", "hosts"), at, host);
    let paths = one_or_more(&given.path, &given.paths, ("path", "paths"), at, path);
    let list = at.key("methods");
    let methods = given.methods.iter().enumerate();
    let methods = methods.map(|(index, text)| list.index(index).take(text, method(text))).collect::<Vec<_>>();
    let conditions = conditions(given, at);
    let clients = networks(&given.clients, &at.key("clients"));
    let are_sound = clients.len() == given.clients.len();
    let clients = Networks::of(clients.into_iter().map(|network| (network, ())));
    let list = at.key("listeners");
    let named = given.listeners.iter().enumerate();
    let listeners = named.map(|(index, name)| listeners.named(name, &list.index(index))).collect::<Vec<_>>();
    let captures = paths.as_deref().map(captures);
    let when = || {
        Some(Match {
            priority: given.priority.unwrap_or(0),
            hosts: hosts?,
            paths: paths?,
            methods: methods.into_iter().collect::<Option<_>>()?,
            conditions: conditions?,
            clients: (!given.clients.is_empty()).then_some(clients),
            listeners: listeners.into_iter().collect::<Option<_>>()?,
        })
    };
    (when().filter(|_| are_sound), captures)
}

fn one_or_more<T>(
    one: &Option<String>,
    more: &[String],
    (key, keys): (&'static str, &'static str),
    at: &Spot<'_>,
    parse: fn(&str) -> Result<T, RouteFault>,
) -> Option<Vec<T>> {
    let is_one = one.is_none() || more.is_empty();
    if !is_one {
        at.key(keys).fault(Fault::Both(key));
    }
    let list = at.key(keys);
    let one = one.iter().map(|text| at.key(key).take(text, parse(text)));
    let more = more.iter().enumerate().map(|(index, text)| list.index(index).take(text, parse(text)));
    // All are looked at before any is missed.
    let all: Vec<_> = one.chain(more).collect();
    all.into_iter().collect::<Option<_>>().filter(|_| is_one)
}

/// Names that stand for something of each request.
const OWN_NAMES: [&str; 3] = ["host", "path", "query"];
const TAKEN: RouteFault = RouteFault::Path(
    "{host}, {path} and {query} are those of the request; a part of a path has another name",
);

fn host(text: &str) -> Result<HostMatch, RouteFault> {
    // The second is nginx's word for it.
    if matches!(text, "*" | "_") {
        return Err(RouteFault::AnyHost);
    }
    let lower = text.to_ascii_lowercase();
    if let Some(under) = lower.strip_prefix('*') {
        check_name(under.strip_prefix('.').ok_or(RouteFault::Host)?)?;
        return Ok(HostMatch::Under(under.into()));
    }
    if let Some(name) = lower.strip_prefix('.').filter(|name| check_name(name).is_ok()) {
        return Err(RouteFault::Dot { name: name.to_owned() });
    }
    if lower.parse::<Ipv6Addr>().is_ok() {
        return Err(RouteFault::Bare);
    }
    let address = lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = address.and_then(|text| text.parse::<Ipv6Addr>().ok());
    // However it is written, here and in requests.
    let host = match address {
        Some(address) => format!("[{address}]"),
        None => check_host(&lower).map(|()| lower)?,
    };
    Ok(HostMatch::Exact(host.into()))
}

fn path(text: &str) -> Result<PathMatch, RouteFault> {
    if let Some(regex) = text.strip_prefix('~') {
        let pattern = pattern(regex)?;
        let is_taken = pattern.regex().capture_names().flatten().any(|name| OWN_NAMES.contains(&name));
        return if is_taken { Err(TAKEN) } else { Ok(PathMatch::Regex(pattern)) };
    }
    if !text.starts_with('/') {
        return Err(RouteFault::Path("a path begins with /"));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#')) {
        return Err(RouteFault::Path("a path has no spaces, ? or #"));
    }
    if text.contains(['{', '}']) {
        return template(text);
    }
    match text.strip_suffix("/*") {
        Some(prefix) if !prefix.contains('*') => Ok(PathMatch::Prefix(prefix.into())),
        None if !text.contains('*') => Ok(PathMatch::Exact(text.into())),
        _ => Err(RouteFault::Path("a * stands only at the end, behind a /")),
    }
}

fn template(text: &str) -> Result<PathMatch, RouteFault> {
    let mut segments = Vec::new();
    let mut names = Vec::new();
    let mut parts = text[1..].split('/').peekable();
    while let Some(part) = parts.next() {
        let inner = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        let Some(inner) = inner else {
            if part.contains(['{', '}', '*']) {
                return Err(RouteFault::Path(
                    "braces hold a whole part of a path, from / to /, and no * is with them",
                ));
            }
            segments.push(Segment::Literal(part.into()));
            continue;
        };
        let (name, is_rest) = match inner.strip_suffix("...") {
            Some(name) => (name, true),
            None => (inner, false),
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(RouteFault::Path("in braces stands a name of letters, digits and _"));
        }
        if OWN_NAMES.contains(&name) {
            return Err(TAKEN);
        }
        if names.contains(&name) {
            return Err(RouteFault::Path("two parts have the same name"));
        }
        if is_rest && parts.peek().is_some() {
            return Err(RouteFault::Path("nothing can follow {NAME...}, which takes all that is left"));
        }
        names.push(name);
        segments.push(if is_rest { Segment::Rest(name.into()) } else { Segment::Capture(name.into()) });
    }
    Ok(PathMatch::Template(segments.into()))
}

/// The names that all of these paths give, whichever of them holds.
fn captures(paths: &[PathMatch]) -> Vec<String> {
    let names = |path: &PathMatch| -> Vec<String> {
        match path {
            PathMatch::Exact(_) => Vec::new(),
            PathMatch::Prefix(_) => vec!["rest".to_owned()],
            PathMatch::Template(segments) => {
                let name = |segment: &Segment| match segment {
                    Segment::Literal(_) => None,
                    Segment::Capture(name) | Segment::Rest(name) => Some(name.to_string()),
                };
                segments.iter().filter_map(name).collect()
            }
            PathMatch::Regex(pattern) => {
                pattern.regex().capture_names().flatten().map(str::to_owned).collect()
            }
        }
    };
    let mut all = paths.iter().map(names);
    let first = all.next().unwrap_or_default();
    all.fold(first, |common, names| common.into_iter().filter(|name| names.contains(name)).collect())
}

fn pattern(text: &str) -> Result<Pattern, RouteFault> {
    Pattern::new(text.trim_start()).map_err(|error| {
        let said = error.to_string();
        // A syntax error is a drawing of several lines, of which the last one says what is wrong.
        let last = said.lines().last().unwrap_or_default();
        RouteFault::Regex(last.trim_start_matches("error: ").to_owned())
    })
}

fn method(text: &str) -> Result<Method, RouteFault> {
    let upper = text.to_ascii_uppercase();
    // As others write it.
    if matches!(&*upper, "*" | "ANY" | "ALL") {
        return Err(RouteFault::AnyMethod);
    }
    if upper != text && METHODS.contains(&&*upper) {
        return Err(RouteFault::Method { fix: Some(upper) });
    }
    let fix = || nearest(&upper, METHODS.into_iter()).map(str::to_owned);
    Method::from_bytes(text.as_bytes()).map_err(|_| RouteFault::Method { fix: fix() })
}

fn conditions(given: &file::Route, at: &Spot<'_>) -> Option<Vec<Condition>> {
    let header = |name: &str| match HeaderName::from_bytes(name.as_bytes()) {
        Ok(name) => Ok(Part::Header(name)),
        Err(_) => Err(RouteFault::HeaderName),
    };
    let query = |name: &str| match name.is_empty() {
        false => Ok(Part::Query(name.into())),
        true => Err(RouteFault::HeaderName),
    };
    let cookie = |name: &str| match is_token(name) {
        true => Ok(Part::Cookie(name.into())),
        false => Err(RouteFault::HeaderName),
    };
    let mut all = those_of(&given.headers, &at.key("headers"), &header);
    all.extend(those_of(&given.query, &at.key("query"), &query));
    all.extend(those_of(&given.cookies, &at.key("cookies"), &cookie));
    all.into_iter().collect()
}

fn those_of(
    given: &IndexMap<String, Wanted>,
    at: &Spot<'_>,
    part: &dyn Fn(&str) -> Result<Part, RouteFault>,
) -> Vec<Option<Condition>> {
    let condition = |(name, wanted): (&String, &Wanted)| {
        let at = at.key(name);
        let part = part(name).map_err(|fault| at.wrong_key(name, fault)).ok();
        let test = match wanted {
            Wanted::There(true) => Test::Present,
            Wanted::There(false) => Test::Absent,
            Wanted::Text(text) => match text.strip_prefix('~') {
                Some(regex) => Test::Matches(at.take(text, pattern(regex))?),
                None => Test::Is(Arc::from(text.as_str())),
            },
        };
        Some(Condition { part: part?, test })
    };
    given.iter().map(condition).collect()
}
