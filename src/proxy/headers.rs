//! What a proxy changes in the heads that pass: hop-by-hop fields go, its own come (RFC 9110 sections 7.6.1 to 7.6.3).

mod seen;

use hyper::body::Body as _;
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, TE, TRANSFER_ENCODING, UPGRADE, VIA, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode, Version};

use crate::connect::{
    Broken, Flow, Provenance, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, is_just_chunked,
    united_length,
};
use crate::snapshot::Settings;

use super::fields::{KEEP_ALIVE, PROXY_CONNECTION, remove_claims};
use super::forward::Asked;
use super::{Client, Error, Mark, RequestBody, http2, reach, target, websocket};

use seen::{Kind, Seen};

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");
const VIA_1_0: HeaderValue = HeaderValue::from_static("1.0 loadbalancer");
const VIA_1_1: HeaderValue = HeaderValue::from_static("1.1 loadbalancer");
const VIA_2_0: HeaderValue = HeaderValue::from_static("2.0 loadbalancer");

/// Makes a client's request one that a backend may get, and finds where it comes from.
pub(super) fn prepare(
    request: &mut Request<RequestBody>,
    client: &Client,
    settings: &Settings,
) -> Result<(Asked, Provenance), Error> {
    let version = request.version();
    let extended_connect = version == Version::HTTP_2 && from_http2(request, client)?;
    target::normalise(request)?;
    let (seen, host) = Seen::in_head(request.headers());
    if seen.has(Kind::Hosts) {
        return Err(Error::Malformed("it has more than one Host"));
    }
    client.set(Mark::Relayed, seen.has(Kind::Via) || seen.has(Kind::Claim));
    if seen.has(Kind::Via) {
        reach::check_circle(request.headers())?;
    }
    let host = host.cloned();
    let host = target::check_host(request, client, host)?;
    let may_upgrade = version == Version::HTTP_11 || extended_connect;
    let upgrade = seen.has(Kind::Upgrade) && may_upgrade && asks_for_upgrade(request);
    let has_body = !request.body().is_end_stream();
    if has_body && client.is(Mark::Switchable) {
        request.body_mut().outlast_answer();
    }
    let headers = request.headers_mut();
    if seen.has_hop_by_hop() {
        take_hop(headers, seen, (has_body, upgrade), client)?;
    }
    if seen.has(Kind::Claim) {
        remove_claims(headers);
    }
    let tls = client.listener().tls;
    let provenance = Provenance { client: client.address().ip(), tls, host, version };
    let is_told = client.is_proxied() || client.certificate().is_some() || settings.use_provenance();
    if is_told {
        tell(client, &provenance, headers);
    }
    if version == Version::HTTP_2 {
        frame(headers, has_body);
    }
    *request.version_mut() = Version::HTTP_11;
    if !upgrade {
        // hyper's own note of a possible upgrade would travel to the backend's side with the request.
        request.extensions_mut().clear();
    }
    let takes_interim = version == Version::HTTP_11;
    let expects_continue = seen.has(Kind::Expect) && has_body && takes_interim;
    let by_connection =
        seen.has(Kind::Authorization) && authenticate_connection(request.headers(), &AUTHORIZATION);
    let asked = Asked {
        upgrade,
        expects_continue,
        takes_interim,
        extended_connect,
        by_connection,
        is_told,
        connects: true,
    };
    Ok((asked, provenance))
}

/// Takes what a request's head says of the hop to us out of it, and says what holds of the next one.
fn take_hop(
    headers: &mut HeaderMap,
    seen: Seen,
    (has_body, upgrade): (bool, bool),
    client: &Client,
) -> Result<(), Error> {
    if seen.has(Kind::TransferEncoding) {
        check_transfer_encoding(headers)?;
    }
    let trailers = seen.has(Kind::Te) && lists(headers, &TE, "trailers");
    if seen.has(Kind::Connection) && lists(headers, &CONNECTION, "close") {
        client.set(Mark::Last, true);
    }
    remove_hop_by_hop(headers, seen, upgrade);
    if seen.has(Kind::TransferEncoding) && has_body {
        headers.insert(TRANSFER_ENCODING, CHUNKED);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    match (upgrade, trailers) {
        (true, true) => headers.insert(CONNECTION, HeaderValue::from_static("upgrade, te")),
        (true, false) => headers.insert(CONNECTION, HeaderValue::from_static("upgrade")),
        (false, true) => headers.insert(CONNECTION, HeaderValue::from_static("te")),
        (false, false) => None,
    };
    Ok(())
}

/// What HTTP/2 writes in another way; tells whether the request was an extended CONNECT.
fn from_http2(request: &mut Request<RequestBody>, client: &Client) -> Result<bool, Error> {
    http2::check(request, client.shared.head_limits())?;
    let extended_connect = request.method() == Method::CONNECT;
    if extended_connect {
        websocket::from_connect(request, client)?;
    }
    Ok(extended_connect)
}

/// Frames a body that came by HTTP/2 as HTTP/1.1 must.
fn frame(headers: &mut HeaderMap, has_body: bool) {
    if has_body && !headers.contains_key(CONTENT_LENGTH) {
        // HTTP/2 needs no framing, and without one hyper takes it that a GET has no body.
        headers.insert(TRANSFER_ENCODING, CHUNKED);
    }
}

/// Makes a backend's answer to what was asked one that a client may get.
pub(super) fn prepare_answer<B>(
    response: &mut Response<B>,
    asked: Asked,
    client: &Client,
    flow: &Flow,
) -> Result<(), Error> {
    let upgraded = is_upgrade(response);
    // What is left of the body would be lost between it and the tunnel (RFC 9110 section 7.8).
    if upgraded && (!asked.upgrade || client.is_uploading() || flow.owes()) {
        return Err(Error::UnaskedUpgrade);
    }
    let is_ignored = || match upgraded {
        true => !websocket::is_agreed(response, client),
        // The client would take it for agreement, and what follows for its tunnel.
        false => response.status().is_success(),
    };
    if asked.extended_connect && is_ignored() {
        return Err(Error::UpgradeIgnored);
    }
    let via = match response.version() {
        Version::HTTP_10 => VIA_1_0,
        Version::HTTP_2 => VIA_2_0,
        _ => VIA_1_1,
    };
    *response.version_mut() = Version::HTTP_11;
    let status = response.status();
    if asked.by_connection || challenges_connection(status, response.headers()) {
        flow.become_private();
    }
    let headers = response.headers_mut();
    let (seen, _) = Seen::in_head(headers);
    if seen.has(Kind::TransferEncoding) {
        if !is_just_chunked(headers) {
            return Err(Error::UnaskedCoding);
        }
        // RFC 9112 section 6.3 lets the coding win. But who sends both may mean something by it.
        if headers.contains_key(CONTENT_LENGTH) {
            return Err(Error::TwoFramings);
        }
    } else if seen.has(Kind::Lengths) {
        unite_lengths(headers)?;
    }
    if (status == StatusCode::NO_CONTENT || upgraded) && (seen.has(Kind::Length) || seen.has(Kind::Lengths)) {
        // It must not have one (RFC 9110 section 8.6).
        headers.remove(CONTENT_LENGTH);
    }
    // That answer must name the protocol it asks for (RFC 9110 section 15.5.22).
    let upgrade = upgraded || status == StatusCode::UPGRADE_REQUIRED && seen.has(Kind::Upgrade);
    if seen.has_hop_by_hop() {
        remove_hop_by_hop(headers, seen, upgrade);
    }
    if upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    if client.is(Mark::Stream) {
        client.shared.values.take(headers);
    }
    headers.append(VIA, via);
    Ok(())
}

/// Says that no other request is taken: what is left of an answered one goes with its connection, so the next would be lost
/// (RFC 9112 section 9.6).
pub(super) fn announce_end(headers: &mut HeaderMap) {
    // It may say already that an Upgrade is for one hop.
    if !lists(headers, &CONNECTION, "close") {
        headers.append(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Whether the client waits for a word to go on (RFC 9110 section 10.1.1). What else it may expect, or that beside other things,
/// is between it and the backend: hyper would say no such word.
pub(super) fn expects_continue(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(EXPECT).iter();
    let is_it = lines.next().is_some_and(|line| line.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    is_it && lines.next().is_none()
}

/// Says of an answer whose body has no known size that no other follows. To one of HTTP/1.1 hyper would add that its client may
/// keep the connection, whatever its head says.
#[cold]
pub(super) fn keep_to_http_1_0<B>(response: &mut Response<B>, size: Option<u64>) {
    if size.is_none() {
        announce_end(response.headers_mut());
    }
    if lists(response.headers(), &CONNECTION, "close") {
        *response.version_mut() = Version::HTTP_10;
    }
}

/// Whether an answer asks its client to authenticate the connection.
fn challenges_connection(status: StatusCode, headers: &HeaderMap) -> bool {
    match status {
        StatusCode::UNAUTHORIZED => authenticate_connection(headers, &WWW_AUTHENTICATE),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => authenticate_connection(headers, &PROXY_AUTHENTICATE),
        _ => false,
    }
}

/// Whether these fields name a scheme that authenticates a connection in place of a request (RFC 4559 section 6, and NTLM).
#[cold]
fn authenticate_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    let challenges = headers.get_all(name).iter().flat_map(tokens);
    let mut schemes = challenges.filter_map(|challenge| challenge.split(u8::is_ascii_whitespace).next());
    schemes.any(|scheme| [&b"ntlm"[..], b"negotiate"].iter().any(|known| scheme.eq_ignore_ascii_case(known)))
}

/// Whether a backend's answer switches protocols.
pub(super) fn is_upgrade<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
}

fn check_transfer_encoding(headers: &HeaderMap) -> Result<(), Error> {
    match is_just_chunked(headers) {
        true => Ok(()),
        false => Err(Error::Malformed("its transfer coding is not just `chunked`")),
    }
}

/// RFC 9110 section 8.6: a length is passed on once. What is no length is refused, though it be of an answer that has no body, of
/// which hyper does not look at it.
#[cold]
fn unite_lengths(headers: &mut HeaderMap) -> Result<(), Error> {
    let length = united_length(headers).map_err(|why| Error::BadAnswer(Broken::Length(why)))?;
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length.expect("one was seen")));
    Ok(())
}

/// A switch of protocols is passed on, but not one to h2c, which is an answer that we could not pass on, and none to TLS (RFC 2817),
/// which some clients invite to with each request and which is between neighbours.
fn asks_for_upgrade(request: &Request<RequestBody>) -> bool {
    let is_ours = |protocol: &[u8]| {
        protocol.eq_ignore_ascii_case(b"h2c")
            || protocol.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"tls/"))
    };
    let mut protocols = request.headers().get_all(UPGRADE).iter().flat_map(tokens);
    lists(request.headers(), &CONNECTION, "upgrade") && !protocols.any(is_ours)
}

fn remove_hop_by_hop(headers: &mut HeaderMap, seen: Seen, upgrade: bool) {
    if seen.has(Kind::Connection) {
        remove_named_in_connection(headers, upgrade);
        headers.remove(CONNECTION);
    }
    if seen.has(Kind::HopByHop) {
        headers.remove(KEEP_ALIVE);
        headers.remove(PROXY_CONNECTION);
    }
    if seen.has(Kind::TransferEncoding) {
        headers.remove(TRANSFER_ENCODING);
    }
    if seen.has(Kind::Te) {
        headers.remove(TE);
    }
    if seen.has(Kind::Upgrade) && !upgrade {
        headers.remove(UPGRADE);
    }
}

/// Removes the fields that `Connection` names. Those that frame or route a message are never hop-by-hop, whatever a
/// sender says: to drop them would change what the message means.
fn remove_named_in_connection(headers: &mut HeaderMap, upgrade: bool) {
    let mut named = Vec::new();
    for token in headers.get_all(CONNECTION).iter().flat_map(tokens) {
        // The usual ones name no field, or one that goes anyway.
        if token.eq_ignore_ascii_case(b"close") || token.eq_ignore_ascii_case(b"keep-alive") {
            continue;
        }
        match HeaderName::from_bytes(token) {
            Ok(name) if name == HOST || name == CONTENT_LENGTH => {}
            Ok(name) if name == UPGRADE && upgrade => {}
            Ok(name) => named.push(name),
            Err(_) => {}
        }
    }
    for name in named {
        headers.remove(name);
    }
}

/// Says where a request comes from, among its fields: what trusted proxies said takes the place of what we know ourselves.
#[cold]
fn tell(client: &Client, provenance: &Provenance, headers: &mut HeaderMap) {
    provenance.add_to(headers);
    if let Some(origin) = &*client.origin() {
        headers.insert(X_FORWARDED_FOR, origin.chain.clone());
        if let Some(proto) = &origin.proto {
            headers.insert(X_FORWARDED_PROTO, proto.clone());
        }
        if let Some(host) = &origin.host {
            headers.insert(X_FORWARDED_HOST, host.clone());
        }
    }
    if let Some(certificate) = client.certificate() {
        headers.insert(CLIENT_CERT, certificate.clone());
    }
}

pub(super) fn lists(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    headers.get_all(name).iter().flat_map(tokens).any(|token| token.eq_ignore_ascii_case(wanted.as_bytes()))
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}
