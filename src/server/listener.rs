//! The first hop: a worker's listening sockets.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tracing::warn;

use crate::config::{Address, Listener};
use crate::connect::{self, Wants, is_kept, is_our_want, ran_out_of_files, set_keepalive, want_of_files};
use crate::proxy::{Alarm, Error, Leaving, Shared};

use super::arrival::{Arrival, Door, at_a_stop, turn_away};
use super::opened::Opened;
use super::team::{Handed, LastWord, Seat, Team};
use super::tls::Tls;
use super::unix::{self, SocketFile};

/// Connections that may wait to be accepted; the system's own limit holds too.
const BACKLOG: i32 = 4096;
/// After the system failed to accept, for want of files or memory: milliseconds for some to be given back.
const PAUSE: u64 = 50;
/// Clients that are accepted in a row without a look at whether the door is to be closed: fewer than the runtime lets one task
/// accept in one turn.
const IN_A_ROW: u32 = 64;

/// Who connects through a Unix socket is on this machine, and has no port.
const HERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// A listener and its sockets, one for each worker.
#[derive(Debug)]
pub struct Bound {
    /// What is open once it listens.
    pub opened: Arc<Opened>,
    sockets: Vec<Socket>,
    file: Option<SocketFile>,
}

impl Bound {
    /// Binds `count` sockets to one address, among which the system spreads connections once they listen. Nobody else
    /// may listen there, save we ourselves if `again`: with what is to be closed, or at an address among this one's.
    ///
    /// # Errors
    /// The address is in use, not ours, or not allowed.
    pub fn bind(listener: &Listener, tls: Option<Arc<Tls>>, count: usize, again: bool) -> io::Result<Self> {
        let (id, mut listener) = (listener.id(), listener.clone());
        let mut file = None;
        let sockets = match &listener.address {
            Address::Ip(address) => {
                if address.port() != 0 && !again {
                    // Sockets that share an address also share it with those of another process: this one does not.
                    bound_socket(*address, false)?;
                }
                let (address, sockets) = bind_ip(*address, count)?;
                listener.address = address.into();
                sockets
            }
            Address::Unix(path) => {
                let (socket, bound) = unix::bind(path)?;
                file = Some(bound);
                shared_by(socket, count)?
            }
        };
        let tls = tls.filter(|_| listener.tls);
        Ok(Self { opened: Arc::new(Opened::new(id, listener, tls)), sockets, file })
    }

    /// What another process bound and gave us, and as many more sockets as it takes for `count` to have one each.
    ///
    /// # Errors
    /// They are not what they should be.
    pub fn inherit(
        listener: &Listener,
        tls: Option<Arc<Tls>>,
        count: usize,
        mut sockets: Vec<Socket>,
    ) -> io::Result<Self> {
        let (id, mut listener) = (listener.id(), listener.clone());
        let mut file = None;
        let first = sockets.first().ok_or(io::ErrorKind::NotFound)?;
        match &listener.address {
            Address::Ip(_) => {
                let address = first.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
                sockets.iter().try_for_each(bequeath)?;
                while sockets.len() < count {
                    sockets.push(bound_socket(address, true)?);
                }
                listener.address = address.into();
            }
            Address::Unix(path) => {
                file = Some(SocketFile::lent(path)?);
                sockets = shared_by(sockets.swap_remove(0), count)?;
            }
        }
        let tls = tls.filter(|_| listener.tls);
        Ok(Self { opened: Arc::new(Opened::new(id, listener, tls)), sockets, file })
    }

    /// Lets clients connect.
    ///
    /// # Errors
    /// Another program listens there since.
    pub fn listen(&self) -> io::Result<()> {
        if self.file.as_ref().is_some_and(|file| !file.is_there()) {
            // Who found that nobody listens there took it for a leftover.
            return Err(io::ErrorKind::AddrInUse.into());
        }
        self.sockets.iter().try_for_each(|socket| socket.listen(BACKLOG))
    }

    /// How many sockets nobody has taken yet.
    pub fn sockets(&self) -> usize {
        self.sockets.len()
    }

    /// What there is of it in the file system, to be kept for as long as clients may come.
    pub fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }

    /// The sockets of the next worker, of so many that have none yet: one, or more if another process had more workers, for
    /// who waits in any of the queues is to be accepted.
    pub fn take(&mut self, workers: usize) -> impl Iterator<Item = (Arc<Opened>, Socket)> {
        let share = self.sockets.len().div_ceil(workers.max(1));
        self.sockets.drain(..share).map(|socket| (Arc::clone(&self.opened), socket))
    }
}

fn bind_ip(address: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<Socket>)> {
    let first = bound_socket(address, true)?;
    let address = first.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let mut sockets = vec![first];
    while sockets.len() < count {
        sockets.push(bound_socket(address, true)?);
    }
    Ok((address, sockets))
}

fn bound_socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    bequeath(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Sets what accepted sockets inherit, which spares system calls for each.
fn bequeath(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    set_keepalive(socket)
}

/// A Unix socket has one queue, from which all workers take.
fn shared_by(socket: Socket, count: usize) -> io::Result<Vec<Socket>> {
    let mut sockets = vec![socket];
    while sockets.len() < count {
        sockets.push(sockets[0].try_clone()?);
    }
    Ok(sockets)
}

/// Shows clients who come to one door to their seats.
pub(super) struct Usher {
    /// What is behind the queue may change.
    pub(super) door: Rc<RefCell<Rc<Door>>>,
    pub(super) shared: Rc<Shared>,
    pub(super) team: Arc<Team>,
    pub(super) worker: usize,
}

impl Usher {
    /// Accepts clients until the door is to be closed, and then those that the system had already accepted for us.
    pub(super) async fn accept(self, queue: Rc<Queue>, mut closing: watch::Receiver<bool>) {
        let wants = Wants::default();
        let mut closed = pin!(closing.wait_for(|closing| *closing));
        let in_a_row = Cell::new(0);
        // Polled by hand, for to build a future for each client would be a part of what a short connection costs.
        let mut next = |cx: &mut Context<'_>| {
            // Where clients never stop coming the queue is never empty.
            if in_a_row.get() == IN_A_ROW {
                in_a_row.set(0);
                if closed.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
            }
            match queue.poll_accept(cx) {
                Poll::Ready(accepted) => {
                    in_a_row.set(in_a_row.get() + 1);
                    Poll::Ready(Some(accepted))
                }
                Poll::Pending => closed.as_mut().poll(cx).map(|_| None),
            }
        };
        while let Some(accepted) = poll_fn(&mut next).await {
            match accepted {
                Ok((socket, address)) if self.is_in_the_way(&socket) => {
                    self.turn_away(socket, address, Error::TooManyConnections, None);
                }
                Ok((socket, address)) => self.admit(socket, address),
                Err(error) if is_the_clients(&error) => {}
                Err(error) if ran_out_of_files(&error) && self.shared.give_up_idle() > 0 => {}
                Err(error) => {
                    wants.add(&error);
                    if let Some((_, error)) = wants.to_say(Instant::now()) {
                        warn!("cannot accept clients: {error}; trying again");
                    }
                    self.shared.clock.sleep(PAUSE).await;
                    in_a_row.set(IN_A_ROW);
                }
            }
        }
        if let Some(queue) = Rc::into_inner(queue) {
            self.take_the_last(queue).await;
        }
    }

    /// Takes those that wait. The system itself is asked, for the runtime need not know yet of who came last; and none
    /// is handed to another worker, which takes none any more. More than fit the queue have come since.
    ///
    /// To close it resets who is still there. So it stays for a while if files have run out: a little longer than idle
    /// clients have to go at a stop, for theirs will do.
    async fn take_the_last(&self, queue: Queue) {
        let Ok(queue) = queue.into_system() else { return };
        let over = Alarm::on(&self.shared.clock);
        over.set(at_a_stop(Leaving::Stopped, &self.shared) + 2 * PAUSE);
        for _ in 0..=BACKLOG {
            let accepted = queue.accept().and_then(|(socket, address)| {
                socket.set_nonblocking(true)?;
                Ok((connect::Socket::from_system(socket)?, client_address(&address)))
            });
            match accepted {
                Ok((socket, address)) => self.seat(socket, address),
                Err(error) if is_the_clients(&error) => {}
                Err(error) if ran_out_of_files(&error) && self.shared.give_up_idle() > 0 => {}
                Err(error) if is_our_want(&error) && !over.is_due() => self.shared.clock.sleep(PAUSE).await,
                Err(_) => return,
            }
        }
    }

    /// Serves a client here or at a worker that has fewer, or turns it away.
    fn admit(&self, socket: connect::Socket, address: SocketAddr) {
        let Some(other) = self.team.better_than(self.worker) else { return self.seat(socket, address) };
        let seat = match self.team.admit(self.worker, self.known(address)) {
            Ok(seat) => seat,
            Err(error) => return self.turn_away(socket, address, error, self.team.last_word()),
        };
        let Ok(socket) = socket.into_system() else { return };
        let handed = Handed { socket, address, opened: Arc::clone(&self.door.borrow().opened), seat };
        if let Err(Handed { socket, seat, .. }) = self.team.hand_to(other, handed)
            && let Ok(socket) = connect::Socket::from_system(socket)
        {
            self.arrival(address, seat).spawn(socket);
        }
    }

    /// Serves a client here, or turns it away.
    fn seat(&self, socket: connect::Socket, address: SocketAddr) {
        match self.team.admit(self.worker, self.known(address)) {
            Ok(seat) => self.arrival(address, seat).spawn(socket),
            Err(error) => self.turn_away(socket, address, error, self.team.last_word()),
        }
    }

    /// The client's address, unless its connection begins with telling it.
    fn known(&self, address: SocketAddr) -> Option<IpAddr> {
        let told = self.shared.must_be_introduced(address.ip(), self.door.borrow().listener());
        (!told).then_some(address.ip())
    }

    /// Whether a client has a file that is kept for others, and no idle connection makes room. Nor has it time to hear why: many
    /// of its kind would take all that is kept.
    fn is_in_the_way(&self, socket: &connect::Socket) -> bool {
        is_kept(socket) && ran_out_of_files(&want_of_files()) && self.shared.give_up_idle() == 0
    }

    fn turn_away(&self, socket: connect::Socket, address: SocketAddr, error: Error, time: Option<LastWord>) {
        if matches!(error, Error::TooManyConnections) {
            self.team.turned_away.add(1);
        }
        turn_away(Rc::clone(&self.shared), &self.door.borrow(), socket, (address, error), time);
    }

    fn arrival(&self, address: SocketAddr, seat: Seat) -> Arrival {
        Arrival::new(Rc::clone(&self.shared), Rc::clone(&self.door.borrow()), address, seat)
    }
}

/// A listening socket, as this worker's runtime knows it.
#[derive(Debug)]
pub(super) enum Queue {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Queue {
    /// Makes a socket that listens one of this thread's runtime.
    pub(super) fn of(socket: Socket) -> io::Result<Self> {
        Ok(match socket.domain()? {
            Domain::UNIX => Self::Unix(UnixListener::from_std(OwnedFd::from(socket).into())?),
            _ => Self::Tcp(TcpListener::from_std(socket.into())?),
        })
    }

    /// The same queue, for another process.
    pub(super) fn lend(&self) -> io::Result<Socket> {
        let socket = match self {
            Self::Tcp(queue) => queue.as_fd(),
            Self::Unix(queue) => queue.as_fd(),
        };
        socket.try_clone_to_owned().map(Socket::from)
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(connect::Socket, SocketAddr)>> {
        match self {
            Self::Tcp(queue) => {
                queue.poll_accept(cx).map_ok(|(stream, address)| (connect::Socket::Tcp(stream), address))
            }
            Self::Unix(queue) => {
                queue.poll_accept(cx).map_ok(|(stream, _)| (connect::Socket::Unix(stream), HERE))
            }
        }
    }

    fn into_system(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(queue) => queue.into_std()?.into(),
            Self::Unix(queue) => OwnedFd::from(queue.into_std()?).into(),
        })
    }
}

fn client_address(address: &SockAddr) -> SocketAddr {
    address.as_socket().unwrap_or(HERE)
}

/// The client was gone before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_through_a_socket_of_an_older_process_gets_what_others_get() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        let address = socket.local_addr().expect("it is bound").as_socket().expect("an IP address");
        let listener = Listener { name: "old".into(), address: address.into(), tls: false };
        let mut bound = Bound::inherit(&listener, None, 1, vec![socket]).expect("it can be had");
        bound.listen().expect("nobody else listens");
        let _client = std::net::TcpStream::connect(address).expect("it listens");
        let (_, socket) = bound.take(1).next().expect("the one there is");
        let (accepted, _) = socket.accept().expect("a client");
        assert!(accepted.tcp_nodelay().expect("an open socket"));
        assert!(accepted.keepalive().expect("an open socket"));
    }
}
