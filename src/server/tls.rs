//! TLS with clients: what is loaded from files and renewed when they change.

mod certificate;
mod files;
mod names;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::server::{NoClientAuth, NoServerSessionStorage, ServerSessionMemoryCache};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::config::{
    Authorities, ClientAuth, ClientCertificates, Flaw, NamedFile, Tls as Settings, TlsFiles,
};

pub use files::TlsError;

use certificate::{Certificate, Chain, private_key};
use files::{CLIENT_CA, read_certificates, verifier};
use names::Names;

/// What a client may choose from, the best first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [HTTP_2, b"http/1.1"];
pub(super) const HTTP_2: &[u8] = b"h2";
/// Sessions of TLS 1.2 that are remembered; those of 1.3 are in tickets that clients keep.
const SESSIONS: usize = 16 * 1024;
/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the end of certificates is thought of.
const REMIND_EVERY: Duration = Duration::from_secs(12 * 3600);

/// TLS with clients, for all workers. What is in force changes when its files do.
#[derive(Debug)]
pub struct Tls {
    current: RwLock<Arc<Current>>,
}

/// What is in force, or is to be.
#[derive(Debug)]
pub struct Current {
    settings: Settings,
    /// Of the files when they were read.
    loaded: Vec<Version>,
    config: Arc<ServerConfig>,
    certificates: Vec<Certificate>,
    client_roots: Vec<CertificateDer<'static>>,
}

/// Tells one version of a file from the next.
type Version = Option<(u64, i64, i64, u64)>;

impl Tls {
    /// Loads what the settings name.
    ///
    /// # Errors
    /// The first file that is of no use.
    pub fn load(settings: &Settings) -> Result<Self, TlsError> {
        let current = Current::load(settings)?;
        current.tell();
        Ok(Self { current: RwLock::new(Arc::new(current)) })
    }

    /// Puts what was loaded in force: for handshakes that begin from now on.
    pub fn adopt(&self, current: Current) {
        self.put(current, None);
    }

    /// The same, in place of these alone: others have come of a change of the settings, and of the files as they are by then.
    fn put(&self, current: Current, before: Option<&Arc<Current>>) {
        let mut used = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if before.is_some_and(|before| !Arc::ptr_eq(before, &used)) {
            return;
        }
        let current = Arc::new(current.succeeding(&used));
        *used = Arc::clone(&current);
        drop(used);
        current.tell();
    }

    /// The files of the certificates that are shown, and when each ends.
    pub fn ends(&self) -> BTreeMap<PathBuf, SystemTime> {
        let end = |certificate: &Certificate| (certificate.file.clone(), certificate.end());
        self.current().certificates.iter().map(end).collect()
    }

    /// What holds for a handshake that begins now.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current().config)
    }

    /// Loads files anew whenever they have changed, for ever. What cannot be used changes nothing.
    pub async fn watch(self: Arc<Self>) {
        let mut used = self.current();
        let mut tried = used.loaded.clone();
        let mut before = tried.clone();
        let mut reminded = Instant::now();
        loop {
            sleep(LOOK_EVERY).await;
            let current = self.current();
            if !Arc::ptr_eq(&current, &used) {
                tried.clone_from(&current.loaded);
                before.clone_from(&current.loaded);
                used = Arc::clone(&current);
            }
            let Ok(seen) = spawn_blocking(move || versions(&current.settings)).await else { continue };
            // Two files are not written at once: they are read when both have stayed the same for a while.
            if seen != tried && seen == before {
                let (this, current) = (Arc::clone(&self), Arc::clone(&used));
                let _ = spawn_blocking(move || this.renew(&current)).await;
                tried.clone_from(&seen);
                used = self.current();
            }
            before = seen;
            if reminded.elapsed() >= REMIND_EVERY {
                reminded = Instant::now();
                self.current().certificates.iter().for_each(Certificate::warn_of_its_end);
            }
        }
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn renew(&self, used: &Arc<Current>) {
        match Current::load(&used.settings) {
            Ok(current) => self.put(current, Some(used)),
            Err(error) => warn!("{error}; the certificates that were loaded before stay in use"),
        }
    }
}

/// Of all files that are watched.
fn versions(settings: &Settings) -> Vec<Version> {
    let pairs = settings.certificates.iter().flat_map(|pair| [&pair.certificate, &pair.key]);
    let version = |path: &PathBuf| {
        let file = fs::metadata(path).ok()?;
        Some((file.ino(), file.mtime(), file.mtime_nsec(), file.size()))
    };
    pairs.chain(settings.clients.as_ref().map(|clients| &clients.ca)).map(version).collect()
}

impl Current {
    /// Loads what the settings name, for [`Tls::adopt`].
    ///
    /// # Errors
    /// The first file that is of no use.
    pub fn load(settings: &Settings) -> Result<Self, TlsError> {
        let loaded = versions(settings);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let load = |pair| Certificate::load(pair, &provider);
        let certificates = settings.certificates.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let client_roots = match &settings.clients {
            Some(clients) => read_certificates(CLIENT_CA, &clients.ca)?,
            None => Vec::new(),
        };
        let verifier = match &settings.clients {
            Some(clients) => verifier(clients, &client_roots, &provider)?,
            None => Arc::new(NoClientAuth),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has what TLS 1.2 and 1.3 need")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(Names::of(&certificates)));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        if settings.clients.is_some() {
            // Who goes on with a session is not asked for a certificate again, be it expired by then.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
            if let Ok(tickets) = aws_lc_rs::Ticketer::new() {
                config.ticketer = tickets;
            }
        }
        Ok(Self { settings: settings.clone(), loaded, config: Arc::new(config), certificates, client_roots })
    }

    /// Keeps what clients remember of their last connections, unless others may connect now: who goes on with a session is
    /// not asked for a certificate again.
    fn succeeding(self, before: &Self) -> Self {
        let auth = |current: &Self| current.settings.clients.as_ref().map(|clients| clients.auth);
        if self.client_roots != before.client_roots || auth(&self) != auth(before) {
            return self;
        }
        let mut config = Arc::unwrap_or_clone(self.config);
        config.session_storage = Arc::clone(&before.config.session_storage);
        config.ticketer = Arc::clone(&before.config.ticketer);
        Self { config: Arc::new(config), ..self }
    }

    fn tell(&self) {
        for certificate in &self.certificates {
            info!("{certificate}");
            certificate.warn_of_its_end();
        }
    }
}

/// What is wrong with files for TLS with clients. Each is looked into alone, and a pair together if both are sound.
pub fn check_files(files: &TlsFiles) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let mut tell = |file: &NamedFile, error: &TlsError| flaws.push(file.flaw(&error.fault));
    let certificate = files.certificate.as_ref();
    let chain =
        certificate.and_then(|file| Chain::read(&file.path).inspect_err(|error| tell(file, error)).ok());
    let key = files.key.as_ref();
    let private = key.and_then(|file| private_key(&file.path).inspect_err(|error| tell(file, error)).ok());
    let provider = Arc::new(aws_lc_rs::default_provider());
    if let (Some(file), Some(chain), Some(private)) = (key, chain, private)
        && let Err(error) = Certificate::of(chain, (&file.path, private), &provider)
    {
        tell(file, &error);
    }
    if let Authorities::File(file) = &files.authorities {
        let clients = ClientCertificates { ca: file.path.clone(), auth: ClientAuth::Required };
        let roots = read_certificates(CLIENT_CA, &clients.ca);
        if let Err(error) = roots.and_then(|roots| verifier(&clients, &roots, &provider)) {
            tell(file, &error);
        }
    }
    flaws
}
