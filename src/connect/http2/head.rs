//! Heads of requests as HTTP/2 has them (RFC 9113 section 8.3.1).

use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use hyper::http::uri::Authority;
use hyper::{Request, Uri, Version};

use crate::config::Scheme;

use super::super::{Broken, Provenance, Unshared};

/// The head of an HTTP/2 request that means the same as this one of HTTP/1.1: `Host` becomes the authority, what concerns
/// a connection stays behind.
pub(super) fn of(
    request: &Request<()>,
    provenance: Option<&Provenance>,
    scheme: Scheme,
    values: &Unshared,
) -> Result<Request<()>, Broken> {
    let mut headers = request.headers().clone();
    if let Some(provenance) = provenance {
        provenance.add_to(&mut headers);
    }
    let host = headers.remove(HOST).ok_or(Broken::NoAuthority)?;
    let authority = Authority::try_from(host.as_bytes()).map_err(|_| Broken::NoAuthority)?;
    let mut uri = request.uri().clone().into_parts();
    uri.scheme = Some(if scheme == Scheme::Https { "https" } else { "http" }.parse().expect("a scheme"));
    uri.authority = Some(authority);
    remove_what_concerns_a_connection(&mut headers);
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = Uri::from_parts(uri).map_err(|_| Broken::NoAuthority)?;
    *head.version_mut() = Version::HTTP_2;
    values.take(&mut headers);
    *head.headers_mut() = headers;
    Ok(head)
}

/// RFC 9113 section 8.2.2. What `Connection` of a client named is gone already.
fn remove_what_concerns_a_connection(headers: &mut HeaderMap) {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, KEEP_ALIVE, PROXY_CONNECTION] {
        headers.remove(name);
    }
    if headers.get(TE).is_some_and(|value| value != "trailers") {
        headers.remove(TE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, host: &str) -> Request<()> {
        let head = Request::builder().uri(uri).header(HOST, host).header(TE, "trailers");
        let head = head.header(CONNECTION, "te").header(TRANSFER_ENCODING, "chunked").header("x-a", "1");
        head.body(()).expect("a request")
    }

    #[test]
    fn the_host_becomes_the_authority_and_what_concerns_a_connection_stays_behind() {
        let head = of(&request("/a?b", "example.com:81"), None, Scheme::H2c, &Unshared::default())
            .expect("it can be said");
        assert_eq!(head.uri(), "http://example.com:81/a?b");
        let names: Vec<_> = head.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names.len(), 2);
        assert!(head.headers().contains_key("te") && head.headers().contains_key("x-a"), "{names:?}");
        let head =
            of(&request("/", "[::1]"), None, Scheme::Https, &Unshared::default()).expect("it can be said");
        assert_eq!(head.uri(), "https://[::1]/");
    }

    #[test]
    fn a_host_that_is_no_authority_cannot_be_said() {
        for host in ["", "a:b:c"] {
            assert!(
                matches!(
                    of(&request("/", host), None, Scheme::H2c, &Unshared::default()),
                    Err(Broken::NoAuthority)
                ),
                "{host}"
            );
        }
    }

    #[test]
    fn a_request_about_the_whole_backend_stays_one() {
        let head = of(&request("*", "a"), None, Scheme::H2c, &Unshared::default()).expect("it can be said");
        assert_eq!(head.uri().path(), "*");
    }
}
