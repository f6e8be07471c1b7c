//! Backends that a file names, one on each line.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{Backend, BackendUrl, MOST_WEIGHT, UTF8_MARK, UrlError, parse_number, read_file};
use crate::connect::aside;
use crate::telemetry::unreadable;

use super::Found;

/// Bytes of a file that is believed to be one.
const MOST_BYTES: u64 = 1 << 20;
/// Between two looks.
const HOLDS: Duration = Duration::from_secs(1);

/// Why a file told nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FileError {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// A line is none.
    #[error("line {line}: {error}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        error: UrlError,
    },
    /// A line has a weight that is none.
    #[error(
        "line {line}: {word}: not a weight; write weight=N with a whole number from 0 to {MOST_WEIGHT} after the address"
    )]
    Weight {
        /// From 1.
        line: usize,
        /// As it is written.
        word: String,
    },
}

/// Reads a file, which led to these before: `ADDRESS` or `ADDRESS weight=N` on each line; what follows a `#` is passed over.
pub(super) async fn read(path: PathBuf, known: Vec<BackendUrl>) -> Result<Found, FileError> {
    // Names are looked up, which takes its time.
    let backends = aside(move || list(&path, &known)).await;
    let backends = backends.map_err(|undone| unread(&io::Error::other(undone.to_string())))??;
    Ok(Found { backends, holds: HOLDS, failed: None })
}

/// The same at once, for who has the time.
pub(super) fn list(path: &Path, known: &[BackendUrl]) -> Result<Vec<Backend>, FileError> {
    let bytes = read_file(path, MOST_BYTES).map_err(|error| unread(&error))?;
    let text = String::from_utf8(bytes).map_err(|error| unread(&io::Error::other(error)))?;
    parse(&text, path.parent().unwrap_or(Path::new("")), known)
}

fn unread(error: &io::Error) -> FileError {
    FileError::Unreadable(unreadable(error, "name a file that exists and that we may read"))
}

/// Paths of sockets start from this folder.
fn parse(text: &str, folder: &Path, known: &[BackendUrl]) -> Result<Vec<Backend>, FileError> {
    let mut backends = Vec::new();
    let text = text.strip_prefix(UTF8_MARK).unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(address) = words.next() else { continue };
        let url = BackendUrl::read(address, folder, known);
        let url = url.map_err(|error| FileError::Line { line: number, error })?;
        let mut backend = Backend::at(url);
        for word in words {
            let weight = word.strip_prefix("weight=").and_then(|weight| parse_number(weight).ok());
            let refused = || FileError::Weight { line: number, word: word.to_owned() };
            backend.weight = weight.filter(|weight| *weight <= MOST_WEIGHT).ok_or_else(refused)?;
        }
        backends.push(backend);
    }
    Ok(backends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Backend>, FileError> {
        parse(text, Path::new(""), &[])
    }

    #[test]
    fn a_line_is_a_backend_and_may_have_a_weight_and_a_remark() {
        let backends = parsed("# ours\n10.0.0.1:80\n\n10.0.0.2:80 weight=3 # large\n").expect("a list");
        let told: Vec<_> = backends.iter().map(|backend| (backend.url.to_string(), backend.weight)).collect();
        assert_eq!(told, [("10.0.0.1:80".to_owned(), 1), ("10.0.0.2:80".to_owned(), 3)]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_an_address() {
        let backends = parsed("\u{feff}10.0.0.1:80\r\n10.0.0.2:80\r\n").expect("a list");
        let told: Vec<_> = backends.iter().map(|backend| backend.url.to_string()).collect();
        assert_eq!(told, ["10.0.0.1:80", "10.0.0.2:80"]);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let told = |text: &str| parsed(text).expect_err("not a list").to_string();
        assert!(told("10.0.0.1:80\nhere").starts_with("line 2: here: not an address"), "{}", told("x\nhere"));
        for wrong in ["x", "99999999", "10001", "-1", "+1", ""] {
            let weight = format!(
                "line 1: weight={wrong}: not a weight; write weight=N with a whole number from 0 to 10000 after the address"
            );
            assert_eq!(told(&format!("10.0.0.1:80 weight={wrong}")), weight);
        }
    }
}
