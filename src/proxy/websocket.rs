//! WebSockets of clients that speak HTTP/2 (RFC 8441): an extended CONNECT becomes the request that a backend knows.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::prelude::{BASE64_STANDARD, Engine};
use hyper::ext::Protocol;
use hyper::header::{CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

use super::headers::lists;
use super::upgrade::Tunnel;
use super::{Client, Error};

const WEBSOCKET: &str = "websocket";
/// What a key is hashed with (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Of a WebSocket that a client asked for, and which is not open yet.
#[derive(Debug)]
pub(super) struct Handshake {
    /// The client's end, once it was told that there is a tunnel.
    upgrade: OnUpgrade,
    /// What a backend says that agrees.
    accept: String,
}

/// Turns a CONNECT for a WebSocket into the GET that asks for one (RFC 6455 section 4.1). Any other is refused.
pub(super) fn from_connect<B>(request: &mut Request<B>, client: &Client) -> Result<(), Error> {
    let Some(protocol) = request.extensions().get::<Protocol>() else { return Err(Error::ConnectMethod) };
    if !protocol.as_str().eq_ignore_ascii_case(WEBSOCKET) {
        return Err(Error::UnknownProtocol);
    }
    let key = BASE64_STANDARD.encode(new_key());
    let (upgrade, accept) = (hyper::upgrade::on(&mut *request), accepted(&key));
    *client.handshake().borrow_mut() = Some(Handshake { upgrade, accept });
    *request.method_mut() = Method::GET;
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::try_from(key).expect("base64 is visible ASCII"));
    Ok(())
}

/// It is to tell that who answers has read it, no more, so any random source will do.
fn new_key() -> [u8; 16] {
    fastrand::u128(..).to_ne_bytes()
}

/// What is said to agree to a WebSocket with this key (RFC 6455 section 4.2.2).
fn accepted(key: &str) -> String {
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(GUID);
    BASE64_STANDARD.encode(hash.finish())
}

/// Whether a backend that switches protocols agrees to the WebSocket (RFC 6455 section 4.1). With HTTP/1.1 the client looks; here
/// it cannot, for the key is ours.
pub(super) fn is_agreed<B>(response: &Response<B>, client: &Client) -> bool {
    let headers = response.headers();
    let said = headers.get(SEC_WEBSOCKET_ACCEPT).map(|said| said.as_bytes().trim_ascii());
    let handshake = client.handshake().borrow();
    lists(headers, &UPGRADE, WEBSOCKET)
        && lists(headers, &CONNECTION, UPGRADE.as_str())
        && handshake.as_ref().is_some_and(|handshake| said == Some(handshake.accept.as_bytes()))
}

/// Turns the backend's agreement into what the client waits for (RFC 8441 section 5), and opens the tunnel.
pub(super) fn answer<B>(response: &mut Response<B>, tunnel: Tunnel) {
    const GONE: [HeaderName; 3] = [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT];
    *response.status_mut() = StatusCode::OK;
    GONE.iter().for_each(|name| drop(response.headers_mut().remove(name)));
    let Some(Handshake { upgrade, .. }) = tunnel.client().handshake().take() else { return };
    // The stream's own task ends with the answer.
    spawn_local(async move {
        tunnel.client().alarm().wakes_me().await;
        match upgrade.await {
            // Of its connection nobody has to know: a stream that was not told all is reset.
            Ok(client) => drop(tunnel.run(TokioIo::new(client), b"").await),
            Err(_) => tunnel.give_up(),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_key_is_that_of_the_specification() {
        assert_eq!(accepted("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
