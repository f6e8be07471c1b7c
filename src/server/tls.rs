//! TLS with clients: what is loaded from files and renewed when they change.

mod certificate;
mod files;
mod names;
mod refused;

use std::collections::BTreeMap;
use std::fs;
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, ServerSessionMemoryCache};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::config::{
    Authorities, ClientAuth, ClientCertificates, Found, NamedFile, Tls as Settings, TlsFiles, as_written,
};
use crate::connect::{aside, remark_on_authorities};
use crate::telemetry::Seldom;

pub use files::TlsError;

use certificate::{Certificate, Chain, private_key};
use files::{CERT, CLIENT_CA, read_certificates, verifier};
use names::Names;

/// What a client may choose from, the best first (RFC 7301).
const PROTOCOLS: [&[u8]; 3] = [HTTP_2, b"http/1.1", b"http/1.0"];
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
    /// Clients whose certificates were not taken.
    distrusted: Seldom,
}

/// What is in force, or is to be.
#[derive(Debug)]
pub struct Current {
    settings: Settings,
    /// Of the files when they were read.
    loaded: Vec<Version>,
    config: Arc<ServerConfig>,
    certificates: Vec<Certificate>,
    clients: Clients,
}

/// Tells one version of a file from the next.
type Version = Option<[i64; 6]>;

impl Tls {
    /// Loads what the settings name.
    ///
    /// # Errors
    /// The first file that is of no use.
    pub fn load(settings: &Settings) -> Result<Self, TlsError> {
        let current = Current::load(settings)?;
        current.tell(&[]);
        Ok(Self { current: RwLock::new(Arc::new(current)), distrusted: Seldom::default() })
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
        let before = mem::replace(&mut *used, Arc::clone(&current));
        drop(used);
        current.tell(&before.certificates);
    }

    /// The files of the certificates that are shown, and when the first of the chain in each ends.
    pub fn ends(&self) -> BTreeMap<PathBuf, SystemTime> {
        let end = |certificate: &Certificate| (certificate.file.clone(), certificate.term.end());
        self.current().certificates.iter().map(end).collect()
    }

    /// What holds for a handshake that begins now.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current().config)
    }

    /// Loads files anew whenever they have changed, for ever. What cannot be used changes nothing.
    pub async fn watch(self: Arc<Self>) {
        let mut used = self.current();
        let (mut complaints, mut attempted) = (Vec::new(), Vec::new());
        let mut tried = used.loaded.clone();
        let mut before = tried.clone();
        let mut reminder = Reminder::new();
        loop {
            sleep(LOOK_EVERY).await;
            let current = self.current();
            if !Arc::ptr_eq(&current, &used) {
                tried.clone_from(&current.loaded);
                before.clone_from(&current.loaded);
                used = Arc::clone(&current);
            }
            let Ok(seen) = aside(move || versions(&current.settings)).await else { continue };
            // Two files are not written at once: they are read when both have stayed the same for a while.
            if seen != tried && seen == before {
                let (this, current) = (Arc::clone(&self), Arc::clone(&used));
                let failed_before = (attempted == seen).then_some(complaints.len());
                let renewed = aside(move || this.renew(&current, failed_before));
                // They are read at the next look.
                let Ok(errors) = renewed.await else { continue };
                attempted.clone_from(&seen);
                // What could not be read may be another time, though nothing of it changes.
                if !errors.iter().any(TlsError::may_pass) {
                    tried.clone_from(&seen);
                }
                complaints = complain(&errors, &complaints);
                used = self.current();
            }
            before = seen;
            reminder.look(&self.current().certificates);
        }
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Loads what can be, and tells what cannot. Of the same files of which so many could not be before, it is news only if more can.
    fn renew(&self, used: &Arc<Current>, failed_before: Option<usize>) -> Vec<TlsError> {
        let (current, errors) = Current::renewed(used);
        let is_news = failed_before.is_none_or(|failed| errors.len() < failed);
        if let Some(current) = current.filter(|_| is_news) {
            current.certificates.iter().for_each(Certificate::warn_of_its_time);
            self.put(current, Some(used));
        }
        errors
    }
}

/// When the end of certificates was thought of.
struct Reminder {
    reminded: Instant,
    looked: SystemTime,
}

impl Reminder {
    fn new() -> Self {
        Self { reminded: Instant::now(), looked: SystemTime::now() }
    }

    /// Warns once in a while of those that soon are of no use, and at once of those of which that is news.
    fn look(&mut self, certificates: &[Certificate]) {
        let now = SystemTime::now();
        let is_due = self.reminded.elapsed() >= REMIND_EVERY;
        if is_due {
            self.reminded = Instant::now();
        }
        let is_news = |certificate: &&Certificate| certificate.term.turns_between(self.looked, now);
        let told = certificates.iter().filter(|certificate| is_due || is_news(certificate));
        told.for_each(Certificate::warn_of_its_time);
        self.looked = now;
    }
}

/// Says what is wrong and was not said the last time; gives what is to be known of that the next time.
fn complain(errors: &[TlsError], before: &[String]) -> Vec<String> {
    let complaints: Vec<_> = errors.iter().map(TlsError::to_string).collect();
    for complaint in complaints.iter().filter(|complaint| !before.contains(complaint)) {
        warn!("{}; what was loaded of it before stays in use", as_written(complaint));
    }
    complaints
}

/// Of all files that are watched.
fn versions(settings: &Settings) -> Vec<Version> {
    let pairs = settings.certificates.iter().flat_map(|pair| [&pair.certificate, &pair.key]);
    let version = |path: &PathBuf| {
        let file = fs::metadata(path).ok()?;
        // What moves the second time may let us read it.
        let times = (file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec());
        let (number, size) = (file.ino().cast_signed(), file.size().cast_signed());
        Some([number, size, times.0, times.1, times.2, times.3])
    };
    pairs.chain(settings.clients.as_ref().map(|clients| &clients.ca)).map(version).collect()
}

/// Whose certificates are taken of clients; nobody's, if none is asked for.
#[derive(Clone, Debug, Default)]
struct Clients {
    roots: Vec<CertificateDer<'static>>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Clients {
    fn load(settings: &ClientCertificates, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let roots = read_certificates(CLIENT_CA, &settings.ca)?;
        let verifier = verifier(settings, &roots, provider)?;
        Ok(Self { roots, verifier: Some(verifier) })
    }
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
        let clients =
            settings.clients.as_ref().map(|clients| Clients::load(clients, &provider)).transpose()?;
        Ok(Self::made(settings, loaded, certificates, clients.unwrap_or_default(), provider))
    }

    /// Loads anew all of what is used that can be loaded, and tells why the rest cannot, which stays as it was; nothing if that is all.
    fn renewed(used: &Self) -> (Option<Self>, Vec<TlsError>) {
        let settings = &used.settings;
        let loaded = versions(settings);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut errors = Vec::new();
        let mut certificates = Vec::new();
        for (pair, before) in settings.certificates.iter().zip(&used.certificates) {
            let renewed = Certificate::load(pair, &provider);
            certificates
                .push(renewed.map_err(|error| errors.push(error)).unwrap_or_else(|()| before.clone()));
        }
        let clients = settings.clients.as_ref().map(|clients| Clients::load(clients, &provider));
        let parts = certificates.len() + usize::from(clients.is_some());
        let clients = clients.unwrap_or_else(|| Ok(Clients::default()));
        let clients = clients.map_err(|error| errors.push(error)).unwrap_or_else(|()| used.clients.clone());
        let is_any = errors.len() < parts;
        (is_any.then(|| Self::made(settings, loaded, certificates, clients, provider)), errors)
    }

    fn made(
        settings: &Settings,
        loaded: Vec<Version>,
        certificates: Vec<Certificate>,
        clients: Clients,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        let verifier = clients.verifier.clone().unwrap_or_else(|| Arc::new(NoClientAuth));
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
        Self { settings: settings.clone(), loaded, config: Arc::new(config), certificates, clients }
    }

    /// Keeps what clients remember of their last connections, unless others may connect now: who goes on with a session is
    /// not asked for a certificate again.
    fn succeeding(self, before: &Self) -> Self {
        let auth = |current: &Self| current.settings.clients.as_ref().map(|clients| clients.auth);
        if self.clients.roots != before.clients.roots || auth(&self) != auth(before) {
            return self;
        }
        let mut config = Arc::unwrap_or_clone(self.config);
        config.session_storage = Arc::clone(&before.config.session_storage);
        config.ticketer = Arc::clone(&before.config.ticketer);
        Self { config: Arc::new(config), ..self }
    }

    /// Those are known.
    fn tell(&self, known: &[Certificate]) {
        let is_new = |certificate: &&Certificate| !known.iter().any(|known| known.is_same(certificate));
        self.certificates.iter().filter(is_new).for_each(|certificate| info!("{certificate}"));
    }
}

/// What is wrong with files for TLS with clients, and which certificates soon are of no use. Each is looked into alone, and a pair together if both are sound.
pub fn check_files(files: &TlsFiles) -> Found {
    let Found { mut flaws, mut remarks } = Found::default();
    let mut tell = |file: &NamedFile, error: &TlsError| flaws.push(file.flaw(&error.fault));
    let certificate = files.certificate.as_ref();
    let chain =
        certificate.and_then(|file| Chain::read(&file.path).inspect_err(|error| tell(file, error)).ok());
    remarks.extend(chain.as_ref().and_then(Chain::remark));
    let key = files.key.as_ref();
    let private = key.and_then(|file| private_key(&file.path).inspect_err(|error| tell(file, error)).ok());
    let provider = Arc::new(aws_lc_rs::default_provider());
    if let (Some(chain_file), Some(file), Some(chain), Some(private)) = (certificate, key, chain, private)
        && let Err(error) = Certificate::of(chain, (&file.path, private), &provider)
    {
        tell(if error.flag == CERT { chain_file } else { file }, &error);
    }
    if let Authorities::File(file) = &files.authorities {
        let clients = ClientCertificates { ca: file.path.clone(), auth: ClientAuth::Required };
        let roots = read_certificates(CLIENT_CA, &clients.ca);
        remarks.extend(roots.iter().filter_map(|roots| remark_on_authorities(&file.path, roots)));
        if let Err(error) = roots.and_then(|roots| verifier(&clients, &roots, &provider)) {
            tell(file, &error);
        }
    }
    Found { flaws, remarks }
}
