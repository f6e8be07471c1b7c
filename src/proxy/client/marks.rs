//! What holds of a client's connection and of its request under way, or does not.

use std::cell::Cell;

/// What may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is one of several streams of a connection.
    Stream,
    /// A request is under way, and all of it has come: the only thing the client can do is leave.
    Watched,
    /// The request under way has come to its end, though all of it may not be read from hyper yet.
    Whole,
    /// A request's body was not read to its end, so that more of it may be on its way.
    Unread,
    /// A request's body was let go of before its end: hyper has yet to pass over what it holds of it.
    Passing,
    /// The request under way came through a proxy, as its head says.
    Relayed,
    /// The client said of a request that no other follows (RFC 9112 section 9.6).
    Last,
    /// A request on its connection asked to switch protocols, which hyper does not forget.
    Switchable,
    /// An orderly end of the connection would look like the end of its answer, as in HTTP/1.0.
    OpenEnded,
    /// Its last answer broke off.
    CutShort,
    /// hyper has all of an answer that went well, and the system does not.
    Given,
    /// The backend has yet to say that it wants the request's body.
    Withheld,
    /// hyper was asked for the request's body, and says the word to go on itself.
    Asked,
    /// Its answer came in place of the word to go on: it may take its time with the body, unless it has begun to send it.
    Answered,
    /// The upload waits for the client rather than for the backend.
    Starved,
    /// An attempt broke while its upload waited for the client.
    Awaited,
    /// Bytes of a stream's upload may wait for its backend.
    Held,
    /// The client takes no more of what it is sent.
    Blocked,
    /// It is noted when a request was sent, for those who learn from the time to its answer.
    Timed,
    /// The route of the request under way has deadlines of its own.
    OwnDeadlines,
    /// That route takes lines out of heads of interim answers.
    Treated,
    /// The backend's end of its tunnel has said all that it will.
    ToldAll,
    /// Its client took its stream back: what is under way is over.
    TakenBack,
    /// Its tunnel ended in disorder.
    BrokenOff,
}

/// A bit for each.
#[derive(Debug, Default)]
pub(super) struct Marks(Cell<u32>);

impl Marks {
    pub(super) fn has(&self, mark: Mark) -> bool {
        self.0.get() & bit(mark) != 0
    }

    pub(super) fn set(&self, mark: Mark, holds: bool) {
        let others = self.0.get() & !bit(mark);
        self.0.set(if holds { others | bit(mark) } else { others });
    }
}

fn bit(mark: Mark) -> u32 {
    1 << mark as u16
}
