//! One certificate and its key.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tracing::warn;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::KeyPair;
use crate::connect::pem::{self, Unpaired};
use crate::connect::{Term, names};

use super::files::{CERT, KEY, TlsError, TlsFileFault, broken, read, read_certificates};

/// Who is shown certificates.
const CLIENTS: &str = "clients";

/// A certificate, its key, and what it says of itself.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) file: PathBuf,
    pub(super) key: Arc<CertifiedKey>,
    /// The names that it is for, in lower case; some begin with `*.`.
    pub(super) names: Vec<String>,
    pub(super) term: Term,
}

/// A chain of certificates, what the first one says of itself, and when the first of them ends.
pub(super) struct Chain {
    file: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
    names: Vec<String>,
    term: Term,
}

impl Chain {
    /// Reads one.
    pub(super) fn read(path: &Path) -> Result<Self, TlsError> {
        let certificates = read_certificates(CERT, path)?;
        let (names, term) = {
            let leaf = X509Certificate::from_der(&certificates[0]).map_err(|error| {
                let reason = format!("its first certificate cannot be understood ({error})");
                TlsFileFault::Broken(reason).of(CERT, path)
            })?;
            (names(&leaf.1), Term::of_chain(&leaf.1, &certificates[1..]))
        };
        Ok(Self { file: path.to_owned(), certificates, names, term })
    }
}

/// The private key in a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let read = read(KEY, path)?;
    PrivateKeyDer::from_pem_slice(&read).map_err(|error| match error {
        _ if is_encrypted(&read) => TlsFileFault::Encrypted { key: path.to_owned() }.of(KEY, path),
        PemError::NoItemsFound => {
            TlsFileFault::Empty { what: "private key", label: "PRIVATE KEY" }.of(KEY, path)
        }
        error => broken(KEY, path, &error),
    })
}

impl Certificate {
    /// Reads a pair and makes sure that it is one.
    pub(super) fn load(pair: &KeyPair, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let chain = Chain::read(&pair.certificate)?;
        Self::of(chain, (&pair.key, private_key(&pair.key)?), provider)
    }

    /// Of a chain and the key in a file, if they are a pair.
    pub(super) fn of(
        chain: Chain,
        (path, key): (&Path, PrivateKeyDer<'static>),
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let Chain { file, certificates, names, term } = chain;
        let key = pem::pair(certificates, key, provider).map_err(|why| match why {
            Unpaired::WrongKey => TlsFileFault::Mismatch { certificate: file.clone() }.of(KEY, path),
            Unpaired::NotFirst(number) => {
                TlsFileFault::NotFirst { key: path.to_owned(), number }.of(CERT, &file)
            }
            Unpaired::Version1 => TlsFileFault::Version1.of(CERT, &file),
            Unpaired::Certificate(error) => TlsFileFault::Broken(error.to_string()).of(CERT, &file),
            Unpaired::ShortKey(bits) => TlsFileFault::ShortKey(bits).of(KEY, path),
            Unpaired::Key(error) => TlsFileFault::UnusableKey(error).of(KEY, path),
        })?;
        Ok(Self { file, key: Arc::new(key), names, term })
    }

    /// Whether what would be said of it is the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.file == other.file && self.key.cert == other.key.cert
    }

    /// What is to be said of when it begins and ends, if anything is.
    pub(super) fn warn_of_its_time(&self) {
        self.term.remark(&self.file, CLIENTS).into_iter().for_each(|remark| warn!("{remark}"));
    }
}

impl Chain {
    /// The same, as a text.
    pub(super) fn remark(&self) -> Option<String> {
        self.term.remark(&self.file, CLIENTS)
    }
}

impl Display for Certificate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = if self.names.is_empty() { "no name".to_owned() } else { self.names.join(", ") };
        write!(f, "certificate {} is for {names} and {}", self.file.display(), self.term.validity())
    }
}

/// As PKCS #8 says it (RFC 5958), and as OpenSSL did before (RFC 1421 section 4.6.1.1).
fn is_encrypted(pem: &[u8]) -> bool {
    let marks: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
    marks.iter().any(|mark| memchr::memmem::find(pem, mark).is_some())
}
