//! Where a backend is and what is spoken to it, as an operator writes it.

use std::fmt::{self, Display, Formatter};
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexSet;
use serde::{Deserialize, Serialize};

use super::BackendFault;
use crate::config::address::{Address, UNIX, socket_path};
use crate::config::name::{NameFault, check_host, in_brackets};
use crate::config::said::{By, Said};

/// What is spoken to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scheme {
    /// HTTP/1.1 in the clear.
    Http,
    /// HTTP/2 or HTTP/1.1 over TLS, as the backend chooses.
    Https,
    /// HTTP/2 in the clear, by prior knowledge.
    H2c,
}

/// Where a backend is and what is spoken to it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendUrl {
    name: Arc<str>,
    /// What is spoken to it.
    pub scheme: Scheme,
    /// Where it is.
    pub address: Address,
    authority: Arc<str>,
}

/// A text that is no backend: what it is, what is wrong and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}: {message}; {help}")]
pub struct UrlError {
    text: String,
    message: String,
    help: String,
}

impl BackendUrl {
    /// Its host and port, as a request's `Host` names it.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host, without brackets and zone if it is an IPv6 address.
    pub fn host(&self) -> &str {
        let host = self.authority.rsplit_once(':').map_or(&*self.authority, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.split('%').next().unwrap_or_default()
    }

    /// Whether it is the same backend, however it was written.
    pub fn is_same(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.address == other.address
    }

    /// One that a name led to: shown by its address, asked by the name.
    pub fn found(scheme: Scheme, name: &str, address: SocketAddr) -> Self {
        let shown = match scheme {
            Scheme::Http => address.to_string(),
            Scheme::Https => format!("https://{address}"),
            Scheme::H2c => format!("h2c://{address}"),
        };
        let authority = format!("{}:{}", name.trim_end_matches('.'), address.port()).into();
        Self { name: shown.into(), scheme, address: address.into(), authority }
    }

    /// What a line of a list of backends in this folder says. A name is looked up, which may take its time; one that is known stays where it is,
    /// as long as its name leads there, too: servers of names turn their answers round. What is known first counts first.
    ///
    /// # Errors
    /// It says none.
    pub fn read(text: &str, folder: &Path, known: &[Self]) -> Result<Self, UrlError> {
        let led = |name: &str| {
            let known = known.iter().filter(|known| *known.name == *name);
            known.filter_map(|known| known.address.ip()).collect::<Vec<_>>()
        };
        Self::parse(text, || folder, led).map(|(url, _)| url).map_err(|fault| {
            let Said { message, help } = fault.said(By::File);
            UrlError { text: text.to_owned(), message, help: help.unwrap_or_default() }
        })
    }

    /// An address as it is known, whoever writes it: what goes without saying is in no name, but may stand in its place behind a pool.
    pub fn without_the_usual(address: &str) -> String {
        address.replacen("http://", "", 1)
    }

    /// Whether it is a Unix socket by a path that starts from some folder: no backend is called so, wherever the settings start from.
    pub fn lacks_folder(address: &str) -> bool {
        address.strip_prefix(UNIX).is_some_and(|path| !path.starts_with('/'))
    }

    /// As the operator wrote it, for logs; a socket by its whole path.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Parses what an operator writes, and says how many addresses like that one its name leads to. A socket's path starts from this folder, which is asked for only then. A name is looked up, and leads where it is known to have led as long as it may.
    pub(in crate::config) fn parse<'a, K: IntoIterator<Item = SocketAddr>>(
        text: &str,
        folder: impl FnOnce() -> &'a Path,
        known: impl FnOnce(&str) -> K,
    ) -> Result<(Self, usize), BackendFault> {
        if let Some(path) = text.strip_prefix(UNIX) {
            let path = socket_path(path, folder()).ok_or(BackendFault::SocketPath)?;
            let address = Address::Unix(path.into());
            let (name, authority) = (address.to_string().into(), "localhost".into());
            return Ok((Self { name, scheme: Scheme::Http, address, authority }, 1));
        }
        let (scheme, authority) = match text.split_once("://") {
            None => (Scheme::Http, text),
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("h2c", rest)) => (Scheme::H2c, rest),
            Some(_) => return Err(BackendFault::Scheme),
        };
        let before = &text[..text.len() - authority.len()];
        if let Some((host, path)) = authority.split_once('/') {
            return Err(fault_of_path(before, host, path));
        }
        if text.contains(char::is_whitespace) {
            return Err(BackendFault::Blank);
        }
        if let Some(port) = usual_port(before, authority) {
            return Err(BackendFault::NoPort { fix: format!("{text}:{port}") });
        }
        if let Some(fix) = in_brackets(authority) {
            return Err(BackendFault::Bare { fix: format!("{before}{fix}") });
        }
        let name = if scheme == Scheme::Http { authority } else { text };
        let (address, among) = look_up(authority, || known(name))?;
        Ok((Self { name: name.into(), scheme, address: address.into(), authority: authority.into() }, among))
    }
}

impl From<SocketAddr> for BackendUrl {
    fn from(address: SocketAddr) -> Self {
        let name: Arc<str> = address.to_string().into();
        Self { name: Arc::clone(&name), scheme: Scheme::Http, address: address.into(), authority: name }
    }
}

impl Display for BackendUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The port that is usual with a scheme, if a host stands alone behind it.
fn usual_port(scheme: &str, host: &str) -> Option<u16> {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = address.map_or_else(|| check_host(host).is_ok(), |text| text.parse::<Ipv6Addr>().is_ok());
    match scheme {
        "http://" if is_host => Some(80),
        "https://" if is_host => Some(443),
        _ => None,
    }
}

/// What is wrong with a backend that has a path behind a host, or in its place.
fn fault_of_path(scheme: &str, host: &str, path: &str) -> BackendFault {
    match host {
        "" if path.is_empty() || path.starts_with('/') => BackendFault::Address,
        // Some put a request's path behind that of a socket.
        "" | UNIX => {
            BackendFault::Socket { fix: format!("{UNIX}/{}", path.split(':').next().unwrap_or(path)) }
        }
        "." | ".." => BackendFault::Socket { fix: format!("{UNIX}{host}/{path}") },
        _ => {
            let port = usual_port(scheme, host).map(|port| format!(":{port}")).unwrap_or_default();
            BackendFault::Path { fix: format!("{scheme}{host}{port}") }
        }
    }
}

/// The address of HOST:PORT, one that is known before others, and how many there are of its version of IP.
fn look_up<K: IntoIterator<Item = SocketAddr>>(
    authority: &str,
    known: impl FnOnce() -> K,
) -> Result<(SocketAddr, usize), BackendFault> {
    let (address, among) = match authority.parse::<SocketAddr>() {
        Ok(address) => (address, 1),
        Err(_) => {
            let (name, port) = split(authority)?;
            let unresolved = |reason: String| BackendFault::Unresolved { reason };
            let found = (name, port).to_socket_addrs().map_err(|error| unresolved(error.to_string()))?;
            let found: IndexSet<_> = found.collect();
            let chosen = choose(found.iter().copied(), known());
            let chosen = chosen.ok_or_else(|| unresolved("no address".to_owned()))?;
            // Who is at both versions of IP is one machine.
            (chosen, found.iter().filter(|other| other.is_ipv6() == chosen.is_ipv6()).count())
        }
    };
    match address {
        _ if address.port() == 0 => Err(BackendFault::Port),
        _ if address.ip().is_unspecified() => Err(BackendFault::Unspecified),
        _ => Ok((address, among)),
    }
}

/// The name and the port of HOST:PORT.
fn split(authority: &str) -> Result<(&str, u16), BackendFault> {
    let Some((host, port)) = authority.rsplit_once(':') else {
        return Err(match check_host(authority) {
            Err(NameFault::Foreign) => NameFault::Foreign.into(),
            _ => BackendFault::Address,
        });
    };
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    if !is_bracketed {
        check_host(host)?;
    }
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let number =
        port.parse().map_err(|_| if is_number { BackendFault::Port } else { BackendFault::Address })?;
    if is_bracketed { Err(BackendFault::Address) } else { Ok((host, number)) }
}

/// Of the addresses of a name the one that is known first or else the first one, IPv4 before IPv6: `localhost` means 127.0.0.1 to
/// most backends.
fn choose(
    found: impl Iterator<Item = SocketAddr>,
    known: impl IntoIterator<Item = SocketAddr>,
) -> Option<SocketAddr> {
    let known: Vec<_> = known.into_iter().collect();
    let place = |address| known.iter().position(|known| *known == address).unwrap_or(known.len());
    found.min_by_key(|address| (place(*address), address.is_ipv6()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<BackendUrl, BackendFault> {
        BackendUrl::parse(text, || Path::new("/srv"), |_| None).map(|(url, _)| url)
    }

    #[test]
    fn a_name_leads_where_it_led_before_as_long_as_it_may() {
        let all = ["[::1]:1", "10.0.0.2:1", "10.0.0.1:1"].map(|text| text.parse::<SocketAddr>().unwrap());
        let chosen = |known: usize| choose(all[..known.max(2)].iter().copied(), all.get(known).copied());
        assert_eq!([0, 1, 2, 3].map(chosen), [all[0], all[1], all[1], all[1]].map(Some));
        let gone = "10.0.0.9:1".parse().unwrap();
        assert_eq!(choose(all.into_iter(), [gone, all[2], all[1]]), Some(all[2]));
    }

    #[test]
    fn a_backend_is_shown_as_it_was_written_and_asked_by_its_own_name() {
        for (text, scheme, name, authority, host) in [
            ("127.0.0.1:3000", Scheme::Http, "127.0.0.1:3000", "127.0.0.1:3000", "127.0.0.1"),
            ("http://localhost:3000", Scheme::Http, "localhost:3000", "localhost:3000", "localhost"),
            ("https://localhost:1", Scheme::Https, "https://localhost:1", "localhost:1", "localhost"),
            ("h2c://[::1]:1", Scheme::H2c, "h2c://[::1]:1", "[::1]:1", "::1"),
            ("unix:/run/app", Scheme::Http, "unix:/run/app", "localhost", "localhost"),
            ("unix:app", Scheme::Http, "unix:/srv/app", "localhost", "localhost"),
        ] {
            let url = parse(text).expect(text);
            assert_eq!((url.scheme, &**url.name()), (scheme, name));
            assert_eq!((url.authority(), url.host()), (authority, host));
        }
    }

    #[test]
    fn an_address_that_says_too_much_is_refused_with_one_that_says_enough() {
        assert_eq!(parse("ftp://a:1"), Err(BackendFault::Scheme));
        for (text, fix) in [("http://a:1/", "http://a:1"), ("https://a:1/x/y", "https://a:1")] {
            let path = BackendFault::Path { fix: fix.into() };
            assert_eq!(parse(text), Err(path));
        }
        assert_eq!(parse("unix:"), Err(BackendFault::SocketPath));
        for text in ["https://a/x", "https://[::1]/x"] {
            let fix = format!("{}:443", text.trim_end_matches("/x"));
            assert_eq!(parse(text), Err(BackendFault::Path { fix }));
        }
    }
}
