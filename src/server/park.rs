//! Clients that have been idle for a moment: a socket in a tiny task, without hyper's buffers.
//!
//! Nothing can be lost on the way: a connection is parked only when hyper has written all of its answers and holds no
//! byte of a next request, and from then on bytes wait in the socket until the connection is made anew.

use std::future::poll_fn;
use std::task::Poll;

use tokio::task::spawn_local;

use crate::connect::Stream;
use crate::proxy::Alarm;

use super::arrival::Arrival;
use super::farewell::{close, has_bytes};

/// Keeps a client until it speaks again, has been idle for too long, or the process stops.
pub(super) fn park(arrival: Arrival, stream: Stream) {
    let Arrival { shared, address, .. } = &arrival;
    let alarm = Alarm::on(&shared.clock);
    alarm.set(shared.deadlines.parked());
    tracing::debug!("{address} is parked");
    spawn_local(async move {
        let mut known = false;
        let speaks = poll_fn(|cx| {
            if !known {
                alarm.wakes(cx.waker());
                known = true;
            }
            match stream.socket().poll_read_ready(cx) {
                Poll::Ready(_) => Poll::Ready(true),
                Poll::Pending if arrival.is_draining() => Poll::Ready(has_bytes(&stream)),
                Poll::Pending if alarm.is_due() => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        drop(alarm);
        if speaks {
            tracing::debug!("{} is unparked", arrival.address);
            arrival.resume(stream);
        } else {
            close(&arrival.shared, stream).await;
        }
    });
}
