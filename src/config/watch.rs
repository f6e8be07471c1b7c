//! Whether files of settings have changed since they were read.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::format::STDIN;
use super::load::{MORE, Sources, toml_files};

impl Sources {
    /// What [`Sources::state`] was when it was noted last: when they were read, however that ended, or when others came to
    /// count in their place.
    pub fn state_noted(&self) -> u64 {
        self.state_noted.load(Ordering::Relaxed)
    }

    /// They are about to be read, or no longer what counts: only what changes from now on is a change.
    pub fn note_state(&self) {
        self.state_noted.store(self.state(), Ordering::Relaxed);
    }

    /// A number that tells one state of the files from the next, by their places, times and sizes.
    pub fn state(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        if let Some(place) = self.flags.config.as_ref().filter(|place| place.as_os_str() != STDIN) {
            note(place, &mut hasher);
            for folder in [place.clone(), place.join(MORE)] {
                let mut files = toml_files(&folder).unwrap_or_default();
                files.sort();
                files.iter().for_each(|file| note(file, &mut hasher));
            }
        }
        hasher.finish()
    }
}

fn note(path: &Path, hasher: &mut DefaultHasher) {
    let seen = |file: Metadata| (file.ino(), file.mtime(), file.mtime_nsec(), file.size());
    (path, path.metadata().ok().map(seen)).hash(hasher);
}
