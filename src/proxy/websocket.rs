//! WebSockets of clients that speak HTTP/2 (RFC 8441): an extended CONNECT becomes the request that a backend knows.

use hyper::ext::Protocol;
use hyper::header::{CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

use super::upgrade::Tunnel;
use super::{Client, Error};

const WEBSOCKET: &str = "websocket";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Turns a CONNECT for a WebSocket into the GET that asks for one (RFC 6455 section 4.1). Any other is refused.
pub(super) fn from_connect<B>(request: &mut Request<B>, client: &Client) -> Result<(), Error> {
    let Some(protocol) = request.extensions().get::<Protocol>() else { return Err(Error::ConnectMethod) };
    if !protocol.as_str().eq_ignore_ascii_case(WEBSOCKET) {
        return Err(Error::UnknownProtocol);
    }
    *client.on_upgrade().borrow_mut() = Some(hyper::upgrade::on(&mut *request));
    *request.method_mut() = Method::GET;
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
    headers.insert(SEC_WEBSOCKET_KEY, new_key());
    Ok(())
}

/// Sixteen bytes in base64: the last of the 22 digits has two bits. It proves nothing, so any random source will do.
fn new_key() -> HeaderValue {
    let mut key = [b'='; 24];
    key[..21].fill_with(|| BASE64[fastrand::usize(..64)]);
    key[21] = BASE64[fastrand::usize(..4) * 16];
    HeaderValue::from_bytes(&key).expect("base64 is visible ASCII")
}

/// Turns the backend's agreement into what the client waits for (RFC 8441 section 5), and opens the tunnel.
pub(super) fn answer<B>(response: &mut Response<B>, tunnel: Tunnel) {
    const GONE: [HeaderName; 3] = [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT];
    *response.status_mut() = StatusCode::OK;
    GONE.iter().for_each(|name| drop(response.headers_mut().remove(name)));
    let Some(upgrade) = tunnel.client().on_upgrade().take() else { return };
    // The stream's own task ends with the answer.
    spawn_local(async move {
        tunnel.client().alarm().wakes_me().await;
        // Or else its exchange tells that the client left.
        if let Ok(client) = upgrade.await {
            tunnel.run(TokioIo::new(client), b"").await;
        }
    });
}
