//! TLS with clients: what is loaded from files and renewed when they change.

mod certificate;
mod files;
mod names;
mod refused;
mod watch;

use std::collections::{BTreeMap, HashMap, HashSet};
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
use crate::proxy::Demands;
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
    demands: Arc<Demands>,
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
    /// The number of the demands that clients meet by it.
    demands: u32,
    /// The revision of the registry that came with it: requests that go by an older one are routed as others may be let in.
    as_of: u64,
}

/// What is asked in a handshake.
pub(super) struct Asked {
    pub(super) config: Arc<ServerConfig>,
    /// The number of the demands that a client meets by it.
    pub(super) demands: u32,
}

impl Tls {
    /// Loads what the settings name.
    ///
    /// # Errors
    /// The first file that is of no use.
    pub fn load(settings: &Settings) -> Result<Self, TlsError> {
        let current = Current::load(settings)?;
        current.tell(&[]);
        let (distrusted, demands) = <(Seldom, Arc<Demands>)>::default();
        Ok(Self { current: RwLock::new(Arc::new(current)), distrusted, demands })
    }

    /// Puts what was loaded in force: for handshakes that begin where requests go by this revision of the registry. To be called before
    /// any do. Gives whether more is asked of clients: those who are connected are to go.
    pub fn adopt(&self, current: Current, as_of: u64) -> bool {
        self.put(Current { as_of, ..current }, None)
    }

    /// The same, in place of these alone: others have come of a change of the settings, and of the files as they are by then.
    fn put(&self, current: Current, before: Option<&Arc<Current>>) -> bool {
        let mut used = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if before.is_some_and(|before| !Arc::ptr_eq(before, &used)) {
            return false;
        }
        let asks_more = current.clients.ask_more_than(&used.clients);
        if asks_more {
            self.demands.grow();
        }
        let current = Current { demands: self.demands.now(), ..current.succeeding(&used) };
        let current = Arc::new(current);
        let before = mem::replace(&mut *used, Arc::clone(&current));
        drop(used);
        current.tell(&before.certificates);
        asks_more
    }

    /// Whether the files are those that were read.
    pub fn is_current(&self) -> bool {
        let current = self.current();
        watch::look(&current.settings) == current.loaded
    }

    /// The files of the certificates that are shown, and when the first of the chain in each ends.
    pub fn ends(&self) -> BTreeMap<PathBuf, SystemTime> {
        let end = |certificate: &Certificate| (certificate.file.clone(), certificate.term.end());
        self.current().certificates.iter().map(end).collect()
    }

    /// Whether clients are asked for certificates.
    pub(super) fn asks(&self) -> bool {
        self.current().clients.auth.is_some()
    }

    /// What is asked of who connects.
    pub(super) fn demands(&self) -> Arc<Demands> {
        Arc::clone(&self.demands)
    }

    /// What holds for a handshake that begins now, unless requests go by an older revision of the registry than came with that.
    pub(super) fn asked_as_of(&self, as_of: u64) -> Option<Asked> {
        let current = self.current();
        (current.as_of <= as_of)
            .then(|| Asked { config: Arc::clone(&current.config), demands: current.demands })
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whose certificates are taken of clients; nobody's, if none is asked for.
#[derive(Clone, Debug, Default)]
struct Clients {
    auth: Option<ClientAuth>,
    roots: Vec<CertificateDer<'static>>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Clients {
    fn load(settings: &ClientCertificates, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let roots = read_certificates(CLIENT_CA, &settings.ca)?;
        let verifier = verifier(settings, &roots, provider)?;
        Ok(Self { auth: Some(settings.auth), roots, verifier: Some(verifier) })
    }

    /// Whether somebody may have come by those who could not come by these, or was not asked what these ask.
    fn ask_more_than(&self, before: &Self) -> bool {
        let Some(auth) = self.auth else { return false };
        let known: HashSet<_> = self.roots.iter().collect();
        let had_to_show = match auth {
            ClientAuth::Required => before.auth == Some(ClientAuth::Required),
            ClientAuth::Optional => before.auth.is_some(),
        };
        !had_to_show || !before.roots.iter().all(|root| known.contains(root))
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
        let made =
            || Self { as_of: used.as_of, ..Self::made(settings, loaded, certificates, clients, provider) };
        (is_any.then(made), read)
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
        let config = Arc::new(config);
        Self { settings: settings.clone(), loaded, config, certificates, clients, demands: 0, as_of: 0 }
    }

    /// Keeps what clients remember of their last connections, unless others may connect now: who goes on with a session is
    /// not asked for a certificate again.
    fn succeeding(self, before: &Self) -> Self {
        if self.clients.roots != before.clients.roots || self.clients.auth != before.clients.auth {
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
