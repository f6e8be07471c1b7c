//! Who is about to listen at an address: one process at a time.

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

/// The right to find out whether an address is free, and to listen there: held from the one to the other, for the system lets
/// several programs bind one address as long as none listens, and then lets all of ours. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    /// Has the address for its name, which only one in the same network namespace can have.
    _named: UnixDatagram,
}

impl Claim {
    /// Waits for one that has it. Where it cannot be had for any other reason, or for too long, we do without.
    pub(super) fn to(address: SocketAddr) -> Option<Self> {
        let name = Name::from_abstract_name(format!("loadbalancer is about to listen on {address}")).ok()?;
        let until = Instant::now() + PATIENCE;
        loop {
            match UnixDatagram::bind_addr(&name) {
                Ok(named) => return Some(Self { _named: named }),
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < until => sleep(PAUSE),
                Err(_) => return None,
            }
        }
    }
}
