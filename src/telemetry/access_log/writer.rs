//! The thread that writes the log, and what workers hand to it.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tracing::warn;

use super::Destination;
use super::sink::{Sink, Trouble};
use crate::telemetry::{self, Log, Seldom, count_of_lines, lines_in};

/// A buffer this full is handed to the writer.
const FULL: usize = 16 * 1024;
/// Buffers that may wait for the writer; and two of each worker, for all hand theirs over in one moment each second.
const QUEUE: usize = 256;
/// Between two lines about the same trouble.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);
/// How long the end of the program waits for the next buffer to be written, and between two looks whether it was.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: u128 = PATIENCE.as_millis() / LOOK_EVERY.as_millis();

/// One worker's end of the log.
#[derive(Debug)]
pub struct Buffer {
    lines: RefCell<Vec<u8>>,
    count: Cell<u64>,
    queue: SyncSender<Vec<u8>>,
    fate: Arc<Fate>,
}

/// What became of lines that were handed over.
#[derive(Debug)]
struct Fate {
    /// How the log is called.
    log: String,
    /// Whom lines wait for.
    taker: &'static str,
    /// Lines that wait for the writer, or that it writes.
    waiting: AtomicU64,
    /// Lines for which there was no room.
    dropped: Seldom,
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
        if count == 0 {
            return;
        }
        self.fate.waiting.fetch_add(count, Ordering::Relaxed);
        if self.queue.try_send(self.lines.take()).is_err() {
            self.fate.waiting.fetch_sub(count, Ordering::Relaxed);
            self.fate.dropped.add(count);
            Log::Access.lose(count);
        }
    }

    /// Says how many lines were dropped, if it is time to: the writer itself may wait for as long as nobody takes any.
    pub fn tell_of_dropped(&self, now: Instant) {
        if let Some(lines) = self.fate.dropped.to_say(now) {
            self.fate.tell_of_dropped(lines);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Fate {
    fn of(log: &Destination, sink: &Sink) -> Self {
        let log = match log {
            Destination::Stdout => "on standard output".to_owned(),
            Destination::File(path) => path.display().to_string(),
        };
        let taker = if sink.is_plain() { "its disk" } else { "what takes it" };
        Self { log, taker, waiting: AtomicU64::new(0), dropped: Seldom::default() }
    }

    fn tell_of_dropped(&self, lines: u64) {
        let (log, taker, lines) = (&self.log, self.taker, count_of_lines(lines));
        warn!("dropped of the access log {log}, for {taker} is slower than the requests come: {lines}");
    }
}

/// The log's writer thread. It ends when the last [`Buffer`] and the writer itself are gone.
#[derive(Debug)]
pub struct Writer {
    queue: SyncSender<Vec<u8>>,
    fate: Arc<Fate>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

impl Writer {
    /// Opens the log and starts its thread.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn start(log: &Destination, workers: usize) -> io::Result<Self> {
        let sink = Sink::open(log)?;
        let (queue, lines) = sync_channel(QUEUE.max(2 * workers));
        let (end, ended) = sync_channel::<()>(0);
        let fate = Arc::new(Fate::of(log, &sink));
        let own = Arc::clone(&fate);
        let write = move || {
            write_all(sink, &lines, &own);
            drop(end);
        };
        thread::Builder::new().name("access-log".to_owned()).spawn(write)?;
        Ok(Self { queue, fate, ended })
    }

    /// A worker's end of it.
    pub fn buffer(&self) -> Buffer {
        Buffer {
            lines: RefCell::default(),
            count: Cell::new(0),
            queue: self.queue.clone(),
            fate: Arc::clone(&self.fate),
        }
    }

    /// Waits until all lines are written, as long as some are: a pipe that nobody reads keeps nobody from stopping. Nor does
    /// one that is read slowly from the moment that the process is to be cut. The buffers must be gone.
    pub fn finish(self, is_cut: impl Fn() -> bool) {
        drop(self.queue);
        let waiting = || self.fate.waiting.load(Ordering::Relaxed);
        // Looks are counted, not time, which also passes while nothing runs.
        let (mut before, mut looks) = (waiting(), 0);
        while looks < LOOKS && self.ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            looks += 1;
            if waiting() != before && !is_cut() {
                (before, looks) = (waiting(), 0);
            }
        }
        if waiting() > 0 {
            let why = match is_cut() {
                true => "a second signal came before it was taken".to_owned(),
                false => format!("nobody took it for {PATIENCE:?}"),
            };
            let lost = waiting() + self.fate.dropped.rest().unwrap_or_default();
            warn!("lost of the access log, for {why}: {}", count_of_lines(lost));
        }
    }
}

/// What is yet to be said of lines that could not be written.
#[derive(Default)]
struct Complaint {
    trouble: Option<Trouble>,
    last: Option<Instant>,
}

impl Complaint {
    /// Trouble that is not told before the next one comes is told with it.
    fn note(&mut self, trouble: Trouble) {
        Log::Access.lose(trouble.lost);
        let earlier = self.trouble.take().map_or(0, |earlier| earlier.lost);
        self.trouble = Some(Trouble { lost: earlier + trouble.lost, ..trouble });
    }

    fn is_due(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= COMPLAIN_EVERY)
    }

    fn tell(&mut self, log: &str) {
        let Some(Trouble { error, lost }) = self.trouble.take() else { return };
        self.last = Some(Instant::now());
        let lost = if lost > 0 { format!("; lost: {}", count_of_lines(lost)) } else { String::new() };
        warn!("the access log {log} cannot be written: {error}; {}{lost}", remedy(&error));
    }
}

/// What would help. The log goes on by itself then.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::WriteZero => {
            "make room on its disk"
        }
        io::ErrorKind::FileTooLarge => "rotate it, or raise the limit on the size of files (`ulimit -f`)",
        io::ErrorKind::NotFound => "make its folder",
        io::ErrorKind::IsADirectory => "remove the folder of that name",
        io::ErrorKind::PermissionDenied => "let the balancer write there",
        io::ErrorKind::ReadOnlyFilesystem => "mount its disk so that it can be written to",
        io::ErrorKind::BrokenPipe => "start what reads it",
        _ => telemetry::remedy(error, "see to its disk"),
    }
}

fn write_all(mut sink: Sink, lines: &Receiver<Vec<u8>>, fate: &Fate) {
    let mut complaint = Complaint::default();
    while let Ok(buffer) = lines.recv() {
        if let Err(trouble) = sink.write(&buffer) {
            complaint.note(trouble);
        }
        fate.waiting.fetch_sub(lines_in(&buffer), Ordering::Relaxed);
        if complaint.is_due() {
            complaint.tell(&fate.log);
        }
    }
    complaint.tell(&fate.log);
    if let Some(lines) = fate.dropped.rest() {
        fate.tell_of_dropped(lines);
    }
}
