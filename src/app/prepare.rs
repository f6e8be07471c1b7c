//! All that can fail of a change of settings, done before anything changes.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tracing::warn;

use crate::config::{Address, Admin, Config, Listener};
use crate::connect::{SystemAuthorities, Ways};
use crate::server::{Bound, Claims, LoadedTls, Opened, Tls};
use crate::snapshot::Settings;

use super::places::{Coming, Found, Stays};
use super::succession::Predecessor;
use super::{StartError, both, error};

/// What is in force while other settings are prepared.
#[derive(Clone, Debug)]
pub(super) struct Present {
    pub(super) config: Arc<Config>,
    pub(super) tls: Option<Arc<Tls>>,
    /// In the order of the settings.
    pub(super) listeners: Vec<Found>,
    pub(super) admin: Option<Found>,
}

impl Present {
    fn places(&self) -> impl Iterator<Item = &Found> {
        self.listeners.iter().chain(&self.admin)
    }

    /// Whether there is a place where nobody comes any more.
    pub(super) fn has_lost_one(&self) -> bool {
        self.places().any(|place| place.is_lost)
    }
}

/// Settings that can be put in force without anything that may fail.
pub(super) struct Prepared {
    pub(super) settings: Arc<Settings>,
    /// For each pool, how its backends are reached.
    pub(super) ways: Vec<Ways>,
    /// How TLS is spoken to clients.
    pub(super) tls: Option<Arc<Tls>>,
    /// What it is to become, if other certificates are to be shown than now.
    pub(super) renewal: Option<LoadedTls>,
    /// In the order of the settings.
    pub(super) listeners: Vec<Coming>,
    /// None if it is to be nowhere.
    pub(super) admin: Option<Coming>,
    /// Until all listen.
    claims: Claims,
}

/// What there is before settings are put in force.
pub(super) enum Before<'a> {
    /// Nothing, but what a predecessor leaves, and the right to listen.
    Start(&'a Predecessor, Claims),
    /// Others.
    Present(&'a Present),
}

impl Prepared {
    /// Prepares settings in place of what there is before.
    ///
    /// # Errors
    /// They cannot be put in force. Nothing has changed.
    pub(super) fn from(config: Arc<Config>, before: Before<'_>) -> Result<Self, StartError> {
        let nobody = Predecessor::default();
        let (present, predecessor, claims) = match before {
            Before::Start(predecessor, claims) => (None, predecessor, Some(claims)),
            Before::Present(present) => (Some(present), &nobody, None),
        };
        let settings = Arc::new(Settings::compile(config).map_err(StartError::Routes)?);
        let config = &settings.config;
        let system = SystemAuthorities::default();
        let ways = config.pools.iter().map(|pool| Ways::of(pool, &system)).collect::<Result<_, _>>()?;
        let (tls, renewal) = prepare_tls(config, present)?;
        let stays = Stays::of_listeners(config, tls.as_ref(), present);
        let admin_stays = Stays::of_admin(config, present);
        let claims = claims.unwrap_or_else(|| claim(config, &stays, admin_stays.as_ref()));
        let ours = Ours::of(stays.iter().flatten().chain(&admin_stays), present, predecessor);
        let listeners = config.listeners.iter().zip(stays).map(|(listener, stays)| {
            let bound = || bind(listener, (config.workers.get(), tls.as_ref()), (&ours, predecessor));
            Coming::of(stays, bound).map_err(|error| refused(listener, error))
        });
        // Of what a predecessor leaves at one address, listeners take theirs first.
        let listeners = all(listeners);
        let admin = config.admin.as_ref().map(|Admin { address, .. }| {
            let bound = || bind_admin(address, (&ours, predecessor));
            Coming::of(admin_stays, bound).map_err(|error| refused_admin(address, error))
        });
        let (listeners, admin) = both(listeners, admin.transpose())?;
        Ok(Self { settings, ways, tls, renewal, listeners, admin, claims })
    }

    /// Lets clients connect to what is not open yet: the last thing that can fail.
    ///
    /// # Errors
    /// Another program listens there since.
    pub(super) fn listen(&mut self) -> Result<(), StartError> {
        for coming in &mut self.listeners {
            coming.listen().map_err(|error| refused(&coming.opened().listener, error))?;
        }
        if let Some(admin) = &mut self.admin {
            admin.listen().map_err(|error| refused_admin(&admin.opened().listener.address, error))?;
        }
        self.claims = Claims::default();
        Ok(())
    }

    /// Whether a place is opened.
    pub(super) fn opens_any(&self) -> bool {
        self.places().any(Coming::opens)
    }

    /// Tells of places where nobody comes any more, and which cannot be made anew.
    pub(super) fn tell_lost(&self) {
        let lost = self.places().filter_map(Coming::lost);
        lost.for_each(|(address, error)| warn!("{}", error::lost(address, error)));
    }

    /// The same, as why nothing could be done.
    pub(super) fn into_lost(self) -> Option<StartError> {
        let lost = self.listeners.into_iter().chain(self.admin).filter_map(Coming::into_lost);
        StartError::of(lost.map(|(address, error)| StartError::Lost { address, error }))
    }

    fn places(&self) -> impl Iterator<Item = &Coming> {
        self.listeners.iter().chain(&self.admin)
    }
}

/// The right to bind what is not open, or lost.
fn claim(config: &Config, stays: &[Option<Stays>], admin_stays: Option<&Stays>) -> Claims {
    let listeners = config.listeners.iter().map(|listener| &listener.address);
    let listeners = listeners.zip(stays.iter().map(Option::as_ref));
    let admin = config.admin.iter().map(|admin| (&admin.address, admin_stays));
    let missing = listeners.chain(admin).filter(|(_, stays)| !stays.is_some_and(Stays::is_well));
    Claims::to(missing.map(|(address, _)| address))
}

/// All of them, or all that is wrong with them.
fn all(listeners: impl Iterator<Item = Result<Coming, StartError>>) -> Result<Vec<Coming>, StartError> {
    let (mut all, mut errors) = (Vec::new(), Vec::new());
    listeners.for_each(|listener| match listener {
        Ok(listener) => all.push(listener),
        Err(error) => errors.push(error),
    });
    StartError::of(errors).map_or(Ok(all), Err)
}

fn prepare_tls(
    config: &Config,
    present: Option<&Present>,
) -> Result<(Option<Arc<Tls>>, Option<LoadedTls>), StartError> {
    let Some(settings) = &config.tls else { return Ok((None, None)) };
    match present.and_then(|present| Some((present.tls.as_ref()?, present.config.tls.as_ref()?))) {
        // Routes may rely on authorities that were put into a file a moment ago. What is of no use stays as it was.
        Some((tls, known)) if known == settings => {
            let renewal = (!tls.is_current()).then(|| LoadedTls::load(settings).ok()).flatten();
            Ok((Some(Arc::clone(tls)), renewal))
        }
        Some((tls, _)) => Ok((Some(Arc::clone(tls)), Some(LoadedTls::load(settings)?))),
        None => Ok((Some(Arc::new(Tls::load(settings)?)), None)),
    }
}

fn bind(
    listener: &Listener,
    (workers, tls): (usize, Option<&Arc<Tls>>),
    (ours, predecessor): (&Ours, &Predecessor),
) -> io::Result<Bound> {
    match predecessor.take(&listener.address) {
        Some(sockets) => Bound::inherit(listener, tls.cloned(), workers, sockets),
        None => Bound::bind(listener, tls.cloned(), workers, ours.may_overlap(&listener.address)),
    }
}

/// Where clients or callers of the admin API come by now, to us or to a predecessor.
struct Ours {
    staying: Vec<Address>,
    leaving: Vec<Address>,
}

impl Ours {
    fn of<'a>(
        stays: impl Iterator<Item = &'a Stays>,
        present: Option<&Present>,
        predecessor: &Predecessor,
    ) -> Self {
        let address = |opened: &Opened| opened.listener.address.clone();
        let stays: Vec<_> = stays.map(|stays| address(&stays.before)).collect();
        let opened = present.into_iter().flat_map(Present::places).map(|place| address(&place.opened));
        let all = opened.chain(predecessor.addresses());
        let (staying, leaving) = all.partition(|address| stays.contains(address));
        Self { staying, leaving }
    }

    /// Whether one of them may be in the way: one that is to be closed, or that takes what comes to other addresses, too.
    fn may_overlap(&self, address: &Address) -> bool {
        let takes_others = |staying: &&Address| *staying != address;
        let mut staying = self.staying.iter().filter(takes_others);
        staying.any(|ours| ours.overlaps(address)) || self.leaving.iter().any(|ours| ours.overlaps(address))
    }
}

fn bind_admin(address: &Address, (ours, predecessor): (&Ours, &Predecessor)) -> io::Result<Bound> {
    let listener = Listener { name: "admin".into(), address: address.clone(), tls: false };
    for_its_owner(bind(&listener, (1, None), (ours, predecessor))?, &listener)
}

fn for_its_owner(bound: Bound, listener: &Listener) -> io::Result<Bound> {
    if let Address::Unix(path) = &listener.address {
        // Whoever may write to it may use it.
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    Ok(bound)
}

fn refused_admin(address: &Address, error: io::Error) -> StartError {
    StartError::Admin { address: address.clone(), error }
}

fn refused(listener: &Listener, error: io::Error) -> StartError {
    StartError::Listen { address: listener.address.clone(), error }
}
