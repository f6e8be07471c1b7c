//! The thread that writes the log, and what workers hand to it.

use std::cell::{Cell, RefCell};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::warn;

use super::Destination;

/// A buffer this full is handed to the writer.
const FULL: usize = 16 * 1024;
/// Buffers that may wait for the writer.
const QUEUE: usize = 256;
/// Between two lines about the same trouble.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// One worker's end of the log.
#[derive(Debug)]
pub struct Buffer {
    lines: RefCell<Vec<u8>>,
    count: Cell<u64>,
    queue: SyncSender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
}

impl Buffer {
    /// Adds a line.
    pub fn write(&self, line: &[u8]) {
        self.lines.borrow_mut().extend_from_slice(line);
        self.count.set(self.count.get() + 1);
        if self.lines.borrow().len() >= FULL {
            self.flush();
        }
    }

    /// Hands the lines so far to the writer. To be called now and then, so that a quiet worker's lines are seen.
    pub fn flush(&self) {
        let count = self.count.take();
        if count > 0 && self.queue.try_send(self.lines.take()).is_err() {
            self.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The log's writer thread. It ends when the last [`Buffer`] and the writer itself are gone.
#[derive(Debug)]
pub struct Writer {
    queue: SyncSender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Opens the log and starts its thread.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn start(log: &Destination) -> io::Result<Self> {
        let to = match log {
            Destination::Stdout => Sink::Stdout,
            Destination::File(path) => Sink::File(path.clone(), open(path)?),
        };
        let (queue, lines) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        let thread = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_all(to, &lines, &counter))?;
        Ok(Self { queue, dropped, thread })
    }

    /// A worker's end of it.
    pub fn buffer(&self) -> Buffer {
        Buffer {
            lines: RefCell::default(),
            count: Cell::new(0),
            queue: self.queue.clone(),
            dropped: Arc::clone(&self.dropped),
        }
    }

    /// Waits until all lines are written. The buffers must be gone.
    pub fn finish(self) {
        drop(self.queue);
        if self.thread.join().is_err() {
            warn!("the access log's writer ended early; lines are missing");
        }
    }
}

/// Where lines are written.
enum Sink {
    Stdout,
    File(PathBuf, File),
}

impl Sink {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(lines).and_then(|()| stdout.flush())
            }
            Self::File(_, file) => file.write_all(lines),
        }
    }

    /// Opens the file anew if its name leads elsewhere by now, because somebody rotated it. What cannot be opened changes
    /// nothing.
    fn follow(&mut self) -> io::Result<()> {
        let Self::File(path, file) = self else { return Ok(()) };
        let (open_one, named) = (file.metadata()?, fs::metadata(&*path));
        let is_same = |named: &Metadata| (named.dev(), named.ino()) == (open_one.dev(), open_one.ino());
        if !named.as_ref().is_ok_and(is_same) {
            *file = open(path)?;
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
            fs::metadata(folder.unwrap_or(Path::new("."))).map(drop)
        }
        _ => OpenOptions::new().append(true).open(path).map(drop),
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write_all(mut to: Sink, lines: &Receiver<Vec<u8>>, dropped: &AtomicU64) {
    let mut complained: Option<Instant> = None;
    while let Ok(buffer) = lines.recv() {
        let moved = to.follow();
        let trouble = to.write(&buffer).and(moved).err();
        let lost = dropped.load(Ordering::Relaxed);
        let may_complain = complained.is_none_or(|last| last.elapsed() >= COMPLAIN_EVERY);
        if may_complain && let Some(error) = trouble {
            warn!("the access log cannot be written: {error}");
            complained = Some(Instant::now());
        } else if may_complain && lost > 0 {
            dropped.fetch_sub(lost, Ordering::Relaxed);
            warn!("{lost} lines of the access log were dropped: its disk is slower than the requests come");
            complained = Some(Instant::now());
        }
    }
}
