//! Files that are looked at now and then, to be read anew when they were replaced.

use std::fmt::Display;
use std::fs;
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use tracing::warn;

use crate::config::as_written;

/// How often files are looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tells one version of a file from the next.
type Version = Option<[i64; 6]>;

/// What was seen of the files of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look([Version; 3]);

impl Look {
    /// At these files, as far as there are so many.
    pub fn at(files: [Option<&Path>; 3]) -> Self {
        Self(files.map(|file| file.and_then(version)))
    }
}

/// What was found out about files, part by part. What belongs together, as a certificate and its key, is a part: two files are not
/// written at once, so a part is read when all of it has stayed the same for a while.
#[derive(Debug, Default)]
pub struct Watched {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Default)]
struct Part {
    /// At the last look.
    before: Look,
    /// What it looked like when it was of no use.
    refused: Option<Look>,
    /// Why it was of no use, if it was the last time.
    complaint: String,
}

impl Watched {
    /// Which parts are to be read, of those that look like this by now, and looked like that when what is in use was read.
    pub fn due(&mut self, seen: &[Look], used: &[Look]) -> Vec<usize> {
        // After a change of settings there may be others, which are taken for what was there before: that costs a look at most.
        self.parts.resize_with(seen.len(), Part::default);
        let mut due = Vec::new();
        for (index, (part, (seen, used))) in self.parts.iter_mut().zip(seen.iter().zip(used)).enumerate() {
            let rests = mem::replace(&mut part.before, *seen) == *seen;
            if rests && seen != used && part.refused != Some(*seen) {
                due.push(index);
            }
        }
        due
    }

    /// A part could be read.
    pub fn take(&mut self, part: usize) {
        self.parts[part] = Part { before: self.parts[part].before, ..Part::default() };
    }

    /// A part that looks like this is of no use, which is said unless it was the last time. What may pass may be otherwise another time,
    /// though nothing of it changes.
    pub fn refuse(&mut self, part: usize, seen: Look, error: &impl Display, may_pass: bool) {
        let part = &mut self.parts[part];
        part.refused = (!may_pass).then_some(seen);
        let complaint = error.to_string();
        if part.complaint != complaint {
            warn!("{}; what was loaded of it before stays in use", as_written(&complaint));
        }
        part.complaint = complaint;
    }
}

fn version(path: &Path) -> Version {
    let file = fs::metadata(path).ok()?;
    // What moves the second time may let us read it.
    let times = (file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec());
    let (number, size) = (file.ino().cast_signed(), file.size().cast_signed());
    Some([number, size, times.0, times.1, times.2, times.3])
}
