//! Texts that settings are read from.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::origin::Text;
use crate::config::plain::{MOST_FILE_BYTES, open_file};
use crate::config::problem::{Problem, Problems};

use super::Format;

/// A text and how it says settings.
pub(super) struct Piece {
    pub(super) text: Text,
    pub(super) format: Format,
}

/// The files of a folder that are TOML by their names.
pub(in crate::config) fn toml_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "toml") && !is_hidden {
            found.push(path);
        }
    }
    Ok(found)
}

/// What is in a file of at most so many bytes.
pub(super) fn piece(path: &Path, most: u64) -> Result<Piece, Problems> {
    let refuse = |error: &io::Error| Problems::unreadable(Problem::of_file(path, error));
    let mut bytes = Vec::new();
    let file = open_file(path).map_err(|error| refuse(&error))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| refuse(&error))?;
    let name = path.display().to_string();
    let text = to_text(Some(&name), bytes)?;
    if text.len() as u64 > most {
        return Err(too_large(Some(&name)));
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    Ok(Piece { text: Text { name: Some(name), folder, text }, format: Format::of(path) })
}

/// The text that bytes are. `name` is how they are called, if they have a name.
pub(super) fn to_text(name: Option<&str>, bytes: Vec<u8>) -> Result<String, Problems> {
    if bytes.len() as u64 > MOST_FILE_BYTES {
        return Err(too_large(name));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        let wrong = error.as_bytes()[valid.len()];
        let message = format!("byte {wrong:#04x} is not UTF-8");
        Problems::unreadable(Problem::of_text(name, Some(line), message, "save it as UTF-8"))
    })?;
    // Some editors begin a file with a mark that says so.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn too_large(name: Option<&str>) -> Problems {
    let message = "larger than 16 MiB, which no settings are".to_owned();
    Problems::unreadable(Problem::of_text(name, None, message, "name another file"))
}
