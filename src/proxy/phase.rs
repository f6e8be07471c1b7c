//! What a client's connection can wait for, and how long it may.

use std::cell::Cell;
use std::time::Duration;

use crate::config::Config;

use super::deadline::millis;

/// How long a backend may take to ask for a body before it is sent unasked (RFC 9110 section 10.1.1).
const EXPECT: Duration = Duration::from_secs(1);
/// How long a client's connection is idle before it is parked.
const PARK_AFTER: Duration = Duration::from_secs(1);

/// What a connection waits for. Each has its own deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A request: not one byte of it has come.
    Idle,
    /// The rest of a request's head.
    Head,
    /// A connection to a backend.
    Connect,
    /// The backend's word that it wants the body (`Expect: 100-continue`).
    Expect,
    /// The request's body to pass.
    Upload,
    /// The head of the backend's answer.
    Response,
    /// The answer's body to pass.
    Answer,
    /// The client to take the last of the answer.
    Flush,
    /// Bytes in either direction of an upgraded connection.
    Tunnel,
}

/// For each phase of a connection, how long it may last, in milliseconds.
#[derive(Debug, Default)]
pub struct Deadlines {
    phases: [Cell<u64>; 9],
    backend_idle: Cell<u64>,
    client_idle: Cell<u64>,
    parked: Cell<u64>,
    /// The longest that a body may stand still, by any route.
    still: Cell<u64>,
    drain: Cell<u64>,
    succession: Cell<u64>,
    /// The shortest of all, those of routes among them.
    shortest: Cell<u64>,
}

impl Deadlines {
    /// What these settings say.
    pub fn of(config: &Config) -> Self {
        let deadlines = Self::default();
        deadlines.adopt(config);
        deadlines
    }

    /// Goes by other settings.
    pub(super) fn adopt(&self, config: &Config) {
        let timeouts = &config.timeouts;
        let park_after = PARK_AFTER.min(timeouts.client_idle);
        for (phase, duration) in [
            (Phase::Idle, park_after),
            (Phase::Head, timeouts.header),
            (Phase::Connect, timeouts.connect),
            (Phase::Expect, EXPECT),
            (Phase::Upload, timeouts.body),
            (Phase::Response, timeouts.response),
            (Phase::Answer, timeouts.body),
            (Phase::Flush, timeouts.body),
            (Phase::Tunnel, timeouts.tunnel_idle),
        ] {
            self.phases[phase as usize].set(millis(duration));
        }
        self.backend_idle.set(millis(timeouts.backend_idle));
        self.client_idle.set(millis(timeouts.client_idle));
        self.parked.set(millis(timeouts.client_idle - park_after));
        let of_bodies = config.routes.iter().filter_map(|route| route.treatment.body_timeout);
        self.still.set(of_bodies.fold(millis(timeouts.body), |longest, time| longest.max(millis(time))));
        self.drain.set(millis(timeouts.drain));
        self.succession.set(millis(timeouts.succession));
        let of_routes = config.routes.iter().map(|route| &route.treatment);
        let of_routes = of_routes.flat_map(|treatment| [treatment.response_timeout, treatment.body_timeout]);
        let all = self.phases.iter().map(Cell::get).chain([self.backend_idle.get()]);
        let all = all.chain(of_routes.flatten().map(millis));
        self.shortest.set(all.min().unwrap_or_default());
    }

    /// How long this may last.
    pub fn millis(&self, phase: Phase) -> u64 {
        self.phases[phase as usize].get()
    }

    /// How long a connection to a backend may be idle.
    pub(super) fn backend_idle(&self) -> u64 {
        self.backend_idle.get()
    }

    /// How long a client's connection may be idle.
    pub fn client_idle(&self) -> u64 {
        self.client_idle.get()
    }

    /// How much of that is left when it is parked.
    pub fn parked(&self) -> u64 {
        self.parked.get()
    }

    /// How long a body may stand still at most, whichever route it is of.
    pub fn still(&self) -> u64 {
        self.still.get()
    }

    /// How long running requests may take to finish at a stop.
    pub fn drain(&self) -> u64 {
        self.drain.get()
    }

    /// How long they may when another process serves in the place of this one.
    pub fn succession(&self) -> u64 {
        self.succession.get()
    }

    /// How often the workers' clocks move on, in milliseconds: fine enough for the shortest deadline.
    pub fn tick(&self) -> u64 {
        (self.shortest.get() / 4).clamp(5, 100)
    }
}
