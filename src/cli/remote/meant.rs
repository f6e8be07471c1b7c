//! What may have been meant by the name of a backend that nobody has.

use crate::config::{BackendUrl, nearest};

/// Backends that are named to who named none.
const MOST_NAMED: usize = 8;

/// What may have been meant by a name that nobody has.
pub(super) fn instead(wanted: &str, known: &[String]) -> String {
    if let Some(path) = path_without_folder(wanted) {
        let end = format!("/{path}");
        let meant = known.iter().find(|name| name.ends_with(&end));
        let meant =
            meant.map_or_else(|| "`status` shows all".to_owned(), |name| format!("did you mean {name}?"));
        return format!("a socket is named by its whole path; {meant}");
    }
    // Who did not write a pool did not get it wrong.
    let as_written = |name: &str| match wanted.contains('/') {
        true => name.to_owned(),
        false => name.split_once('/').map_or(name, |(_, address)| address).to_owned(),
    };
    let written: Vec<_> = known.iter().map(|name| as_written(name)).collect();
    if let Some(nearest) = nearest(wanted, written.iter().map(String::as_str)) {
        return format!("did you mean {nearest}? `status` shows all");
    }
    match &known[..known.len().min(MOST_NAMED)] {
        [] => "there are none".to_owned(),
        first if first.len() == known.len() => format!("there are: {}", first.join(", ")),
        first => format!("there are: {} and {} more", first.join(", "), known.len() - first.len()),
    }
}

/// The path of a socket that is named from some folder.
fn path_without_folder(wanted: &str) -> Option<&str> {
    let address = &wanted[wanted.find("unix:")?..];
    BackendUrl::lacks_folder(address).then(|| address.split_once(':').map_or(address, |(_, path)| path))
}
