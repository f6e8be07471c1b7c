//! A worker: one core, one runtime, its own listening socket, its own idle connections.

use std::hint::black_box;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::yield_now;

use crate::backends::Registry;
use crate::connect::Chores;
use crate::proxy::{Leaving, Rules, Shared, Stop, millis};
use crate::snapshot::Snapshot;
use crate::telemetry::{Report, Seen, access_log};

use super::house::{House, Lent};
use super::opened::Opened;
use super::team::{Handed, Team};

/// Milliseconds between two looks at what is idle.
const SWEEP_EVERY: u64 = 1000;
/// Milliseconds for a snapshot to come that goes with other settings: it is there many times as quick.
const PATIENCE: u64 = 5000;
/// Milliseconds between two looks at whether all clients are gone.
const DRAIN_LOOK: u64 = 10;

/// Bytes of a piece of memory that the allocator does not have at hand, and how often it is asked for one.
const LARGE: usize = 64 << 10;
const ASKED: usize = 500;

/// What a worker starts with.
#[derive(Debug)]
pub struct Worker {
    /// Its place in the team.
    pub index: usize,
    /// The settings.
    pub rules: Rules,
    /// Its listening sockets.
    pub sockets: Vec<(Arc<Opened>, socket2::Socket)>,
    /// What it is to do meanwhile.
    pub orders: mpsc::Receiver<Order>,
    /// Where evidence goes.
    pub registry: &'static Registry,
    /// What it is told meanwhile.
    pub news: News,
    /// Its end of the access log.
    pub access_log: Option<access_log::Buffer>,
    /// The other workers.
    pub team: Arc<Team>,
    /// Clients that others hand to it.
    pub inbox: mpsc::Receiver<Handed>,
    /// Where it says of which revision of the registry the snapshot is that its requests read. It is dropped when it ends.
    pub as_of: watch::Sender<u64>,
}

/// What the control thread tells the workers.
#[derive(Clone, Debug)]
pub struct News {
    /// The newest snapshot.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// When the process is to stop, and how, from the last change on.
    pub stop: watch::Receiver<Option<Stop>>,
    /// Turns true when the process is to stop without waiting for any request.
    pub cut: watch::Receiver<bool>,
    /// Changes whenever the worker's clock is to move on.
    pub ticks: watch::Receiver<()>,
}

/// What a worker is told to do while it works.
#[derive(Debug)]
pub enum Order {
    /// Go by other settings.
    Adopt(Rules),
    /// Do what follows once requests go by this revision of the registry, and by the settings that came with it.
    Await(u64),
    /// Clients of whom more is asked than when they came are to go.
    Part,
    /// Accept clients here, too.
    Open(Arc<Opened>, socket2::Socket),
    /// Say what was counted.
    Report(oneshot::Sender<Report>),
    /// Say what the last requests were.
    Recall(oneshot::Sender<Vec<Seen>>),
    /// Whoever comes to the first finds the second from now on.
    Change(Arc<Opened>, Arc<Opened>),
    /// Accept no more clients here; those who came are to go when they have their answers.
    Close(Arc<Opened>),
    /// Say where clients come, with sockets for another process.
    Lend(oneshot::Sender<io::Result<Lent>>),
}

impl Worker {
    /// Works until a stop. Gives the number of connections that were left. It has chores, and if one of them falls, tells so and ends:
    /// what goes on without it would be served by half a worker.
    pub(super) async fn run(self, chores: &Chores, fell: impl FnOnce()) -> usize {
        let Self { index, rules, team, news, .. } = self;
        let News { mut snapshots, mut stop, mut cut, ticks } = news;
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        let shared = Rc::new(Shared::new(&rules, snapshot, self.registry, self.access_log));
        let house = Rc::new(House::new(Rc::clone(&shared), Arc::clone(&team), index, chores.clone()));
        self.sockets.into_iter().for_each(|(opened, socket)| house.open(opened, socket));
        chores.begin(keep_time(Rc::clone(&shared), Arc::clone(&team), ticks));
        let mut known = self.as_of.subscribe();
        chores.begin(keep_up(Rc::clone(&shared), snapshots, self.as_of));
        let outbox = Rc::clone(shared.view().outbox());
        chores.begin(async move { outbox.deliver().await });
        let take_in = chores.begin(take_in(Rc::clone(&house), self.inbox, stop.clone()));
        // It ends at a stop, or when whoever could ask for one is gone as well.
        let mut orders = self.orders;
        let stopped = async {
            obey((&house, &mut known), &mut orders, &mut stop).await;
            // Before those in the queues are taken: they may need the files of who goes.
            begin_to_stop(&shared, &mut stop);
            tokio::select! {
                () = house.close_all() => {}
                Ok(_) = cut.wait_for(|cut| *cut) => {}
            }
            // Nobody hands a client over from here on: who is seated here is all that is waited for.
            let _ = take_in.await;
            while team.clients(index) > 0 && shared.has_time() && !*cut.borrow() {
                tokio::select! {
                    Ok(_) = cut.wait_for(|cut| *cut) => {}
                    Ok(()) = stop.changed() => begin_to_stop(&shared, &mut stop),
                    Some(order) = orders.recv() => account(&shared, order),
                    () = shared.clock.sleep(DRAIN_LOOK) => {}
                }
            }
        };
        tokio::select! {
            biased;
            () = chores.fallen() => {
                fell();
                shared.drain(Leaving::Stopped, 0);
            }
            () = stopped => {}
        }
        let left = team.clients(index);
        // A turn for each, so that no answer whose end is that of its connection looks complete. The rest ends with the runtime;
        // the access log is flushed when the last of it has.
        for _ in 0..shared.cut() {
            yield_now().await;
        }
        // Before its orders are dropped, which is how who asks finds out that it has ended.
        team.leave(index, shared.tally.report());
        left
    }
}

/// Lets running requests finish.
fn begin_to_stop(shared: &Shared, stop: &mut watch::Receiver<Option<Stop>>) {
    // Nobody who could ask for a stop, or wait for it, is left where none was asked for.
    let Stop { leaving, time } =
        stop.borrow_and_update().unwrap_or(Stop { leaving: Leaving::Stopped, time: Duration::ZERO });
    shared.drain(leaving, millis(time));
}

/// Does what it is told to, until a stop; then what it was told before, for clients may wait where it is to open.
async fn obey(
    (house, known): (&House, &mut watch::Receiver<u64>),
    orders: &mut mpsc::Receiver<Order>,
    stop: &mut watch::Receiver<Option<Stop>>,
) {
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(Option::is_some) => break,
            Some(order) = orders.recv() => follow(house, known, order).await,
        }
    }
    while let Ok(order) = orders.try_recv() {
        follow(house, known, order).await;
    }
}

async fn follow(house: &House, known: &mut watch::Receiver<u64>, order: Order) {
    match order {
        Order::Adopt(rules) => house.shared.adopt(&rules),
        Order::Await(as_of) => tokio::select! {
            // Who tells it has fallen with the worker if it is an error.
            _ = known.wait_for(|known| *known >= as_of) => {}
            () = house.shared.clock.sleep(PATIENCE) => {}
        },
        Order::Part => drop(house.shared.clock.wake_all()),
        Order::Report(_) | Order::Recall(_) => account(&house.shared, order),
        Order::Open(opened, socket) => house.open(opened, socket),
        Order::Change(old, new) => house.change(&old, new),
        Order::Close(opened) => house.close(&opened),
        Order::Lend(to) => drop(to.send(house.lend())),
    }
}

/// Says what was, which a worker does to its end. Of what is to be no order counts any more then.
fn account(shared: &Shared, order: Order) {
    match order {
        // Who asked may have lost patience.
        Order::Report(to) => drop(to.send(shared.tally.report())),
        Order::Recall(to) => drop(to.send(shared.tally.recent().borrow().all())),
        _ => {}
    }
}

/// Moves the clock on, and does what is to be done now and then.
async fn keep_time(shared: Rc<Shared>, team: Arc<Team>, mut ticks: watch::Receiver<()>) {
    let mut swept = 0;
    while ticks.changed().await.is_ok() {
        shared.clock.advance();
        shared.make_room();
        team.tell_of_turned_away(shared.clock.instant());
        // By its age, for after a standstill there may be more to do at once.
        if shared.clock.age() - swept >= SWEEP_EVERY {
            swept = shared.clock.age();
            shared.sweep_idle();
            shared.clock.shrink();
            shared.sweep_rates();
            if shared.has_freed() {
                remind_the_allocator();
            }
            if let Some(log) = &shared.access_log {
                log.flush();
                log.tell_of_dropped(shared.clock.instant());
            }
        }
    }
}

/// The allocator gives freed memory back to the system a second later, but looks at the time only now and then when it is asked
/// for a large piece: at one call of a thousand. A worker whose clients are all idle asks for nothing, so what they gave
/// up at parking would be kept for nobody.
fn remind_the_allocator() {
    for _ in 0..ASKED {
        drop(black_box(Vec::<u8>::with_capacity(LARGE)));
    }
}

/// Gives requests the newest snapshot, and then says so: a request picks its first backend in the turn in which it begins, so
/// each that goes by an older one is under way at its backend by then.
async fn keep_up(
    shared: Rc<Shared>,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    as_of: watch::Sender<u64>,
) {
    loop {
        as_of.send_replace(shared.view().snapshot.as_of);
        if snapshots.changed().await.is_err() {
            return;
        }
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        shared.publish(snapshot);
    }
}

/// Serves the clients that other workers hand over. At a stop it takes those that are on their way, and no others.
async fn take_in(
    house: Rc<House>,
    mut inbox: mpsc::Receiver<Handed>,
    mut stop: watch::Receiver<Option<Stop>>,
) {
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(Option::is_some) => break,
            Some(handed) = inbox.recv() => house.take(handed),
        }
    }
    inbox.close();
    while let Some(handed) = inbox.recv().await {
        house.take(handed);
    }
}

#[cfg(test)]
mod tests;
