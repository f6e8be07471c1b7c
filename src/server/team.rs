//! What is known of each worker: how many clients it has, and when it has ended, what it had counted.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::warn;

use crate::config::{Config, Limits, as_written};
use crate::proxy::Error;
use crate::telemetry::{Report, Seldom};

use super::admission::{Admission, Guest, Guests};
use super::opened::Opened;

/// Accepted sockets that may wait for the worker they were handed to.
const INBOX: usize = 1024;
/// A worker hands a client on when it has this many more than the one with the fewest, and a part of theirs.
const SPREAD: usize = 2;
const SPREAD_PART: usize = 16;

/// All workers of the process.
#[derive(Debug)]
pub struct Team {
    members: Vec<Member>,
    total: AtomicUsize,
    most: AtomicUsize,
    /// Clients that were refused and are being told why.
    refused: AtomicUsize,
    most_refused: AtomicUsize,
    admission: RwLock<Option<Arc<Admission>>>,
    /// They stay when a reload asks nothing, for the next one that does.
    guests: Guests,
    /// Clients for whom there was no seat.
    pub(super) turned_away: Seldom,
}

#[derive(Debug)]
struct Member {
    clients: AtomicUsize,
    inbox: mpsc::Sender<Handed>,
    last_words: OnceLock<Report>,
}

/// A client's place at a worker, given back when it is dropped.
#[derive(Debug)]
pub struct Seat {
    team: Arc<Team>,
    worker: usize,
    guest: Option<Guest>,
}

/// A refused client's time to be told why, given back when it is dropped.
#[derive(Debug)]
pub(super) struct LastWord(Arc<Team>);

/// A client on its way to the worker that is to serve it, where it is seated already: that worker does not end before it
/// has come.
#[derive(Debug)]
pub struct Handed {
    pub(super) socket: socket2::Socket,
    pub(super) address: SocketAddr,
    /// Where it came in.
    pub(super) opened: Arc<Opened>,
    pub(super) seat: Seat,
}

impl Team {
    /// A team, and each worker's inbox.
    pub fn new(config: &Config) -> (Arc<Self>, Vec<mpsc::Receiver<Handed>>) {
        let guests = Guests::default();
        let admission = Admission::of(config, &guests);
        Self::of(config.workers.get(), &config.limits, (admission, guests))
    }

    fn of(
        size: usize,
        limits: &Limits,
        (admission, guests): (Option<Arc<Admission>>, Guests),
    ) -> (Arc<Self>, Vec<mpsc::Receiver<Handed>>) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..size).map(|_| mpsc::channel(INBOX)).unzip();
        let member = |inbox| Member { clients: AtomicUsize::new(0), inbox, last_words: OnceLock::new() };
        let members = senders.into_iter().map(member).collect();
        let team = Self {
            members,
            total: AtomicUsize::new(0),
            most: AtomicUsize::new(limits.connections),
            refused: AtomicUsize::new(0),
            most_refused: AtomicUsize::new(limits.refusals),
            admission: RwLock::new(admission),
            guests,
            turned_away: Seldom::default(),
        };
        (Arc::new(team), receivers)
    }

    /// Goes by other settings from now on. Who is seated stays.
    pub fn adopt(&self, config: &Config) {
        self.most.store(config.limits.connections, Ordering::Relaxed);
        self.most_refused.store(config.limits.refusals, Ordering::Relaxed);
        let mut admission = self.admission.write().unwrap_or_else(PoisonError::into_inner);
        *admission = Admission::of(config, &self.guests);
    }

    /// Says now and then how many found no seat at any worker.
    pub(super) fn tell_of_turned_away(&self, now: Instant) {
        self.turned_away.to_say(now).into_iter().for_each(tell_of_turned_away);
    }

    /// Seats a client at a worker, or says why not. One whose address is yet to be told is judged when it is.
    pub(super) fn admit(self: &Arc<Self>, worker: usize, address: Option<IpAddr>) -> Result<Seat, Error> {
        let guest = self.judge(address)?;
        let mut seat = self.seat(worker).ok_or(Error::TooManyConnections)?;
        seat.guest = guest;
        Ok(seat)
    }

    /// Seats a client at a worker; nothing if the house is full.
    pub fn seat(self: &Arc<Self>, worker: usize) -> Option<Seat> {
        if self.total.fetch_add(1, Ordering::Relaxed) >= self.most.load(Ordering::Relaxed) {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        self.members[worker].clients.fetch_add(1, Ordering::Relaxed);
        Some(Seat { team: Arc::clone(self), worker, guest: None })
    }

    fn judge(&self, address: Option<IpAddr>) -> Result<Option<Guest>, Error> {
        let admission = self.admission.read().unwrap_or_else(PoisonError::into_inner);
        match (&*admission, address) {
            (Some(admission), Some(address)) => admission.admit(address),
            _ => Ok(None),
        }
    }

    /// Time to tell a refused client why; nothing if many others are being told, for each of them takes a file.
    pub(super) fn last_word(self: &Arc<Self>) -> Option<LastWord> {
        let last_word = LastWord(Arc::clone(self));
        let before = self.refused.fetch_add(1, Ordering::Relaxed);
        (before < self.most_refused.load(Ordering::Relaxed)).then_some(last_word)
    }

    /// The worker that should serve a client which this worker accepted, if it is another one: the kernel spreads
    /// connections by a hash, and a few long ones can fall on one worker.
    pub fn better_than(&self, worker: usize) -> Option<usize> {
        let (best, least) =
            (0..self.members.len()).map(|index| (index, self.clients(index))).min_by_key(|m| m.1)?;
        (self.clients(worker) >= least + SPREAD + least / SPREAD_PART).then_some(best)
    }

    /// Hands a client, with its seat, to another worker; both come back if that one's inbox is full or closed.
    ///
    /// # Errors
    /// The client.
    pub fn hand_to(&self, worker: usize, mut client: Handed) -> Result<(), Handed> {
        let from = client.seat.worker;
        client.seat.move_to(worker);
        self.members[worker].inbox.try_send(client).map_err(|refused| {
            let mut client = refused.into_inner();
            client.seat.move_to(from);
            client
        })
    }

    /// How many clients a worker has.
    pub fn clients(&self, worker: usize) -> usize {
        self.members[worker].clients.load(Ordering::Relaxed)
    }

    /// A worker ends, and this is what it has counted.
    pub(super) fn leave(&self, worker: usize, report: Report) {
        // It ends once.
        let _ = self.members[worker].last_words.set(report);
    }

    /// What a worker had counted when it ended; nothing if it has not, or panicked.
    pub fn last_words(&self, worker: usize) -> Option<&Report> {
        self.members[worker].last_words.get()
    }
}

impl Seat {
    /// Judges a client whose address was told by a proxy.
    pub(super) fn introduce(&mut self, address: IpAddr) -> Result<(), Error> {
        self.guest = self.team.judge(Some(address))?;
        Ok(())
    }

    /// Time to tell a client why it is refused after all.
    pub(super) fn last_word(&self) -> Option<LastWord> {
        self.team.last_word()
    }

    fn move_to(&mut self, worker: usize) {
        self.team.members[worker].clients.fetch_add(1, Ordering::Relaxed);
        self.team.members[self.worker].clients.fetch_sub(1, Ordering::Relaxed);
        self.worker = worker;
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.turned_away.rest().into_iter().for_each(tell_of_turned_away);
    }
}

fn tell_of_turned_away(count: u64) {
    warn!(
        "clients turned away: {count}; as many are connected as {}, or the limit on open files, allows; \
         raise it, or that limit with `ulimit -n`",
        as_written("--max-connections"),
    );
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.team.members[self.worker].clients.fetch_sub(1, Ordering::Relaxed);
        self.team.total.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.refused.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(size: usize, connections: usize) -> (Arc<Team>, Vec<mpsc::Receiver<Handed>>) {
        Team::of(
            size,
            &Limits {
                header_size: 0,
                headers: 0,
                body: None,
                connections,
                refusals: 1,
                is_chosen: true,
                open_files: 1,
            },
            Default::default(),
        )
    }

    #[test]
    fn so_many_refused_clients_are_told_why_at_one_time_and_no_more() {
        let (team, _inboxes) = team(1, 1);
        let first = team.last_word();
        assert!(first.is_some() && team.last_word().is_none() && team.last_word().is_none());
        drop(first);
        assert!(team.last_word().is_some());
    }

    #[test]
    fn a_worker_with_more_clients_than_the_others_hands_new_ones_on() {
        let (team, _inboxes) = team(2, 100);
        let seats: Vec<_> = (0..2).map(|_| team.seat(0)).collect();
        assert_eq!(team.better_than(0), Some(1));
        assert_eq!(team.better_than(1), None);
        drop(seats);
        assert_eq!(team.better_than(0), None);
    }

    #[test]
    fn a_client_that_is_handed_on_keeps_its_seat_wherever_it_is() {
        let (team, mut inboxes) = team(2, 1);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listener = crate::config::Listener { name: "web".into(), address: address.into(), tls: false };
        let opened = Arc::new(Opened::new(listener.id(), listener, None));
        let handed = || Handed {
            socket: std::net::TcpStream::connect(address).unwrap().into(),
            address,
            opened: Arc::clone(&opened),
            seat: team.seat(0).expect("an empty house"),
        };
        assert!(team.hand_to(1, handed()).is_ok());
        assert_eq!((team.clients(0), team.clients(1)), (0, 1));
        assert!(team.seat(0).is_none(), "the house is full while it is on its way");
        drop(inboxes[1].try_recv());
        inboxes[1].close();
        let back = team.hand_to(1, handed()).expect_err("a worker that ends takes none");
        assert_eq!((team.clients(0), team.clients(1)), (1, 0));
        drop(back);
        assert_eq!((team.clients(0), team.clients(1)), (0, 0));
    }

    #[test]
    fn a_full_house_seats_nobody_until_somebody_leaves() {
        let (team, _inboxes) = team(2, 2);
        let first = team.seat(0);
        let _second = team.seat(1);
        assert!(team.seat(0).is_none());
        drop(first);
        assert!(team.seat(1).is_some());
    }
}
