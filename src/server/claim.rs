//! Who is about to listen: one process at a time for each port, and for each path.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr as Name, UnixDatagram};
use std::path::{self, Path};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::config::Address;

/// Between two looks whether the one before has what it wants.
const PAUSE: Duration = Duration::from_millis(20);
/// How long one that starts may take until it listens: sources of backends have three seconds of that.
const PATIENCE: Duration = Duration::from_secs(5);

/// The right to find out whether ports and paths are free, and to listen there: held from the one to the other, for the system lets
/// several programs bind one address as long as none listens, and then lets all of ours; and a socket that does not listen yet
/// cannot be told from one that was left behind. It ends when this is dropped.
#[derive(Debug, Default)]
pub struct Claims {
    /// Each has its claim for a name, which only one socket in the same network namespace can have.
    named: Vec<UnixDatagram>,
}

impl Claims {
    /// Waits for others that have one of them. What cannot be had for any other reason, or for too long, we do without. All take
    /// theirs in one order, so nobody waits for who waits for him.
    pub fn to<'a>(addresses: impl Iterator<Item = &'a Address>) -> Self {
        let mut names: Vec<_> = addresses.filter_map(name).collect();
        names.sort_unstable();
        names.dedup();
        let until = Instant::now() + PATIENCE;
        Self { named: names.into_iter().filter_map(|name| claim(&name, until)).collect() }
    }

    /// How many open files they take.
    pub fn files(&self) -> usize {
        self.named.len()
    }
}

fn name(address: &Address) -> Option<String> {
    match address {
        Address::Ip(address) if address.port() == 0 => None,
        Address::Ip(address) => Some(format!("loadbalancer is about to listen on port {}", address.port())),
        Address::Unix(path) => Some(format!("loadbalancer is about to listen at path {:x}", number(path)?)),
    }
}

/// A path is written in many ways, some of them longer than a name may be.
fn number(path: &Path) -> Option<u64> {
    let path = path::absolute(path).ok()?;
    let folder = fs::metadata(path.parent()?).ok()?;
    let mut number = DefaultHasher::new();
    (folder.dev(), folder.ino(), path.file_name()?).hash(&mut number);
    Some(number.finish())
}

fn claim(name: &str, until: Instant) -> Option<UnixDatagram> {
    let name = Name::from_abstract_name(name).ok()?;
    loop {
        match UnixDatagram::bind_addr(&name) {
            Ok(named) => return Some(named),
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < until => sleep(PAUSE),
            Err(_) => return None,
        }
    }
}
