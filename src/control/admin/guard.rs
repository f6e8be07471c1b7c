//! Who may use the admin API. Whoever reaches a loopback address can be a page in the operator's browser: a name of its
//! own may lead here (DNS rebinding), and it may send forms anywhere.

use std::net::IpAddr;

use hyper::Request;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use hyper::http::uri::Authority;
use subtle::ConstantTimeEq;

use crate::config::{Address, Admin};

use super::refused::Refused;

/// Lets a request in, or says why not.
pub(super) fn admit<B>(request: &Request<B>, admin: Option<&Admin>) -> Result<(), Refused> {
    // Closed by a reload while this connection was open.
    let Some(admin) = admin else { return Err(Refused::NoToken) };
    let host = host(request)?;
    let headers = request.headers();
    match (&admin.token, &admin.address) {
        (Some(token), _) => check_token(headers, token.secret())?,
        (None, Address::Unix(_)) => {}
        (None, Address::Ip(address)) if !address.ip().is_loopback() => return Err(Refused::NoToken),
        (None, Address::Ip(address)) if is_local(host.host(), address.ip()) => {}
        (None, Address::Ip(_)) => {
            return Err(Refused::Host { host: host.to_string(), address: admin.address.clone() });
        }
    }
    check_origin(headers, &host)
}

/// The host that the caller believes to speak with.
fn host<B>(request: &Request<B>) -> Result<Authority, Refused> {
    let mut lines = request.headers().get_all(HOST).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(Refused::NoHost) };
    if let Some(authority) = request.uri().authority() {
        return Ok(authority.clone());
    }
    line.to_str().ok().and_then(|text| text.parse().ok()).ok_or(Refused::NoHost)
}

fn is_local(host: &str, address: IpAddr) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let named = host.eq_ignore_ascii_case("localhost");
    named || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback() || ip == address)
}

fn check_token(headers: &HeaderMap, secret: &[u8]) -> Result<(), Refused> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(Refused::NoToken) };
    let Some((scheme, token)) = split_scheme(line.as_bytes()) else { return Err(Refused::NoToken) };
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Refused::NoToken);
    }
    if bool::from(token.ct_eq(secret)) { Ok(()) } else { Err(Refused::WrongToken) }
}

fn split_scheme(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(|byte| *byte == b' ')?;
    Some((&line[..end], line[end..].trim_ascii()))
}

/// A browser says which site's page sends a request; it must be one of ours.
fn check_origin(headers: &HeaderMap, host: &Authority) -> Result<(), Refused> {
    for origin in headers.get_all(ORIGIN) {
        let site = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        if !site.is_some_and(|(_, site)| site.eq_ignore_ascii_case(host.as_str())) {
            return Err(Refused::Origin(String::from_utf8_lossy(origin.as_bytes()).into_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Token;

    use super::*;

    fn admin(address: &str, token: Option<&str>) -> Admin {
        let address = match address.strip_prefix("unix:") {
            Some(path) => Address::Unix(Path::new(path).into()),
            None => Address::Ip(address.parse().unwrap()),
        };
        Admin { address, token: token.map(|token| Token::new(token.as_bytes())) }
    }

    fn status(admin: &Admin, lines: &[(&str, &str)]) -> u16 {
        let mut request = Request::get("/api/v1/overview");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let admitted = admit(&request.body(()).unwrap(), Some(admin));
        admitted.map_or_else(|refused| refused.problem().0.as_u16(), |()| 200)
    }

    #[test]
    fn without_a_token_only_names_of_this_machine_are_taken() {
        let admin = admin("127.0.0.1:8081", None);
        for host in ["localhost", "LOCALHOST:8081", "127.0.0.1:8081", "[::1]:9", "127.0.0.2"] {
            assert_eq!(status(&admin, &[("host", host)]), 200, "{host}");
        }
        for host in
            ["evil.example", "evil.example:8081", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil"]
        {
            assert_eq!(status(&admin, &[("host", host)]), 403, "{host}");
        }
        assert_eq!(status(&admin, &[]), 400);
        assert_eq!(status(&admin, &[("host", "a"), ("host", "localhost")]), 400);
    }

    #[test]
    fn a_target_that_names_a_host_counts_in_place_of_the_header_line() {
        let request = Request::get("http://evil.example/api/v1/overview").header("host", "localhost");
        let request = request.body(()).unwrap();
        assert!(matches!(admit(&request, Some(&admin("127.0.0.1:1", None))), Err(Refused::Host { .. })));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        for admin in [admin("127.0.0.1:8081", None), admin("unix:/run/lb", None)] {
            let from = |origin| status(&admin, &[("host", "localhost:8081"), ("origin", origin)]);
            assert_eq!(from("http://localhost:8081"), 200);
            for origin in ["http://evil.example", "null", "http://localhost:8082", "localhost:8081"] {
                assert_eq!(from(origin), 403, "{origin}");
            }
        }
    }

    #[test]
    fn elsewhere_than_on_loopback_the_token_is_what_counts() {
        let open = admin("10.0.0.1:8081", None);
        assert_eq!(status(&open, &[("host", "10.0.0.1:8081")]), 401);
        let admin = admin("0.0.0.0:8081", Some("secret"));
        let with = |value| status(&admin, &[("host", "lb.example"), ("authorization", value)]);
        assert_eq!(with("Bearer secret"), 200);
        assert_eq!(with("bearer  secret"), 200);
        for wrong in ["Bearer secre", "Bearer secrets", "Bearer", "Bearer ", "secret", "Basic secret", ""] {
            assert_eq!(with(wrong), 401, "{wrong}");
        }
        assert_eq!(status(&admin, &[("host", "lb.example")]), 401);
    }
}
