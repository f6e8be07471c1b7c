//! The new process, as the old one's successor.

use std::cell::RefCell;
use std::env;
use std::fs;
use std::io::{self, stdin};
use std::os::unix::process::parent_id;
use std::time::Duration;

use socket2::{SockRef, Socket};
use tracing::info;

use crate::app::StartError;
use crate::app::live::Live;
use crate::config::Address;
use crate::telemetry::manager;

use super::{PREDECESSOR, SERVING, THAT_IS_ALL, packet};

/// How long it may take to send what it has: it has all of it at hand.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who served before us and waits to be relieved; nobody, as a rule.
#[derive(Debug, Default)]
pub(in crate::app) struct Predecessor {
    id: Option<u32>,
    /// By the number and the address of each listener.
    left: RefCell<Vec<(String, Vec<Socket>)>>,
}

impl Predecessor {
    /// Finds out whether there is one, and takes its sockets.
    ///
    /// # Errors
    /// There is one, and it does not send them, or has ended.
    pub(in crate::app) fn meet() -> io::Result<Self> {
        let Some(id) = env::var(PREDECESSOR).ok().and_then(|id| id.parse().ok()) else {
            return Ok(Self::default());
        };
        if id != parent_id() {
            return Err(io::Error::other(
                "it is not our parent; it has ended, or the program was not started by it",
            ));
        }
        SockRef::from(&stdin()).set_read_timeout(Some(PATIENCE))?;
        let mut left: Vec<(String, Vec<Socket>)> = Vec::new();
        loop {
            let (place, sockets) = packet::receive(stdin())?.ok_or(io::ErrorKind::UnexpectedEof)?;
            match left.last_mut() {
                _ if place == THAT_IS_ALL => break,
                Some((known, more)) if *known == place => more.extend(sockets),
                _ => left.push((place, sockets)),
            }
        }
        Ok(Self { id: Some(id), left: RefCell::new(left) })
    }

    /// The sockets where its clients came to this address, if they did.
    pub(in crate::app) fn take(&self, address: &Address) -> Option<Vec<Socket>> {
        let mut left = self.left.borrow_mut();
        let address = address.to_string();
        let is_it = |place: &str| place.split_once(' ').is_some_and(|(_, known)| known == address);
        let found = left.iter().position(|(place, _)| is_it(place))?;
        Some(left.remove(found).1)
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
        packet::send(stdin(), SERVING, &[]).map_err(StartError::Predecessor)?;
        live.own_files(true);
        // Where we do not listen, nobody does any more.
        for (place, _) in self.left.borrow_mut().drain(..) {
            if let Some((_, path)) = place.split_once(" unix:") {
                // It may have been removed by others.
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }
}
