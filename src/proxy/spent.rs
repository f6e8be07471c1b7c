//! Answers that nobody wants: what is left of them is read, within bounds, so that their connections can be used again.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::task::spawn_local;

use crate::balance::Lease;
use crate::connect::{AnswerBody, Connections};

use super::Client;
use super::client::before_due;
use super::phase::Phase;
use super::request_body::{BackendConnection, RequestBody};

/// Bytes of one that are read. Of a longer one, the connection is closed.
const MOST_BYTES: usize = 64 * 1024;
/// Milliseconds for one that is read aside: its connection is not worth more.
const ASIDE: u64 = 5000;
/// Answers that one worker reads aside at one time, but for those of which only the end is missing. Of more, the connections are
/// closed: a backend that ends none of them would take all files.
const MOST_ASIDE: usize = 100;

/// An answer that nobody wants.
pub(super) struct Spent {
    pub(super) body: AnswerBody,
    pub(super) connection: BackendConnection,
    /// Where the connection goes afterwards.
    pub(super) connections: Rc<Connections<RequestBody>>,
    /// None if its client has all of it: then it is under way no more, and only its end is waited for.
    pub(super) lease: Option<Lease>,
    /// Whether its status is no failure.
    pub(super) began_well: bool,
}

/// How the reading of it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// As it should.
    Whole,
    /// It is longer than is read.
    Long,
    /// It broke off.
    Broken,
}

impl Spent {
    /// Reads it aside, while its client is served by somebody else.
    pub(super) fn let_go(self, client: &Client) {
        if self.body.is_end_stream() {
            return self.connections.put(self.connection, client.shared.clock.age());
        }
        let taken = match self.lease {
            Some(_) => match client.shared.aside.take(MOST_ASIDE) {
                None => return,
                taken => taken,
            },
            None => None,
        };
        let client = client.stream();
        spawn_local(async move {
            let _taken = taken;
            self.read_within(Some(ASIDE), &client).await;
        });
    }

    /// Reads it to its end, on behalf of a client that does nothing else.
    pub(super) async fn read(self, client: &Client) {
        self.read_within(None, client).await;
    }

    /// Reads it to its end. If it has less time than other answers, to need more is no failure.
    async fn read_within(self, time: Option<u64>, client: &Client) {
        let Self { mut body, mut connection, connections, lease, began_well } = self;
        client.alarm().wakes_me().await;
        client.enter(Phase::Answer);
        if let Some(time) = time {
            client.alarm().tighten(time);
        }
        let mut left = MOST_BYTES;
        let read = poll_fn(|cx| poll_end(&mut connection, &mut body, &mut left, cx));
        match (before_due(client, read).await, lease) {
            (Some(Rest::Whole), _) => connections.put(connection, client.shared.clock.age()),
            (Some(Rest::Broken), Some(lease)) => lease.broke_off(began_well),
            // One that came in pieces may merely last: nobody waits for all of it.
            (None, Some(lease)) if left == MOST_BYTES && time.is_none() => lease.broke_off(began_well),
            _ => {}
        }
    }
}

fn poll_end(
    connection: &mut BackendConnection,
    body: &mut AnswerBody,
    left: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<Rest> {
    // Nothing may ask for the end of a body once its trailers or its last promised byte have come.
    while !body.is_end_stream() {
        let frame = match ready!(connection.poll_body(body, cx)) {
            Some(Ok(frame)) if frame.is_trailers() => break,
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return Poll::Ready(Rest::Broken),
            None => break,
        };
        match left.checked_sub(frame.data_ref().map_or(0, |data| data.len())) {
            Some(less) => *left = less,
            None => return Poll::Ready(Rest::Long),
        }
    }
    Poll::Ready(Rest::Whole)
}
