//! Where a request says that it is to go: its target and its `Host` (RFC 9112 section 3.2).

use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery};
use hyper::{Method, Request, Uri, Version};

use crate::config::Address;

use super::{Client, Error};

/// Brings the target to origin form (RFC 9112 section 3.2); of an absolute one, the authority becomes `Host`.
pub(super) fn normalise<B>(request: &mut Request<B>) -> Result<(), Error> {
    let uri = request.uri();
    if request.method() == Method::CONNECT {
        return Err(Error::ConnectMethod);
    }
    match (uri.scheme_str(), uri.authority()) {
        (None, None) if uri.path().starts_with('/') => return Ok(()),
        (None, None) if uri.path() == "*" && request.method() == Method::OPTIONS => return Ok(()),
        (Some("http" | "https"), Some(_))
            if uri.path().starts_with('/') || request.method() == Method::OPTIONS => {}
        _ => return Err(Error::Malformed("its target is neither a path nor an http address")),
    }
    let mut parts = request.uri().clone().into_parts();
    let host = parts.authority.as_ref().map_or("", Authority::as_str);
    if host.contains('@') {
        return Err(Error::Malformed("its target names a user"));
    }
    let host =
        HeaderValue::from_str(host).map_err(|_| Error::Malformed("its target's host is not a name"))?;
    let is_http2 = request.version() == Version::HTTP_2;
    if is_http2 && !agrees(request, &host) {
        return Err(Error::Malformed("its Host differs from its target's"));
    }
    // In HTTP/2 the path is always spelled out.
    if !is_http2 && request.method() == Method::OPTIONS && has_empty_path(request.uri()) {
        // RFC 9112 section 3.2.4: it is the whole server that is asked.
        parts.path_and_query = Some(PathAndQuery::from_static("*"));
    }
    parts.scheme = None;
    parts.authority = None;
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    let target = Uri::from_parts(parts).map_err(|_| Error::Malformed("its target has no path"))?;
    *request.uri_mut() = target;
    if request.headers().get_all(HOST).iter().nth(1).is_some() {
        return Err(Error::Malformed("it has more than one Host"));
    }
    request.headers_mut().insert(HOST, host);
    Ok(())
}

/// Whether a client that says where its request is to go also as HTTP/1.1 has it says the same (RFC 9113 section 8.3.1).
fn agrees<B>(request: &Request<B>, authority: &HeaderValue) -> bool {
    request.headers().get(HOST).is_none_or(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()))
}

/// Whether an absolute target has neither a path nor a query. Its parser adds a `/`, which is not one that the client
/// sent: those stand right behind the authority.
fn has_empty_path(uri: &Uri) -> bool {
    let end = uri.authority().map(|authority| authority.as_str().as_bytes().as_ptr_range().end);
    uri.path_and_query().is_some_and(|path| path == "/" && end != Some(path.as_str().as_ptr()))
}

/// Exactly one `Host` that can be one (RFC 9112 section 3.2); HTTP/1.0 may leave it out.
pub(super) fn check_host<B>(request: &mut Request<B>, client: &Client) -> Result<HeaderValue, Error> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.clone(),
        (Some(_), Some(_)) => return Err(Error::Malformed("it has more than one Host")),
        (None, _) if request.version() == Version::HTTP_10 => {
            let host = match &client.listener().address {
                Address::Ip(address) => address.to_string(),
                Address::Unix(_) => "localhost".to_owned(),
            };
            let host = HeaderValue::from_str(&host).map_err(|_| Error::Malformed("it has no Host"))?;
            request.headers_mut().insert(HOST, host.clone());
            host
        }
        (None, _) => return Err(Error::Malformed("it has no Host")),
    };
    match host.as_bytes().iter().all(|byte| is_host_byte(*byte)) {
        true => Ok(host),
        false => Err(Error::Malformed("its Host is not one")),
    }
}

/// RFC 3986 section 3.2.2 without user information.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_:[]%~!$&'()*+,;=".contains(&byte)
}
