//! Clients that have been idle for a moment: a socket in a tiny task, without hyper's buffers.
//!
//! Nothing can be lost on the way: a connection is parked only when hyper has written all of its answers and holds no
//! byte of a next request, and from then on bytes wait in the socket until the connection is made anew.

use std::future::{Future, poll_fn};
use std::task::Poll;

use crate::connect::Stream;
use crate::proxy::Alarm;

use super::arrival::Arrival;
use super::farewell::has_bytes;

/// Keeps a client until it speaks again; or, which is false, until it has been idle for too long or the process stops.
///
/// Not an `async fn`, which would take twice as much of each parked client's memory.
pub(super) fn park(arrival: &Arrival, stream: &Stream) -> impl Future<Output = bool> {
    let alarm = Alarm::on(&arrival.shared.clock);
    alarm.set(arrival.shared.deadlines.parked());
    tracing::debug!("{} is parked", arrival.address);
    let mut known = false;
    poll_fn(move |cx| {
        if !known {
            alarm.wakes(cx.waker());
            known = true;
        }
        match stream.socket().poll_read_ready(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if arrival.is_draining() => Poll::Ready(has_bytes(stream)),
            Poll::Pending if alarm.is_due() => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
}
