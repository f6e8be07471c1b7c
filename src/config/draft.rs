//! What is looked into beyond the settings themselves, as far as they make sense: how routes stand to each other, what is in
//! files for TLS, and whether the access log can be written.

use std::path::PathBuf;

use super::path::{Path, Step};
use super::pool::Pool;
use super::route::Route;
use super::tree::MOST_FAULTS;

/// So many flaws are taken into account, which is one more than are told: it is said that there are more.
pub const MOST_FLAWS: usize = MOST_FAULTS;

/// Settings, as far as they make sense, whatever else is wrong with them.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Those of which is known which requests they are for. What they do may be left out.
    pub routes: Vec<Route>,
    /// Routes name them by their places. None in place of one that makes no sense as a whole.
    pub pools: Vec<Option<Pool>>,
    /// The files for TLS that are named.
    pub files: Vec<TlsFiles>,
    /// The access log, if it is a file that is to be opened.
    pub access_log: Option<NamedFile>,
}

/// Files for TLS that belong together.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// With whom it is spoken.
    pub with: Side,
    /// A chain, PEM, the leaf first.
    pub certificate: Option<NamedFile>,
    /// Its private key, PEM.
    pub key: Option<NamedFile>,
    /// Who signs the certificates of the other side.
    pub authorities: Authorities,
}

/// With whom TLS is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// With clients.
    Clients,
    /// With backends.
    Backends,
}

/// Who signs certificates.
#[derive(Clone, Debug)]
pub enum Authorities {
    /// Nobody who is named.
    None,
    /// Whom the system trusts; this is where it could be said otherwise.
    System(Place),
    /// Those in this file, PEM.
    File(NamedFile),
}

/// A file that settings name.
#[derive(Clone, Debug)]
pub struct NamedFile {
    /// The file.
    pub path: PathBuf,
    /// Where it is named.
    pub place: Place,
}

/// A place among the settings.
#[derive(Clone, Debug)]
pub struct Place(pub(super) Path);

/// Something that is wrong with a draft.
#[derive(Clone, Debug)]
pub struct Flaw {
    /// Where it is to be told.
    pub place: Place,
    /// The value there, if it is one.
    pub value: Option<String>,
    /// What is wrong, and behind `; ` how to mend it.
    pub text: String,
}

/// What was found out about a draft.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What is wrong with it.
    pub flaws: Vec<Flaw>,
    /// What is to be said though nothing is wrong.
    pub remarks: Vec<String>,
}

/// Looks into a draft.
pub type Check = fn(&Draft) -> Found;

impl Extend<Self> for Found {
    fn extend<T: IntoIterator<Item = Self>>(&mut self, more: T) {
        for Self { flaws, remarks } in more {
            self.flaws.extend(flaws);
            self.remarks.extend(remarks);
        }
    }
}

impl Place {
    /// Where a route is written.
    pub fn of_route(name: &str) -> Self {
        Self(Path(["routes", name].map(|key| Step::Key(key.to_owned())).into()))
    }
}

impl NamedFile {
    /// Something is wrong with the file.
    pub fn flaw(&self, text: &impl ToString) -> Flaw {
        let value = Some(self.path.display().to_string());
        Flaw { place: self.place.clone(), value, text: text.to_string() }
    }
}
