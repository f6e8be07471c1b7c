//! The new process, as the old one's successor.

use std::cell::RefCell;
use std::env;
use std::future::pending;
use std::io::{self, stdin};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use socket2::{SockRef, Socket};
use tracing::info;

use crate::app::StartError;
use crate::app::live::Live;
use crate::app::roster::Told;
use crate::backends::Legacy;
use crate::config::Address;
use crate::server::SocketFile;
use crate::telemetry::manager;

use super::{BACKEND, HERE, PREDECESSOR, SERVING, THAT_IS_ALL, TOLD, packet};

/// How long it may take to send what it has: it has all of it at hand.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who served before us and waits to be relieved; nobody, as a rule.
#[derive(Debug, Default)]
pub(in crate::app) struct Predecessor {
    id: Option<u32>,
    left: RefCell<Vec<Left>>,
    legacies: Vec<Legacy>,
    told: Vec<Told>,
}

/// What it had at one of its listeners.
#[derive(Debug)]
struct Left {
    /// The number and the address.
    place: String,
    sockets: Vec<Socket>,
    file: Option<SocketFile>,
}

impl Left {
    fn address(&self) -> &str {
        self.place.split_once(' ').map_or("", |(_, address)| address)
    }

    fn path(&self) -> Option<&Path> {
        self.address().strip_prefix("unix:").map(Path::new)
    }

    /// It is where we are: a path that another version tells as it was written starts there, too.
    fn is_at(&self, address: &Address) -> bool {
        let is_same = || match (address, self.path()) {
            (Address::Unix(own), Some(path)) => whole(own) == whole(path),
            _ => false,
        };
        // What is no text is told with marks in its place, by both of us.
        self.address() == address.to_string() || is_same()
    }

    /// Where it is, with the port that the system chose.
    fn place(&self) -> Option<SocketAddr> {
        self.sockets.first()?.local_addr().ok()?.as_socket()
    }
}

impl Predecessor {
    /// Finds out whether there is one, and takes what it has for us.
    ///
    /// # Errors
    /// There is one, and it does not send that, or has ended.
    pub(in crate::app) fn meet() -> Result<Self, StartError> {
        let Some(id) = env::var(PREDECESSOR).ok().and_then(|id| id.parse().ok()) else {
            return Ok(Self::default());
        };
        if id != parent_id() {
            return Err(StartError::Abandoned);
        }
        let had = ask().map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
                StartError::Abandoned
            }
            _ => StartError::Predecessor(error),
        })?;
        Ok(Self { id: Some(id), ..had })
    }

    fn sockets_at(&mut self, place: String, sockets: Vec<Socket>) {
        let all = self.left.get_mut();
        match all.last_mut() {
            Some(left) if left.place == place => left.sockets.extend(sockets),
            _ => {
                let mut left = Left { place, sockets, file: None };
                left.file = left.path().and_then(|path| SocketFile::lent(path).ok());
                all.push(left);
            }
        }
    }

    /// What it knew of backends, which no settings say.
    pub(in crate::app) fn legacies(&self) -> Vec<Legacy> {
        self.legacies.clone()
    }

    /// What sources told it.
    pub(in crate::app) fn told(&mut self) -> Vec<Told> {
        mem::take(&mut self.told)
    }

    /// Its number, if there is one.
    pub(in crate::app) fn id(&self) -> Option<u32> {
        self.id
    }

    /// The sockets where its clients came to this address, if they did.
    pub(in crate::app) fn take(&self, address: &Address) -> Option<Vec<Socket>> {
        let mut left = self.left.borrow_mut();
        let is_pinned = |left: &Left| left.place().is_some_and(|place| *address == Address::Ip(place));
        let found =
            left.iter().position(|left| left.is_at(address)).or_else(|| left.iter().position(is_pinned))?;
        Some(left.remove(found).sockets)
    }

    /// The addresses where its clients came, save those that were taken.
    pub(in crate::app) fn addresses(&self) -> Vec<Address> {
        let left = self.left.borrow();
        left.iter().filter_map(|left| left.place().map(Address::Ip)).collect()
    }

    /// Ready when it is no longer there, or wants no successor any more.
    pub(in crate::app) async fn leaves(&self) {
        let end = self.id.and_then(|_| stdin().as_fd().try_clone_to_owned().ok());
        match end.and_then(|end| packet::End::of(end).ok()) {
            // It has sent all: what comes is the end.
            Some(end) => drop(end.receive().await),
            None => pending().await,
        }
    }

    /// We serve: it is to stop.
    ///
    /// # Errors
    /// It does not want us any more.
    pub(in crate::app) fn relieve(&self, live: &Live) -> Result<(), StartError> {
        let Some(id) = self.id else {
            manager::ready();
            return Ok(());
        };
        info!("taking over from process {id}");
        // It tells the service manager of us, which knows it.
        packet::send(stdin(), SERVING, &[]).map_err(|_| StartError::Abandoned)?;
        live.own_files(true);
        // Where we do not listen, nobody does any more.
        self.left.take().iter().filter_map(|left| left.file.as_ref()).for_each(|file| file.is_ours(true));
        Ok(())
    }
}

fn whole(path: &Path) -> PathBuf {
    absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Asks it for its sockets, and for what it knows of backends.
fn ask() -> io::Result<Predecessor> {
    SockRef::from(&stdin()).set_read_timeout(Some(PATIENCE))?;
    packet::send(stdin(), HERE, &[])?;
    let mut had = Predecessor::default();
    loop {
        let (text, sockets) = packet::receive(stdin())?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if text == THAT_IS_ALL {
            return Ok(had);
        }
        if let Some(legacy) = text.strip_prefix(BACKEND) {
            had.legacies.push(serde_json::from_str(legacy)?);
        } else if let Some(told) = text.strip_prefix(TOLD) {
            // Another version may tell it otherwise, and sources will tell again.
            had.told.extend(serde_json::from_str::<Told>(told));
        } else {
            had.sockets_at(text, sockets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_socket_is_taken_over_however_its_path_was_told() {
        let address = Address::Unix(absolute("lb.sock").expect("we are somewhere").into());
        for path in ["lb.sock", "./lb.sock", &address.to_string()["unix:".len()..]] {
            let mut before = Predecessor::default();
            before.sockets_at(format!("0 unix:{path}"), Vec::new());
            assert!(before.take(&Address::Unix(Path::new("other.sock").into())).is_none());
            assert!(before.take(&address).is_some(), "{path}");
        }
    }
}
