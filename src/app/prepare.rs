//! All that can fail of a change of settings, done before anything changes.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use crate::config::{Address, Config, Listener};
use crate::connect::Ways;
use crate::server::{Bound, Claims, LoadedTls, Opened, Tls};
use crate::snapshot::Settings;

use super::succession::Predecessor;
use super::{StartError, both};

/// What is in force while other settings are prepared.
#[derive(Clone, Debug)]
pub(super) struct Present {
    pub(super) config: Arc<Config>,
    pub(super) tls: Option<Arc<Tls>>,
    /// In the order of the listeners of the settings.
    pub(super) opened: Vec<Arc<Opened>>,
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
    /// For each listener of the settings, what is open already.
    pub(super) kept: Vec<Option<Arc<Opened>>>,
    /// Of those, what was something else before: what it was, and what it is to be.
    pub(super) changed: Vec<(Arc<Opened>, Arc<Opened>)>,
    /// The others.
    pub(super) bound: Vec<Bound>,
    /// Where the admin API is to be.
    pub(super) admin: Admin,
    /// Until all listen.
    claims: Claims,
}

/// What becomes of the place where the admin API is.
pub(super) enum Admin {
    /// It stays.
    Kept,
    /// It is closed, if it was open.
    Closed,
    /// It is here from now on.
    Bound(Bound),
}

impl Prepared {
    /// Prepares settings in place of the present ones, if there are any, with what a predecessor leaves.
    ///
    /// # Errors
    /// They cannot be put in force. Nothing has changed.
    pub(super) fn from(
        config: Arc<Config>,
        present: Option<&Present>,
        predecessor: &Predecessor,
    ) -> Result<Self, StartError> {
        let settings = Arc::new(Settings::compile(config).map_err(StartError::Routes)?);
        let config = &settings.config;
        let ways = config.pools.iter().map(Ways::of).collect::<Result<_, _>>()?;
        let (tls, renewal) = prepare_tls(config, present)?;
        let Places { kept, changed } = Places::of(config, tls.as_ref(), present);
        let missing = config.listeners.iter().zip(&kept).filter(|(_, kept)| kept.is_none());
        let wanted = missing.clone().map(|(listener, _)| &listener.address);
        let wanted = wanted.chain(config.admin.iter().map(|admin| &admin.address));
        let claims = Claims::to(wanted);
        let ours = Ours::of(config, &kept, present, predecessor);
        let bound = missing.map(|(listener, _)| bind(listener, config, tls.as_ref(), (&ours, predecessor)));
        let (bound, admin) = both(all(bound), bind_admin(config, present, (&ours, predecessor)))?;
        Ok(Self { settings, ways, tls, renewal, kept, changed, bound, admin, claims })
    }

    /// Lets clients connect to what is not open yet: the last thing that can fail.
    ///
    /// # Errors
    /// Another program listens there since.
    pub(super) fn listen(&mut self) -> Result<(), StartError> {
        for bound in &self.bound {
            bound.listen().map_err(|error| refused(&bound.opened.listener, error))?;
        }
        if let Admin::Bound(admin) = &self.admin {
            admin.listen().map_err(|error| refused_admin(&admin.opened.listener.address, error))?;
        }
        self.claims = Claims::default();
        Ok(())
    }
}

/// All of them, or all that is wrong with them.
fn all(bound: impl Iterator<Item = Result<Bound, StartError>>) -> Result<Vec<Bound>, StartError> {
    let (mut all, mut errors) = (Vec::new(), Vec::new());
    bound.for_each(|bound| match bound {
        Ok(bound) => all.push(bound),
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
        Some((tls, known)) if known == settings => Ok((Some(Arc::clone(tls)), None)),
        Some((tls, _)) => Ok((Some(Arc::clone(tls)), Some(LoadedTls::load(settings)?))),
        None => Ok((Some(Arc::new(Tls::load(settings)?)), None)),
    }
}

/// What becomes of the places where clients come.
struct Places {
    kept: Vec<Option<Arc<Opened>>>,
    changed: Vec<(Arc<Opened>, Arc<Opened>)>,
}

impl Places {
    /// A name alone is no difference, but where the system chooses the port. Where the address stays its sockets do: no client in
    /// their queues is lost.
    fn of(config: &Config, tls: Option<&Arc<Tls>>, present: Option<&Present>) -> Self {
        let known = present.iter().flat_map(|present| present.config.listeners.iter().zip(&present.opened));
        let mut left: Vec<_> = known.collect();
        let mut take = |is_it: &dyn Fn(&Listener) -> bool| {
            let place = left.iter().position(|(known, _)| is_it(known))?;
            Some(Arc::clone(left.remove(place).1))
        };
        let wanted = &config.listeners;
        let mut kept: Vec<_> = wanted.iter().map(|wanted| take(&|known| known == wanted)).collect();
        for (wanted, kept) in wanted.iter().zip(&mut kept).filter(|(_, kept)| kept.is_none()) {
            *kept = take(&|known| (known.id(), known.tls) == (wanted.id(), wanted.tls));
        }
        let mut changed = Vec::new();
        for (wanted, kept) in wanted.iter().zip(&mut kept).filter(|(_, kept)| kept.is_none()) {
            let Some(old) = take(&|known| known.address == wanted.address) else { continue };
            let new = Arc::new(old.changed(wanted, tls));
            *kept = Some(Arc::clone(&new));
            changed.push((old, new));
        }
        Self { kept, changed }
    }
}

fn bind(
    listener: &Listener,
    config: &Config,
    tls: Option<&Arc<Tls>>,
    (ours, predecessor): (&Ours, &Predecessor),
) -> Result<Bound, StartError> {
    let count = config.workers.get();
    if let Some(sockets) = predecessor.take(&listener.address) {
        let bound = Bound::inherit(listener, tls.cloned(), count, sockets);
        return bound.map_err(|error| refused(listener, error));
    }
    let bound = Bound::bind(listener, tls.cloned(), count, ours.may_overlap(&listener.address));
    bound.map_err(|error| refused(listener, error))
}

/// Where clients or callers of the admin API come by now, to us or to a predecessor.
struct Ours {
    staying: Vec<Address>,
    leaving: Vec<Address>,
}

impl Ours {
    fn of(
        config: &Config,
        kept: &[Option<Arc<Opened>>],
        present: Option<&Present>,
        predecessor: &Predecessor,
    ) -> Self {
        let admin_of = |config: &Config| config.admin.as_ref().map(|admin| admin.address.clone());
        let address = |opened: &Arc<Opened>| opened.listener.address.clone();
        let opened = present.iter().flat_map(|present| present.opened.iter().map(address));
        let admin = present.and_then(|present| admin_of(&present.config));
        let kept_admin = admin.clone().filter(|admin| admin_of(config).as_ref() == Some(admin));
        let stays: Vec<_> = kept.iter().flatten().map(address).chain(kept_admin).collect();
        let all = opened.chain(admin).chain(predecessor.addresses());
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

fn bind_admin(
    config: &Config,
    present: Option<&Present>,
    (ours, predecessor): (&Ours, &Predecessor),
) -> Result<Admin, StartError> {
    let address = |config: &Config| config.admin.as_ref().map(|admin| admin.address.clone());
    let wanted = address(config);
    if present.is_some_and(|present| address(&present.config) == wanted) {
        return Ok(Admin::Kept);
    }
    let Some(address) = wanted else { return Ok(Admin::Closed) };
    let listener = Listener { name: "admin".into(), address, tls: false };
    let bound = match predecessor.take(&listener.address) {
        Some(sockets) => Bound::inherit(&listener, None, 1, sockets),
        None => Bound::bind(&listener, None, 1, ours.may_overlap(&listener.address)),
    };
    let bound = bound.and_then(|bound| for_its_owner(bound, &listener));
    bound.map(Admin::Bound).map_err(|error| refused_admin(&listener.address, error))
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
