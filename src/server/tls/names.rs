//! Which certificate a client gets for the name that it asks for (SNI, RFC 6066 section 3).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// Certificates for one name, the earliest given first: there may be one for each kind of key.
type Keys = Vec<Arc<CertifiedKey>>;

/// Certificates by name.
#[derive(Debug)]
pub(super) struct Names {
    exact: HashMap<String, Keys>,
    /// By what stands behind `*.`.
    wildcard: HashMap<String, Keys>,
    /// For names that none has, and clients that give none: the first, and those for the same names.
    otherwise: Keys,
}

impl Names {
    /// Of these certificates, which are not none.
    pub(super) fn of(certificates: &[Certificate]) -> Self {
        let (mut exact, mut wildcard) = (HashMap::<String, Keys>::new(), HashMap::<String, Keys>::new());
        for certificate in certificates {
            for name in &certificate.names {
                let keys = match name.strip_prefix("*.") {
                    Some(parent) => wildcard.entry(parent.to_owned()),
                    None => exact.entry(name.clone()),
                };
                keys.or_default().push(Arc::clone(&certificate.key));
            }
        }
        // They may list them in another order.
        let names = |certificate: &Certificate| certificate.names.iter().cloned().collect::<BTreeSet<_>>();
        let like_the_first = certificates.iter().filter(|other| names(other) == names(&certificates[0]));
        let otherwise = like_the_first.map(|certificate| Arc::clone(&certificate.key)).collect();
        Self { exact, wildcard, otherwise }
    }

    /// Those of certificates with this name, and then of those with a wildcard for it.
    fn of_name(&self, name: &str) -> [Option<&Keys>; 2] {
        let name = name.to_ascii_lowercase();
        // A wildcard stands for one label (RFC 6125 section 6.4.3).
        let parent = name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        [self.exact.get(&name), parent]
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let of_name = hello.server_name().map(|name| self.of_name(name)).unwrap_or_default();
        let otherwise = Some(&self.otherwise).filter(|_| of_name.iter().all(Option::is_none));
        let keys = || of_name.into_iter().chain([otherwise]).flatten().flatten();
        let fits = |key: &&Arc<CertifiedKey>| signs_with_one_of(key, hello.signature_schemes());
        keys().find(fits).or(keys().next()).map(Arc::clone)
    }
}

fn signs_with_one_of(key: &CertifiedKey, schemes: &[SignatureScheme]) -> bool {
    key.key.choose_scheme(schemes).is_some()
}
