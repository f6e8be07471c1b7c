//! How to part from a client.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connect::{Peeked, Stream};
use crate::proxy::{Alarm, Client, Error, Phase, Shared, last_words};

use super::arrival::or_at_a_stop;

/// How many milliseconds a client that we part from has to take our last words and to stop sending, how long it may be silent
/// meanwhile, and how many bytes it may send.
const LINGER: u64 = 10_000;
const LINGER_SILENT: u64 = 2000;
const LINGER_BYTES: usize = 32 << 20;
/// Bytes that are passed over at once: of many that are turned away each has a buffer of its own.
const AT_ONCE: usize = 4 << 10;

/// Says why nothing more will be said to who sent this, or the beginning of it, and parts.
pub(super) async fn refuse(client: &Client, stream: Stream, error: &Error, sent: &[u8]) {
    if !matches!(client.phase(), Phase::Idle | Phase::Head) {
        // The answer before is not whole, and this must not be taken for a part of it.
        return;
    }
    tracing::debug!("{}: {error}", client.address());
    part(&client.shared, stream, &last_words(error, client, sent)).await;
}

/// Parts, with these words, from a client that may still be sending, and need not be reading. To close at once would
/// reset the connection, and the reset can overtake the answer (RFC 9112 section 9.6).
pub(super) async fn part(shared: &Shared, mut stream: Stream, words: &[u8]) {
    let silent = || or_at_a_stop(LINGER_SILENT, shared);
    let said = within(shared, silent, async {
        stream.write_all(words).await?;
        stream.shutdown().await
    });
    if !matches!(said.await, Some(Ok(()))) {
        return;
    }
    let hear_out = async {
        let mut buffer = vec![0; AT_ONCE];
        let mut left = LINGER_BYTES;
        while let Some(Ok(read @ 1..)) = within(shared, silent, stream.read(&mut buffer)).await {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
    };
    within(shared, || LINGER.min(shared.time_to_part()), hear_out).await;
}

/// What comes of the future in so many milliseconds, which a stop may make fewer.
async fn within<T>(shared: &Shared, millis: impl Fn() -> u64, future: impl Future<Output = T>) -> Option<T> {
    let (alarm, mut future) = (Alarm::on(&shared.clock), pin!(future));
    poll_fn(|cx| {
        alarm.wakes(cx.waker());
        alarm.tighten(millis());
        match future.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if alarm.is_due() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Closes a connection on which all was said. TLS has a farewell of its own, without which a client cannot tell the end of
/// an answer from a cut (RFC 8446 section 6.1); so an answer that broke off must not end with it.
pub(super) async fn close(shared: &Shared, mut stream: Stream) {
    if stream.is_tls() {
        // Boxed, for few connections are closed at a time.
        // It fails only if the client is gone.
        let _ = Box::pin(within(shared, || or_at_a_stop(LINGER_SILENT, shared), stream.shutdown())).await;
    }
}

/// Whether the client has already sent more.
pub(super) fn has_bytes(stream: &Stream) -> bool {
    stream.socket().peek() == Peeked::Bytes
}
