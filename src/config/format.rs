//! How texts say settings, and what places that they come from are called.

use std::ffi::OsStr;
use std::path::Path;

/// What stands for standard input, and where something is written for standard output.
pub const STDIN: &str = "-";
/// What standard input is called.
pub(super) const STDIN_NAME: &str = "standard input";

/// How a text says settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// TOML 1.1.
    Toml,
    /// YAML 1.2.
    Yaml,
    /// JSON (RFC 8259).
    Json,
}

impl Format {
    /// By a file's name; TOML unless it says otherwise.
    pub fn of(path: &Path) -> Self {
        Self::told_by(path).unwrap_or(Self::Toml)
    }

    /// What a file's name says, if it says any.
    pub fn told_by(path: &Path) -> Option<Self> {
        match path.extension().and_then(OsStr::to_str) {
            Some("toml") => Some(Self::Toml),
            Some("yaml" | "yml") => Some(Self::Yaml),
            Some("json") => Some(Self::Json),
            _ => None,
        }
    }

    /// What it is called in the head of a request.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Toml => "application/toml",
            Self::Yaml => "application/yaml",
            Self::Json => "application/json",
        }
    }

    /// What it is called, and how names of files in it end.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Toml => ("TOML", ".toml"),
            Self::Yaml => ("YAML", ".yaml"),
            Self::Json => ("JSON", ".json"),
        }
    }

    /// How a text in it, which was read as something else, gets to be read as what it is. `name` is how the text is called.
    pub(super) fn mend(self, name: Option<&str>) -> String {
        let (format, extension) = self.names();
        match name {
            Some(STDIN_NAME) => format!(
                "this is {format}, and only TOML is read here: put it into a file that is named {extension}"
            ),
            Some(_) => format!("this is {format}: name it {extension}"),
            None => {
                let media_type = self.media_type();
                format!(
                    "this is {format}: put it into a file that is named {extension}, or post it as {media_type}"
                )
            }
        }
    }
}

/// What is called a place that settings are read from.
pub fn name_of(place: &Path) -> String {
    match place.as_os_str() == STDIN {
        true => STDIN_NAME.to_owned(),
        false => place.display().to_string(),
    }
}
