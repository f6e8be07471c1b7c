//! One worker's doors, which open and close while it works.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local};
use tracing::warn;

use crate::connect::Socket;
use crate::proxy::Shared;

use super::arrival::{Arrival, Door};
use super::listener::{Opened, Queue, Usher};
use super::team::{Handed, Team};

/// One worker's doors.
pub(super) struct House {
    pub(super) shared: Rc<Shared>,
    team: Arc<Team>,
    worker: usize,
    open: RefCell<Vec<OpenDoor>>,
    /// Those through which other workers' clients came before we knew of them.
    others: RefCell<Vec<Rc<Door>>>,
}

/// A door, and who accepts clients there.
struct OpenDoor {
    door: Rc<Door>,
    closing: watch::Sender<bool>,
    usher: JoinHandle<()>,
}

impl House {
    pub(super) fn new(shared: Rc<Shared>, team: Arc<Team>, worker: usize) -> Self {
        Self { shared, team, worker, open: RefCell::default(), others: RefCell::default() }
    }

    /// Accepts clients from this socket.
    pub(super) fn open(&self, opened: Arc<Opened>, socket: socket2::Socket) {
        let queue = match Queue::of(socket) {
            Ok(queue) => queue,
            Err(error) => return warn!("{}: worker {} cannot listen: {error}", opened.listener, self.worker),
        };
        let door = self.door_to(opened);
        self.others.borrow_mut().retain(|other| !Rc::ptr_eq(other, &door));
        let (closing, closed) = watch::channel(false);
        let usher = Usher {
            door: Rc::clone(&door),
            shared: Rc::clone(&self.shared),
            team: Arc::clone(&self.team),
            worker: self.worker,
        };
        let usher = spawn_local(usher.accept(queue, closed));
        self.open.borrow_mut().push(OpenDoor { door, closing, usher });
    }

    /// Accepts no more clients there.
    pub(super) fn close(&self, opened: &Arc<Opened>) {
        let is_it = |door: &Door| Arc::ptr_eq(&door.opened, opened);
        let closed: Vec<_> = self.open.borrow_mut().extract_if(.., |open| is_it(&open.door)).collect();
        for open in closed {
            open.closing.send_replace(true);
            open.door.entrance.close();
        }
        for door in self.others.borrow_mut().extract_if(.., |door| is_it(door)) {
            door.entrance.close();
        }
        self.shared.clock.wake_all();
    }

    /// Accepts those who were accepted for us already, and then nobody.
    pub(super) async fn close_all(&self) {
        let all = self.open.take();
        for open in &all {
            open.closing.send_replace(true);
        }
        for open in all {
            // An usher that panicked has taken its last client.
            let _ = open.usher.await;
        }
    }

    /// Serves a client that another worker handed over.
    pub(super) fn take(&self, Handed { socket, address, opened, seat }: Handed) {
        if let Ok(socket) = Socket::from_system(socket) {
            let door = self.door_to(opened);
            Arrival { shared: Rc::clone(&self.shared), door, address, seat }.spawn(socket);
        }
    }

    fn door_to(&self, opened: Arc<Opened>) -> Rc<Door> {
        let is_it = |door: &&Rc<Door>| Arc::ptr_eq(&door.opened, &opened);
        if let Some(open) = self.open.borrow().iter().map(|open| &open.door).find(is_it) {
            return Rc::clone(open);
        }
        let mut others = self.others.borrow_mut();
        if let Some(other) = others.iter().find(is_it) {
            return Rc::clone(other);
        }
        others.retain(|other| Rc::strong_count(other) > 1);
        let door = Rc::new(Door::to(opened));
        others.push(Rc::clone(&door));
        door
    }
}
