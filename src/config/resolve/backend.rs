//! Where backends are, and TLS to them.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::{Known, Spot};
use crate::config::address::Address;
use crate::config::backend::{BackendFault, BackendTls, BackendUrl, Trust, is_ourselves};
use crate::config::draft::{Authorities, Side, TlsFiles};
use crate::config::file;
use crate::config::listen::{KeyPair, Listener};

/// The URLs of backends of a pool that are none of these listeners, each with its place in the list.
pub(super) fn urls(
    pool: &str,
    texts: &[Option<&str>],
    (listeners, known): (&[Listener], &Known),
    at: &Spot<'_>,
) -> Vec<Option<BackendUrl>> {
    let mut urls = Vec::<Option<BackendUrl>>::with_capacity(texts.len());
    let mut taken = HashSet::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let at = at.index(index);
        let url = match text {
            Some(text) => {
                let at = at.key("address");
                let url = BackendUrl::parse(text, || at.folder(), |name| known.address(pool, name, &taken));
                let url =
                    url.and_then(|(url, among)| Ok((check(url, (&mut taken, &urls), listeners)?, among)));
                at.take(text, url).map(|(url, among)| {
                    if among > 1 {
                        at.remark(one_of(among, &url, at.is_of_file()));
                    }
                    url
                })
            }
            None => {
                at.fault(BackendFault::NoAddress);
                None
            }
        };
        urls.push(url);
    }
    urls
}

/// What is said of a backend that is one of several addresses of its name.
fn one_of(among: usize, url: &BackendUrl, is_of_file: bool) -> String {
    let (name, address) = (url.name(), &url.address);
    let which = if is_of_file { "" } else { "a file with " };
    format!(
        "{name} has {among} addresses, of which {address} is used: {which}discover = [\"dns:{name}\"] uses all"
    )
}

fn check(
    url: BackendUrl,
    (taken, others): (&mut HashSet<Address>, &[Option<BackendUrl>]),
    listeners: &[Listener],
) -> Result<BackendUrl, BackendFault> {
    if taken.contains(&url.address) {
        let other = others.iter().flatten().find(|other| other.address == url.address);
        return Err(match other.map(BackendUrl::name).filter(|other| *other != url.name()) {
            Some(other) => {
                BackendFault::OfTwoNames { address: url.address.clone(), other: Arc::clone(other) }
            }
            None => BackendFault::Twice,
        });
    }
    if is_ourselves(&url.address, listeners) {
        return Err(BackendFault::Loop);
    }
    taken.insert(url.address.clone());
    Ok(url)
}

/// Whether any backend of a pool speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// One does, or may come to.
    Yes,
    /// None does.
    No,
    /// One may be meant to, whose address is none.
    Unknown,
}

/// The files of how TLS is spoken to backends are to be looked into, and whom the system trusts if one does speak it.
fn look_into_files(given: &file::BackendTls, any_speaks: bool, at: &Spot<'_>) {
    let is_pair = at.is_of_file() || given.cert_file.is_some() == given.key_file.is_some();
    let named = |key, name: &Option<String>| name.as_ref().map(|name| at.key(key).named_file(name));
    let authorities = match named("ca_file", &given.ca_file) {
        Some(file) => Authorities::File(file),
        None if given.insecure => Authorities::None,
        None if !any_speaks => Authorities::None,
        None => Authorities::System(at.place()),
    };
    at.look_into(TlsFiles {
        with: Side::Backends,
        certificate: named("cert_file", &given.cert_file).filter(|_| is_pair),
        key: named("key_file", &given.key_file).filter(|_| is_pair),
        authorities,
    });
}

/// How TLS is spoken to backends, if any of them may speak it. All that is said of it is looked at in any case.
pub(super) fn tls(given: &file::BackendTls, speaks: Speaks, at: &Spot<'_>) -> Option<BackendTls> {
    let keys = [
        ("ca_file", given.ca_file.is_some()),
        ("name", given.name.is_some()),
        ("cert_file", given.cert_file.is_some()),
        ("key_file", given.key_file.is_some()),
        ("insecure", given.insecure),
    ];
    if let Some((key, _)) = keys.iter().find(|(_, given)| *given && speaks == Speaks::No) {
        at.key(key).fault(BackendFault::NoTls);
    }
    look_into_files(given, speaks == Speaks::Yes, at);
    if given.ca_file.is_some() && given.insecure {
        at.key("insecure").fault(BackendFault::TrustTwice);
    }
    let trust = match (&given.ca_file, given.insecure) {
        (_, true) => Trust::Anything,
        (Some(ca), false) => Trust::Authorities(at.key("ca_file").file(ca)),
        (None, false) => Trust::System,
    };
    let client = match (&given.cert_file, &given.key_file) {
        (Some(certificate), Some(key)) => Some(KeyPair {
            certificate: at.key("cert_file").file(certificate),
            key: at.key("key_file").file(key),
        }),
        (None, None) => None,
        _ => {
            at.fault(BackendFault::UnpairedKey);
            None
        }
    };
    if let Some(name) = given.name.as_ref().filter(|name| ServerName::try_from(name.as_str()).is_err()) {
        at.key("name").wrong(name, BackendFault::TlsName);
    }
    (speaks == Speaks::Yes).then(|| BackendTls { trust, name: given.name.clone(), client })
}
