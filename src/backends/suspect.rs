//! What failed requests say of a backend.

use std::time::Instant;

use super::{Backend, BackendId, Evidence, Registry, State};

/// So many requests in succession to which a backend closes its connection tell that it does so to all.
pub(super) const CLOSED_TO_ALL: u32 = 3;

impl Registry {
    /// Takes into account what a request found. One that is down already is so no more than before: many requests find it
    /// in one moment, and only checks tell that it stays so. And one that closed a connection without an answer stays in use,
    /// but is checked at once: else a request that kills whoever gets it, and goes from one to the next, would take them from
    /// everybody. Only if it does so to all requests, whatever it says to checks, and another may stand in for it, it is down.
    pub fn suspect(&self, id: BackendId, evidence: Evidence) {
        let mut backends = self.lock();
        let Some(place) = self.places.of(&backends, id) else { return };
        if !backends[place].health.is_usable() {
            return;
        }
        if !evidence.is_of_closing() {
            return self.learn(backends, id, evidence, Instant::now());
        }
        let of_all = backends[place].closes_all(evidence);
        let stands_in = |other: &Backend| other.id != id && other.stands_in_for(&backends[place]);
        match of_all {
            Some(evidence) if backends.iter().any(stands_in) => {
                self.learn(backends, id, evidence, Instant::now());
            }
            _ => {
                drop(backends);
                self.doubt(id);
            }
        }
    }
}

impl Backend {
    /// It closed a connection without an answer once more. Gives what that says of it if that is all it does with requests, as far as is
    /// known.
    fn closes_all(&mut self, evidence: Evidence) -> Option<Evidence> {
        let answers = self.load.score().answers().iter().sum();
        let times = self.health.closed(answers, Instant::now());
        // Of whose checks nothing is known, it may be what they will find, too.
        let is_checked = self.health.state() == State::Up;
        (times >= CLOSED_TO_ALL).then(|| if is_checked { Evidence::ClosedOn(times) } else { evidence })
    }
}
