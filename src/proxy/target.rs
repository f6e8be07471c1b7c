//! Where a request says that it is to go: its target and its `Host` (RFC 9112 section 3.2).

use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery};
use hyper::{Method, Request, Uri, Version};

use crate::config::is_host;

use super::{Client, Error};

const NO_PATH: Error = Error::Malformed("its target has no path");

/// Brings the target to origin form (RFC 9112 section 3.2); of an absolute one, the authority becomes `Host`. They must
/// not differ: RFC 9112 lets the target win, but a backend that looks at the other would serve somebody else.
pub(super) fn normalise<B>(request: &mut Request<B>) -> Result<(), Error> {
    let uri = request.uri();
    if request.method() == Method::CONNECT {
        return Err(Error::ConnectMethod);
    }
    let is_http2 = request.version() == Version::HTTP_2;
    let target = uri.path_and_query().map_or("", PathAndQuery::as_str);
    match (uri.scheme_str(), uri.authority()) {
        // Of a `:path` that is a fragment alone the crate http leaves nothing, but calls that `/`.
        (None, None) if is_http2 && uri.path().is_empty() => return Err(NO_PATH),
        (None, None) if target.starts_with('/') => return Ok(()),
        (None, None) if target.starts_with('?') => {
            *request.uri_mut() = Uri::from(behind_a_slash(target)?);
            return Ok(());
        }
        (None, None) if uri.path() == "*" && request.method() == Method::OPTIONS => return Ok(()),
        (Some("http" | "https"), Some(_))
            if uri.path().starts_with('/') || request.method() == Method::OPTIONS => {}
        _ => return Err(Error::Malformed("its target is neither a path nor an http address")),
    }
    let spelt_out = if target.starts_with('?') { Some(behind_a_slash(target)?) } else { None };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = spelt_out.or(parts.path_and_query);
    let host = parts.authority.as_ref().map_or("", Authority::as_str);
    if host.contains('@') {
        return Err(Error::Malformed("its target names a user"));
    }
    check_agreement(request)?;
    let host =
        HeaderValue::from_str(host).map_err(|_| Error::Malformed("its target's host is not a name"))?;
    // In HTTP/2 the path is always spelled out.
    if !is_http2 && request.method() == Method::OPTIONS && has_empty_path(request.uri()) {
        // RFC 9112 section 3.2.4: it is the whole server that is asked.
        parts.path_and_query = Some(PathAndQuery::from_static("*"));
    }
    parts.scheme = None;
    parts.authority = None;
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    let target = Uri::from_parts(parts).ok().filter(|target| !target.path().is_empty()).ok_or(NO_PATH)?;
    *request.uri_mut() = target;
    request.headers_mut().insert(HOST, host);
    Ok(())
}

/// Of an absolute target and `Host`, which RFC 9112 section 3.2 asks of HTTP/1.1 even then.
fn check_agreement<B>(request: &Request<B>) -> Result<(), Error> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        (Some(_), Some(_)) => return Err(Error::Malformed("it has more than one Host")),
        (None, _) if request.version() == Version::HTTP_11 => return Err(Error::Malformed("it has no Host")),
        (None, _) => return Ok(()),
    };
    let default = if request.uri().scheme_str() == Some("https") { ":443" } else { ":80" };
    let plain = |host: &str| host.strip_suffix(default).or(host.strip_suffix(':')).unwrap_or(host).to_owned();
    let target = request.uri().authority().map_or("", Authority::as_str);
    match host.to_str() {
        Ok(host) if plain(host).eq_ignore_ascii_case(&plain(target)) => Ok(()),
        _ => Err(Error::Malformed("its Host differs from its target's")),
    }
}

/// A target of nothing but a query has the path `/` (RFC 9110 section 4.2.3). What is made of it for HTTP/1.1 says so, but HTTP/2
/// tells it as it is written, which backends take for malformed (RFC 9113 section 8.3.1).
#[cold]
fn behind_a_slash(query: &str) -> Result<PathAndQuery, Error> {
    PathAndQuery::try_from(format!("/{query}")).map_err(|_| Error::TargetTooLong)
}

/// Whether an absolute target has neither a path nor a query. Its parser adds a `/`, which is not one that the client
/// sent: those stand right behind the authority.
fn has_empty_path(uri: &Uri) -> bool {
    let end = uri.authority().map(|authority| authority.as_str().as_bytes().as_ptr_range().end);
    uri.path_and_query().is_some_and(|path| path == "/" && end != Some(path.as_str().as_ptr()))
}

/// A `Host` that can be one (RFC 9112 section 3.2); HTTP/1.0 may leave it out.
pub(super) fn check_host<B>(
    request: &mut Request<B>,
    client: &Client,
    host: Option<HeaderValue>,
) -> Result<HeaderValue, Error> {
    let host = match host {
        Some(host) => host,
        None if request.version() == Version::HTTP_10 => {
            let host = client.authority().and_then(|host| HeaderValue::try_from(host).ok());
            let host = host.ok_or(Error::Malformed("it has no Host"))?;
            request.headers_mut().insert(HOST, host.clone());
            host
        }
        None => return Err(Error::Malformed("it has no Host")),
    };
    match is_host(host.as_bytes()) {
        true => Ok(host),
        false => Err(Error::Malformed("its Host is not one")),
    }
}
