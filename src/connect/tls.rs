//! TLS to backends.

mod distrust;
mod fault;
mod insecure;
mod system;
mod term;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsConnector, TlsStream};

use crate::config::{
    self, Authorities, Flaw, Found, MOST_FILE_BYTES, NamedFile, ProxyVersion, TlsFiles, Trust, as_written,
    read_file,
};

use super::dial::{DialError, Protocol};
use super::pem::{self, PemFault, TlsFileError, Unpaired};
use super::{Look, Socket, Stream};

pub use distrust::Distrust;
pub use fault::TlsFault;
pub(super) use fault::is_of_version_1;
pub use system::SystemAuthorities;
pub use term::{Term, names, remark_on_authorities};

use term::remark_on_chain;

const CA: &str = "--backend-ca";
const CERT: &str = "--backend-cert";
const KEY: &str = "--backend-key";
const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";
/// Sessions with one backend that are remembered.
const SESSIONS: usize = 8;

/// How TLS is spoken to one backend.
pub(super) struct BackendTls {
    client: TlsClient,
    name: ServerName<'static>,
    /// With its own memory for sessions, from the first connection on: another backend of the same name knows nothing of them. All
    /// workers share it. None if it goes on with no session of before.
    resuming: Option<OnceLock<Connectors>>,
}

/// How TLS is spoken to all of a pool.
#[derive(Clone)]
pub(super) struct TlsClient {
    settings: Arc<config::BackendTls>,
    /// At the files, before they were read.
    loaded: Look,
    /// Of what was in the files.
    digest: u64,
    /// For who is to look at the certificate each time: where a session is resumed, nobody does.
    anew: Connectors,
}

/// Of one memory for sessions, or of none.
#[derive(Clone)]
struct Connectors {
    /// Lets the backend choose between HTTP/2 and HTTP/1.1.
    either: TlsConnector,
    http1: TlsConnector,
}

impl BackendTls {
    /// What all backends have in common. One that is told of clients gets one connection for each, where HTTP/2 is of
    /// no use.
    pub(super) fn client(
        settings: &config::BackendTls,
        proxy_protocol: Option<ProxyVersion>,
        system: &SystemAuthorities,
    ) -> Result<TlsClient, TlsFileError> {
        // Before they are read: what is replaced meanwhile is another one the next time.
        let (loaded, digest) = (Look::at(files(settings)), digest(settings, system));
        let mut anew = client_config(settings, system)?;
        anew.resumption = Resumption::disabled();
        let anew = Connectors::of(anew, proxy_protocol.is_none());
        Ok(TlsClient { settings: Arc::new(settings.clone()), loaded, digest, anew })
    }

    /// The same, but it resumes no session, and keeps none.
    pub(super) fn anew(&self) -> Self {
        Self { client: self.client.clone(), name: self.name.clone(), resuming: None }
    }

    /// Whether it is spoken in the same way, with the same certificates.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.client.is_same(&other.client)
    }

    /// Agrees upon TLS over a fresh connection, and learns what is to be spoken over it.
    pub(super) async fn open(&self, socket: Socket, http1: bool) -> Result<(Stream, Protocol), DialError> {
        let anew = &self.client.anew;
        let connectors = self.resuming.as_ref().map_or(anew, |own| own.get_or_init(|| anew.remembering()));
        let connector = if http1 { &connectors.http1 } else { &connectors.either };
        let connected = connector.connect(self.name.clone(), socket).await;
        let stream = connected.map_err(|error| match TlsFault::of(&error, &self.name) {
            // It had no choice, because of what one request is for.
            Some(fault) if http1 && fault.is_of_the_choice() => DialError::CannotSwitch,
            Some(fault) => DialError::Tls(fault),
            None => DialError::Connect(error),
        })?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(H2) => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((Stream::Tls(Box::new(TlsStream::Client(stream))), protocol))
    }
}

impl Connectors {
    fn of(http1: ClientConfig, may_choose: bool) -> Self {
        let mut either = http1.clone();
        if may_choose {
            either.alpn_protocols.insert(0, H2.to_vec());
        }
        Self { either: Arc::new(either).into(), http1: Arc::new(http1).into() }
    }

    /// The same, with a memory of their own.
    fn remembering(&self) -> Self {
        let resumption = Resumption::in_memory_sessions(SESSIONS);
        let own = |connector: &TlsConnector| {
            let mut config = ClientConfig::clone(connector.config());
            config.resumption = resumption.clone();
            Arc::new(config).into()
        };
        Self { either: own(&self.either), http1: own(&self.http1) }
    }
}

impl TlsClient {
    /// For the backend at this address with a certificate for this name. For what can be no name, as a source may tell, there is
    /// no certificate: then it would have to be for the address.
    pub(super) fn to(&self, name: &str, address: Option<IpAddr>) -> BackendTls {
        let address = || ServerName::from(address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()));
        let name = ServerName::try_from(name.to_owned()).unwrap_or_else(|_| address());
        BackendTls { client: self.clone(), name, resuming: Some(OnceLock::new()) }
    }

    /// Whether the files that its settings name are what they were when they were read.
    pub(super) fn is_current(&self, system: &SystemAuthorities) -> bool {
        self.digest == digest(&self.settings, system)
    }

    /// Whether there are any.
    pub(super) fn has_files(&self) -> bool {
        files(&self.settings).iter().any(Option::is_some)
    }

    /// At these files, by now and before they were read.
    pub(super) fn look(&self) -> (Look, Look) {
        (Look::at(files(&self.settings)), self.loaded)
    }

    /// Whether the same was in the files.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest && self.settings == other.settings
    }
}

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsClient").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for BackendTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackendTls").field("name", &self.name).finish_non_exhaustive()
    }
}

fn client_config(
    settings: &config::BackendTls,
    system: &SystemAuthorities,
) -> Result<ClientConfig, TlsFileError> {
    let provider = Arc::new(default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the versions");
    let builder = match &settings.trust {
        Trust::Authorities(path) => {
            builder.with_root_certificates(authorities(path, pem::certificates(CA, path)?)?)
        }
        Trust::System => builder.dangerous().with_custom_certificate_verifier(system.verifier()?),
        Trust::Anything => anything(builder, &provider),
    };
    let mut client = match &settings.client {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = pem::certificates(CERT, &pair.certificate)?;
            let key = pem::private_key(KEY, &pair.key)?;
            let unfit = |why| unfit(why, (&pair.certificate, &pair.key));
            let pair = pem::pair(chain, key, &provider).map_err(unfit)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
        }
    };
    client.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(client)
}

/// What is wrong with files for TLS to backends, and which certificates soon are of no use. Each is looked into alone, and a pair together if both are sound.
pub fn check_files(files: &TlsFiles, system: &SystemAuthorities) -> Found {
    let Found { mut flaws, mut remarks } = Found::default();
    let mut tell = |file: &NamedFile, error: &TlsFileError| flaws.push(file.flaw(&error.said()));
    let (certificate, key) = (files.certificate.as_ref(), files.key.as_ref());
    let chain = certificate
        .and_then(|file| pem::certificates(CERT, &file.path).inspect_err(|error| tell(file, error)).ok());
    if let (Some(file), Some(chain)) = (certificate, &chain) {
        remarks.extend(remark_on_chain(&file.path, chain, "backends"));
    }
    let private =
        key.and_then(|file| pem::private_key(KEY, &file.path).inspect_err(|error| tell(file, error)).ok());
    if let (Some(chain_file), Some(file), Some(chain), Some(private)) = (certificate, key, chain, private)
        && let Err(why) = pem::pair(chain, private, &default_provider())
    {
        let error = unfit(why, (&chain_file.path, &file.path));
        tell(if matches!(&error, TlsFileError::File { flag: CERT, .. }) { chain_file } else { file }, &error);
    }
    match &files.authorities {
        Authorities::File(file) => {
            let read = pem::certificates(CA, &file.path);
            remarks.extend(read.iter().filter_map(|read| remark_on_authorities(&file.path, read)));
            if let Err(error) = read.and_then(|read| authorities(&file.path, read)) {
                tell(file, &error);
            }
        }
        Authorities::System(place) => {
            if let Err(error) = system.verifier() {
                flaws.push(Flaw { place: place.clone(), value: None, text: error.said() });
            }
        }
        Authorities::None => {}
    }
    Found { flaws, remarks }
}

fn authorities(path: &Path, read: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in read {
        roots.add(certificate).map_err(|error| PemFault::Unusable(error).of(CA, path))?;
    }
    Ok(roots)
}

/// A certificate and a key that cannot be worked with together.
fn unfit(why: Unpaired, (certificate, key): (&Path, &Path)) -> TlsFileError {
    match why {
        Unpaired::WrongKey => PemFault::WrongKey(certificate.to_owned()).of(KEY, key),
        Unpaired::NotFirst(number) => {
            PemFault::NotFirst { key: key.to_owned(), number }.of(CERT, certificate)
        }
        Unpaired::Version1 => PemFault::Version1.of(CERT, certificate),
        Unpaired::Certificate(error) => PemFault::Unusable(error.into()).of(CERT, certificate),
        Unpaired::ShortKey(bits) => PemFault::ShortKey(bits).of(KEY, key),
        Unpaired::Key(error) => PemFault::Unusable(error).of(KEY, key),
    }
}

/// Those that these settings name.
fn files(settings: &config::BackendTls) -> [Option<&Path>; 3] {
    let ca = match &settings.trust {
        Trust::Authorities(path) => Some(&**path),
        Trust::System | Trust::Anything => None,
    };
    let pair = settings.client.as_ref();
    [ca, pair.map(|pair| &*pair.certificate), pair.map(|pair| &*pair.key)]
}

/// Of what is in the files that these settings name, to tell when they were replaced.
fn digest(settings: &config::BackendTls, system: &SystemAuthorities) -> u64 {
    let mut hasher = DefaultHasher::new();
    if matches!(settings.trust, Trust::System) {
        system.digest().hash(&mut hasher);
    }
    let read = |path: &Path| read_file(path, MOST_FILE_BYTES).ok();
    files(settings).into_iter().flatten().for_each(|path| read(path).hash(&mut hasher));
    hasher.finish()
}

type Builder<S> = rustls::ConfigBuilder<ClientConfig, S>;

fn anything(
    builder: Builder<rustls::WantsVerifier>,
    provider: &Arc<CryptoProvider>,
) -> Builder<rustls::client::WantsClientCert> {
    tracing::warn!(
        "{}: certificates of backends are not verified; whoever is between can read and change all",
        as_written("--backend-tls-insecure"),
    );
    builder.dangerous().with_custom_certificate_verifier(Arc::new(insecure::TakesAny(Arc::clone(provider))))
}
