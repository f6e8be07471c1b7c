//! What ties a request to a backend: its key, its cookie; and what a pool learns of how it went.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use hyper::header::{COOKIE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};

use crate::backends::{Ending, Experience};
use crate::balance::{Ask, Lease, Pool, Turn, Word, hash};
use crate::config::{HashKey, Sticky};
use crate::telemetry::stood_still;

use super::client::Mark;
use super::forwarded::over_tls;
use super::{Client, Error, Fault};

/// What of a request its backend is picked by. The request itself may be with a backend when the next one is picked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Affinity {
    key: u64,
    cookie: Option<Word>,
    /// Whether its client speaks TLS, to us or to a proxy that we trust.
    secure: bool,
}

impl Affinity {
    /// That of a request with this head, as it came, as far as this pool wants to know: what a route takes away may be our own
    /// cookie.
    pub(super) fn of(headers: &HeaderMap, client: &Client, pool: &Pool) -> Self {
        let Some(sticky) = &pool.balancing().sticky else { return Self::default() };
        let cookie = cookies(headers, &sticky.cookie).find_map(Word::read);
        Self { key: 0, cookie, secure: over_tls(headers, client.listener().tls) }
    }

    /// The same with the key of a request as its backend will see it.
    pub(super) fn with_key<B>(mut self, request: &Request<B>, client: &Client, pool: &Pool) -> Self {
        if pool.wants_key() {
            self.key = key(request, client, &pool.balancing().hash_key);
        }
        self
    }

    /// What a pick goes by.
    pub(super) fn ask<'a>(&self, client: &Client, turn: &'a Turn) -> Ask<'a> {
        Ask { turn, now: client.shared.clock.instant(), key: self.key, cookie: self.cookie }
    }

    /// What asks the client to come back to the backend that answered, unless it would do so anyway.
    pub(super) fn cookie(&self, pool: &Pool, lease: &Lease) -> Option<HeaderValue> {
        let sticky = pool.balancing().sticky.as_ref()?;
        let word = pool.cookie(lease).filter(|word| Some(*word) != self.cookie)?;
        Some(set_cookie(sticky, word, self.secure))
    }
}

/// The hash of what a request is known by. One that has no such thing goes by its client.
fn key<B>(request: &Request<B>, client: &Client, key: &HashKey) -> u64 {
    let headers = request.headers();
    let value = match key {
        HashKey::Client => None,
        HashKey::Header(name) => headers.get(name).map(HeaderValue::as_bytes),
        HashKey::Cookie(name) => cookies(headers, name).next(),
        HashKey::Query(name) => request.uri().query().and_then(|query| parameter(query, name)),
        HashKey::Path => Some(request.uri().path().as_bytes()),
    };
    match (value, client.ip()) {
        (Some(value), _) => hash(value),
        (None, IpAddr::V4(ip)) => hash(&ip.octets()),
        (None, IpAddr::V6(ip)) => hash(&ip.octets()),
    }
}

/// The values of all cookies of this name.
fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    pairs.filter_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// The value of the first parameter of this name, as it is written.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a [u8]> {
    let mut pairs = query.split('&');
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::as_bytes)
}

fn set_cookie(sticky: &Sticky, word: Word, secure: bool) -> HeaderValue {
    let mut text = format!("{}={}; Path=/; HttpOnly; SameSite=Lax", sticky.cookie, word.as_str());
    if let Some(seconds) = sticky.max_age {
        text += &format!("; Max-Age={seconds}");
    }
    if sticky.secure.unwrap_or(secure) {
        text += "; Secure";
    }
    HeaderValue::try_from(text).expect("the name of a cookie is a token")
}

/// Sees how a request goes with one backend, if it is one of those that are timed, or the pool learns from it.
pub(super) struct Trial<'a> {
    client: &'a Client,
    pool: &'a Pool,
    lease: &'a Lease,
    /// When it began; nothing if nobody wants to know, or was told.
    begun: Option<Instant>,
    /// Whether it is one of those that are timed.
    is_timed: bool,
    /// How long the process had stood still by then.
    stood_still: Duration,
}

impl<'a> Trial<'a> {
    pub(super) fn begin(client: &'a Client, pool: &'a Pool, lease: &'a Lease, is_timed: bool) -> Self {
        let begun = (is_timed || pool.wants_experience()).then(Instant::now);
        client.time_answer(begun.is_some());
        Self { client, pool, lease, begun, is_timed, stood_still: stood_still() }
    }

    /// There is an answer.
    pub(super) fn answered<B>(mut self, response: &Response<B>) {
        let status = response.status();
        self.lease.score().answered(status.as_u16());
        let Some(begun) = self.begun.take() else { return };
        // An answer that came before the end of the request counts from the beginning.
        let took = self.client.sent_at().unwrap_or(begun).elapsed();
        if self.is_timed && self.is_fair() {
            self.lease.score().took(took);
        }
        let ending = if status.is_server_error() { Ending::Failed } else { Ending::Answered };
        // A 429 speaks of one client (RFC 6585 section 4), a 503 of the backend (RFC 9110 section 15.6.4).
        let asks = status == StatusCode::SERVICE_UNAVAILABLE;
        let retry_after = response.headers().get(RETRY_AFTER).filter(|_| asks).and_then(pause);
        self.learn(Experience { took, ending, retry_after });
    }

    /// There is an answer, or one that cannot be passed on.
    pub(super) fn answered_if<B>(
        self,
        can_pass: Result<(), Error>,
        response: &Response<B>,
    ) -> Result<(), Error> {
        match &can_pass {
            Ok(()) => self.answered(response),
            Err(error) => self.failed(error),
        }
        can_pass
    }

    /// There is none.
    pub(super) fn failed(mut self, error: &Error) {
        let is_the_clients = matches!(error, Error::Closed(_)) && self.client.is(Mark::Awaited);
        if is_the_clients || error.row().fault != Fault::Backend {
            return;
        }
        self.lease.score().failed();
        if let Some(begun) = self.begun.take() {
            self.learn(Experience { took: begun.elapsed(), ending: Ending::Failed, retry_after: None });
        }
    }

    fn learn(&self, experience: Experience) {
        if self.pool.wants_experience() && self.is_fair() {
            self.pool.learn(self.lease, &experience, Instant::now());
        }
    }

    /// What passed while the process stood still is not the backend's, and the clock may not know of it yet.
    fn is_fair(&self) -> bool {
        stood_still() == self.stood_still && !self.client.shared.clock.is_late()
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if let (Some(_), Some(sent)) = (self.begun.take(), self.client.sent_at()) {
            self.learn(Experience { took: sent.elapsed(), ending: Ending::GivenUp, retry_after: None });
        }
    }
}

/// For how long `Retry-After` asks us to wait (RFC 9110 section 10.2.3).
fn pause(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_and_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("xlb=0; lb=1;lb2=2;  lb=3"));
        headers.append(COOKIE, HeaderValue::from_static("lb"));
        headers.append(COOKIE, HeaderValue::from_static("LB=4; lb=a=b"));
        let found: Vec<_> = cookies(&headers, "lb").collect();
        assert_eq!(found, [&b"1"[..], b"3", b"a=b"]);
    }

    #[test]
    fn a_parameter_is_found_by_its_whole_name() {
        let all = "xuser=1&user=2&user=3&users=4&flag";
        assert_eq!(parameter(all, "user"), Some(&b"2"[..]));
        assert_eq!(parameter(all, "flag"), None);
        assert_eq!(parameter("", "user"), None);
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let parse = |text: &str| pause(&HeaderValue::from_str(text).unwrap());
        assert_eq!(parse("120"), Some(Duration::from_secs(120)));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        assert!(parse(&date).is_some_and(|pause| pause > Duration::from_secs(50)));
        assert_eq!(parse("Fri, 31 Dec 1999 23:59:59 GMT"), None);
        assert_eq!(parse("soon"), None);
    }
}
