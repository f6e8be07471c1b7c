//! The answers that we make ourselves.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use hyper::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue, RETRY_AFTER,
};
use hyper::{Response, StatusCode};

use crate::backends::{Evidence, State};
use crate::balance::{Member, NoPick};
use crate::snapshot::{Fact, Snapshot};
use crate::telemetry::access_log::Entry;

use super::body::Body;
use super::course::Forward;
use super::exchange::Exchange;
use super::own::{METHODS, Own};
use super::treated::Treated;
use super::{Client, Error, Row};

const PROXY_STATUS: &str = "proxy-status";
/// A backend that is missed is checked within a second.
const RETRY_AFTER_SECONDS: u64 = 1;
/// Backends that one request has checked because it found none: of a pool with thousands that are dead, not all each second.
const MOST_MISSED: usize = 16;
/// Backends of which a client on this machine is told.
const MOST_TOLD: usize = 16;

/// The answer that an error deserves.
pub(super) fn answer(error: &Error, snapshot: &Snapshot, mut exchange: Exchange) -> Response<Body> {
    let text = explain(error, snapshot, &exchange);
    exchange.failed(error);
    Own::instead(error.row().status, fields(error), text, &exchange).give(exchange)
}

/// The same for a connection on which hyper can send nothing any more, or nothing yet: the bytes of the answer to who sent this, or
/// began to. It is counted, and has a line in the access log.
pub fn last_words(error: &Error, client: &Client, sent: &[u8]) -> Vec<u8> {
    let status = error.row().status;
    let text = format!("{error}\n");
    // RFC 9110 section 9.3.2: what it would have been long is told, and no more.
    let told = if sent.starts_with(b"HEAD ") { "" } else { &text };
    note_refusal(error, client, told.len());
    let (code, phrase) = (status.as_u16(), status.canonical_reason().unwrap_or_default());
    let date = httpdate::fmt_http_date(SystemTime::now());
    let mut head = format!("HTTP/1.1 {code} {phrase}\r\n{DATE}: {date}\r\n");
    let length = (CONTENT_LENGTH, HeaderValue::from(text.len()));
    let close = (CONNECTION, HeaderValue::from_static("close"));
    let others = fields(error).into_iter().filter(|(name, _)| name != CONNECTION);
    for (name, value) in others.chain([length, close]) {
        let _ = write!(head, "{name}: {}\r\n", value.to_str().unwrap_or_default());
    }
    (head + "\r\n" + told).into_bytes()
}

/// Why there is no backend for a request that none has seen yet.
#[cold]
pub(super) fn why_none(none: NoPick, snapshot: &Snapshot, course: &Forward<'_>) -> Error {
    let would_be_used =
        |member: &&Member| lacks(member, course.tags).is_none() && taken_out(member).is_none();
    let members = snapshot.pools[course.pool].members();
    let is_down = |member: &&Member| snapshot.facts[member.place].state == State::Down;
    // From anywhere, lest of many only the first ones be missed.
    let (before, behind) = members.split_at(fastrand::usize(..=members.len()));
    let down = behind.iter().chain(before).filter(would_be_used).filter(is_down);
    let mut down = down.take(MOST_MISSED).peekable();
    match none {
        NoPick::AllFull => Error::BackendsFull,
        NoPick::NoneUsable if down.peek().is_some() => {
            down.for_each(|member| member.load.miss());
            Error::NoBackend
        }
        NoPick::NoneUsable => Error::NoneInService,
    }
}

/// Counts a client that is refused before it made a request, or besides those that it made, and writes a line to the access
/// log. It is told so in as many bytes; one that is told nothing counts as much.
pub fn note_refusal(error: &Error, client: &Client, told: usize) {
    let Row { status, reason, termination, .. } = error.row();
    client.shared.tally.answered(status.as_u16());
    client.shared.tally.failed(reason);
    let Some(log) = &client.shared.access_log else { return };
    let mut entry = Entry::without_head(client.listener_name(), client.address());
    entry.failed(status.as_u16(), reason, termination);
    log.write(&entry.end(0, told as u64));
}

fn fields(error: &Error) -> Vec<(HeaderName, HeaderValue)> {
    let row = error.row();
    let mut fields = vec![(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
    fields.extend(proxy_status(&row));
    let again_after = match error {
        Error::ClientRate(seconds) | Error::RouteRate(seconds) | Error::TotalRate(seconds) => *seconds,
        _ => RETRY_AFTER_SECONDS,
    };
    match row.status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            fields.push((RETRY_AFTER, HeaderValue::from(again_after)));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            fields.push((ALLOW, METHODS));
            // Who asked for a tunnel may have sent what was meant for its other end.
            fields.push((CONNECTION, HeaderValue::from_static("close")));
        }
        // It is true of all that would follow, and to be asked again on another connection (RFC 9110 section 15.5.20).
        StatusCode::MISDIRECTED_REQUEST => fields.push((CONNECTION, HeaderValue::from_static("close"))),
        // The rest of a request that we did not understand or wait for cannot be told from the next one.
        StatusCode::BAD_REQUEST | StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE => {
            fields.push((CONNECTION, HeaderValue::from_static("close")));
        }
        _ => {}
    }
    fields
}

fn proxy_status(row: &Row) -> Option<(HeaderName, HeaderValue)> {
    let value = format!("loadbalancer; error={}; details=\"{}\"", row.proxy_status, row.reason);
    Some((HeaderName::from_static(PROXY_STATUS), HeaderValue::from_str(&value).ok()?))
}

/// The sentence that a client gets, and what is known of each backend, if the client is on this machine.
fn explain(error: &Error, snapshot: &Snapshot, exchange: &Exchange) -> String {
    let client = exchange.client();
    let mut text = match (error, client.is_local()) {
        // What is known of a connection may hold addresses and names.
        (Error::Connect(_) | Error::Exhausted(_), false) => "the backend cannot be reached\n".to_owned(),
        (Error::BadCertificate(_) | Error::TlsFailed(_), false) => {
            "the backend cannot be spoken to over TLS\n".to_owned()
        }
        (error, _) => format!("{error}\n"),
    };
    if !client.is_local() {
        return text;
    }
    let members = exchange.pool().map_or(&[][..], |pool| snapshot.pools[pool].members());
    match error {
        Error::NoneInService if members.is_empty() && exchange.pool().is_some() => {
            text += "the pool has no backends: its sources have told of none\n";
            return text;
        }
        Error::NoBackend
        | Error::NoneInService
        | Error::BackendsFull
        | Error::Connect(_)
        | Error::ConnectTimeout
        | Error::BadCertificate(_)
        | Error::TlsFailed(_)
        | Error::NotHttp2 => {}
        _ => return text,
    }
    for member in members.iter().take(MOST_TOLD) {
        text += &why_unused(member, &snapshot.facts[member.place], exchange);
    }
    let more = members.len().saturating_sub(MOST_TOLD);
    if more > 0 {
        let _ = writeln!(text, "and {more} more");
    }
    text
}

/// Why a backend does not get the request, as far as is known.
fn why_unused(member: &Member, fact: &Fact, exchange: &Exchange) -> String {
    let tags = exchange.treated().map_or(&[][..], Treated::tags);
    if let Some((name, value)) = lacks(member, tags) {
        return format!("{}: its tags do not say {name} = {value}\n", member.way.url);
    }
    // What this request found out itself is not in the snapshot yet.
    let health = exchange.client().shared.registry.health(member.id);
    let full = || member.is_full().then_some("it has as many requests as it may have");
    let why = taken_out(member).or_else(|| match &health {
        Some(health) if !health.is_usable() => None,
        Some(health) if health.is_doubted() => {
            full().or(Some("a request got no answer of it, and it is checked"))
        }
        _ if fact.state == State::Down => None,
        _ => full(),
    });
    match (why, &health) {
        (Some(why), _) => format!("{}: {why}\n", member.way.url),
        (None, Some(health)) => learned(member, health.evidence(), health.learned()),
        (None, None) => learned(member, &fact.evidence, fact.learned),
    }
}

/// A tag that a backend does not have, of those that it must have.
fn lacks<'t>(member: &Member, tags: &'t [(Arc<str>, Arc<str>)]) -> Option<&'t (Arc<str>, Arc<str>)> {
    tags.iter().find(|(name, value)| member.tags.get(name) != Some(value))
}

fn learned(member: &Member, evidence: &Evidence, learned: Instant) -> String {
    let url = &member.way.url;
    match evidence {
        // When that was is not known, or it never was.
        Evidence::Nothing | Evidence::Before(_) => format!("{url}: {evidence}\n"),
        _ => {
            let ago = Instant::now().saturating_duration_since(learned).as_secs();
            format!("{url}: {evidence} {ago} s ago\n")
        }
    }
}

/// Why a backend gets no requests, be it well or not, if an operator or the settings took it out.
fn taken_out(member: &Member) -> Option<&'static str> {
    match member {
        Member { disabled: true, .. } => Some("an operator disabled it"),
        Member { drained: true, .. } => Some("an operator drains it"),
        Member { weight: 0, .. } => Some("its weight is 0"),
        _ => None,
    }
}
