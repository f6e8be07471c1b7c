//! A pipe that is read when the test likes, and not before.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::OFlags;
use rustix::io::ioctl_fionread;

use super::until;

/// A pipe with a name. It goes with its test.
pub struct Fifo {
    path: PathBuf,
    end: File,
    read: Vec<u8>,
}

impl Fifo {
    /// One that nobody has open.
    pub fn make() -> PathBuf {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("fifo-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        assert!(Command::new("mkfifo").arg(&path).status().expect("there is a command").success());
        path
    }

    /// One that is open for reading.
    pub fn open() -> Self {
        let path = Self::make();
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let end = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path).expect("a pipe");
        Self { path, end, read: Vec::new() }
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Has it take no byte more until it is read.
    pub fn fill(&mut self) {
        let page = [b"x".repeat(4095), b"\n".to_vec()].concat();
        while self.end.write(&page).map_err(|error| error.kind()) != Err(ErrorKind::WouldBlock) {}
    }

    /// Makes room in it for a page.
    pub fn free_a_page(&mut self) {
        self.end.read_exact(&mut [0; 4096]).expect("it was full");
    }

    /// How many bytes are in it.
    pub fn holds(&self) -> u64 {
        ioctl_fionread(&self.end).expect("a pipe")
    }

    /// Reads all that is in it.
    pub fn drain(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        assert_eq!(self.end.read_to_end(&mut all).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        all
    }

    /// Reads on until a line holds this text, and gives it. What is before it is read no more.
    pub fn said(&mut self, text: &str) -> String {
        let mut found = None;
        until(&format!("{text:?} is said"), || {
            let mut bytes = [0; 4096];
            if let Ok(length) = self.end.read(&mut bytes) {
                self.read.extend_from_slice(&bytes[..length]);
            }
            while found.is_none()
                && let Some(end) = self.read.iter().position(|byte| *byte == b'\n')
            {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                found = Some(String::from_utf8_lossy(&line).into_owned()).filter(|line| line.contains(text));
            }
            found.is_some()
        });
        found.expect("it was found")
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
