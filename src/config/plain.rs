//! Files that settings are in, or name. What else has a path may have no end, or keep whoever opens it waiting for ever.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::file::Size;

/// Bytes that a file of settings or certificates may have, even of all authorities that there are.
pub const MOST_FILE_BYTES: u64 = 16 << 20;

/// Some editors begin a text with it, to say that it is UTF-8.
pub const UTF8_MARK: &str = "\u{feff}";

/// Why something with a path is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NotPlain {
    #[error("it is a folder, not a file")]
    Folder,
    #[error("it is a pipe, not a file")]
    Pipe,
    #[error("it is a socket, not a file")]
    Socket,
    #[error("it is a device, not a file")]
    Device,
    #[error("it is larger than {}", Size(*.0))]
    TooLarge(u64),
}

/// Opens a file to be read.
///
/// # Errors
/// The system does not open it, or it is something else than a file.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    let kind = path.metadata()?.file_type();
    let not = match kind {
        kind if kind.is_file() => return File::open(path),
        kind if kind.is_dir() => NotPlain::Folder,
        kind if kind.is_fifo() => NotPlain::Pipe,
        kind if kind.is_socket() => NotPlain::Socket,
        _ => NotPlain::Device,
    };
    Err(io::Error::other(not))
}

/// What is in a file of at most so many bytes.
///
/// # Errors
/// It cannot be read, is something else than a file, or larger.
pub fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::Error::other(NotPlain::TooLarge(most))),
        false => Ok(bytes),
    }
}
