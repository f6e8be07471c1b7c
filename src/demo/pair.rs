//! Two sample backends inside another program.

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use super::{bind, serve};

/// Where the sample backends listen when these ports are free, and what they answer with.
const MEMBERS: [(&str, u16); 2] = [("backends1", 3000), ("backends2", 3001)];

/// Starts both sample backends on a thread of their own and tells where they listen: on the ports of `backends1` and
/// `backends2`, or on free ones if another program has those. They end with the process.
///
/// # Errors
/// The system gives no port, thread or event queue.
pub fn start_pair() -> io::Result<Vec<SocketAddr>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let listeners = MEMBERS.map(|(_, port)| listen(port)).into_iter().collect::<io::Result<Vec<_>>>()?;
    drop(entered);
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
    std::thread::Builder::new().name("demo".to_owned()).spawn(move || {
        let backends = MEMBERS.iter().zip(listeners);
        let backends = backends.map(|(&(name, _), listener)| serve(listener, name.to_owned(), pending()));
        runtime.block_on(futures::future::join_all(backends));
    })?;
    Ok(addresses)
}

fn listen(port: u16) -> io::Result<TcpListener> {
    bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .or_else(|_| bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
}
