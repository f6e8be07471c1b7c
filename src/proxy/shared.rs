//! What all requests of one worker share.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use tracing::warn;

use crate::backends::Registry;
use crate::config::{Config, Introduced, Listener};
use crate::connect::{HeadLimits, Unshared, Wants, are_files_scarce, shortages};
use crate::snapshot::Snapshot;
use crate::telemetry::{Tally, access_log};

use super::Error;
use super::access::Access;
use super::deadline::Clock;
use super::pace::LeastRate;
use super::phase::Deadlines;
use super::quota::Quota;
use super::request_body::RequestBody;
use super::route_rates::RouteRates;
use super::stop::Leaving;

/// The snapshot that requests read, with this worker's idle connections.
pub type View = crate::snapshot::View<RequestBody>;

/// Seconds after which the allocator has almost certainly looked at the time, if it is reminded in each.
const REMINDERS: u8 = 10;

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
    /// What is counted of requests.
    pub tally: Tally,
    introduced: RefCell<Introduced>,
    head_limits: Cell<HeadLimits>,
    body_limit: Cell<Option<u64>>,
    access: RefCell<Option<Arc<Access>>>,
    route_rates: RefCell<Arc<RouteRates>>,
    /// Copies of requests under way.
    pub(super) copies: Quota,
    /// Answers that are read aside.
    pub(super) aside: Quota,
    /// Values of answers by HTTP/2.
    pub(super) values: Unshared,
    least_rate: Cell<Option<LeastRate>>,
    /// How often files had run out when we last made room.
    shortages: Cell<usize>,
    /// Connections to backends that did not come about for want of files or ports.
    pub(super) wants: Wants,
    /// How often the allocator is still to be reminded.
    reminders: Cell<u8>,
    leaving: Cell<Option<Leaving>>,
    /// Until when running requests may finish at a stop, by the clock.
    until: Cell<u64>,
    over: Cell<bool>,
}

impl Shared {
    /// Of a worker that starts.
    pub fn new(
        rules: &Rules,
        snapshot: Arc<Snapshot>,
        registry: &'static Registry,
        access_log: Option<access_log::Buffer>,
    ) -> Self {
        let Rules { config, access, route_rates } = rules;
        let deadlines = Deadlines::of(config);
        Self {
            view: RefCell::new(Rc::new(View::new(snapshot))),
            registry,
            clock: Rc::new(Clock::with_tick(deadlines.tick())),
            deadlines,
            access_log,
            tally: Tally::default(),
            introduced: RefCell::new(config.introduced.clone()),
            head_limits: Cell::new(HeadLimits::of(config)),
            body_limit: Cell::new(config.limits.body),
            access: RefCell::new(access.clone()),
            route_rates: RefCell::new(Arc::clone(route_rates)),
            copies: Quota::default(),
            aside: Quota::default(),
            values: Unshared::default(),
            least_rate: Cell::new(LeastRate::of(config)),
            shortages: Cell::new(0),
            wants: Wants::default(),
            reminders: Cell::new(0),
            leaving: Cell::new(None),
            until: Cell::new(u64::MAX),
            over: Cell::new(false),
        }
    }

    /// Goes by other settings from now on. What runs goes on, and finds the new ones at its next step.
    pub fn adopt(&self, rules: &Rules) {
        let Rules { config, access, route_rates } = rules;
        self.deadlines.adopt(config);
        self.clock.set_tick(self.deadlines.tick());
        self.introduced.replace(config.introduced.clone());
        let limits = HeadLimits::of(config);
        if self.head_limits.replace(limits) != limits {
            self.view().all_connections().iter().for_each(|connections| connections.keep_to(limits));
        }
        self.body_limit.set(config.limits.body);
        self.access.replace(access.clone());
        self.route_rates.replace(Arc::clone(route_rates));
        self.least_rate.set(LeastRate::of(config));
    }

    /// Whether who comes from this address to this listener must begin with a PROXY header.
    pub fn must_be_introduced(&self, address: IpAddr, listener: &Listener) -> bool {
        self.introduced.borrow().holds(address, listener)
    }

    /// What heads may hold.
    pub fn head_limits(&self) -> HeadLimits {
        self.head_limits.get()
    }

    /// Bytes of a request's body.
    pub(super) fn body_limit(&self) -> Option<u64> {
        self.body_limit.get()
    }

    /// How slow a client's bodies may be, if there is a limit.
    pub(super) fn least_rate(&self) -> Option<LeastRate> {
        self.least_rate.get()
    }

    /// Applies what is asked of each request, if anything is.
    pub fn with_access<T>(&self, apply: impl FnOnce(&Access) -> T) -> Option<T> {
        self.access.borrow().as_deref().map(apply)
    }

    /// Counts a request on a route, unless it is one too many.
    pub(super) fn check_rate(&self, route: &str, client: IpAddr) -> Result<(), Error> {
        self.route_rates.borrow().check(route, client)
    }

    /// Forgets clients that have not asked for a while.
    pub fn sweep_rates(&self) {
        self.with_access(Access::sweep);
        self.route_rates.borrow().sweep();
    }

    /// The view for a request that begins now; it keeps it to its end.
    pub fn view(&self) -> Rc<View> {
        Rc::clone(&self.view.borrow())
    }

    /// Makes a newer snapshot the one that requests read.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let (view, any_abandoned) = self.view().succeed(snapshot);
        *self.view.borrow_mut() = Rc::new(view);
        if any_abandoned {
            self.clock.wake_all();
        }
    }

    /// Whether a stop was asked for.
    pub fn is_draining(&self) -> bool {
        self.leaving.get().is_some()
    }

    /// Whether the process stops, and who waits for that.
    pub fn leaving(&self) -> Option<Leaving> {
        self.leaving.get()
    }

    /// Lets running requests finish in so many milliseconds, or in what is left of those that they had, and begins no others.
    pub fn drain(&self, leaving: Leaving, millis: u64) {
        self.leaving.set(Some(leaving));
        self.until.update(|until| until.min(self.clock.after(millis)));
        self.clock.wake_all();
    }

    /// Whether running requests may still finish.
    pub fn has_time(&self) -> bool {
        self.clock.now() < self.until.get()
    }

    /// Milliseconds for which one can be waited for who has no request, at most. That is over two ticks before the time of requests
    /// is, for at the last one it would be too late to part.
    pub fn time_to_part(&self) -> u64 {
        self.until.get().saturating_sub(self.clock.after(2 * self.deadlines.tick()))
    }

    /// Whether requests that still run are about to be cut.
    pub fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Cuts the requests that still run: they end in the next turn of so many tasks, or when this worker's tasks do.
    pub fn cut(&self) -> usize {
        self.over.set(true);
        self.clock.wake_all()
    }

    /// Closes all idle connections to backends, so that their files can serve clients. Tells how many they were.
    pub fn give_up_idle(&self) -> usize {
        self.view().all_connections().iter().map(|connections| connections.give_up_idle()).sum()
    }

    /// Does that if files have run out since last asked, here or at another worker, and says now and then what was missing.
    pub fn make_room(&self) {
        let shortages = shortages();
        if self.shortages.replace(shortages) != shortages {
            self.give_up_idle();
        }
        if let Some((count, error)) = self.wants.to_say(self.clock.instant()) {
            warn!("cannot connect to backends: {error}; attempts that failed: {count}");
        }
    }

    /// A client left or fell idle: what its connection took is free.
    pub fn note_freed(&self) {
        self.reminders.set(REMINDERS);
    }

    /// Whether memory was freed so lately that the allocator may keep it still. To be asked once a second.
    pub fn has_freed(&self) -> bool {
        let left = self.reminders.get();
        self.reminders.set(left.saturating_sub(1));
        left > 0
    }

    /// Closes idle connections to backends whose time is over, and all if they leave too few files for anything else.
    pub fn sweep_idle(&self) {
        // While we stood still, their backends did not.
        let age = self.clock.age();
        let limit = age.saturating_sub(self.deadlines.backend_idle());
        let view = self.view();
        view.all_connections().iter().for_each(|connections| connections.sweep(limit, age));
        let any_idle = view.all_connections().iter().any(|connections| connections.has_idle());
        if any_idle && are_files_scarce() {
            self.give_up_idle();
        }
    }
}

/// The settings that all workers go by, which a reload replaces.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What they say.
    pub config: Arc<Config>,
    /// What is asked of each request, if anything.
    pub access: Option<Arc<Access>>,
    /// What of each client routes take.
    pub route_rates: Arc<RouteRates>,
}

impl Rules {
    /// Those of these settings. What was counted `before` still counts while what is counted is the same.
    pub fn of(config: Arc<Config>, before: Option<&Self>) -> Self {
        let asked = before.map(|before| (&before.config.access, before.access.as_deref()));
        let access = Access::of(&config.access, asked);
        let route_rates = RouteRates::of(&config, before.map(|before| &*before.route_rates));
        Self { config, access, route_rates: Arc::new(route_rates) }
    }
}
