//! Certificates and keys, read from files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::config::{MOST_FILE_BYTES, read_file};
use crate::telemetry::unreadable;

use super::tls::is_of_version_1;

/// Bits of an RSA key.
const LEAST_RSA_BITS: usize = 2048;

/// Why TLS cannot be spoken to backends: a file that cannot be used, or a system that trusts nobody.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// A file cannot be used: says which flag, which file, what is wrong and how to mend it.
    #[error("{flag} {}: {fault}", .path.display())]
    File {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: PemFault,
    },
    /// The system has no list of authorities.
    #[error("--backend https://…: {}", no_authorities(.0))]
    NoAuthorities(Error),
}

/// What is wrong with a file for TLS.
#[derive(Debug, thiserror::Error)]
pub enum PemFault {
    /// It cannot be read.
    #[error("{}", unreadable(.0, "name a file that exists and that we may read"))]
    Unreadable(io::Error),
    /// It holds something else, or something broken.
    #[error("holds no {wanted} that can be read; expected PEM, `-----BEGIN {begins}-----`")]
    NotOne {
        /// What was expected in it.
        wanted: &'static str,
        /// How that begins.
        begins: &'static str,
    },
    /// The key is another certificate's.
    #[error("is not the key of the certificate in {}; give both of one pair", .0.display())]
    WrongKey(PathBuf),
    /// The certificate of the key stands behind others, at this number.
    #[error("has the certificate of the key in {} as its number {number}; put that first", .key.display())]
    NotFirst {
        /// The key's file.
        key: PathBuf,
        /// Counted from 1.
        number: usize,
    },
    /// It is of a version that nobody takes any more.
    #[error("is of X.509 version 1; make one with extensions (subjectAltName)")]
    Version1,
    /// It is an RSA key of so few bits.
    #[error(
        "is an RSA key of {0} bits, which is too short; make one of 2048 or more, or of ECDSA, and a certificate for it"
    )]
    ShortKey(usize),
    /// A certificate or key that cannot be worked with.
    #[error("cannot be used: {0}")]
    Unusable(Error),
}

/// Why a chain and a key are no pair.
#[derive(Debug)]
pub enum Unpaired {
    /// The key is that of no certificate of the chain.
    WrongKey,
    /// The key is that of the one at this number, and must be that of the first.
    NotFirst(usize),
    /// The certificate is of a version that nobody takes any more.
    Version1,
    /// The certificate cannot be worked with.
    Certificate(CertificateError),
    /// The key is an RSA key of so few bits.
    ShortKey(usize),
    /// The key cannot be worked with.
    Key(Error),
}

impl TlsFileError {
    /// Whether it may be otherwise another time, though the file stays as it is.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::File { fault: PemFault::Unreadable(_), .. })
    }

    /// What is wrong, without the name of the file.
    pub(super) fn said(&self) -> String {
        match self {
            Self::File { fault, .. } => fault.to_string(),
            Self::NoAuthorities(error) => no_authorities(error),
        }
    }
}

impl PemFault {
    /// Of this file.
    pub(super) fn of(self, flag: &'static str, path: &Path) -> TlsFileError {
        TlsFileError::File { flag, path: path.to_owned(), fault: self }
    }
}

fn no_authorities(error: &Error) -> String {
    format!(
        "this system trusts no authorities ({error}); install its certificates (ca-certificates) or name some with --backend-ca FILE"
    )
}

/// All certificates in a file: at least one.
///
/// # Errors
/// It cannot be read, or holds none.
pub fn certificates(flag: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let bytes = read(flag, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| not_one(flag, path, "certificate", "CERTIFICATE"))
}

/// The private key in a file.
///
/// # Errors
/// It cannot be read, or holds none.
pub fn private_key(flag: &'static str, path: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    let bytes = read(flag, path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| not_one(flag, path, "private key", "PRIVATE KEY"))
}

/// A chain of certificates with the key of its first one.
///
/// # Errors
/// They are no pair, or one of them cannot be used.
pub fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Unpaired> {
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|error| short_key(&chain).map_or(Unpaired::Key(error), Unpaired::ShortKey))?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        Err(Error::InconsistentKeys(_)) => {
            Err(number_of_its_own(&pair).map_or(Unpaired::WrongKey, Unpaired::NotFirst))
        }
        Err(Error::InvalidCertificate(error)) if is_of_version_1(&error) => Err(Unpaired::Version1),
        Err(Error::InvalidCertificate(error)) => Err(Unpaired::Certificate(error)),
        Err(error) => Err(Unpaired::Key(error)),
    }
}

/// Where in its chain the certificate of a key is, if it is: who puts the authority first has a chain in the wrong order.
fn number_of_its_own(pair: &CertifiedKey) -> Option<usize> {
    let fits = |one: &CertificateDer<'static>| {
        CertifiedKey::new(vec![one.clone()], Arc::clone(&pair.key)).keys_match().is_ok()
    };
    pair.cert.iter().position(fits).map(|index| index + 1)
}

/// The bits of the RSA key of the first of a chain, if those are too few for TLS.
fn short_key(chain: &[CertificateDer<'_>]) -> Option<usize> {
    let (_, leaf) = X509Certificate::from_der(chain.first()?).ok()?;
    match leaf.public_key().parsed().ok()? {
        PublicKey::RSA(key) => Some(key.key_size()).filter(|bits| *bits < LEAST_RSA_BITS),
        _ => None,
    }
}

fn not_one(flag: &'static str, path: &Path, wanted: &'static str, begins: &'static str) -> TlsFileError {
    PemFault::NotOne { wanted, begins }.of(flag, path)
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsFileError> {
    read_file(path, MOST_FILE_BYTES).map_err(|error| PemFault::Unreadable(error).of(flag, path))
}
