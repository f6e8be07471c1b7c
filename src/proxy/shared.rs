//! What all requests of one worker share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::backends::Registry;
use crate::config::{Config, Introduced};
use crate::connect::{HeadLimits, shortages};
use crate::snapshot::Snapshot;
use crate::telemetry::access_log;

use super::access::Access;
use super::body::RequestBody;
use super::client::Phase;
use super::deadline::Clock;
use super::pace::LeastRate;

/// The snapshot that requests read, with this worker's idle connections.
pub type View = crate::snapshot::View<RequestBody>;

/// How long a backend may take to ask for a body before it is sent unasked (RFC 9110 section 10.1.1).
const EXPECT: Duration = Duration::from_secs(1);
/// How long a client's connection is idle before it is parked.
const PARK_AFTER: Duration = Duration::from_secs(1);

/// What all requests of one worker share.
#[derive(Debug)]
pub struct Shared {
    view: RefCell<Rc<View>>,
    /// Where evidence of a backend's health goes, which is rare.
    pub registry: &'static Registry,
    /// The worker's clock.
    pub clock: Rc<Clock>,
    /// For each phase, its deadline.
    pub deadlines: Deadlines,
    /// Where the access log goes, if anywhere.
    pub access_log: Option<access_log::Buffer>,
    /// Whose connections begin with a PROXY header.
    pub introduced: Introduced,
    /// What heads may hold.
    pub head_limits: HeadLimits,
    /// Bytes of a request's body.
    pub body_limit: Option<u64>,
    /// What is asked of each request, if anything.
    pub access: Option<Arc<Access>>,
    /// How slow a client's bodies may be, if there is a limit.
    pub(super) least_rate: Option<LeastRate>,
    /// How often files had run out when we last made room.
    shortages: Cell<usize>,
    draining: Cell<bool>,
    over: Cell<bool>,
}

impl Shared {
    /// Of a worker that starts.
    pub fn new(
        config: &Config,
        snapshot: Arc<Snapshot>,
        registry: &'static Registry,
        access_log: Option<access_log::Buffer>,
        access: Option<Arc<Access>>,
    ) -> Self {
        let deadlines = Deadlines::of(config);
        Self {
            view: RefCell::new(Rc::new(View::new(snapshot))),
            registry,
            clock: Rc::new(Clock::with_tick(deadlines.tick())),
            deadlines,
            access_log,
            introduced: config.introduced.clone(),
            head_limits: HeadLimits { size: config.limits.header_size, headers: config.limits.headers },
            body_limit: config.limits.body,
            access,
            least_rate: LeastRate::of(config),
            shortages: Cell::new(0),
            draining: Cell::new(false),
            over: Cell::new(false),
        }
    }

    /// The view for a request that begins now; it keeps it to its end.
    pub fn view(&self) -> Rc<View> {
        Rc::clone(&self.view.borrow())
    }

    /// Makes a newer snapshot the one that requests read.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let view = Rc::new(self.view().succeed(snapshot));
        *self.view.borrow_mut() = view;
    }

    /// Whether a stop was asked for.
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Lets running requests finish and begins no others.
    pub fn drain(&self) {
        self.draining.set(true);
        self.clock.wake_all();
    }

    /// Whether requests that still run are about to be cut.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Cuts the requests that still run: they end when this worker's tasks do.
    pub fn cut(&self) {
        self.over.set(true);
    }

    /// Closes all idle connections to backends, so that their files can serve clients. Tells how many they were.
    pub fn give_up_idle(&self) -> usize {
        self.view().all_connections().iter().map(|connections| connections.give_up_idle()).sum()
    }

    /// Does that if files have run out since last asked, here or at another worker.
    pub fn make_room(&self) {
        let shortages = shortages();
        if self.shortages.replace(shortages) != shortages {
            self.give_up_idle();
        }
    }

    /// Closes idle connections to backends whose time is over.
    pub fn sweep_idle(&self) {
        let now = self.clock.now();
        let limit = now.saturating_sub(self.deadlines.backend_idle);
        self.view().all_connections().iter().for_each(|connections| connections.sweep(limit, now));
    }
}

/// For each phase of a connection, how long it may last, in milliseconds.
#[derive(Debug)]
pub struct Deadlines {
    phases: [u64; 9],
    backend_idle: u64,
    /// How long a client's connection may be idle.
    pub client_idle: u64,
    /// How much of that is left when it is parked.
    pub parked: u64,
}

impl Deadlines {
    /// What these settings say.
    pub fn of(config: &Config) -> Self {
        let timeouts = &config.timeouts;
        let park_after = PARK_AFTER.min(timeouts.client_idle);
        let mut phases = [0; 9];
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
            phases[phase as usize] = millis(duration);
        }
        Self {
            phases,
            backend_idle: millis(timeouts.backend_idle),
            client_idle: millis(timeouts.client_idle),
            parked: millis(timeouts.client_idle - park_after),
        }
    }

    pub(super) fn millis(&self, phase: Phase) -> u64 {
        self.phases[phase as usize]
    }

    /// How often the workers' clocks move on, in milliseconds: fine enough for the shortest deadline.
    pub fn tick(&self) -> u64 {
        let shortest = self.phases.iter().copied().min().unwrap_or_default();
        (shortest.min(self.backend_idle) / 4).clamp(5, 100)
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
