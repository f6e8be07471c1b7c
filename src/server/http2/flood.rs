//! How much a client may send of what costs us work and brings no request on: a flood of it ends the connection.
//!
//! Only the nine bytes before each frame are looked at (RFC 9113 section 4.1). Each kind of frame has an allowance: so
//! many at once, so many more each second, and some for each thing that honest clients answer with one. What we are made to
//! break off is paid for in the same way, by what we say of it. h2 itself ends connections for too many resets of new
//! streams, CONTINUATION and empty DATA frames, and header lists far over their limit.

use crate::connect::frames::{CONTINUATION, DATA, HEADERS, Head};

pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// How often clients make room for what they are sent: some do for each 4 KiB that they read, on the stream and on its
/// connection. This is twice as often, for each KiB and besides for each frame.
const ROOM_FOR_EACH: u32 = 1024;
const ROOM_FOR_A_FRAME: u32 = 4;
/// What a client may have been sent before it reads any of it is some MiB.
const ROOM_LATER: u32 = 10_000;

/// A kind of frame that is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// PING, which is answered with the same.
    Echo,
    Settings,
    Reset,
    WindowUpdate,
    /// Priorities, which nobody follows, and frames that nobody knows.
    Idle,
    /// What its stream was broken off for, or had ended before: h2 forgets most of those that are answered amid an upload, of
    /// which more may be on its way.
    Wrong,
}

const KINDS: usize = 6;

impl Kind {
    fn of(head: Head) -> Option<Self> {
        match head.kind {
            DATA | HEADERS | CONTINUATION => None,
            RST_STREAM => Some(Self::Reset),
            SETTINGS => Some(Self::Settings),
            PING => Some(Self::Echo),
            WINDOW_UPDATE => Some(Self::WindowUpdate),
            _ => Some(Self::Idle),
        }
    }

    /// How many at once, and each second. All streams may be given up together.
    fn allowance(self) -> (u32, u64) {
        match self {
            Self::Echo => (100, 10),
            Self::Settings => (50, 1),
            Self::Reset => (200, 33),
            Self::WindowUpdate => (1000, 100),
            Self::Idle => (200, 20),
            Self::Wrong => (500, 33),
        }
    }

    /// How many it may earn.
    fn most(self) -> u32 {
        match self {
            Self::WindowUpdate => ROOM_LATER,
            _ => self.allowance().0,
        }
    }

    /// What it is called in logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Echo => "PING",
            Self::Settings => "SETTINGS",
            Self::Reset => "RST_STREAM",
            Self::WindowUpdate => "WINDOW_UPDATE",
            Self::Idle => "PRIORITY or unknown",
            Self::Wrong => "wrong or late",
        }
    }
}

/// What a client may still send of each kind.
#[derive(Debug)]
pub(super) struct Allowances {
    left: [u32; KINDS],
    /// When each was last found used up, in milliseconds.
    since: [u64; KINDS],
}

impl Allowances {
    pub(super) fn new(now: u64) -> Self {
        let kinds = [Kind::Echo, Kind::Settings, Kind::Reset, Kind::WindowUpdate, Kind::Idle, Kind::Wrong];
        Self { left: kinds.map(|kind| kind.allowance().0), since: [now; KINDS] }
    }

    /// Takes note of a frame that the client sent.
    ///
    /// # Errors
    /// The kind that it sends too much of.
    #[inline]
    pub(super) fn received(&mut self, head: Head, now: impl Fn() -> u64) -> Result<(), Kind> {
        match Kind::of(head) {
            Some(kind) => self.spend(kind, now),
            None => {
                if head.kind == HEADERS {
                    // Some clients say with each request how it ranks, and how much they take of its answer.
                    self.earn(Kind::Idle, 2);
                    self.earn(Kind::WindowUpdate, 2);
                }
                Ok(())
            }
        }
    }

    /// Takes note of a frame that we sent.
    #[inline]
    pub(super) fn sent(&mut self, head: Head) {
        if !matches!(head.kind, DATA | HEADERS) {
            return;
        }
        // Clients that measure how much fits on the way send a PING for what they get.
        self.earn(Kind::Echo, 1);
        if head.kind == DATA {
            self.earn(Kind::WindowUpdate, ROOM_FOR_A_FRAME + head.length as u32 / ROOM_FOR_EACH);
        }
        if head.ends() {
            // Only who takes answers to their end may give up others: to ask and take back is what the attack does.
            self.earn(Kind::Reset, 1);
            self.earn(Kind::Wrong, 1);
        }
    }

    /// Takes note of a stream that we broke off, for the reason that stands in its RST_STREAM.
    ///
    /// # Errors
    /// The client makes us do so too often.
    pub(super) fn broke_off(&mut self, code: u32, now: impl Fn() -> u64) -> Result<(), Kind> {
        match code {
            // That is no fault of the client's.
            NO_ERROR | INTERNAL_ERROR | CANCEL => Ok(()),
            _ => self.spend(Kind::Wrong, now),
        }
    }

    fn earn(&mut self, kind: Kind, frames: u32) {
        let left = &mut self.left[kind as usize];
        *left = (*left + frames).min(kind.most());
    }

    fn spend(&mut self, kind: Kind, now: impl Fn() -> u64) -> Result<(), Kind> {
        let (left, since) = (&mut self.left[kind as usize], &mut self.since[kind as usize]);
        if *left == 0 {
            let (most, each_second) = kind.allowance();
            let now = now();
            let earned = now.saturating_sub(*since).saturating_mul(each_second) / 1000;
            if earned == 0 {
                return Err(kind);
            }
            *left = u32::try_from(earned).unwrap_or(most).min(most);
            *since = now;
        }
        *left -= 1;
        Ok(())
    }
}

/// The last word to a client that floods us: which of its streams were looked at, and why there will be no more.
pub(super) fn goaway(last_stream: u32) -> [u8; 17] {
    let mut frame = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    frame[9..13].copy_from_slice(&last_stream.to_be_bytes());
    frame[13..].copy_from_slice(&ENHANCE_YOUR_CALM.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use crate::connect::frames::END_STREAM;

    use super::*;

    fn head(kind: u8, flags: u8) -> Head {
        Head { length: 0, kind, flags, stream: 1 }
    }

    /// Of an answer.
    fn piece() -> Head {
        Head { length: 16 * 1024, ..head(DATA, 0) }
    }

    #[test]
    fn an_allowance_is_used_up_at_once_and_comes_back_with_time() {
        let mut allowances = Allowances::new(0);
        let mut echo = |now| allowances.received(head(PING, 0), || now);
        assert!((0..100).all(|_| echo(0).is_ok()));
        assert_eq!(echo(99), Err(Kind::Echo));
        assert_eq!(echo(100), Ok(()));
        assert_eq!(echo(100), Err(Kind::Echo));
        assert!((0..100).all(|_| echo(1_000_000).is_ok()));
        assert_eq!(echo(1_000_000), Err(Kind::Echo));
    }

    #[test]
    fn who_takes_answers_to_their_end_may_give_up_as_many_others() {
        let mut allowances = Allowances::new(0);
        for _ in 0..10_000 {
            allowances.sent(head(DATA, END_STREAM));
            assert_eq!(allowances.received(head(HEADERS, 0), || 0), Ok(()));
            assert_eq!(allowances.received(head(RST_STREAM, 0), || 0), Ok(()));
        }
        let given_up = (0..).take_while(|_| allowances.received(head(RST_STREAM, 0), || 0).is_ok()).count();
        assert_eq!(given_up, 199);
    }

    /// For each 4 KiB, on the stream and on the connection.
    const ROOM_FOR_A_PIECE: [u8; 8] = [WINDOW_UPDATE; 8];

    #[test]
    fn a_client_that_is_sent_a_lot_may_measure_and_make_room_for_it() {
        let mut allowances = Allowances::new(0);
        for _ in 0..10_000 {
            allowances.sent(piece());
            for kind in [PING].into_iter().chain(ROOM_FOR_A_PIECE) {
                assert_eq!(allowances.received(head(kind, 0), || 0), Ok(()));
            }
        }
    }

    #[test]
    fn a_client_may_make_room_when_it_comes_to_read_what_it_was_sent_before() {
        let mut allowances = Allowances::new(0);
        for _ in 0..10 {
            (0..256).for_each(|_| allowances.sent(piece()));
            for kind in [ROOM_FOR_A_PIECE; 256].into_iter().flatten() {
                assert_eq!(allowances.received(head(kind, 0), || 0), Ok(()));
            }
        }
    }

    #[test]
    fn who_takes_answers_to_their_end_may_be_wrong_as_often() {
        const STREAM_CLOSED: u32 = 5;
        let mut allowances = Allowances::new(0);
        for _ in 0..10_000 {
            allowances.sent(head(HEADERS, END_STREAM));
            assert_eq!(allowances.broke_off(STREAM_CLOSED, || 0), Ok(()));
            assert_eq!(allowances.broke_off(CANCEL, || 0), Ok(()));
        }
        assert_eq!((0..).take_while(|_| allowances.broke_off(STREAM_CLOSED, || 0).is_ok()).count(), 499);
    }
}
