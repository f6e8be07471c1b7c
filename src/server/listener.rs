//! The first hop: a worker's listening socket.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tracing::warn;

use crate::proxy::Shared;

use super::connection::{spawn, turn_away};
use super::team::{Handed, Team};

/// Connections that may wait to be accepted; the system's own limit holds too.
const BACKLOG: i32 = 4096;
/// After the system failed to accept, for want of files or memory: milliseconds for some to be given back.
const PAUSE: u64 = 50;
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Binds `count` sockets to one address, among which the system spreads connections once they listen. Nobody else may
/// listen there.
///
/// # Errors
/// The address is in use, not ours, or not allowed.
pub fn bind(address: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<Socket>)> {
    if address.port() != 0 {
        // Sockets that share an address also share it with those of another process: this one does not.
        bound_socket(address, false)?;
    }
    let first = bound_socket(address, true)?;
    let address = first.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let mut sockets = vec![first];
    while sockets.len() < count {
        sockets.push(bound_socket(address, true)?);
    }
    Ok((address, sockets))
}

/// Lets clients connect to sockets that are bound.
///
/// # Errors
/// Another program listens there since.
pub fn listen(sockets: Vec<Socket>) -> io::Result<Vec<std::net::TcpListener>> {
    sockets.iter().try_for_each(|socket| socket.listen(BACKLOG))?;
    Ok(sockets.into_iter().map(Into::into).collect())
}

fn bound_socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    // Accepted sockets inherit it, which spares a system call for each.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Accepts clients until a stop is asked for, and then those that the system had already accepted for us.
pub(super) async fn accept(
    listener: TcpListener,
    shared: Rc<Shared>,
    team: Arc<Team>,
    worker: usize,
    mut stop: watch::Receiver<bool>,
) {
    let mut complained: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, address)) => admit(stream, address, &shared, &team, worker),
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                if complained.is_none_or(|last| last.elapsed() >= COMPLAIN_EVERY) {
                    complained = Some(Instant::now());
                    warn!("cannot accept clients: {error}; trying again");
                }
                shared.clock.sleep(PAUSE).await;
            }
        }
    }
    take_the_last(listener, &shared, &team, worker);
}

/// Takes those that wait. The system itself is asked, for the runtime need not know yet of who came last; and none is
/// handed to another worker, which takes none any more.
fn take_the_last(listener: TcpListener, shared: &Rc<Shared>, team: &Arc<Team>, worker: usize) {
    let Ok(listener) = listener.into_std() else { return };
    loop {
        let (stream, address) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if is_the_clients(&error) => continue,
            Err(_) => return,
        };
        let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) else {
            continue;
        };
        match team.seat(worker) {
            Some(seat) => spawn(Rc::clone(shared), stream, address, seat),
            None => turn_away(Rc::clone(shared), stream, address),
        }
    }
}

/// The client was gone before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Serves a client here or at a worker that has fewer, or turns it away.
fn admit(stream: TcpStream, address: SocketAddr, shared: &Rc<Shared>, team: &Arc<Team>, worker: usize) {
    let Some(seat) = team.seat(worker) else { return turn_away(Rc::clone(shared), stream, address) };
    let Some(other) = team.better_than(worker) else {
        return spawn(Rc::clone(shared), stream, address, seat);
    };
    let Ok(socket) = stream.into_std() else { return };
    if let Err(Handed { socket, address, seat }) = team.hand_to(other, Handed { socket, address, seat })
        && let Ok(stream) = TcpStream::from_std(socket)
    {
        spawn(Rc::clone(shared), stream, address, seat);
    }
}
