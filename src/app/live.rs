//! The running system, and how it becomes another one without losing anything.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, spawn_blocking, spawn_local};
use tracing::{info, warn};

use crate::config::{Config, Listener};
use crate::control::{AdminDoor, Intent, Outcome};
use crate::proxy::Rules;
use crate::server::{Bound, Opened, Order, Team, Tls};
use crate::snapshot::Settings;
use crate::telemetry::{self, Report};

use super::StartError;
use super::prepare::{Admin, Prepared, Present};
use super::roster::Roster;

/// What runs, as far as it can change.
pub(super) struct Live {
    roster: Rc<Roster>,
    rules: RefCell<Rules>,
    tls: RefCell<Option<WatchedTls>>,
    /// In the order of the listeners of the settings.
    opened: RefCell<Vec<Arc<Opened>>>,
    team: Arc<Team>,
    orders: Vec<mpsc::Sender<Order>>,
    settings: watch::Sender<Arc<Settings>>,
    admin: mpsc::Sender<AdminDoor>,
}

/// TLS with clients, and the task that renews its certificates.
struct WatchedTls {
    tls: Arc<Tls>,
    watch: AbortHandle,
}

impl WatchedTls {
    fn start(tls: Arc<Tls>) -> Self {
        let watch = spawn_local(Arc::clone(&tls).watch()).abort_handle();
        Self { tls, watch }
    }
}

impl Drop for WatchedTls {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Live {
    /// What was just started.
    pub(super) fn of(
        roster: Rc<Roster>,
        (settings, rules): (Arc<Settings>, Rules),
        tls: Option<Arc<Tls>>,
        opened: Vec<Arc<Opened>>,
        team: Arc<Team>,
        orders: Vec<mpsc::Sender<Order>>,
        admin: mpsc::Sender<AdminDoor>,
    ) -> Self {
        Self {
            roster,
            settings: watch::Sender::new(settings),
            rules: RefCell::new(rules),
            tls: RefCell::new(tls.map(WatchedTls::start)),
            opened: RefCell::new(opened),
            team,
            orders,
            admin,
        }
    }

    /// How many clients each worker has.
    pub(super) fn clients(&self) -> Vec<usize> {
        (0..self.orders.len()).map(|worker| self.team.clients(worker)).collect()
    }

    /// The listeners that are open.
    pub(super) fn listeners(&self) -> Vec<Listener> {
        self.opened.borrow().iter().map(|opened| opened.listener.clone()).collect()
    }

    /// The settings in force.
    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.rules.borrow().config)
    }

    /// The settings in force, now and whenever they change.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.subscribe()
    }

    /// Puts other settings in force, or finds out whether it could. All that can fail is done before anything changes.
    /// Only one change at a time may be under way.
    ///
    /// # Errors
    /// They cannot be put in force, and the present ones stay.
    pub(super) async fn apply(self: Rc<Self>, config: Config, intent: Intent) -> Result<Outcome, StartError> {
        let present = self.present();
        let (config, later) = without_what_stays(config, &present.config);
        if config == *present.config {
            if intent == Intent::Force {
                tell_later(&later);
            }
            return Ok(if later.is_empty() { Outcome::Unchanged } else { Outcome::Later(later) });
        }
        // Files and names take their time, and with one worker this is its thread, too.
        let prepared = spawn_blocking(move || {
            let prepared = Prepared::from(Arc::new(config), Some(&present))?;
            if intent == Intent::Force {
                prepared.listen()?;
            }
            Ok(prepared)
        });
        let prepared = prepared.await.unwrap_or_else(|error| Err(StartError::System(error.into())))?;
        if intent == Intent::Force {
            tell_later(&later);
            self.roster.meet(&prepared.settings.config).await;
            self.put_in_force(prepared).await;
        }
        Ok(if later.is_empty() { Outcome::Changed } else { Outcome::Later(later) })
    }

    /// What the workers have counted, all together.
    pub(super) async fn report(self: Rc<Self>) -> Report {
        let mut all = Report::default();
        for worker in &self.orders {
            let (to, report) = oneshot::channel();
            // One that has ended says nothing any more.
            if worker.send(Order::Report(to)).await.is_ok()
                && let Ok(report) = report.await
            {
                all.join(report);
            }
        }
        all
    }

    fn present(&self) -> Present {
        Present {
            config: self.config(),
            tls: self.tls.borrow().as_ref().map(|watched| Arc::clone(&watched.tls)),
            opened: self.opened.borrow().clone(),
        }
    }

    async fn put_in_force(&self, prepared: Prepared) {
        let Prepared { settings, ways, tls, renewal, kept, mut bound, admin } = prepared;
        let config = Arc::clone(&settings.config);
        self.change_admin(admin).await;
        let orders = self.change_listeners(kept, &mut bound);
        self.change_tls(tls, renewal);
        // Without a pause between them, so that no snapshot has pools of the one and backends of the other.
        self.roster.adopt(Arc::clone(&config), ways);
        self.settings.send_replace(settings);
        let rules = Rules::of(config, Some(&self.rules.borrow()));
        *self.rules.borrow_mut() = rules.clone();
        self.team.adopt(&rules.config);
        telemetry::set_level(rules.config.log_level);
        for (worker, own) in self.orders.iter().zip(orders) {
            // One that has ended needs no orders.
            for order in [Order::Adopt(rules.clone())].into_iter().chain(own) {
                let _ = worker.send(order).await;
            }
        }
    }

    /// For each worker, what it has to open and close.
    fn change_listeners(&self, kept: Vec<Option<Arc<Opened>>>, bound: &mut [Bound]) -> Vec<Vec<Order>> {
        let mut fresh = bound.iter().map(|bound| Arc::clone(&bound.opened)).collect::<Vec<_>>().into_iter();
        let opened: Vec<_> = kept.into_iter().filter_map(|kept| kept.or_else(|| fresh.next())).collect();
        let before = self.opened.replace(opened.clone());
        let gone = |known: &Arc<Opened>| !opened.iter().any(|opened| Arc::ptr_eq(opened, known));
        let closed: Vec<_> = before.into_iter().filter(gone).collect();
        bound.iter().for_each(|bound| info!("listening on {}", bound.opened.listener));
        closed.iter().for_each(|closed| info!("no longer listening on {}", closed.listener));
        let orders = self.orders.iter().map(|_| {
            let open = bound.iter_mut().filter_map(Bound::take);
            let open = open.map(|(opened, socket)| Order::Open(opened, socket));
            open.chain(closed.iter().map(|closed| Order::Close(Arc::clone(closed)))).collect()
        });
        orders.collect()
    }

    /// Lets callers of the admin API in elsewhere, or nowhere.
    pub(super) async fn change_admin(&self, admin: Admin) {
        let door = match admin {
            Admin::Kept => return,
            Admin::Closed => None,
            Admin::Bound(mut bound) => {
                info!("admin API on {}", bound.opened.listener);
                bound.take().map(|(_, socket)| socket)
            }
        };
        // Without anybody there, there is nobody to ask, either.
        let _ = self.admin.send(door).await;
    }

    fn change_tls(&self, tls: Option<Arc<Tls>>, renewal: Option<crate::server::LoadedTls>) {
        let mut watched = self.tls.borrow_mut();
        match (tls, watched.as_ref()) {
            (Some(tls), Some(known)) if Arc::ptr_eq(&tls, &known.tls) => {
                if let Some(renewal) = renewal {
                    tls.adopt(renewal);
                }
            }
            (tls, _) => *watched = tls.map(WatchedTls::start),
        }
    }
}

/// The settings as far as they can be put in force now, and the names of those that wait for the next start.
fn without_what_stays(mut config: Config, present: &Config) -> (Config, Vec<&'static str>) {
    let mut later = Vec::new();
    if config.workers != present.workers {
        later.push("workers");
        config.workers = present.workers;
    }
    if config.access_log != present.access_log {
        later.push("access_log");
        config.access_log.clone_from(&present.access_log);
    }
    (config, later)
}

fn tell_later(later: &[&'static str]) {
    later.iter().for_each(|name| warn!("{name}: the change takes effect at the next start"));
}
