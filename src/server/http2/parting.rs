//! How a connection ends whose client is to go.

use std::mem;

use crate::proxy::{Client, Phase};

use super::super::arrival::or_at_a_stop;
use super::transport::Record;

/// Milliseconds that a client has to take note that the connection ends.
pub(super) const FAREWELL: u64 = 2000;

/// How long a client is waited for that has no request under way, and what is known of its leave.
pub(super) struct Parting<'a> {
    client: &'a Client,
    record: &'a Record,
    /// It was told to go.
    pub(super) has_begun: bool,
    /// Until when it may be owed the last of its answers, in pieces.
    latest: u64,
    /// Its system took no piece for a moment, and has all the time that there is for one.
    is_patient: bool,
    /// It takes nothing while requests are under way, and has its time for that.
    is_blocked: bool,
}

impl<'a> Parting<'a> {
    pub(super) fn of(client: &'a Client, record: &'a Record) -> Self {
        Self { client, record, has_begun: false, latest: 0, is_patient: false, is_blocked: false }
    }

    /// It is told to go; what it began meanwhile is answered (RFC 9113 section 6.8).
    pub(super) fn begin(&mut self, idle: bool) {
        self.has_begun = true;
        if idle {
            self.begin_to_wait();
        }
    }

    /// A request is under way, which has a deadline of its own.
    pub(super) fn end_to_wait(&mut self) {
        self.is_blocked = false;
        self.client.alarm().clear();
    }

    /// Whether it has taken nothing for too long while requests are under way. That of a stream may end when its last piece is with
    /// h2, and nobody else would see that all of them stay there: be it that its system takes nothing, or that it gives no room.
    pub(super) fn is_stuck(&mut self) -> bool {
        let alarm = self.client.alarm();
        let (by_system, given) = (self.record.is_blocked(), self.record.given());
        let was_blocked = mem::replace(&mut self.is_blocked, by_system || given.is_left());
        let (has_written, has_taken) = (self.record.has_written(), given.has_taken());
        let has_taken = if by_system { has_written } else { has_taken };
        match (was_blocked, self.is_blocked) {
            (true, true) if !has_taken => return self.client.is_due(),
            // A moment longer than any stream has, of which it is told by itself.
            (_, true) => alarm.set(self.client.shared.deadlines.still() + FAREWELL),
            (true, false) => alarm.clear(),
            (false, false) => {}
        }
        false
    }

    /// No request is under way any more.
    pub(super) fn begin_to_wait(&mut self) {
        let shared = &self.client.shared;
        let client_idle = shared.deadlines.client_idle();
        self.latest = shared.clock.now() + client_idle;
        self.client.alarm().set(if self.has_begun { self.farewell() } else { client_idle });
    }

    /// Whether it is waited for no longer, though it has not closed. The last of an answer may be on its way to a slow client; one that
    /// makes us say more has its limit, too.
    pub(super) fn is_over(&mut self) -> bool {
        let (client, shared) = (self.client, &self.client.shared);
        let may_wait = shared.clock.now() < self.latest;
        if self.record.has_written() && may_wait {
            client.alarm().set(self.farewell());
            self.is_patient = false;
        } else if !self.is_patient {
            // A stop may have begun meanwhile.
            client.alarm().tighten(self.farewell());
        }
        if !client.is_due() {
            return false;
        }
        if !may_wait || self.is_patient || !self.record.is_blocked() {
            return true;
        }
        // A system takes more only when it has handed on a good part of what it has.
        self.is_patient = true;
        client.alarm().set(shared.deadlines.millis(Phase::Flush));
        false
    }

    fn farewell(&self) -> u64 {
        or_at_a_stop(FAREWELL, &self.client.shared)
    }
}
