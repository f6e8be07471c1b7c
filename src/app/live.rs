//! The running system, and how it becomes another one without losing anything.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use socket2::Socket;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, spawn_local};
use tracing::{info, warn};

use crate::config::{Address, Config, Listener};
use crate::connect::{Ways, aside};
use crate::control::{AdminDoor, Intent, Outcome, Refusal};
use crate::proxy::Rules;
use crate::server::{Bound, LoadedTls, Opened, Order, SocketFile, Team, Tls};
use crate::snapshot::Settings;
use crate::telemetry::{self, Report, Seen};

use super::prepare::{Admin, Prepared, Present};
use super::roster::{Roster, Told};
use super::succession::Predecessor;

/// What runs, as far as it can change.
pub(super) struct Live {
    roster: Rc<Roster>,
    rules: RefCell<Rules>,
    tls: RefCell<Option<WatchedTls>>,
    /// In the order of the listeners of the settings.
    opened: RefCell<Vec<Arc<Opened>>>,
    /// Of listeners that are Unix sockets, and of the admin API.
    files: RefCell<Vec<SocketFile>>,
    admin_file: RefCell<Option<SocketFile>>,
    /// To be lent.
    admin_socket: RefCell<Option<Socket>>,
    team: Arc<Team>,
    orders: Vec<mpsc::Sender<Order>>,
    /// What each worker said last of what it has counted.
    reported: RefCell<Vec<Report>>,
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
        bound: &mut [Bound],
        team: Arc<Team>,
        orders: Vec<mpsc::Sender<Order>>,
        admin: mpsc::Sender<AdminDoor>,
    ) -> Self {
        Self {
            roster,
            settings: watch::Sender::new(settings),
            rules: RefCell::new(rules),
            tls: RefCell::new(tls.map(WatchedTls::start)),
            opened: RefCell::new(bound.iter().map(|bound| Arc::clone(&bound.opened)).collect()),
            files: RefCell::new(bound.iter_mut().filter_map(Bound::take_file).collect()),
            admin_file: RefCell::default(),
            admin_socket: RefCell::default(),
            team,
            reported: RefCell::new(vec![Report::default(); orders.len()]),
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
        let (config, opened) = (self.config(), self.opened.borrow());
        let listeners = config.listeners.iter().zip(&*opened);
        // What is open may have had another name before.
        let named = |(listener, opened): (&Listener, &Arc<Opened>)| Listener {
            name: Arc::clone(&listener.name),
            ..opened.listener.clone()
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
        stopping: watch::Receiver<Option<Duration>>,
    ) -> Result<Outcome, Refusal> {
        let present = self.present();
        let (config, later) = without_what_stays(config, &present.config);
        if config == *present.config && self.has_current_files().await {
            if intent == Intent::Force {
                tell_later(&later);
            }
            return Ok(if later.is_empty() { Outcome::Unchanged } else { Outcome::Waiting(later) });
        }
        // Files and names take their time, and with one worker this is its thread, too.
        let prepared =
            aside(move || Prepared::from(Arc::new(config), Some(&present), &Predecessor::default()));
        let mut prepared = prepared.await.map_err(|undone| Refusal::Unfit(undone.into()))??;
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
            tell_later(&later);
            self.put_in_force(prepared).await;
        }
        Ok(if later.is_empty() { Outcome::Changed } else { Outcome::Later(later) })
    }

    /// Whether the files for TLS to backends, which nobody watches, are those that were read.
    async fn has_current_files(&self) -> bool {
        let ways = self.roster.ways();
        aside(move || ways.iter().all(Ways::are_current)).await.unwrap_or(false)
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

    /// The last requests of all workers.
    pub(super) async fn recall(self: Rc<Self>) -> Vec<Seen> {
        self.ask(Order::Recall).await.into_iter().flatten().flatten().collect()
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
        let (config, opened) = (self.config(), self.opened.borrow().clone());
        let mut all: Vec<(String, Vec<Socket>)> = Vec::new();
        let addresses = config.listeners.iter().map(|listener| listener.address.to_string());
        for (address, opened) in addresses.zip(&opened) {
            let own = lent.extract_if(.., |(known, _)| Arc::ptr_eq(known, opened));
            all.push((address, own.map(|(_, socket)| socket).collect()));
        }
        if let (Some(admin), Some(socket)) = (&config.admin, &*self.admin_socket.borrow()) {
            all.push((admin.address.to_string(), vec![socket.try_clone()?]));
        }
        // Where somebody removed the file of a socket no client comes any more; it has to be made anew.
        let lost = self.lost_places();
        all.retain(|(address, _)| lost.iter().all(|lost| *address != lost.to_string()));
        Ok(all)
    }

    /// The files of Unix sockets are ours to remove from now on, or another process's.
    pub(super) fn own_files(&self, ours: bool) {
        self.files.borrow().iter().for_each(|file| file.is_ours(ours));
        self.admin_file.borrow().iter().for_each(|file| file.is_ours(ours));
    }

    /// Where a Unix socket is, nobody comes any more. Before it is closed, for who starts in our place takes one that is closed
    /// for a leftover, and may be given its file's number for its own.
    pub(super) fn remove_files(&self) {
        self.files.borrow_mut().clear();
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

    /// Without the places whose files others removed: nobody comes there any more, so they are to be made anew.
    fn present(&self) -> Present {
        let (mut config, mut opened) = (self.config(), self.opened.borrow().clone());
        let lost = self.lost_places();
        let is_lost = |address: &Address| lost.contains(address);
        if !lost.is_empty() {
            let without = Arc::make_mut(&mut config);
            without.listeners.retain(|listener| !is_lost(&listener.address));
            without.admin.take_if(|admin| is_lost(&admin.address));
            opened.retain(|opened| !is_lost(&opened.listener.address));
        }
        let tls = self.tls.borrow().as_ref().map(|watched| Arc::clone(&watched.tls));
        Present { config, tls, opened }
    }

    /// Where the file of a Unix socket is no longer there, or is another one.
    fn lost_places(&self) -> Vec<Address> {
        let (files, admin_file) = (self.files.borrow(), self.admin_file.borrow());
        let lost = files.iter().chain(&*admin_file).filter(|file| !file.is_there());
        lost.map(|file| Address::Unix(file.path().into())).collect()
    }

    async fn put_in_force(&self, prepared: Prepared) {
        let Prepared { settings, ways, tls, renewal, kept, changed, mut bound, admin, .. } = prepared;
        let config = Arc::clone(&settings.config);
        match (&admin, &self.config().admin) {
            (Admin::Kept, _) | (_, None) => {}
            (Admin::Bound(bound), Some(before)) if bound.opened.listener.address == before.address => {
                warn!("the file of {} was removed: it is made anew", before.address);
            }
            (Admin::Bound(_) | Admin::Closed, Some(before)) => {
                info!("the admin API is no longer on {}", before.address);
            }
        }
        self.change_admin(admin).await;
        let orders = self.change_listeners(kept, &changed, &mut bound);
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

    /// For each worker, what it has to open, change and close.
    fn change_listeners(
        &self,
        kept: Vec<Option<Arc<Opened>>>,
        changed: &[(Arc<Opened>, Arc<Opened>)],
        bound: &mut [Bound],
    ) -> Vec<Vec<Order>> {
        let mut fresh = bound.iter().map(|bound| Arc::clone(&bound.opened)).collect::<Vec<_>>().into_iter();
        let opened: Vec<_> = kept.into_iter().filter_map(|kept| kept.or_else(|| fresh.next())).collect();
        let before = self.opened.replace(opened.clone());
        let stays = |known: &Arc<Opened>| {
            let mut all = opened.iter().chain(changed.iter().map(|(old, _)| old));
            all.any(|opened| Arc::ptr_eq(opened, known))
        };
        let closed: Vec<_> = before.into_iter().filter(|known| !stays(known)).collect();
        let is_anew = |opened: &Arc<Opened>| {
            bound.iter().any(|bound| bound.opened.listener.address == opened.listener.address)
        };
        for lost in closed.iter().filter(|closed| is_anew(closed)) {
            warn!("the file of {} was removed: it is made anew", lost.listener.address);
        }
        bound.iter().for_each(|bound| info!("listening on {}", bound.opened.listener));
        changed.iter().for_each(|(_, new)| info!("listening on {} in its place", new.listener));
        let gone = closed.iter().filter(|closed| !is_anew(closed));
        gone.for_each(|closed| info!("no longer listening on {}", closed.listener));
        self.keep_files(&opened, bound);
        let workers = self.orders.len();
        let orders = (0..workers).map(|index| {
            let open = bound.iter_mut().flat_map(|bound| bound.take(workers - index));
            let open = open.map(|(opened, socket)| Order::Open(opened, socket));
            let change = changed.iter().map(|(old, new)| Order::Change(Arc::clone(old), Arc::clone(new)));
            let close = closed.iter().map(|closed| Order::Close(Arc::clone(closed)));
            open.chain(change).chain(close).collect()
        });
        orders.collect()
    }

    /// The files of Unix sockets that are no longer open go. Where one is made anew, the one before was lost.
    fn keep_files(&self, opened: &[Arc<Opened>], bound: &mut [Bound]) {
        let mut files = self.files.borrow_mut();
        let is_at = |opened: &Arc<Opened>, file: &SocketFile| match &opened.listener.address {
            Address::Unix(path) => **path == *file.path(),
            Address::Ip(_) => false,
        };
        let is_anew = |file: &SocketFile| bound.iter().any(|bound| is_at(&bound.opened, file));
        files.retain(|file| opened.iter().any(|opened| is_at(opened, file)) && !is_anew(file));
        files.extend(bound.iter_mut().filter_map(Bound::take_file));
    }

    /// Lets callers of the admin API in elsewhere, or nowhere.
    pub(super) async fn change_admin(&self, admin: Admin) {
        let (door, file) = match admin {
            Admin::Kept => return,
            Admin::Closed => (None, None),
            Admin::Bound(mut bound) => {
                info!("admin API on {}", bound.opened.listener);
                let socket = bound.take(1).next().map(|(_, socket)| socket);
                (socket, bound.take_file())
            }
        };
        *self.admin_file.borrow_mut() = file;
        *self.admin_socket.borrow_mut() = door.as_ref().and_then(|socket| socket.try_clone().ok());
        // Without anybody there, there is nobody to ask, either.
        let _ = self.admin.send(door).await;
    }

    fn change_tls(&self, tls: Option<Arc<Tls>>, renewal: Option<LoadedTls>) {
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
    let later = config.waiting(present);
    config.keep_workers(present.workers);
    config.access_log.clone_from(&present.access_log);
    (config, later)
}

fn tell_later(later: &[&'static str]) {
    later.iter().for_each(|name| warn!("{name}: the change takes effect at the next start"));
}
