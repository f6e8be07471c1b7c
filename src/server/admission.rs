//! Who is let in when it connects: by its network, by the connections it has already, and if there is a seat.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::{Config, Lists, Networks};
use crate::proxy::{Error, Household};

/// The settings that keep clients out. All workers share them.
#[derive(Debug)]
pub(super) struct Admission {
    lists: Lists,
    trusted: Networks<()>,
    most_each: Option<NonZeroUsize>,
    /// How many connections each client address has: never more addresses than there are seats.
    guests: Guests,
}

/// For each client address its connections that count.
pub(super) type Guests = Arc<Mutex<HashMap<Household, usize>>>;

/// A connection that counts for its client's address, until it is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    guests: Guests,
    key: Household,
}

impl Admission {
    /// What the settings ask of who connects, if anything. These guests are here already.
    pub(super) fn of(config: &Config, guests: &Guests) -> Option<Arc<Self>> {
        let access = &config.access;
        if access.lists.admit_all() && access.connections_per_client.is_none() {
            return None;
        }
        Some(Arc::new(Self {
            lists: access.lists.clone(),
            trusted: access.trusted.clone(),
            most_each: access.connections_per_client,
            guests: Arc::clone(guests),
        }))
    }

    /// Lets a client in, or says why not. A trusted proxy always is: those for whom it speaks are judged by their
    /// requests, and its connections are not those of one client.
    pub(super) fn admit(&self, address: IpAddr) -> Result<Option<Guest>, Error> {
        if self.trusted.hold(address) {
            return Ok(None);
        }
        if !self.lists.admit(address) {
            return Err(Error::Denied);
        }
        let Some(most) = self.most_each else { return Ok(None) };
        let key = Household::of(address);
        let mut guests = lock(&self.guests);
        let count = guests.entry(key).or_default();
        if *count >= most.get() {
            return Err(Error::ClientConnections);
        }
        *count += 1;
        Ok(Some(Guest { guests: Arc::clone(&self.guests), key }))
    }
}

fn lock(guests: &Guests) -> MutexGuard<'_, HashMap<Household, usize>> {
    guests.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = lock(&self.guests);
        if let Entry::Occupied(mut count) = guests.entry(self.key) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
                if guests.len() < guests.capacity() / 4 {
                    guests.shrink_to_fit();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::Flags;

    fn admission(arguments: &[&str]) -> Arc<Admission> {
        let flags = Flags::try_parse_from(["loadbalancer"].iter().chain(arguments)).expect("flags");
        Admission::of(&flags.resolve(4096).expect("settings"), &Guests::default()).expect("something to ask")
    }

    #[test]
    fn nothing_is_kept_of_an_address_once_its_last_connection_has_ended() {
        let admission = admission(&["--max-connections-per-client=2"]);
        let guests: Vec<_> = (0..1000_u32)
            .map(|number| admission.admit(IpAddr::V4(number.into())).expect("the first"))
            .collect();
        let second = admission.admit([0, 0, 0, 1].into()).expect("the second");
        assert!(matches!(admission.admit([0, 0, 0, 1].into()), Err(Error::ClientConnections)));
        drop(guests);
        assert_eq!(lock(&admission.guests).len(), 1);
        assert!(admission.admit([0, 0, 0, 1].into()).is_ok());
        drop(second);
        assert_eq!(lock(&admission.guests).len(), 0);
        assert!(lock(&admission.guests).capacity() < 8, "room for a thousand was given back");
    }

    #[test]
    fn a_trusted_proxy_is_let_in_whatever_its_network_and_its_connections() {
        let admission = admission(&[
            "--max-connections-per-client=1",
            "--allow=192.0.2.0/24",
            "--trusted-proxy=10.0.0.1",
        ]);
        let let_in = [(); 3].map(|()| admission.admit([10, 0, 0, 1].into()).is_ok());
        assert_eq!(let_in, [true; 3]);
        assert!(matches!(admission.admit([10, 0, 0, 2].into()), Err(Error::Denied)));
    }
}
