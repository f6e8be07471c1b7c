//! Where clients connect.

use std::path::Path;

use indexmap::IndexMap;

use super::Spot;
use super::shared::unknown;
use crate::config::draft::{Authorities, Side, TlsFiles};
use crate::config::fault::{PoolFault, Table};
use crate::config::file::{self, File};
use crate::config::listen::{
    ClientAuth, ClientCertificates, KeyPair, ListenFault, Listener, ListenerId, Tls, parse,
};

/// Where they connect if nobody says it.
const DEFAULT: &str = "127.0.0.1:8080";

/// The listeners that routes can name.
pub(super) struct Listeners<'f> {
    /// As the settings have them.
    pub(super) of_file: &'f IndexMap<String, file::Listener>,
    /// Those that make sense.
    pub(super) sound: &'f [Listener],
}

impl Listeners<'_> {
    /// The one of this name, unless something is wrong with it or there is none.
    pub(super) fn named(&self, name: &str, at: &Spot<'_>) -> Option<ListenerId> {
        let found = self.sound.iter().find(|listener| *listener.name == *name);
        if found.is_none() && !self.of_file.contains_key(name) && !at.is_told_enough() {
            // The one that nobody has named is there if there is no other.
            let usual = self.of_file.is_empty().then_some(DEFAULT);
            let known = self.of_file.keys().map(String::as_str).chain(usual);
            at.wrong(name, unknown(Table::Listeners, name, known));
        }
        found.map(Listener::id)
    }
}

/// The listeners that a file means.
pub(super) fn listeners(file: &File, at: &Spot<'_>) -> Vec<Listener> {
    let mut listeners = Vec::<Listener>::new();
    if file.listeners.is_empty() {
        let address = parse(DEFAULT, Path::new("")).expect("the default is an address");
        return vec![Listener { name: DEFAULT.into(), address, tls: false }];
    }
    for (name, listener) in &file.listeners {
        let at = at.key(name);
        let Some(text) = &listener.address else {
            at.fault(ListenFault::NoAddress);
            continue;
        };
        let at = at.key("address");
        let Some(address) = at.take(text, parse(text, at.folder())) else { continue };
        if let Some(known) = listeners.iter().find(|known| known.is_at(&address)) {
            at.wrong(text, ListenFault::Twice { differ: known.tls != listener.tls });
        }
        listeners.push(Listener { name: name.as_str().into(), address, tls: listener.tls });
    }
    listeners
}

/// How TLS is spoken on them, if it is. All that a file says of it is looked at in any case.
pub(super) fn tls(file: &File, root: &Spot<'_>) -> Option<Tls> {
    let none = file::Tls::default();
    let (given, at) = (file.tls.as_ref().unwrap_or(&none), root.key("tls"));
    let list = at.key("certificates");
    let secure = file.listeners.iter().find(|(_, listener)| listener.tls).map(|(name, _)| name);
    if secure.is_none() {
        refuse_stray(given, &at);
        // Of a pair of flags there is nothing to say but with the flag for the listener.
        if !at.is_of_file() {
            return None;
        }
    }
    let pairs = pairs(&given.certificates, &list);
    if let Some(secure) = secure.filter(|_| given.certificates.is_empty()) {
        let none = ListenFault::UnpairedKeys { certificates: 0, keys: 0 };
        root.key("listeners").key(secure).key("tls").fault(none);
    }
    if let Some(name) = &given.client_ca_file {
        let authorities = Authorities::File(at.key("client_ca_file").named_file(name));
        at.look_into(TlsFiles { with: Side::Clients, certificate: None, key: None, authorities });
    }
    let auth = given.client_auth.map(|auth| auth.0);
    let clients = given.client_ca_file.as_ref().map(|ca| ClientCertificates {
        ca: at.key("client_ca_file").file(ca),
        auth: auth.unwrap_or(ClientAuth::Required),
    });
    if auth.is_some() && clients.is_none() {
        at.key("client_auth").fault(ListenFault::NoClientCa);
    }
    secure.map(|_| Tls { certificates: pairs, clients })
}

/// The certificates with their keys, as far as both are named.
fn pairs(given: &[file::Certificate], list: &Spot<'_>) -> Vec<KeyPair> {
    let mut pairs = Vec::new();
    let count = |named: fn(&file::Certificate) -> bool| given.iter().filter(|pair| named(pair)).count();
    let unpaired = ListenFault::UnpairedKeys {
        certificates: count(|pair| pair.cert_file.is_some()),
        keys: count(|pair| pair.key_file.is_some()),
    };
    for (index, pair) in given.iter().enumerate() {
        let at = list.index(index);
        // Which of two lists of flags lacks one, and which one, nobody knows.
        let is_pair = at.is_of_file()
            || count(|pair| pair.cert_file.is_some()) == count(|pair| pair.key_file.is_some());
        let named = |key, name: &Option<String>| {
            name.as_ref().filter(|_| is_pair).map(|name| at.key(key).named_file(name))
        };
        at.look_into(TlsFiles {
            with: Side::Clients,
            certificate: named("cert_file", &pair.cert_file),
            key: named("key_file", &pair.key_file),
            authorities: Authorities::None,
        });
        match (&pair.cert_file, &pair.key_file) {
            (Some(certificate), Some(key)) => pairs.push(KeyPair {
                certificate: at.key("cert_file").file(certificate),
                key: at.key("key_file").file(key),
            }),
            (None, None) => {
                at.fault(PoolFault::Required("cert_file"));
                at.fault(PoolFault::Required("key_file"));
            }
            _ => at.fault(unpaired.clone()),
        }
    }
    pairs
}

/// Settings for TLS mean nothing where nobody speaks it.
fn refuse_stray(given: &file::Tls, at: &Spot<'_>) {
    let list = at.key("certificates");
    let named = |which: fn(&file::Certificate) -> bool| given.certificates.iter().position(which);
    if let Some(index) = named(|pair| pair.cert_file.is_some()) {
        list.index(index).key("cert_file").fault(ListenFault::NoTlsListener);
    } else if let Some(index) = named(|pair| pair.key_file.is_some()) {
        list.index(index).key("key_file").fault(ListenFault::NoTlsListener);
    } else if given.client_ca_file.is_some() {
        at.key("client_ca_file").fault(ListenFault::NoTlsListener);
    } else if given.client_auth.is_some() {
        at.key("client_auth").fault(ListenFault::NoTlsListener);
    }
}
