//! The last of an answer, which hyper holds until the client's system takes it. Only then is it known how the request ended: its
//! line in the access log waits for that.

use std::thread::panicking;

use crate::telemetry::access_log::Entry;

use super::super::phase::Phase;
use super::{Client, Error, Mark};

impl Client {
    /// Keeps the line of a request whose answer was given.
    pub(in crate::proxy) fn keep_line(&self, line: Option<Box<Entry>>) {
        if line.is_some() {
            *self.line.borrow_mut() = line;
        }
    }

    /// Its system has all of its answer.
    pub fn took_answer(&self) {
        self.set(Mark::Given, false);
        if let Some(line) = self.line.take() {
            self.log(&line);
        }
    }

    /// Its connection ends, maybe before its system had all of its answer.
    pub fn lose_answer(&self) {
        if self.is(Mark::Given) {
            self.tell_failure(&self.why_cut(), self.line.borrow_mut().as_deref_mut());
            self.took_answer();
        }
    }

    /// Writes a line.
    pub(in crate::proxy) fn log(&self, line: &Entry) {
        if let Some(log) = &self.shared.access_log {
            let (bytes_in, bytes_out) = self.counts();
            log.write(&line.end(bytes_in, bytes_out));
        }
    }

    /// A request did not end as it wished, which its line, if there is one, is to tell.
    #[cold]
    pub(in crate::proxy) fn tell_failure(&self, error: &Error, line: Option<&mut Entry>) {
        let row = error.row();
        self.shared.tally.failed(row.reason);
        let Some(line) = line else { return };
        match line.backend() {
            Some(backend) => tracing::debug!("{}: {backend}: {error}", self.address),
            None => tracing::debug!("{}: {error}", self.address),
        }
        line.failed(row.status.as_u16(), row.reason, row.termination);
    }

    /// Why a request ended before anybody said so: whoever drove the client's connection let go of it.
    #[cold]
    pub(in crate::proxy) fn why_cut(&self) -> Error {
        // A panic is ours, whoever waits for what it left undone.
        if self.shared.is_over() || panicking() {
            return Error::Stopped;
        }
        if let Some(fault) = self.take_fault() {
            return fault;
        }
        match self.phase() {
            Phase::Answer if self.is_due() && !self.is(Mark::Blocked) => Error::AnswerTimeout,
            Phase::Answer | Phase::Flush if self.is_due() => Error::ClientStalled,
            _ => Error::ClientGone,
        }
    }
}
