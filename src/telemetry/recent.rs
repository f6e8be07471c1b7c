//! The last requests, as they came: for whoever wants to know where they would go under other settings.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::ext::Protocol;
use hyper::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use hyper::http::uri::{Authority, PathAndQuery};
use hyper::{Method, Request};

/// Requests that one worker keeps.
const KEPT: usize = 1024;
/// Bytes of header lines that are kept of each, and of what stands before them: with more of either a request is not kept, for
/// a part of it would say nothing of where it goes.
const MOST_BYTES: usize = 2048;

const WEBSOCKET: &str = "websocket";

/// A request as it came. It may hold secrets of its client: it is compared, never shown.
#[derive(Clone, Default)]
pub struct Seen {
    /// The method by which it would go on.
    pub method: Method,
    /// The path and the query.
    pub target: String,
    /// The host that a target in absolute form names.
    pub authority: Option<String>,
    /// Who sent it.
    pub client: Option<IpAddr>,
    /// What tells the listener that it came to.
    pub listener: Option<Arc<str>>,
    /// Whether its client spoke TLS, to us or to a proxy that is trusted.
    pub over_tls: bool,
    /// Names and values of header lines, each after its length.
    lines: Vec<u8>,
}

/// The last requests of one worker. Their room is used again.
#[derive(Debug, Default)]
pub struct Recent {
    kept: Vec<Seen>,
    next: usize,
}

impl Recent {
    /// Keeps a request in place of the oldest.
    pub fn keep<B>(&mut self, request: &Request<B>, client: IpAddr, listener: &Arc<str>, over_tls: bool) {
        // A WebSocket comes by CONNECT over HTTP/2 and goes on as a GET; any other CONNECT goes nowhere.
        let is_connect = request.method() == Method::CONNECT;
        if is_connect && !asks_for_websocket(request) {
            return;
        }
        let method = if is_connect { &Method::GET } else { request.method() };
        let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
        let authority = request.uri().authority().map(Authority::as_str);
        let lines = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
        if method.as_str().len() + target.len() + authority.unwrap_or_default().len() > MOST_BYTES
            || lines.sum::<usize>() > MOST_BYTES
        {
            return;
        }
        if self.kept.len() < KEPT {
            self.kept.push(Seen::default());
        }
        let place = self.next % self.kept.len();
        self.next = (place + 1) % KEPT;
        let seen = &mut self.kept[place];
        seen.method.clone_from(method);
        // Copies, for hyper's buffers are not to be held by what we keep.
        seen.target.clear();
        seen.target.push_str(target);
        seen.authority = authority.map(str::to_owned);
        seen.client = Some(client);
        seen.listener = Some(Arc::clone(listener));
        seen.over_tls = over_tls;
        seen.lines.clear();
        for (name, value) in request.headers() {
            seen.add(name, value.as_bytes());
        }
        if is_connect {
            // What it goes on with, besides a key that nobody goes by.
            seen.add(&CONNECTION, b"upgrade");
            seen.add(&UPGRADE, WEBSOCKET.as_bytes());
        }
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> Vec<Seen> {
        let (newer, older) = self.kept.split_at(self.next.min(self.kept.len()));
        older.iter().chain(newer).cloned().collect()
    }
}

fn asks_for_websocket<B>(request: &Request<B>) -> bool {
    let protocol = request.extensions().get::<Protocol>();
    protocol.is_some_and(|protocol| protocol.as_str().eq_ignore_ascii_case(WEBSOCKET))
}

impl Seen {
    fn add(&mut self, name: &HeaderName, value: &[u8]) {
        for part in [name.as_str().as_bytes(), value] {
            let length = u16::try_from(part.len()).expect("it is short enough to be kept");
            self.lines.extend_from_slice(&length.to_be_bytes());
            self.lines.extend_from_slice(part);
        }
    }

    /// Its header lines.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut rest = self.lines.as_slice();
        while let Some((name, after)) = part(rest)
            && let Some((value, after)) = part(after)
        {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                headers.append(name, value);
            }
            rest = after;
        }
        headers
    }
}

impl std::fmt::Debug for Seen {
    /// Without what may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen").field("method", &self.method).finish_non_exhaustive()
    }
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str) -> Request<()> {
        let request = Request::get(path).header("host", "a").header("cookie", "x=1").header("cookie", "y=2");
        request.body(()).expect("a request")
    }

    #[test]
    fn a_request_is_kept_as_it_came_and_the_oldest_goes() {
        let mut recent = Recent::default();
        for number in 0..KEPT + 3 {
            recent.keep(&request(&format!("/{number}")), [127, 0, 0, 1].into(), &"web".into(), false);
        }
        let all = recent.all();
        assert_eq!(all.len(), KEPT);
        let paths = [&all[0], &all[KEPT - 1]].map(|seen| seen.target.clone());
        assert_eq!(paths, ["/3".to_owned(), format!("/{}", KEPT + 2)]);
        assert_eq!(all[0].headers(), *request("/").headers());
    }

    #[test]
    fn what_has_more_than_is_kept_is_not_kept() {
        let mut recent = Recent::default();
        let long = "x".repeat(MOST_BYTES);
        recent.keep(&request(&format!("/{long}")), [127, 0, 0, 1].into(), &"web".into(), false);
        let lines = Request::get("/").header("a", "b").header("long", long).body(()).expect("a request");
        recent.keep(&lines, [127, 0, 0, 1].into(), &"web".into(), false);
        assert!(recent.all().is_empty());
        recent.keep(&request("/"), [127, 0, 0, 1].into(), &"web".into(), false);
        assert_eq!(recent.all().len(), 1);
    }
}
