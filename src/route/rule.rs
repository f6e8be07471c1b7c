//! What must hold of a request beside its host and path.

use std::borrow::Cow;

use hyper::Method;
use hyper::header::COOKIE;

use crate::config::{Condition, ListenerId, Match, Networks, Part, Test};

use super::Asked;

/// What must hold of a request beside its host and path.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// One of these; none means any.
    pub(super) methods: Vec<Method>,
    /// All of these.
    pub(super) conditions: Vec<Condition>,
    /// One of these; none means any.
    pub(super) clients: Option<Networks<()>>,
    /// One of these; none means any.
    pub(super) listeners: Vec<ListenerId>,
}

impl Rule {
    pub(super) fn of(when: &Match) -> Self {
        let mut methods = when.methods.clone();
        methods.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        methods.dedup();
        let mut conditions: Vec<Condition> = Vec::new();
        for condition in &when.conditions {
            if !conditions.contains(condition) {
                conditions.push(condition.clone());
            }
        }
        let mut listeners = when.listeners.clone();
        listeners.sort_unstable();
        listeners.dedup();
        Self { methods, conditions, clients: when.clients.clone(), listeners }
    }

    /// Whether it holds for all requests.
    pub(super) fn is_empty(&self) -> bool {
        self.methods.is_empty()
            && self.conditions.is_empty()
            && self.clients.is_none()
            && self.listeners.is_empty()
    }

    pub(super) fn holds(&self, asked: &Asked<'_>) -> bool {
        (self.methods.is_empty() || self.methods.contains(asked.method))
            && self.clients.as_ref().is_none_or(|clients| clients.hold(asked.client))
            && (self.listeners.is_empty()
                || asked.listener.is_some_and(|known| self.listeners.contains(known)))
            && self.conditions.iter().all(|condition| holds(condition, asked))
    }
}

fn holds(Condition { part, test }: &Condition, asked: &Asked<'_>) -> bool {
    match part {
        Part::Header(name) => {
            passes(test, asked.headers.get_all(name).iter().map(|value| Cow::Borrowed(value.as_bytes())))
        }
        Part::Query(name) => passes(test, parameters(asked.query, name)),
        Part::Cookie(name) => passes(test, cookies(asked, name)),
    }
}

/// Whether one of the values of a part passes.
fn passes<'v>(test: &Test, mut values: impl Iterator<Item = Cow<'v, [u8]>>) -> bool {
    match test {
        Test::Present => values.next().is_some(),
        Test::Absent => values.next().is_none(),
        Test::Is(text) => values.any(|value| *value == *text.as_bytes()),
        Test::Matches(pattern) => values.any(|value| pattern.matches(&String::from_utf8_lossy(&value))),
    }
}

/// The values of a parameter, as forms encode them.
fn parameters<'q>(query: Option<&'q str>, name: &str) -> impl Iterator<Item = Cow<'q, [u8]>> {
    let pairs = query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty());
    pairs.filter_map(move |pair| {
        let (known, value) = pair.split_once('=').unwrap_or((pair, ""));
        (*decoded(known) == *name.as_bytes()).then(|| decoded(value))
    })
}

/// The values of a cookie (RFC 6265 section 4.2).
fn cookies<'a>(asked: &Asked<'a>, name: &str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let lines = asked.headers.get_all(COOKIE).iter();
    let cookies = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    cookies.filter_map(move |cookie| {
        let value = cookie.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(Cow::Borrowed(value))
    })
}

/// A text of a query as it is meant: `+` is a space, and `%` and two digits an octet.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(bytes);
    }
    let mut meant = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let octet = after.first_chunk::<2>().filter(|_| *first == b'%').and_then(|digits| octet(*digits));
        rest = if octet.is_some() { &after[2..] } else { after };
        meant.push(octet.unwrap_or(if *first == b'+' { b' ' } else { *first }));
    }
    Cow::Owned(meant)
}

fn octet(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? << 4 | low?).ok()
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderMap, HeaderName, HeaderValue};

    use crate::config::Pattern;

    use super::*;

    fn asked<'a>(method: &'a Method, query: Option<&'a str>, headers: &'a HeaderMap) -> Asked<'a> {
        Asked { host: "a", path: "/", query, method, headers, client: [10, 0, 0, 1].into(), listener: None }
    }

    fn query_holds(query: &str, name: &str, test: Test) -> bool {
        let headers = HeaderMap::new();
        holds(
            &Condition { part: Part::Query(name.into()), test },
            &asked(&Method::GET, Some(query), &headers),
        )
    }

    #[test]
    fn a_parameter_is_known_however_it_is_encoded() {
        let is = |text: &str| Test::Is(text.into());
        assert!(query_holds("a=b", "a", is("b")) && query_holds("x&%61=%62", "a", is("b")));
        assert!(query_holds("a=1&a=2", "a", is("2")) && query_holds("a=b+c%2", "a", is("b c%2")));
        assert!(query_holds("a", "a", is("")) && query_holds("a", "a", Test::Present));
        assert!(query_holds("b=a&&", "a", Test::Absent) && !query_holds("b=a", "", Test::Present));
        let pattern = Pattern::new("[0-9]+").expect("an expression");
        assert!(query_holds("a=12", "a", Test::Matches(pattern.clone())));
        assert!(!query_holds("a=12x", "a", Test::Matches(pattern)));
    }

    #[test]
    fn a_cookie_or_a_header_line_is_one_of_several() {
        let line = |text| HeaderValue::from_static(text);
        let mut headers = HeaderMap::from_iter([(COOKIE, line("a=1; b=2;c=")), (COOKIE, line("d=4"))]);
        headers.append("x-beta", line("yes"));
        headers.append("x-beta", line("no"));
        let asked = asked(&Method::GET, None, &headers);
        let cookie = |name: &str, test| holds(&Condition { part: Part::Cookie(name.into()), test }, &asked);
        for (name, value) in [("a", "1"), ("b", "2"), ("c", ""), ("d", "4")] {
            assert!(cookie(name, Test::Is(value.into())), "{name}");
        }
        assert!(cookie("e", Test::Absent) && !cookie("a", Test::Is("2".into())));
        let beta = Part::Header(HeaderName::from_static("x-beta"));
        let header = |test| holds(&Condition { part: beta.clone(), test }, &asked);
        assert!(header(Test::Is("yes".into())) && header(Test::Is("no".into())) && header(Test::Present));
        assert!(!header(Test::Is("ye".into())) && !header(Test::Absent));
    }
}
