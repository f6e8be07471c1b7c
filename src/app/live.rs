//! The running system, and how it becomes another one without losing anything.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use socket2::Socket;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tracing::{info, warn};

use crate::config::{Address, Config, Listener};
use crate::connect::{Chores, SystemAuthorities, aside};
use crate::control::{AdminDoor, Intent, Outcome, Refusal, SourceState};
use crate::proxy::{Rules, Stop};
use crate::server::{Bound, LoadedTls, Opened, Order, Team, Tls};
use crate::snapshot::Settings;
use crate::telemetry::{self, Report, Seen};

use super::places::{Coming, Place, Stays};
use super::prepare::{Before, Prepared, Present};
use super::renewal;
use super::roster::{Kept, Roster, Told};

/// What runs, as far as it can change.
pub(super) struct Live {
    roster: Rc<Roster>,
    chores: Chores,
    rules: RefCell<Rules>,
    tls: RefCell<Option<WatchedTls>>,
    /// In the order of the settings.
    listeners: RefCell<Vec<Place>>,
    /// With a socket that can be lent.
    admin: RefCell<Option<(Place, Option<Socket>)>>,
    team: Arc<Team>,
    orders: Vec<mpsc::Sender<Order>>,
    /// What each worker said last of what it has counted.
    reported: RefCell<Vec<Report>>,
    settings: watch::Sender<Arc<Settings>>,
    /// Where callers of the admin API are let in.
    callers: mpsc::Sender<AdminDoor>,
}

/// TLS with clients, and the task that renews its certificates.
struct WatchedTls {
    tls: Arc<Tls>,
    watch: AbortHandle,
}

impl WatchedTls {
    fn start(tls: Arc<Tls>, (chores, workers): (&Chores, &[mpsc::Sender<Order>])) -> Self {
        let watch = chores.begin(Arc::clone(&tls).watch(workers.to_vec())).abort_handle();
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
        (roster, chores): (Rc<Roster>, &Chores),
        (settings, rules): (Arc<Settings>, Rules),
        tls: Option<Arc<Tls>>,
        listeners: Vec<Place>,
        (team, orders): (Arc<Team>, Vec<mpsc::Sender<Order>>),
        callers: mpsc::Sender<AdminDoor>,
    ) -> Rc<Self> {
        chores.begin(renewal::watch(Rc::clone(&roster)));
        Rc::new(Self {
            roster,
            chores: chores.clone(),
            settings: watch::Sender::new(settings),
            rules: RefCell::new(rules),
            tls: RefCell::new(tls.map(|tls| WatchedTls::start(tls, (chores, &orders)))),
            listeners: RefCell::new(listeners),
            admin: RefCell::default(),
            team,
            reported: RefCell::new(vec![Report::default(); orders.len()]),
            orders,
            callers,
        })
    }

    /// The tasks of its thread.
    pub(super) fn chores(&self) -> &Chores {
        &self.chores
    }

    /// How many clients each worker has.
    pub(super) fn clients(&self) -> Vec<usize> {
        (0..self.orders.len()).map(|worker| self.team.clients(worker)).collect()
    }

    /// The listeners that are open.
    pub(super) fn listeners(&self) -> Vec<Listener> {
        let (config, open) = (self.config(), self.listeners.borrow());
        let listeners = config.listeners.iter().zip(&*open);
        // What is open may have had another name before.
        let named = |(listener, place): (&Listener, &Place)| Listener {
            name: Arc::clone(&listener.name),
            ..place.opened.listener.clone()
        };
        listeners.map(named).collect()
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
    /// They cannot be put in force, or a stop has begun meanwhile, and the present ones stay.
    pub(super) async fn apply(
        self: Rc<Self>,
        config: Config,
        intent: Intent,
        stopping: watch::Receiver<Option<Stop>>,
    ) -> Result<Outcome, Refusal> {
        let present = self.present();
        let (config, later) = without_what_stays(config, &present.config);
        let is_same = config == *present.config && self.has_current_files().await;
        let same = if later.is_empty() { Outcome::Unchanged } else { Outcome::Waiting(later.clone()) };
        // A place that is lost is to be made anew, though that is no change of the settings.
        if is_same && (intent == Intent::Trial || !present.has_lost_one()) {
            if intent == Intent::Force {
                tell_later(&later);
            }
            return Ok(same);
        }
        // What is made anew alone leaves the settings those that they were, also for who watches them.
        let config = if is_same { Arc::clone(&present.config) } else { Arc::new(config) };
        // Files and names take their time, and with one worker this is its thread, too.
        let prepared = aside(move || Prepared::from(config, Before::Present(&present)));
        let mut prepared = prepared.await.map_err(|undone| Refusal::Unfit(undone.into()))??;
        if is_same && !prepared.opens_any() {
            tell_later(&later);
            // Nothing else was asked for, so it was not done.
            return prepared.into_lost().map_or(Ok(same), |error| Err(error.into()));
        }
        let config = &prepared.settings.config;
        self.roster.meet(config).await;
        // Workers that stop would open a new listener for nobody.
        let stopping = stopping.borrow().is_some();
        let checked =
            if stopping { Err(Refusal::Stopping) } else { self.roster.check(config).map_err(Refusal::from) };
        if intent == Intent::Trial || checked.is_err() {
            self.roster.forget_others();
        }
        checked?;
        if intent == Intent::Force {
            // From here on clients may come, and nothing is waited for that could keep them waiting.
            prepared.listen().inspect_err(|_| self.roster.forget_others())?;
            prepared.tell_lost();
            tell_later(&later);
            self.put_in_force(prepared).await;
        }
        Ok(if later.is_empty() { Outcome::Changed } else { Outcome::Later(later) })
    }

    /// Whether the files for TLS to backends are those that were read: who watches them does not do so all the time, and knows nothing
    /// of those of the system.
    async fn has_current_files(&self) -> bool {
        let (_, ways) = self.roster.current();
        let are_current = move || {
            let system = SystemAuthorities::default();
            ways.iter().all(|ways| ways.are_current(&system))
        };
        aside(are_current).await.unwrap_or(false)
    }

    /// What the workers have counted, all together. What one counted that has ended still counts; of one that panicked, what it
    /// said before.
    pub(super) async fn report(self: Rc<Self>) -> Report {
        let said = self.ask(Order::Report).await;
        let (mut all, mut reported) = (Report::default(), self.reported.borrow_mut());
        for ((worker, report), said) in reported.iter_mut().enumerate().zip(said) {
            if let Some(said) = said.or_else(|| self.team.last_words(worker).cloned()) {
                *report = said;
            }
            all.join(report);
        }
        all
    }

    /// The files of the certificates that clients are shown, and when each ends.
    pub(super) fn certificates(&self) -> BTreeMap<PathBuf, SystemTime> {
        self.tls.borrow().as_ref().map(|watched| watched.tls.ends()).unwrap_or_default()
    }

    /// Certificates for clients stay what they are: nobody comes any more who would be shown them.
    pub(super) fn renew_no_certificates(&self) {
        self.tls.borrow().iter().for_each(|watched| watched.watch.abort());
    }

    /// The last requests of all workers.
    pub(super) async fn recall(self: Rc<Self>) -> Vec<Seen> {
        self.ask(Order::Recall).await.into_iter().flatten().flatten().collect()
    }

    /// Asks the sources of the settings in force also when others are, until what this gives is dropped.
    pub(super) fn keep_sources(&self) -> Kept {
        self.roster.keep()
    }

    /// How the sources of the settings in force are, pool by pool.
    pub(super) fn source_states(&self) -> Vec<SourceState> {
        self.roster.states()
    }

    /// What sources have told of.
    pub(super) fn told(&self) -> Vec<Told> {
        self.roster.told()
    }

    /// The sockets where clients and callers of the admin API come, by the addresses that the settings give.
    ///
    /// # Errors
    /// There are not enough files for them.
    pub(super) async fn lend(&self) -> io::Result<Vec<(String, Vec<Socket>)>> {
        let lent = self.ask(Order::Lend).await.into_iter().flatten().collect::<io::Result<Vec<_>>>()?;
        let mut lent: Vec<_> = lent.into_iter().flatten().collect();
        let config = self.config();
        let mut all: Vec<(String, Vec<Socket>)> = Vec::new();
        // Where a place is lost no client comes any more; it has to be made anew.
        for (listener, place) in config.listeners.iter().zip(&*self.listeners.borrow()) {
            let own = lent.extract_if(.., |(known, _)| Arc::ptr_eq(known, &place.opened));
            let own = own.map(|(_, socket)| socket).collect();
            if !place.is_lost() {
                all.push((listener.address.to_string(), own));
            }
        }
        if let (Some(admin), Some((place, Some(socket)))) = (&config.admin, &*self.admin.borrow())
            && !place.is_lost()
        {
            all.push((admin.address.to_string(), vec![socket.try_clone()?]));
        }
        Ok(all)
    }

    /// How many sockets those are, which are all open twice meanwhile.
    pub(super) fn lendable(&self) -> usize {
        let (listeners, admin) = (self.listeners.borrow(), self.admin.borrow());
        let places = listeners.iter().chain(admin.iter().map(|(place, _)| place));
        places.map(|place| place.sockets).sum()
    }

    /// The files of Unix sockets are ours to remove from now on, or another process's.
    pub(super) fn own_files(&self, ours: bool) {
        self.listeners.borrow().iter().for_each(|place| place.own_file(ours));
        self.admin.borrow().iter().for_each(|(place, _)| place.own_file(ours));
    }

    /// Where a Unix socket is, nobody comes any more. Before it is closed, for who starts in our place takes one that is closed
    /// for a leftover, and may be given its file's number for its own.
    pub(super) fn remove_files(&self) {
        self.listeners.borrow_mut().iter_mut().for_each(Place::remove_file);
    }

    /// What each worker says when it is asked. One that has ended says nothing any more.
    async fn ask<T>(&self, order: impl Fn(oneshot::Sender<T>) -> Order) -> Vec<Option<T>> {
        let mut said = Vec::new();
        for worker in &self.orders {
            let (to, answer) = oneshot::channel();
            said.push(match worker.send(order(to)).await {
                Ok(()) => answer.await.ok(),
                Err(_) => None,
            });
        }
        said
    }

    fn present(&self) -> Present {
        Present {
            config: self.config(),
            tls: self.tls.borrow().as_ref().map(|watched| Arc::clone(&watched.tls)),
            listeners: self.listeners.borrow().iter().map(Place::look).collect(),
            admin: self.admin.borrow().as_ref().map(|(place, _)| place.look()),
        }
    }

    async fn put_in_force(&self, prepared: Prepared) {
        let Prepared { settings, ways, tls, renewal, listeners, admin, .. } = prepared;
        let config = Arc::clone(&settings.config);
        self.change_admin(admin).await;
        // Without a pause between them, so that no snapshot has pools of the one and backends of the other, and no request goes by new
        // routes whose client met less than is asked now.
        self.roster.adopt(Arc::clone(&config), ways);
        let as_of = self.roster.as_of();
        let asks_more = self.change_tls(tls, renewal, as_of);
        let orders = self.change_listeners(listeners);
        self.settings.send_replace(settings);
        let rules = Rules::of(config, Some(&self.rules.borrow()));
        *self.rules.borrow_mut() = rules.clone();
        self.team.adopt(&rules.config);
        telemetry::set_level(rules.config.log_level);
        for (worker, own) in self.orders.iter().zip(orders) {
            // Who comes where less is asked goes by no old routes, either.
            let first = [Order::Adopt(rules.clone()), Order::Await(as_of)];
            for order in first.into_iter().chain(own).chain(asks_more.then_some(Order::Part)) {
                // One that has ended needs no orders.
                let _ = worker.send(order).await;
            }
        }
    }

    /// For each worker, what it has to open, change and close.
    fn change_listeners(&self, coming: Vec<Coming>) -> Vec<Vec<Order>> {
        let mut before = self.listeners.take();
        let (mut now, mut bound, mut changed, mut lost) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for coming in coming {
            match coming {
                Coming::Stays(stays) => {
                    let is_it = |place: &Place| Arc::ptr_eq(&place.opened, &stays.before);
                    let at = before.iter().position(is_it).expect("what stays is open");
                    now.push(before.remove(at).changed(&stays.after));
                    part_if_more_is_asked(&stays.before, &[&stays.after]);
                    changed.extend(Some(stays).filter(Stays::is_changed));
                }
                Coming::Opens(mut opens, instead) => {
                    now.push(Place::of(&mut opens));
                    instead.iter().for_each(|lost| part_if_more_is_asked(&lost.before, &[&opens.opened]));
                    bound.push(opens);
                    lost.extend(instead.map(|stays| stays.before));
                }
            }
        }
        // Who comes to any of those that are left is asked for a certificate.
        let all: Vec<_> = now.iter().map(|place| &*place.opened).collect();
        before.iter().for_each(|gone| part_if_more_is_asked(&gone.opened, &all));
        self.listeners.replace(now);
        // The files of those that are left go before they are closed.
        let closed: Vec<_> = before.into_iter().map(|place| place.opened).collect();
        lost.iter().for_each(|lost| tell_anew(&lost.listener.address));
        bound.iter().for_each(|bound| info!("listening on {}", bound.opened.listener));
        changed.iter().for_each(|stays| info!("listening on {} in its place", stays.after.listener));
        let gone = closed.iter().filter(|closed| !lost.iter().any(|lost| Arc::ptr_eq(lost, closed)));
        gone.for_each(|closed| info!("no longer listening on {}", closed.listener));
        let workers = self.orders.len();
        let orders = (0..workers).map(|index| {
            let open = bound.iter_mut().flat_map(|bound| bound.take(workers - index));
            let open = open.map(|(opened, socket)| Order::Open(opened, socket));
            let change = changed.iter().map(|stays| (Arc::clone(&stays.before), Arc::clone(&stays.after)));
            let change = change.map(|(before, after)| Order::Change(before, after));
            let close = closed.iter().map(|closed| Order::Close(Arc::clone(closed)));
            open.chain(change).chain(close).collect()
        });
        orders.collect()
    }

    /// Lets callers of the admin API in elsewhere, or nowhere.
    async fn change_admin(&self, coming: Option<Coming>) {
        let (mut bound, lost) = match coming {
            Some(Coming::Stays(_)) => return,
            Some(Coming::Opens(bound, lost)) => (Some(bound), lost),
            None if self.admin.borrow().is_none() => return,
            None => (None, None),
        };
        if let Some(lost) = lost {
            tell_anew(&lost.before.listener.address);
        } else if let Some((before, _)) = &*self.admin.borrow() {
            info!("the admin API is no longer on {}", before.address());
        }
        self.let_callers_in(bound.as_mut()).await;
    }

    /// Lets callers of the admin API in here, or nowhere.
    pub(super) async fn let_callers_in(&self, bound: Option<&mut Bound>) {
        let mut door = None;
        self.admin.replace(bound.map(|bound| {
            info!("admin API on {}", bound.opened.listener);
            let place = Place::of(bound);
            door = bound.take(1).next().map(|(_, socket)| socket);
            (place, door.as_ref().and_then(|socket| socket.try_clone().ok()))
        }));
        // Without anybody there, there is nobody to ask, either.
        let _ = self.callers.send(door).await;
    }

    /// Gives whether more is asked of clients who are connected.
    fn change_tls(&self, tls: Option<Arc<Tls>>, renewal: Option<LoadedTls>, as_of: u64) -> bool {
        let mut watched = self.tls.borrow_mut();
        match (tls, watched.as_ref()) {
            (Some(tls), Some(known)) if Arc::ptr_eq(&tls, &known.tls) => {
                return renewal.is_some_and(|renewal| tls.adopt(renewal, as_of));
            }
            (tls, _) => *watched = tls.map(|tls| WatchedTls::start(tls, (&self.chores, &self.orders))),
        }
        false
    }
}

/// The settings as far as they can be put in force now, and the names of those that wait for the next start.
fn without_what_stays(mut config: Config, present: &Config) -> (Config, Vec<&'static str>) {
    let later = config.waiting(present);
    config.keep_workers(present.workers);
    config.access_log.clone_from(&present.access_log);
    (config, later)
}

/// Lets requests of who came to the first go by no other routes if all of the others ask for certificates.
fn part_if_more_is_asked(before: &Opened, now: &[&Opened]) {
    if now.iter().all(|opened| opened.asks()) {
        before.outdate();
    }
}

fn tell_anew(lost: &Address) {
    warn!("the file of {lost} was removed: it is made anew");
}

fn tell_later(later: &[&'static str]) {
    later.iter().for_each(|name| warn!("{name}: the change takes effect at the next start"));
}
