//! Where files say that the admin API is. Nothing else of them counts: who asks a balancer need not have all that it has.

use std::path::{Path as FilePath, PathBuf};

use crate::config::admin::DEFAULT_ADDRESS;
use crate::config::fault::Fault;
use crate::config::file::File;
use crate::config::listen::parse as parse_address;
use crate::config::origin::{Origin, Read, Wrong};
use crate::config::path::{Path, Step};
use crate::config::problem::Problems;
use crate::config::resolve::Report;
use crate::config::tree::{Node, Value, interpolate, read};
use crate::config::{Address, AdminPlace};

use super::{Sources, plant};

/// The table that says it.
const TABLE: &str = "admin";

impl Sources {
    /// Where the admin API of a balancer with the files at a place is.
    ///
    /// # Errors
    /// They do not say it, or there is none. That somebody else is asked then would be worse than that nobody is.
    pub(in crate::config) fn admin(&self, place: &FilePath) -> Result<AdminPlace, Problems> {
        let pieces = self.pieces(place)?;
        let unread: Vec<_> = pieces.iter().filter_map(|piece| piece.unread.as_ref()).collect();
        if !unread.is_empty() {
            return Err(Problems::unreadable(unread.into_iter().flat_map(Problems::all).cloned().collect()));
        }
        let formats: Vec<_> = pieces.iter().map(|piece| Some(piece.format)).collect();
        let texts = pieces.into_iter().map(|piece| piece.text).collect();
        let mut origin = Origin { texts, tree: None, cut: Vec::new(), given: self.flags.given.clone() };
        let (mut tree, misread, doubled) = plant(&mut origin, &formats);
        keep_table(&mut tree);
        let mut faults = interpolate(&mut tree, &|name| std::env::var(name).ok());
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
    let (wrong, _) = report.into_parts();
    match address {
        Some(address) => Ok(AdminPlace { address, token_file }),
        None => Err(wrong),
    }
}

/// Nobody knows which port a balancer got that took any.
fn to_ask(address: Address) -> Result<Address, Fault> {
    match address.ip() {
        Some(any) if any.port() == 0 => {
            let why = "any port that is free, so it is not known where to ask";
            Err(Fault::Said(format!("{why}; say with --admin where it listens")))
        }
        _ => Ok(address),
    }
}

fn parts(file: &File, at: &crate::config::resolve::Spot<'_>) -> (Option<Address>, Option<PathBuf>) {
    let at_address = at.key("address");
    let address = match file.admin.address.as_deref().unwrap_or(DEFAULT_ADDRESS) {
        "off" => {
            let help = "say with --admin where the one listens that is meant";
            at_address
                .wrong("off", Fault::Said(format!("the admin API is off, so nobody can be asked; {help}")));
            None
        }
        text => at_address.take(text, parse_address(text).map_err(Fault::from).and_then(to_ask)),
    };
    (address, file.admin.token_file.as_deref().map(|name| at.key("token_file").file(name)))
}
