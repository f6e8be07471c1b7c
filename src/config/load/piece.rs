//! Texts that settings are read from.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::format::{Format, STDIN, STDIN_NAME};
use crate::config::origin::Text;
use crate::config::plain::{MOST_FILE_BYTES, UTF8_MARK, open_file};
use crate::config::problem::{Excerpt, Problem, Problems};

use super::{MAIN, MORE, Sources};

/// A text, if it could be read.
pub(super) struct Piece {
    pub(super) text: Text,
    /// Why nothing is known of what it says, if nothing is.
    pub(super) unread: Option<Problems>,
}

impl Sources {
    /// The texts that are at a place, in the order in which they count.
    pub(super) fn pieces(&self, place: &Path) -> Result<Vec<Piece>, Problems> {
        if place.as_os_str() == STDIN {
            return self.standard_input().map(|piece| vec![piece]);
        }
        if !place.is_dir() {
            return Ok(vec![piece(place, MOST_FILE_BYTES)]);
        }
        let main = place.join(MAIN);
        let (mut paths, more) = match main.is_file() {
            true => (vec![main], place.join(MORE)),
            false => (Vec::new(), place.to_owned()),
        };
        let mut unread = None;
        if more.is_dir() {
            match toml_files(&more) {
                Ok(mut found) => {
                    found.sort();
                    paths.append(&mut found);
                }
                Err(error) => {
                    unread = Some(Piece::unread(&more, unreadable(Problem::of_file(&more, &error))));
                }
            }
        }
        if paths.is_empty() && unread.is_none() {
            let none = io::Error::other(format!("the folder has neither {MAIN} nor other .toml files"));
            return Err(unreadable(Problem::of_file(place, &none)));
        }
        let mut left = MOST_FILE_BYTES;
        let mut pieces = Vec::new();
        for path in paths {
            let piece = piece(&path, left);
            left -= piece.text.text.len() as u64;
            pieces.push(piece);
        }
        pieces.extend(unread);
        Ok(pieces)
    }

    fn standard_input(&self) -> Result<Piece, Problems> {
        let bytes = match self.stdin.get() {
            Some(bytes) => bytes.clone(),
            None => {
                let bytes = read_standard_input()?;
                self.stdin.get_or_init(|| bytes).clone()
            }
        };
        let text = to_text(Some(STDIN_NAME), bytes)?;
        let (name, folder) = (Some(STDIN_NAME.to_owned()), PathBuf::new());
        Ok(Piece { text: Text { name, folder, format: Format::Toml, text }, unread: None })
    }
}

impl Piece {
    fn unread(path: &Path, problems: Problems) -> Self {
        let name = Some(path.display().to_string());
        let (folder, text) = (PathBuf::new(), String::new());
        Self { text: Text { name, folder, format: Format::of(path), text }, unread: Some(problems) }
    }
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
fn piece(path: &Path, most: u64) -> Piece {
    let name = path.display().to_string();
    let text = read(path, most).and_then(|bytes| match bytes.len() as u64 > most {
        true => Err(too_large(Some(&name))),
        false => to_text(Some(&name), bytes),
    });
    match text {
        Ok(text) => {
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            Piece { text: Text { name: Some(name), folder, format: Format::of(path), text }, unread: None }
        }
        Err(problems) => Piece::unread(path, problems),
    }
}

/// What is in a file, but not much more than so many bytes.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, Problems> {
    read_bytes(path, most).map_err(|error| unreadable(Problem::of_file(path, &error)))
}

fn read_bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.take(most + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_standard_input() -> Result<Vec<u8>, Problems> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(Problem::of_file(Path::new(STDIN_NAME), &error)))?;
    Ok(bytes)
}

/// The text of one file of settings, or with `None` of standard input, read as all settings are.
///
/// # Errors
/// It cannot be read, is larger than settings may be, or no text.
pub fn read_text(path: Option<&Path>) -> Result<String, Problems> {
    match path {
        Some(path) => {
            let name = path.display().to_string();
            let refuse = |error| {
                let message = format!("cannot be read: {error}");
                unreadable(Problem::of_text(Some(&name), None, message, "name a file that we may read"))
            };
            to_text(Some(&name), read_bytes(path, MOST_FILE_BYTES).map_err(refuse)?)
        }
        None => to_text(Some(STDIN_NAME), read_standard_input()?),
    }
}

/// The text that bytes are. `name` is how they are called, if they have a name.
pub(super) fn to_text(name: Option<&str>, bytes: Vec<u8>) -> Result<String, Problems> {
    if bytes.len() as u64 > MOST_FILE_BYTES {
        return Err(too_large(name));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| not_utf8(name, error.as_bytes(), error.utf8_error().valid_up_to()))?;
    Ok(text.strip_prefix(UTF8_MARK).map(str::to_owned).unwrap_or(text))
}

/// From this byte on it is something else. It is shown with marks in place of what is no text.
fn not_utf8(name: Option<&str>, bytes: &[u8], at: usize) -> Problems {
    const LONGEST_LINE: usize = 2000;
    let (before, rest) = bytes.split_at(at);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let before = String::from_utf8_lossy(&before[line_start..]);
    let before = before.trim_start_matches(UTF8_MARK);
    let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let message = format!("byte {:#04x} is not UTF-8", rest.first().copied().unwrap_or_default());
    let mut problem = Problem::of_text(name, Some(line), message, "save it as UTF-8");
    problem.column = Some(before.chars().count() + 1);
    if before.len() + length <= LONGEST_LINE {
        let text = format!("{before}{}", String::from_utf8_lossy(&rest[..length]).trim_end_matches('\r'));
        let wrong = before.len()..before.len() + char::REPLACEMENT_CHARACTER.len_utf8();
        problem.excerpt = Some(Excerpt { text, first_line: line, wrong });
    }
    unreadable(problem)
}

fn too_large(name: Option<&str>) -> Problems {
    let message = "larger than 16 MiB, which no settings are".to_owned();
    unreadable(Problem::of_text(name, None, message, "name another file"))
}

fn unreadable(problem: Problem) -> Problems {
    Problems::unreadable(vec![problem])
}
