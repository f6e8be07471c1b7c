//! All that can fail of a change of settings, done before anything changes.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use crate::config::{Address, Config, Listener};
use crate::connect::Ways;
use crate::server::{Bound, LoadedTls, Opened, Tls};
use crate::snapshot::Settings;

use super::StartError;

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
    /// The others.
    pub(super) bound: Vec<Bound>,
    /// Where the admin API is to be.
    pub(super) admin: Admin,
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
    /// Prepares settings in place of the present ones, if there are any.
    ///
    /// # Errors
    /// They cannot be put in force. Nothing has changed.
    pub(super) fn from(config: Arc<Config>, present: Option<&Present>) -> Result<Self, StartError> {
        let settings = Arc::new(Settings::compile(config).map_err(StartError::Routes)?);
        let config = &settings.config;
        let ways = config.pools.iter().map(Ways::of).collect::<Result<_, _>>()?;
        let (tls, renewal) = prepare_tls(config, present)?;
        let kept: Vec<_> = config.listeners.iter().map(|listener| keep(listener, present)).collect();
        let missing = config.listeners.iter().zip(&kept).filter(|(_, kept)| kept.is_none());
        let bound = missing.map(|(listener, _)| bind(listener, config, tls.as_ref(), present));
        let bound = bound.collect::<Result<_, _>>()?;
        let admin = bind_admin(config, present)?;
        Ok(Self { settings, ways, tls, renewal, kept, bound, admin })
    }

    /// Lets clients connect to what is not open yet: the last thing that can fail.
    ///
    /// # Errors
    /// Another program listens there since.
    pub(super) fn listen(&self) -> Result<(), StartError> {
        let listen = |bound: &Bound| bound.listen().map_err(|error| refused(&bound.opened.listener, error));
        self.bound.iter().try_for_each(listen)?;
        let Admin::Bound(admin) = &self.admin else { return Ok(()) };
        admin.listen().map_err(|error| refused_admin(&admin.opened.listener.address, error))
    }
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

fn keep(listener: &Listener, present: Option<&Present>) -> Option<Arc<Opened>> {
    let present = present?;
    let place = present.config.listeners.iter().position(|known| known == listener)?;
    Some(Arc::clone(&present.opened[place]))
}

fn bind(
    listener: &Listener,
    config: &Config,
    tls: Option<&Arc<Tls>>,
    present: Option<&Present>,
) -> Result<Bound, StartError> {
    // One that only changes what it speaks is still open as what it was.
    let is_it = |known: &Arc<Opened>| known.listener.address == listener.address;
    let again = present.is_some_and(|present| present.opened.iter().any(is_it));
    let bound = Bound::bind(listener, tls.cloned(), config.workers.get(), again);
    bound.map_err(|error| refused(listener, error))
}

fn bind_admin(config: &Config, present: Option<&Present>) -> Result<Admin, StartError> {
    let address = |config: &Config| config.admin.as_ref().map(|admin| admin.address.clone());
    let wanted = address(config);
    if present.is_some_and(|present| address(&present.config) == wanted) {
        return Ok(Admin::Kept);
    }
    let Some(address) = wanted else { return Ok(Admin::Closed) };
    let listener = Listener { name: "admin".into(), address, tls: false };
    let bound = bind_alone(&listener, config).map_err(|error| refused_admin(&listener.address, error))?;
    Ok(Admin::Bound(bound))
}

fn bind_alone(listener: &Listener, config: &Config) -> io::Result<Bound> {
    // We ourselves could share it, and would take half of the clients for callers.
    let port = listener.address.ip().map(|address| address.port());
    if port != Some(0) && config.listeners.iter().any(|other| other.address == listener.address) {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let bound = Bound::bind(listener, None, 1, false)?;
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
