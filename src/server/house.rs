//! One worker's doors, which open and close while it works.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::connect::{Chores, Socket};
use crate::proxy::Shared;

use super::arrival::{Arrival, Door};
use super::listener::{Queue, Usher};
use super::opened::Opened;
use super::team::{Handed, Team};

/// One worker's doors.
pub(super) struct House {
    pub(super) shared: Rc<Shared>,
    team: Arc<Team>,
    worker: usize,
    chores: Chores,
    open: RefCell<Vec<OpenDoor>>,
    /// Those through which other workers' clients came before we knew of them.
    others: RefCell<Vec<Rc<Door>>>,
}

/// A door, the queue before it, and who accepts clients there.
struct OpenDoor {
    door: Rc<RefCell<Rc<Door>>>,
    queue: Rc<Queue>,
    closing: watch::Sender<bool>,
    usher: JoinHandle<()>,
}

/// Sockets, and who comes there.
pub(super) type Lent = Vec<(Arc<Opened>, socket2::Socket)>;

impl House {
    pub(super) fn new(shared: Rc<Shared>, team: Arc<Team>, worker: usize, chores: Chores) -> Self {
        Self { shared, team, worker, chores, open: RefCell::default(), others: RefCell::default() }
    }

    /// Accepts clients from this socket.
    pub(super) fn open(&self, opened: Arc<Opened>, socket: socket2::Socket) {
        let queue = match Queue::of(socket) {
            Ok(queue) => Rc::new(queue),
            Err(error) => return warn!("{}: worker {} cannot listen: {error}", opened.listener, self.worker),
        };
        let door = Rc::new(RefCell::new(self.own_door_to(opened)));
        let (closing, closed) = watch::channel(false);
        let usher = Usher {
            door: Rc::clone(&door),
            shared: Rc::clone(&self.shared),
            team: Arc::clone(&self.team),
            worker: self.worker,
        };
        let usher = self.chores.begin(usher.accept(Rc::clone(&queue), closed));
        self.open.borrow_mut().push(OpenDoor { door, queue, closing, usher });
    }

    /// Shows who comes to the old one to the new one from now on. The queue stays, so that nobody in it is lost.
    pub(super) fn change(&self, old: &Arc<Opened>, new: Arc<Opened>) {
        old.close();
        let door = self.own_door_to(new);
        for open in self.open.borrow().iter().filter(|open| open.is_to(old)) {
            open.door.replace(Rc::clone(&door)).entrance.close();
        }
        self.part_from_others(old);
    }

    /// Accepts no more clients there.
    pub(super) fn close(&self, opened: &Arc<Opened>) {
        // Another worker may hand us clients who came there before it heard of this.
        opened.close();
        for open in self.open.borrow_mut().extract_if(.., |open| open.is_to(opened)) {
            open.closing.send_replace(true);
            open.door.borrow().entrance.close();
        }
        self.part_from_others(opened);
    }

    /// Those who were handed to us have come to a door that is closed, as all who are connected find when they are woken.
    fn part_from_others(&self, opened: &Arc<Opened>) {
        for door in self.others.borrow_mut().extract_if(.., |door| Arc::ptr_eq(&door.opened, opened)) {
            door.entrance.close();
        }
        self.shared.clock.wake_all();
    }

    /// The sockets of all doors, for a process that accepts clients there, too.
    pub(super) fn lend(&self) -> io::Result<Lent> {
        let open = self.open.borrow();
        open.iter().map(|open| Ok((Arc::clone(&open.door.borrow().opened), open.queue.lend()?))).collect()
    }

    /// Accepts those who were accepted for us already, and then nobody.
    pub(super) async fn close_all(&self) {
        let ushers = self.open.take().into_iter().map(|OpenDoor { closing, usher, .. }| {
            closing.send_replace(true);
            usher
        });
        for usher in ushers.collect::<Vec<_>>() {
            // One that panicked is told of by itself.
            let _ = usher.await;
        }
    }

    /// Serves a client that another worker handed over.
    pub(super) fn take(&self, Handed { socket, address, opened, seat }: Handed) {
        if let Ok(socket) = Socket::from_system(socket) {
            let door = self.door_to(opened);
            Arrival::new(Rc::clone(&self.shared), door, address, seat).spawn(socket);
        }
    }

    fn own_door_to(&self, opened: Arc<Opened>) -> Rc<Door> {
        let door = self.door_to(opened);
        self.others.borrow_mut().retain(|other| !Rc::ptr_eq(other, &door));
        door
    }

    fn door_to(&self, opened: Arc<Opened>) -> Rc<Door> {
        if let Some(open) = self.open.borrow().iter().find(|open| open.is_to(&opened)) {
            return Rc::clone(&open.door.borrow());
        }
        let mut others = self.others.borrow_mut();
        if let Some(other) = others.iter().find(|door| Arc::ptr_eq(&door.opened, &opened)) {
            return Rc::clone(other);
        }
        others.retain(|other| Rc::strong_count(other) > 1);
        let door = Rc::new(Door::to(opened));
        others.push(Rc::clone(&door));
        door
    }
}

impl OpenDoor {
    fn is_to(&self, opened: &Arc<Opened>) -> bool {
        Arc::ptr_eq(&self.door.borrow().opened, opened)
    }
}
