//! Clients that have been idle for a moment: a socket in a tiny task, without hyper's buffers.
//!
//! Nothing can be lost on the way: a connection is parked only when hyper has written all of its answers and holds no
//! byte of a next request, and from then on bytes wait in the socket until the connection is made anew.

use std::future::{Future, poll_fn};
use std::task::Poll;

use crate::connect::Stream;
use crate::proxy::{Alarm, Leaving, Shared};

use super::super::farewell::has_bytes;
use super::Arrival;

/// Milliseconds in which a client that is to go may begin one more request, which is answered and the last: when its listener
/// was closed, and when the process stops. To close at once would lose what a busy client is just sending.
const AT_A_CLOSE: u64 = 5000;
/// The same, to be told that it is to come anew.
const TO_BE_TOLD: u64 = 1000;
const AT_A_STOP: u64 = 1000;

/// Why a client is to go, if it is. The later the more pressing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Going {
    Nowhere,
    DoorClosed,
    Outdated,
    Stop(Leaving),
}

/// Keeps a client until it speaks again; or, which is false, until it has been idle for too long, or did not speak in the time
/// that is left when it is to go. At a stop for which somebody waits, and where it could only be told to come anew, that is only for who
/// is parked because it is to go: it spoke a moment ago, or has just connected and would not try again. Who was parked before has been
/// idle for longer.
///
/// Not an `async fn`, which would take twice as much of each parked client's memory.
pub(super) fn park(arrival: &Arrival, stream: &Stream) -> impl Future<Output = bool> {
    let alarm = Alarm::on(&arrival.shared.clock);
    alarm.set(arrival.shared.deadlines.parked());
    tracing::debug!("{} is parked", arrival.address);
    let is_recent = Going::of(arrival) != Going::Nowhere;
    let (mut known, mut going) = (false, Going::Nowhere);
    poll_fn(move |cx| {
        if !known {
            alarm.wakes(cx.waker());
            known = true;
        }
        if stream.socket().poll_read_ready(cx).is_ready() {
            return Poll::Ready(true);
        }
        if going != Going::of(arrival) {
            going = Going::of(arrival);
            alarm.tighten(left(going, &arrival.shared));
        }
        let is_in_vain = matches!(going, Going::Outdated | Going::Stop(Leaving::Stopped));
        match alarm.is_due() || is_in_vain && !is_recent {
            true => Poll::Ready(has_bytes(stream)),
            false => Poll::Pending,
        }
    })
}

impl Going {
    fn of(arrival: &Arrival) -> Self {
        match arrival.shared.leaving() {
            Some(Leaving::Succeeded) | None if arrival.is_outdated() => Self::Outdated,
            Some(Leaving::Succeeded) | None if arrival.door.entrance.is_closed() => Self::DoorClosed,
            Some(leaving) => Self::Stop(leaving),
            None => Self::Nowhere,
        }
    }
}

/// The milliseconds, at most.
fn left(going: Going, shared: &Shared) -> u64 {
    match going {
        Going::Nowhere => u64::MAX,
        Going::DoorClosed => AT_A_CLOSE,
        Going::Outdated => TO_BE_TOLD,
        Going::Stop(leaving) => at_a_stop(leaving, shared),
    }
}

/// So many, or those that a stop leaves to who only waits, if they are fewer.
pub(in crate::server) fn or_at_a_stop(millis: u64, shared: &Shared) -> u64 {
    shared.leaving().map_or(millis, |leaving| millis.min(at_a_stop(leaving, shared)))
}

/// Those that a stop leaves to who only waits. It is over before the time of requests is, so that nobody is cut who has none.
pub(in crate::server) fn at_a_stop(leaving: Leaving, shared: &Shared) -> u64 {
    let time = match leaving {
        // Nobody waits for us: a client that is idle is parted from when it would be anyway, or after its next answer.
        Leaving::Succeeded => shared.deadlines.succession() / 2,
        Leaving::Stopped => AT_A_STOP.min(shared.deadlines.drain() / 2),
    };
    time.min(shared.time_to_part())
}
