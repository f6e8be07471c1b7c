//! How what the program says of itself gets to standard error: nobody who serves waits for whoever reads it.
//!
//! A line that standard error takes at once is written by who says it, so that a process with one worker stays with one
//! thread (decision 5). Any other waits in a bounded backlog for a thread that lives until all of it is written.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing::warn;

use super::{Log, count_of_lines, lines_in};

/// Bytes that may wait.
const BACKLOG: usize = 256 * 1024;
/// A pipe that is ready takes so much without a wait, and nothing that others write amid it (PIPE_BUF of Linux).
const AT_ONCE: usize = 4096;
/// How long the end of the program waits for somebody to read its last lines.
const PATIENCE: Duration = Duration::from_secs(1);

static BACKLOGGED: Mutex<Backlog> = Mutex::new(Backlog { lines: Vec::new(), dropped: 0, has_thread: false });
static WRITTEN: Condvar = Condvar::new();

/// What could not be written at once.
struct Backlog {
    lines: Vec<u8>,
    /// Lines for which there was no room.
    dropped: u64,
    has_thread: bool,
}

/// Takes one line at each write.
pub(super) struct Voice;

impl Write for Voice {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        say(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until all that was said is written, but not for long when nobody reads it.
pub fn settle() {
    let mut backlog = backlog();
    // Where the system gave no thread for it, it is done here.
    while !backlog.has_thread && !backlog.lines.is_empty() && is_ready(io::stderr(), Some(PATIENCE)) {
        // No more than surely goes at once: nobody else would end the wait.
        let taken = written(&backlog.lines[..backlog.lines.len().min(AT_ONCE)]);
        backlog.lines.drain(..taken);
    }
    drop(WRITTEN.wait_timeout_while(backlog, PATIENCE, |backlog| backlog.has_thread));
}

/// Has the program, at its end, wait as [`settle`] does, also if it panics: to be kept as long as anything is said.
pub struct LastLines;

impl Drop for LastLines {
    fn drop(&mut self) {
        settle();
    }
}

/// Waits until something takes bytes, for so long at most or without end, and says whether it does.
pub(super) fn is_ready(file: impl AsFd, most: Option<Duration>) -> bool {
    let most = most.and_then(|most| Timespec::try_from(most).ok());
    let mut polled = [PollFd::new(&file, PollFlags::OUT)];
    // One that is broken is ready, too: a write tells.
    poll(&mut polled, most.as_ref()).is_ok_and(|ready| ready > 0)
}

/// As many of some lines as can be written at once, so that what others write to the same pipe stands between two lines; a line
/// that is longer is one piece.
pub(super) fn piece(lines: &[u8]) -> &[u8] {
    let first = &lines[..lines.len().min(AT_ONCE)];
    let end = memchr::memrchr(b'\n', first).or_else(|| memchr::memchr(b'\n', lines));
    end.map_or(lines, |end| &lines[..=end])
}

/// Says a line, or some at once.
pub(super) fn say(line: &[u8]) {
    let mut backlog = backlog();
    let waits = backlog.has_thread || !backlog.lines.is_empty();
    let rest = if waits { line } else { &line[at_once(line)..] };
    if rest.is_empty() {
        return;
    }
    if backlog.lines.len() + rest.len() > BACKLOG {
        backlog.dropped += lines_in(rest);
        Log::Stderr.lose(lines_in(rest));
    } else {
        backlog.lines.extend_from_slice(rest);
    }
    if !backlog.has_thread {
        // Without a thread, the next line tries again.
        backlog.has_thread = thread::Builder::new().name("log".to_owned()).spawn(write_backlog).is_ok();
    }
}

/// How many bytes of a line were written without a wait. (Only another program that says something to the same pipe at the
/// same moment could still make us wait.)
fn at_once(line: &[u8]) -> usize {
    // A terminal is ready when it has room for any byte, and a write to it waits until there is room for all.
    let stderr = io::stderr();
    if line.len() > AT_ONCE
        || io::IsTerminal::is_terminal(&stderr)
        || !is_ready(&stderr, Some(Duration::ZERO))
    {
        return 0;
    }
    written(line)
}

/// How many bytes of some lines standard error took, or would not have even if it were asked again.
fn written(lines: &[u8]) -> usize {
    match rustix::io::write(io::stderr(), lines) {
        Ok(length) => length,
        Err(error) if io::Error::from(error).kind() == io::ErrorKind::WouldBlock => 0,
        Err(rustix::io::Errno::INTR) => 0,
        Err(_) => {
            Log::Stderr.lose(lines_in(lines));
            lines.len()
        }
    }
}

fn write_backlog() {
    loop {
        let (lines, dropped) = {
            let mut backlog = backlog();
            if backlog.lines.is_empty() && backlog.dropped == 0 {
                backlog.has_thread = false;
                WRITTEN.notify_all();
                return;
            }
            (std::mem::take(&mut backlog.lines), std::mem::take(&mut backlog.dropped))
        };
        if dropped > 0 {
            // There is room for it now, and it is in its place behind what there was room for.
            warn!("dropped of this log, for nobody read it: {}", count_of_lines(dropped));
        }
        let mut rest = &lines[..];
        while !rest.is_empty() {
            is_ready(io::stderr(), None);
            rest = &rest[written(piece(rest))..];
        }
    }
}

/// Nobody waits for anything while it is locked.
fn backlog() -> MutexGuard<'static, Backlog> {
    BACKLOGGED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_as_many_lines_as_can_be_written_at_once_or_one_that_is_longer() {
        let of = |lengths: &[usize]| {
            let lines = lengths.iter().map(|length| "x".repeat(length - 1)).collect::<Vec<_>>().join("\n");
            piece(format!("{lines}\n").as_bytes()).len()
        };
        assert_eq!([of(&[1, 2]), of(&[96, 4000]), of(&[96, 4001]), of(&[5000, 1])], [3, 4096, 96, 5000]);
        assert_eq!(piece(b"no end"), b"no end");
    }
}
