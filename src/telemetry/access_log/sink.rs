//! Where lines are written, and what became of them there.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, OFlags, accessat};

use super::Destination;
use crate::telemetry::lines_in;
use crate::telemetry::voice::{is_ready, piece};

/// Where lines are written.
pub(super) struct Sink {
    file: File,
    /// Its name, unless it is standard output.
    path: Option<PathBuf>,
    /// The last line has no end, for there was no room for all of it.
    is_torn: bool,
}

/// What went wrong when lines were written.
pub(super) struct Trouble {
    pub(super) error: io::Error,
    /// Lines that are not there, or only in part.
    pub(super) lost: u64,
}

impl Sink {
    pub(super) fn open(log: &Destination) -> io::Result<Self> {
        let (file, path) = match log {
            Destination::Stdout => (File::from(io::stdout().as_fd().try_clone_to_owned()?), None),
            Destination::File(path) => (open(path)?, Some(path.clone())),
        };
        Ok(Self { file, path, is_torn: false })
    }

    /// Writes whole lines, as many as there is room for.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Trouble> {
        let moved = self.follow();
        let mut rest = lines;
        // What is written to a file that was removed is nowhere.
        let written = match moved.is_err() && self.is_removed() {
            true => Ok(()),
            false => self.add(&mut rest),
        };
        let lost = lines_in(rest);
        written.and(moved).map_err(|error| Trouble { error, lost })
    }

    /// Leaves what there is no room for.
    fn add(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        self.end_torn()?;
        let lines = *rest;
        let written = write_all(&mut self.file, rest);
        let taken = &lines[..lines.len() - rest.len()];
        self.is_torn = taken.last().is_some_and(|last| *last != b'\n');
        written
    }

    /// Whether it is on a disk, and nobody need read it.
    pub(super) fn is_plain(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.is_file())
    }

    /// Whether no name leads to the file any more. A pipe without a name has its reader all the same.
    fn is_removed(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.is_file() && file.nlink() == 0)
    }

    /// Has what comes next begin a line.
    fn end_torn(&mut self) -> io::Result<()> {
        if self.is_torn {
            write_all(&mut self.file, &mut &b"\n"[..])?;
            self.is_torn = false;
        }
        Ok(())
    }

    /// Opens the file anew if its name leads elsewhere by now, because somebody rotated it. What cannot be opened changes
    /// nothing.
    fn follow(&mut self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let (open_one, named) = (self.file.metadata()?, fs::metadata(path));
        let is_same = |named: &Metadata| (named.dev(), named.ino()) == (open_one.dev(), open_one.ino());
        if !named.as_ref().is_ok_and(is_same) {
            self.file = open(path)?;
            self.is_torn = false;
        }
        Ok(())
    }
}

/// Finds out whether a file can be written, without making or changing it. What only an attempt would tell is passed over.
///
/// # Errors
/// It cannot.
pub fn check(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        // To open something else, such as a pipe, could mean to wait.
        Ok(known) if !known.is_file() && !known.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let needed = Access::WRITE_OK | Access::EXEC_OK;
            let folder = folder.unwrap_or(Path::new("."));
            Ok(accessat(CWD, folder, needed, AtFlags::EACCESS)?)
        }
        _ => OpenOptions::new().append(true).open(path).map(drop),
    }
}

/// A pipe that nobody reads is an error, not a wait for its reader.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().create(true).append(true).custom_flags(flags).open(path)
}

/// Leaves what could not be written.
fn write_all(file: &mut File, rest: &mut &[u8]) -> io::Result<()> {
    // Others may write to it, too: who takes our place, or what we say of ourselves.
    let is_pipe = is_pipe(file);
    while !rest.is_empty() {
        match file.write(if is_pipe { piece(rest) } else { rest }) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => *rest = &rest[length..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => drop(is_ready(&*file, None)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether it is a pipe, or a socket in place of one. What is added to a file is added in one piece.
fn is_pipe(file: &File) -> bool {
    file.metadata().is_ok_and(|file| file.file_type().is_fifo() || file.file_type().is_socket())
}
