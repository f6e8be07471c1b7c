//! Who is about to listen: one process at a time for each port.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as Name, UnixDatagram};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks whether the one before has what it wants.
const PAUSE: Duration = Duration::from_millis(20);
/// How long one that starts may take until it listens: sources of backends have three seconds of that.
const PATIENCE: Duration = Duration::from_secs(5);

/// The right to find out whether ports are free, and to listen there: held from the one to the other, for the system lets
/// several programs bind one address as long as none listens, and then lets all of ours. It ends when this is dropped.
#[derive(Debug, Default)]
pub struct Claims {
    /// Each has a port in its name, which only one socket in the same network namespace can have.
    _named: Vec<UnixDatagram>,
}

impl Claims {
    /// Waits for others that have one of them. What cannot be had for any other reason, or for too long, we do without. All take
    /// theirs in one order, so nobody waits for who waits for him.
    pub fn to(addresses: impl Iterator<Item = SocketAddr>) -> Self {
        let mut ports: Vec<_> = addresses.map(|address| address.port()).filter(|port| *port != 0).collect();
        ports.sort_unstable();
        ports.dedup();
        let until = Instant::now() + PATIENCE;
        Self { _named: ports.into_iter().filter_map(|port| claim(port, until)).collect() }
    }
}

fn claim(port: u16, until: Instant) -> Option<UnixDatagram> {
    let name = Name::from_abstract_name(format!("loadbalancer is about to listen on port {port}")).ok()?;
    loop {
        match UnixDatagram::bind_addr(&name) {
            Ok(named) => return Some(named),
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < until => sleep(PAUSE),
            Err(_) => return None,
        }
    }
}
