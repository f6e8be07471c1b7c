//! Sockets in the file system, which outlive who made them.

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// The file of a socket that we made. It is removed when this is dropped, unless another one has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    number: (u64, u64),
    /// Whether it is another process's.
    others: Cell<bool>,
}

impl SocketFile {
    /// The file that is here is ours.
    pub(super) fn own(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), number: number(path)?, others: Cell::new(false) })
    }

    /// That of a socket that another process made, and removes unless it says otherwise.
    ///
    /// # Errors
    /// It is not there.
    pub fn lent(path: &Path) -> io::Result<Self> {
        let file = Self::own(path)?;
        file.is_ours(false);
        Ok(file)
    }

    /// Whether it is still there, and clients who connect there come to us.
    pub fn is_there(&self) -> bool {
        number(&self.path).is_ok_and(|number| number == self.number)
    }

    /// It is ours to remove from now on, or another process's.
    pub fn is_ours(&self, ours: bool) {
        self.others.set(!ours);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.others.get() && self.is_there() {
            // Nobody can be told.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds a socket at this path.
pub(super) fn bind(path: &Path) -> io::Result<(Socket, SocketFile)> {
    remove_leftover(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    Ok((socket, SocketFile::own(path)?))
}

/// Removes the socket of a program that ended without doing so itself; nobody answers there.
fn remove_leftover(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if !found.file_type().is_socket() => return Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => {}
        Err(_) => return Ok(()),
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A program that is there may have as many waiting as it lets wait, and take none of them.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?).map_err(|error| error.kind()) {
        Err(io::ErrorKind::ConnectionRefused) => fs::remove_file(path),
        // Who had it removed it just now.
        Err(io::ErrorKind::NotFound) => Ok(()),
        Err(kind @ io::ErrorKind::PermissionDenied) => Err(kind.into()),
        // Some have as many waiting as they let wait, or speak in another way.
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// Tells one file from the next.
fn number(path: &Path) -> io::Result<(u64, u64)> {
    path.symlink_metadata().map(|file| (file.dev(), file.ino()))
}
