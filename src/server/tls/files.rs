//! Files for TLS with clients, and what can be wrong with them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::config::{ClientAuth, ClientCertificates, MOST_FILE_BYTES, read_file};
use crate::telemetry::unreadable;

pub(super) const CERT: &str = "--tls-cert";
pub(super) const KEY: &str = "--tls-key";
pub(super) const CLIENT_CA: &str = "--tls-client-ca";

/// A file for TLS that is of no use. Says which, and what would be.
#[derive(Debug, thiserror::Error)]
#[error("{flag} {}: {fault}", .path.display())]
pub struct TlsError {
    /// The flag that names it.
    pub flag: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub fault: TlsFileFault,
}

impl TlsError {
    /// Whether it may be otherwise another time, though the file stays as it is.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.fault, TlsFileFault::Unreadable(_))
    }
}

/// What is wrong with a file for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileFault {
    /// It cannot be read.
    #[error("{}", unreadable(.0, "name a file in PEM form that we may read"))]
    Unreadable(io::Error),
    /// It has nothing in it that can be used.
    #[error("holds no {what}; name a file in PEM form with a part BEGIN {label}")]
    Empty {
        /// What was looked for.
        what: &'static str,
        /// What PEM calls it.
        label: &'static str,
    },
    /// It holds something that cannot be understood.
    #[error("{0}; name a file in PEM form that `openssl` can read")]
    Broken(String),
    /// It is of a version that nobody takes any more.
    #[error("is of X.509 version 1; make one with extensions (subjectAltName)")]
    Version1,
    /// The key is of a kind that TLS has no use for, or broken within.
    #[error("cannot be used ({0}); make one of RSA, ECDSA or Ed25519")]
    UnusableKey(rustls::Error),
    /// It is an RSA key of so few bits.
    #[error(
        "is an RSA key of {0} bits, which is too short; make one of 2048 or more, or of ECDSA, and a certificate for it"
    )]
    ShortKey(usize),
    /// The key cannot be read without a password, which nobody is there to give.
    #[error("is encrypted; decrypt it with `openssl pkey -in {} -out NEW`", .key.display())]
    Encrypted {
        /// The key's file.
        key: PathBuf,
    },
    /// The key is that of another certificate.
    #[error(
        "is not the key of the certificate in {}; name the two that were made together",
        .certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// The certificate of the key stands behind others, at this number.
    #[error("has the certificate of the key in {} as its number {number}; put that first", .key.display())]
    NotFirst {
        /// The key's file.
        key: PathBuf,
        /// Counted from 1.
        number: usize,
    },
}

/// What looks at certificates of clients.
pub(super) fn verifier(
    clients: &ClientCertificates,
    roots: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let broken = |reason: String| TlsFileFault::Broken(reason).of(CLIENT_CA, &clients.ca);
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(|error| broken(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider));
    let builder = match clients.auth {
        ClientAuth::Required => builder,
        ClientAuth::Optional => builder.allow_unauthenticated(),
    };
    let verifier = builder.build().map_err(|error| broken(error.to_string()))?;
    Ok(verifier)
}

/// All certificates of a PEM file, at least one.
pub(super) fn read_certificates(
    flag: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(flag, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| broken(flag, path, &error))?;
    if found.is_empty() {
        return Err(TlsFileFault::Empty { what: "certificate", label: "CERTIFICATE" }.of(flag, path));
    }
    Ok(found)
}

pub(super) fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    read_file(path, MOST_FILE_BYTES).map_err(|error| TlsFileFault::Unreadable(error).of(flag, path))
}

pub(super) fn broken(flag: &'static str, path: &Path, error: &pem::Error) -> TlsError {
    let told = match error {
        // They tell the line as the numbers of its bytes.
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("it ends amid a part, before END {}", String::from_utf8_lossy(end_marker))
        }
        pem::Error::IllegalSectionStart { line } => {
            format!("a part begins with {:?}", String::from_utf8_lossy(line))
        }
        error => error.to_string(),
    };
    TlsFileFault::Broken(told).of(flag, path)
}

impl TlsFileFault {
    /// Of this file.
    pub(super) fn of(self, flag: &'static str, path: &Path) -> TlsError {
        TlsError { flag, path: path.to_owned(), fault: self }
    }
}
