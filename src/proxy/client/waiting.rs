//! What a client's connection waits for, and until when.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use crate::config::Treatment;

use super::super::deadline::{Alarm, millis};
use super::super::pace::Paces;
use super::super::phase::Phase;
use super::{Client, Mark};

/// Pieces that a stream's client may have yet to take. h2 bounds their bytes, but of small ones it is what each costs that counts.
const MOST_OWED: u32 = 64;

/// Milliseconds in place of those that all requests have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnDeadlines {
    response: Option<u64>,
    body: Option<u64>,
}

impl OwnDeadlines {
    #[cold]
    fn millis(self, phase: Phase) -> Option<u64> {
        match phase {
            Phase::Response => self.response,
            Phase::Upload | Phase::Answer | Phase::Flush => self.body,
            Phase::Idle | Phase::Head | Phase::Connect | Phase::Expect | Phase::Tunnel => None,
        }
    }
}

impl Client {
    /// What is waited for.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Waits for something else from now on, with that thing's own deadline.
    pub fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.alarm.set(self.millis(phase));
        // In the other phases it is not the client that is waited for, or not for a body.
        if matches!(phase, Phase::Answer | Phase::Flush)
            && let Some(paces) = self.paces.get()
        {
            self.tighten(paces);
        }
    }

    /// Its answer is over for us. Who takes nothing of that has no more time because the rest of it is here.
    pub(in crate::proxy) fn end_answer(&self) {
        match self.is(Mark::Blocked) {
            true => self.phase.set(Phase::Flush),
            false => self.enter(Phase::Flush),
        }
    }

    /// From now on it is noted, or not, when a request has been sent.
    pub(in crate::proxy) fn time_answer(&self, timed: bool) {
        self.set(Mark::Timed, timed);
        if timed {
            self.sent_at.set(None);
        }
    }

    /// The request was sent to its end, or a new attempt to send it begins.
    pub(in crate::proxy) fn mark_sent(&self, is_sent: bool) {
        if self.is(Mark::Timed) {
            self.sent_at.set(is_sent.then(Instant::now));
        }
    }

    /// When the request was sent to its end, if that was noted.
    pub(in crate::proxy) fn sent_at(&self) -> Option<Instant> {
        self.sent_at.get()
    }

    /// Bytes went by: the deadline of the present phase starts anew.
    pub fn progress(&self) {
        self.alarm.set(self.millis(self.phase.get()));
        if let Some(paces) = self.paces.get() {
            self.tighten(paces);
        }
    }

    /// A least rate can make a deadline sooner, never later.
    #[cold]
    fn tighten(&self, paces: &Paces) {
        if let Some(left) = paces.left(self.shared.clock.now()) {
            self.alarm.tighten(left);
        }
    }

    /// Whether what is waited for is overdue.
    pub fn is_due(&self) -> bool {
        self.alarm.is_due() && !self.had_no_room()
    }

    /// Whether it is a stream's upload that is waited for, and its client could send nothing while backends kept others of its
    /// connection waiting: for that time it gets as much. Those who wait for a backend have a deadline of their own.
    #[cold]
    fn had_no_room(&self) -> bool {
        if !self.is(Mark::Starved) || self.is(Mark::Blocked) || self.is(Mark::TakenBack) {
            return false;
        }
        let Some(uploads) = self.uploads.get() else { return false };
        let now = self.shared.clock.now();
        let without_room = uploads.without_room(now);
        let time = without_room - self.given_time.replace(without_room);
        if time == 0 {
            return false;
        }
        self.alarm.set(time);
        if let Some(paces) = self.paces.get() {
            paces.up.give(time, now);
            self.tighten(paces);
        }
        true
    }

    /// Notes whether bytes of a stream's upload may wait for its backend, which leaves its connection less room for others.
    pub(in crate::proxy) fn set_held(&self, held: bool) {
        if self.is(Mark::Held) != held
            && let Some(uploads) = self.uploads.get()
        {
            self.set(Mark::Held, held);
            uploads.count(held, self.shared.clock.now());
        }
    }

    /// The deadline itself.
    pub fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// Notes whether the client takes what it is sent. Who is waited for when it did has all of its own time.
    pub fn set_blocked(&self, blocked: bool) {
        if !blocked && self.is(Mark::Blocked) {
            self.alarm.set(self.millis(self.phase.get()));
        }
        self.set(Mark::Blocked, blocked);
        if let Some(paces) = self.paces.get() {
            paces.down.set_waiting(blocked, self.shared.clock.now());
            self.tighten(paces);
        }
    }

    /// Notes that the client took bytes: of an answer, they put off its deadline.
    pub fn took(&self, bytes: usize) {
        let was_blocked = self.is(Mark::Blocked);
        self.set(Mark::Blocked, false);
        let answers = matches!(self.phase.get(), Phase::Answer | Phase::Flush);
        if answers || was_blocked {
            self.alarm.set(self.millis(self.phase.get()));
        }
        if let Some(paces) = self.paces.get() {
            paces.down.set_waiting(false, self.shared.clock.now());
            paces.down.add(if answers { bytes as u64 } else { 0 });
            self.tighten(paces);
        }
    }

    /// Notes that a stream's client was given a piece of its answer, for which it has to have room before it is given more.
    pub fn gave(&self, bytes: u64) {
        self.owed.update(|pieces| pieces + 1);
        self.count_out(bytes);
        self.progress();
        if let Some(paces) = self.paces.get() {
            paces.down.add(bytes);
        }
        self.set_blocked(true);
    }

    /// Only what a stream's client was given is waited for from now on.
    pub fn is_to_take(&self) {
        self.progress();
        self.set_blocked(true);
    }

    /// Whether a stream's client has yet to take pieces that it was given.
    pub fn owes(&self) -> bool {
        self.owed.get() > 0
    }

    /// Whether it has yet to take so many that it is given no more.
    pub fn owes_most(&self) -> bool {
        self.owed.get() >= MOST_OWED
    }

    /// Notes that it took one, or that it will never.
    pub fn took_piece(&self) {
        self.owed.update(|pieces| pieces - 1);
        self.wake_passage();
    }

    /// Its stream is over for us: how many it has yet to take.
    pub fn forgets_pieces(&self) -> u32 {
        self.owed.take()
    }

    /// Whether the request's body has not all come, or not even been asked for.
    pub(in crate::proxy) fn is_uploading(&self) -> bool {
        matches!(self.phase.get(), Phase::Upload | Phase::Expect)
    }

    /// Notes whether the upload waits for the client rather than for the backend.
    pub(in crate::proxy) fn set_starved(&self, starved: bool) {
        self.set(Mark::Starved, starved);
        if let Some(paces) = self.paces.get() {
            // Whoever has an answer in place of the word to go on is not slow with a body that nobody asked for.
            let waits = starved && !self.is(Mark::Answered);
            paces.up.set_waiting(waits, self.shared.clock.now());
            self.tighten(paces);
        }
    }

    /// The request under way has deadlines of its own, as far as its route says so.
    pub(in crate::proxy) fn set_own_deadlines(&self, treatment: &Treatment) {
        let [response, body] =
            [treatment.response_timeout, treatment.body_timeout].map(|own| own.map(millis));
        self.own_deadlines.set(OwnDeadlines { response, body });
        self.set(Mark::OwnDeadlines, response.is_some() || body.is_some());
    }

    /// It waits as another one does, whose request it has.
    pub(in crate::proxy) fn has_deadlines_of(&self, other: &Self) {
        self.own_deadlines.set(other.own_deadlines.get());
        self.set(Mark::OwnDeadlines, other.is(Mark::OwnDeadlines));
    }

    fn millis(&self, phase: Phase) -> u64 {
        let usual = self.shared.deadlines.millis(phase);
        if self.is(Mark::OwnDeadlines) {
            self.own_deadlines.get().millis(phase).unwrap_or(usual)
        } else {
            usual
        }
    }

    /// A request begins.
    pub(in crate::proxy) fn begin_exchange(&self) {
        self.set(Mark::OwnDeadlines, false);
        self.set(Mark::Treated, false);
        if self.is(Mark::Unread) {
            // What was wrong with a body of which nobody needed the rest says nothing of the next.
            self.take_fault();
        }
        let least = self.shared.least_rate();
        if least.is_some() || self.paces.get().is_some() {
            self.paces.get_or_init(Box::default).begin(least);
        }
    }
}

/// The future's result, or nothing if the client's deadline came first.
pub async fn before_due<T>(client: &Client, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if client.is_due() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}
