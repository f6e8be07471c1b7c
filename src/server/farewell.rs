//! How to part from a client.

use std::io;
use std::pin::pin;
use std::time::Duration;

use futures::future::select;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connect::{Peeked, Stream};
use crate::proxy::{Client, Error, Phase, Shared, last_words};

/// How many milliseconds a client that we part from has to take our last words and to stop sending, and how many bytes it
/// may send meanwhile.
const LINGER: u64 = 2000;
const LINGER_BYTES: usize = 1 << 20;

/// Says why nothing more will be said, and parts.
pub(super) async fn refuse(client: &Client, stream: Stream, error: &Error) {
    tracing::debug!("{}: {error}", client.address());
    if !matches!(client.phase(), Phase::Idle | Phase::Head) {
        // The answer before is not whole, and this must not be taken for a part of it.
        return;
    }
    part(&client.shared, stream, &last_words(error, client)).await;
}

/// Parts, with these words, from a client that may still be sending, and need not be reading. To close at once would
/// reset the connection, and the reset can overtake the answer (RFC 9112 section 9.6).
pub(super) async fn part(shared: &Shared, mut stream: Stream, words: &[u8]) {
    let parted = pin!(async {
        stream.write_all(words).await?;
        stream.shutdown().await?;
        let mut buffer = vec![0; 16 * 1024];
        let mut left = LINGER_BYTES;
        while let read @ 1.. = stream.read(&mut buffer).await? {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
        io::Result::Ok(())
    });
    select(parted, pin!(shared.clock.sleep(LINGER))).await;
}

/// Closes a connection on which all was said. TLS has a farewell of its own, without which a client cannot tell the end of
/// an answer from a cut (RFC 8446 section 6.1); so an answer that broke off must not end with it.
pub(super) async fn close(shared: &Shared, mut stream: Stream) {
    if stream.is_tls() {
        // Boxed, for few connections are closed at a time.
        let farewell = Box::pin(stream.shutdown());
        select(farewell, Box::pin(shared.clock.sleep(LINGER))).await;
    }
}

/// Makes the end of this connection a reset, for a client that takes nothing: else the system would hold what is on the way
/// to it, and offer it again and again, for a quarter of an hour.
pub(super) fn cut(stream: &Stream) {
    // It fails only if the connection is gone already.
    let _ = SockRef::from(stream.socket()).set_linger(Some(Duration::ZERO));
}

/// Whether the client has already sent more.
pub(super) fn has_bytes(stream: &Stream) -> bool {
    stream.socket().peek() == Peeked::Bytes
}
