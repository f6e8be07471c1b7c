//! Where the admin API of a balancer that runs is, as flags or files say it. Nothing else of files counts: who asks a balancer need
//! not have all that it has.

use std::path::{Path as FilePath, PathBuf};

use crate::config::address::Address;
use crate::config::admin::{AdminPlace, DEFAULT_ADDRESS};
use crate::config::fault::Fault;
use crate::config::file::File;
use crate::config::flags::Flags;
use crate::config::format::STDIN;
use crate::config::listen::{ListenFault, parse as parse_address};
use crate::config::origin::{Origin, Read, Wrong};
use crate::config::path::{Path, Step};
use crate::config::problem::{Problem, Problems};
use crate::config::resolve::{Report, Spot};
use crate::config::said::{By, Said};
use crate::config::tree::{Node, Value, interpolate, read};

use super::{Sources, plant};

/// The table that says it.
const TABLE: &str = "admin";
/// How to say where to ask.
const HOW: &str = "write ADDRESS:PORT, PORT or unix:PATH, for example 127.0.0.1:8081";

/// Why it is not known where to ask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// There is no admin API to ask.
    #[error("{0} off: there is nobody to ask then; name the address of a balancer that runs")]
    Off(String),
    /// Standard input says what one balancer read, and not which.
    #[error(
        "{0} -: standard input is read by the balancer itself; name a file, or say with --admin where it listens"
    )]
    StandardInput(String),
    /// The flag or the settings do not say it.
    #[error(transparent)]
    Settings(Problems),
}

impl Flags {
    /// Where the admin API of a balancer that runs is. A token that a file of settings names is for the address that it
    /// says, and for no other.
    ///
    /// # Errors
    /// It is not known.
    pub fn admin_place(&self) -> Result<AdminPlace, PlaceError> {
        let token_file = self.admin_token_file.clone();
        let text = match (&self.admin, &self.config) {
            (Some(text), _) => text,
            (None, Some(place)) if place.as_os_str() == STDIN => {
                return Err(PlaceError::StandardInput(self.given.name("--config")));
            }
            (None, Some(place)) => {
                let said = Sources::new(self.clone(), 0).admin(place).map_err(PlaceError::Settings)?;
                let address = said.address.seen_from_here();
                return Ok(AdminPlace { address, token_file: token_file.or(said.token_file) });
            }
            (None, None) => DEFAULT_ADDRESS,
        };
        let flag = self.given.name("--admin");
        if text == "off" {
            return Err(PlaceError::Off(flag));
        }
        let address = to_ask(text).map_err(|Said { message, help }| {
            let help = help.unwrap_or_default();
            let problem = Problem::of_flags(&flag, Some(text.to_owned()), message, help);
            PlaceError::Settings(Problems::of(vec![problem]))
        })?;
        Ok(AdminPlace { address: address.seen_from_here(), token_file })
    }
}

impl Sources {
    /// Where the admin API of a balancer with the files at a place is.
    ///
    /// # Errors
    /// They do not say it, or there is none. That somebody else is asked then would be worse than that nobody is.
    fn admin(&self, place: &FilePath) -> Result<AdminPlace, Problems> {
        let pieces = self.pieces(place)?;
        let unread: Vec<_> = pieces.iter().filter_map(|piece| piece.unread.as_ref()).collect();
        if !unread.is_empty() {
            return Err(Problems::unreadable(unread.into_iter().flat_map(Problems::all).cloned().collect()));
        }
        let formats: Vec<_> = pieces.iter().map(|piece| Some(piece.text.format)).collect();
        let texts = pieces.into_iter().map(|piece| piece.text).collect();
        let mut origin = Origin { texts, tree: None, cut: Vec::new(), given: self.flags.given.clone() };
        let (mut tree, misread, doubled) = plant(&mut origin, &formats);
        keep_table(&mut tree);
        let mut faults = interpolate(&mut tree, &|name| std::env::var(name));
        let (file, more) = read::<File>(&mut tree);
        faults.extend(more);
        origin.tree = Some(tree);
        let read = Read { misread, faults };
        let is_table = |path: &Path| matches!(path.0.first(), Some(Step::Key(key)) if key == TABLE);
        // A mistake elsewhere does no harm to what is said here; but it may be the reason why nothing is.
        let is_silent = file.admin.address.is_none() && !read.misread.is_empty();
        if !read.faults.is_empty() || is_silent || doubled.iter().any(is_table) {
            return Err(origin.problems(&read, &[], &file));
        }
        said(&file, &origin, &read).map_err(|wrong| origin.problems(&read, &wrong, &file))
    }
}

fn keep_table(tree: &mut Node) {
    if let Value::Table(table) = &mut tree.value {
        table.retain(|key, _| key == TABLE);
    }
}

fn said(file: &File, origin: &Origin, read: &Read) -> Result<AdminPlace, Vec<Wrong>> {
    let report = Report::new(origin, read);
    let root = report.root();
    let (address, token_file) = parts(file, &root.key(TABLE));
    let (wrong, ..) = report.into_parts();
    match address {
        Some(address) => Ok(AdminPlace { address, token_file }),
        None => Err(wrong),
    }
}

/// Nobody knows which port a balancer got that took any.
fn with_port(address: Address) -> Result<Address, Fault> {
    match address.ip() {
        Some(any) if any.port() == 0 => {
            let why = "any port that is free, so it is not known where to ask";
            Err(Fault::Said(format!("{why}; say with --admin where it listens")))
        }
        _ => Ok(address),
    }
}

fn parts(file: &File, at: &Spot<'_>) -> (Option<Address>, Option<PathBuf>) {
    let at_address = at.key("address");
    let address = match file.admin.address.as_deref().unwrap_or(DEFAULT_ADDRESS) {
        "off" => {
            let help = "say with --admin where the one listens that is meant";
            at_address
                .wrong("off", Fault::Said(format!("the admin API is off, so nobody can be asked; {help}")));
            None
        }
        text => at_address
            .take(text, parse_address(text, at_address.folder()).map_err(Fault::from).and_then(with_port)),
    };
    (address, file.admin.token_file.as_deref().map(|name| at.key("token_file").file(name)))
}

/// The address that a text says somebody listens on.
fn to_ask(text: &str) -> Result<Address, Said> {
    let fault = match parse_address(text, FilePath::new("")) {
        Ok(address) if !address.has_any_port() => return Ok(address),
        Ok(_) => ListenFault::Port,
        Err(fault) => fault,
    };
    let Said { message, help } = fault.said(By::Flags);
    let help = match fault {
        ListenFault::Port => Some("a port is 1 to 65535".to_owned()),
        ListenFault::SocketPath => help,
        _ => Some(HOW.to_owned()),
    };
    Err(Said { message, help })
}
