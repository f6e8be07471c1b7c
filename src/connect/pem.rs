//! Certificates and keys, read from files.

use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{MOST_FILE_BYTES, read_file};

/// A file for TLS that cannot be used: says which flag, which file, what is wrong and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// It cannot be read.
    #[error("{flag} {}: cannot be read: {error}; name a file that exists and that we may read", .path.display())]
    Unreadable {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It holds something else, or something broken.
    #[error("{flag} {}: holds no {wanted} that can be read; expected PEM, `-----BEGIN {begins}-----`", .path.display())]
    NotOne {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What was expected in it.
        wanted: &'static str,
        /// How that begins.
        begins: &'static str,
    },
    /// The key is another certificate's.
    #[error("{flag} {}: is not the key of the certificate in {}; give both of one pair", .key.display(), .certificate.display())]
    WrongKey {
        /// The key's flag.
        flag: &'static str,
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// A certificate or key that cannot be worked with.
    #[error("{flag} {}: cannot be used: {error}", .path.display())]
    Unusable {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        error: rustls::Error,
    },
    /// The system has no list of authorities.
    #[error(
        "--backend https://…: this system trusts no authorities ({0}); install its certificates (ca-certificates) or name some with --backend-ca FILE"
    )]
    NoAuthorities(rustls::Error),
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

fn not_one(flag: &'static str, path: &Path, wanted: &'static str, begins: &'static str) -> TlsFileError {
    TlsFileError::NotOne { flag, path: path.to_owned(), wanted, begins }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsFileError> {
    let unreadable = |error| TlsFileError::Unreadable { flag, path: path.to_owned(), error };
    read_file(path, MOST_FILE_BYTES).map_err(unreadable)
}
