//! Whom the system trusts.

use std::cell::OnceCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls_native_certs::load_native_certs;
use rustls_platform_verifier::Verifier;

use super::super::pem::TlsFileError;

/// Whom the system trusts, read when they are first asked for: that takes milliseconds, and thousands of pools may ask.
#[derive(Debug, Default)]
pub struct SystemAuthorities {
    digest: OnceCell<u64>,
    verifier: OnceCell<Result<Arc<Verifier>, rustls::Error>>,
}

impl SystemAuthorities {
    /// Of their certificates. Where these are is for each system to say.
    pub(super) fn digest(&self) -> u64 {
        *self.digest.get_or_init(|| {
            let mut hasher = DefaultHasher::new();
            load_native_certs().certs.hash(&mut hasher);
            hasher.finish()
        })
    }

    pub(super) fn verifier(&self) -> Result<Arc<Verifier>, TlsFileError> {
        let read = || Verifier::new(Arc::new(default_provider())).map(Arc::new);
        self.verifier.get_or_init(read).clone().map_err(TlsFileError::NoAuthorities)
    }
}
