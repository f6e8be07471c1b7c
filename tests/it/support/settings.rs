//! Configuration files that a test writes, and changes.

use std::fs;
use std::path::PathBuf;

use super::pki::Folder;
use super::{Balancer, Running};

/// A configuration file in a folder of its own.
pub struct Settings {
    folder: Folder,
    path: PathBuf,
}

impl Settings {
    /// A file that says this.
    pub fn that_say(text: &str) -> Self {
        let folder = Folder::new();
        let path = folder.path("loadbalancer.toml");
        let settings = Self { folder, path };
        settings.write(text);
        settings
    }

    /// Says something else, all at once.
    pub fn write(&self, text: &str) {
        self.put("new", text);
        fs::rename(self.folder.path("new"), &self.path).expect("a folder of ours");
    }

    /// Puts another file beside it, and gives its path.
    pub fn put(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        self.folder.write(name, text)
    }

    /// Where it is.
    pub fn path(&self) -> &str {
        self.path.to_str().expect("a path of ASCII")
    }

    /// A balancer that goes by it, with one worker.
    pub fn balancer(&self) -> Balancer {
        Balancer::bare().flag("--config", self.path()).flag("--workers", "1")
    }

    /// Says something else and lets a balancer read it, which likes it.
    pub fn change(&self, balancer: &Running, text: &str) {
        let before = balancer.times_said(" reloaded");
        self.write(text);
        balancer.signal("HUP");
        balancer.said_times(" reloaded", before + 1);
    }
}
