//! Where clients and callers of the admin API come: what is open, and what is to be.

use std::io;
use std::sync::Arc;

use crate::config::{Address, Config, Listener};
use crate::server::{Bound, Opened, SocketFile, Tls};

use super::prepare::Present;

/// A listener that is open, or the admin API.
pub(super) struct Place {
    pub(super) opened: Arc<Opened>,
    /// How many all workers have: one each, or more if a process before had more workers.
    pub(super) sockets: usize,
    /// What there is of it in the file system.
    file: Option<SocketFile>,
}

impl Place {
    /// What was bound, before workers take its sockets.
    pub(super) fn of(bound: &mut Bound) -> Self {
        Self { opened: Arc::clone(&bound.opened), sockets: bound.sockets(), file: bound.take_file() }
    }

    /// The same place, where this is open from now on.
    pub(super) fn changed(self, opened: &Arc<Opened>) -> Self {
        Self { opened: Arc::clone(opened), ..self }
    }

    pub(super) fn address(&self) -> &Address {
        &self.opened.listener.address
    }

    /// As it is now, for who prepares other settings.
    pub(super) fn look(&self) -> Found {
        Found { opened: Arc::clone(&self.opened), is_lost: self.is_lost() }
    }

    /// Whether nobody comes there any more: others removed the file of the socket, or have put theirs in its place.
    pub(super) fn is_lost(&self) -> bool {
        self.file.as_ref().is_some_and(|file| !file.is_there())
    }

    /// Nobody comes there any more.
    pub(super) fn remove_file(&mut self) {
        self.file = None;
    }

    /// Its file is ours to remove from now on, or another process's.
    pub(super) fn own_file(&self, ours: bool) {
        self.file.iter().for_each(|file| file.is_ours(ours));
    }
}

/// What is open, as it was found when other settings were prepared.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) opened: Arc<Opened>,
    pub(super) is_lost: bool,
}

impl Found {
    fn is_at(&self, address: &Address) -> bool {
        self.opened.listener.address == *address
    }
}

/// A place that is open and stays.
pub(super) struct Stays {
    pub(super) before: Arc<Opened>,
    /// The same, unless something else is to be spoken there.
    pub(super) after: Arc<Opened>,
    is_lost: bool,
    /// Why it is not made anew if it is lost.
    why: Option<io::Error>,
}

impl Stays {
    /// For each listener of the settings, what is open already. A name alone is no difference, but where the system chooses the port.
    /// Where the address stays, as it was written or as it is, its sockets do: no client in their queues is lost.
    pub(super) fn of_listeners(
        config: &Config,
        tls: Option<&Arc<Tls>>,
        present: Option<&Present>,
    ) -> Vec<Option<Self>> {
        let known =
            present.iter().flat_map(|present| present.config.listeners.iter().zip(&present.listeners));
        let mut left: Vec<_> = known.collect();
        let mut take = |is_it: &dyn Fn(&Listener, &Found) -> bool| {
            let place = left.iter().position(|(known, found)| is_it(known, found))?;
            Some(Self::as_it_is(left.remove(place).1))
        };
        let wanted = &config.listeners;
        let mut all: Vec<_> = wanted.iter().map(|wanted| take(&|known, _| known == wanted)).collect();
        for (wanted, stays) in wanted.iter().zip(&mut all).filter(|(_, stays)| stays.is_none()) {
            *stays = take(&|known, _| (known.id(), known.tls) == (wanted.id(), wanted.tls));
        }
        // Where it is comes first: several may be written alike, with a port that the system is to choose.
        for by_place in [true, false] {
            for (wanted, stays) in wanted.iter().zip(&mut all).filter(|(_, stays)| stays.is_none()) {
                let is_there = |known: &Listener, found: &Found| match by_place {
                    true => found.is_at(&wanted.address),
                    false => known.address == wanted.address,
                };
                let Some(open) = take(&is_there) else { continue };
                *stays = Some(Self { after: Arc::new(open.before.changed(wanted, tls)), ..open });
            }
        }
        all
    }

    /// The admin API, if it stays where it is.
    pub(super) fn of_admin(config: &Config, present: Option<&Present>) -> Option<Self> {
        let (present, wanted) = (present?, &config.admin.as_ref()?.address);
        let (known, found) = (&present.config.admin.as_ref()?.address, present.admin.as_ref()?);
        (known == wanted || found.is_at(wanted)).then(|| Self::as_it_is(found))
    }

    fn as_it_is(Found { opened, is_lost }: &Found) -> Self {
        Self { before: Arc::clone(opened), after: Arc::clone(opened), is_lost: *is_lost, why: None }
    }

    /// Whether clients come there.
    pub(super) fn is_well(&self) -> bool {
        !self.is_lost
    }

    pub(super) fn is_changed(&self) -> bool {
        !Arc::ptr_eq(&self.before, &self.after)
    }
}

/// What becomes of a place where the settings want somebody to come.
pub(super) enum Coming {
    /// It is open.
    Stays(Stays),
    /// It is opened, in place of what is open if nobody comes there any more.
    Opens(Bound, Option<Stays>),
}

impl Coming {
    /// Binds what is not open, and what is lost if that can be.
    ///
    /// # Errors
    /// What is not open cannot be bound.
    pub(super) fn of(stays: Option<Stays>, bind: impl FnOnce() -> io::Result<Bound>) -> io::Result<Self> {
        Ok(match stays {
            None => Self::Opens(bind()?, None),
            Some(stays) if stays.is_well() => Self::Stays(stays),
            Some(lost) => match bind() {
                Ok(bound) => Self::Opens(bound, Some(lost)),
                Err(error) => Self::left(lost, error),
            },
        })
    }

    /// A lost place that others hold, or whose folder went with it, must not keep operators from changing anything else.
    fn left(lost: Stays, why: io::Error) -> Self {
        Self::Stays(Stays { why: Some(why), ..lost })
    }

    /// What is open there as soon as it listens.
    pub(super) fn opened(&self) -> &Arc<Opened> {
        match self {
            Self::Stays(stays) => &stays.after,
            Self::Opens(bound, _) => &bound.opened,
        }
    }

    /// What was bound, if it was.
    pub(super) fn bound(self) -> Option<Bound> {
        match self {
            Self::Stays(_) => None,
            Self::Opens(bound, _) => Some(bound),
        }
    }

    /// Whether something is opened.
    pub(super) fn opens(&self) -> bool {
        matches!(self, Self::Opens(..))
    }

    /// What is not made anew though nobody comes there any more, and why.
    pub(super) fn lost(&self) -> Option<(&Address, &io::Error)> {
        let Self::Stays(Stays { after, why: Some(why), .. }) = self else { return None };
        Some((&after.listener.address, why))
    }

    /// The same, for who gives it up.
    pub(super) fn into_lost(self) -> Option<(Address, io::Error)> {
        let Self::Stays(Stays { after, why: Some(why), .. }) = self else { return None };
        Some((after.listener.address.clone(), why))
    }

    /// Lets clients connect to what is not open yet.
    ///
    /// # Errors
    /// Another program listens there since.
    pub(super) fn listen(&mut self) -> io::Result<()> {
        let Self::Opens(bound, instead) = self else { return Ok(()) };
        match (bound.listen(), instead.take()) {
            (Err(error), None) => return Err(error),
            (Err(error), Some(lost)) => *self = Self::left(lost, error),
            (Ok(()), lost) => *instead = lost,
        }
        Ok(())
    }
}

/// What a start opens, where nothing is open, and the places that come of it.
pub(super) fn opened_first(coming: Vec<Coming>) -> (Vec<Bound>, Vec<Place>) {
    let mut bound: Vec<_> = coming.into_iter().filter_map(Coming::bound).collect();
    let places = bound.iter_mut().map(Place::of).collect();
    (bound, places)
}
