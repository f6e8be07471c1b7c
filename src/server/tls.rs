//! TLS with clients: what is loaded from files and renewed when they change.

mod certificate;
mod files;
mod names;
mod refused;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, ServerSessionMemoryCache};
use tracing::info;

use crate::config::{
    Authorities, ClientAuth, ClientCertificates, Found, NamedFile, Tls as Settings, TlsFiles,
};
use crate::connect::{Look, remark_on_authorities};
use crate::telemetry::Seldom;

pub use files::TlsError;

use certificate::{Certificate, Chain, private_key};
use files::{CERT, CLIENT_CA, read_certificates, verifier};
use names::Names;
use watch::Read;

/// What a client may choose from, the best first (RFC 7301).
const PROTOCOLS: [&[u8]; 3] = [HTTP_2, b"http/1.1", b"http/1.0"];
pub(super) const HTTP_2: &[u8] = b"h2";
/// Sessions of TLS 1.2 that are remembered; those of 1.3 are in tickets that clients keep.
const SESSIONS: usize = 16 * 1024;

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
    /// At the files, before they were read.
    loaded: Vec<Look>,
    config: Arc<ServerConfig>,
    certificates: Vec<Certificate>,
    clients: Clients,
}

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

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
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
        let loaded = watch::look(settings);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let load = |pair| Certificate::load(pair, &provider);
        let certificates = settings.certificates.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let clients =
            settings.clients.as_ref().map(|clients| Clients::load(clients, &provider)).transpose()?;
        Ok(Self::made(settings, loaded, certificates, clients.unwrap_or_default(), provider))
    }

    /// Loads these parts of what is used anew, which look like that, and tells what came of each. What is of no use stays as it was; nothing
    /// if that is all.
    fn renewed(used: &Self, due: Vec<(usize, Look)>) -> (Option<Self>, Vec<Read>) {
        let settings = &used.settings;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (mut loaded, mut certificates) = (used.loaded.clone(), used.certificates.clone());
        let mut clients = used.clients.clone();
        let mut load = |part: usize, seen: Look| -> Result<(), TlsError> {
            match (settings.certificates.get(part), &settings.clients) {
                (Some(pair), _) => certificates[part] = Certificate::load(pair, &provider)?,
                (None, Some(settings)) => clients = Clients::load(settings, &provider)?,
                (None, None) => {}
            }
            loaded[part] = seen;
            Ok(())
        };
        let read: Vec<Read> = due.into_iter().map(|(part, seen)| (part, seen, load(part, seen))).collect();
        let is_any = read.iter().any(|(.., result)| result.is_ok());
        (is_any.then(|| Self::made(settings, loaded, certificates, clients, provider)), read)
    }

    fn made(
        settings: &Settings,
        loaded: Vec<Look>,
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
        let known: HashMap<_, _> = known.iter().map(|known| (&known.file, known)).collect();
        let is_new = |certificate: &&Certificate| {
            !known.get(&certificate.file).is_some_and(|known| known.is_same(certificate))
        };
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
