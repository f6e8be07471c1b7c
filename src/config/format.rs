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

    /// A text that shows settings in TOML, as one that shows them in this format: `[tls]` is `tls` there, and `a = 1` is `a: 1` or
    /// `"a": 1`.
    pub(super) fn in_its_words(self, toml: &str) -> String {
        if self == Self::Toml {
            return toml.to_owned();
        }
        let mut words = String::new();
        let mut parts = toml.split(" = ").peekable();
        while let Some(part) = parts.next() {
            let part = without_header(part);
            let (before, key) = part.split_at(part.trim_end_matches(is_of_key).len());
            words.push_str(before);
            match (parts.peek(), self) {
                (None, _) => words.push_str(key),
                (Some(_), Self::Json) => words.push_str(&format!("\"{key}\": ")),
                (Some(_), _) => words.push_str(&format!("{key}: ")),
            }
        }
        words
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

/// With the name of a table in place of its header, if it has one.
fn without_header(text: &str) -> String {
    let header = text.split_once('[').and_then(|(before, rest)| {
        let (name, behind) = rest.split_once(']')?;
        let is_header = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.contains(['[', ',', ':']);
        is_header.then_some((before, name, behind))
    });
    header.map_or_else(|| text.to_owned(), |(before, name, behind)| format!("{before}{name}{behind}"))
}

fn is_of_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// What is called a place that settings are read from.
pub fn name_of(place: &Path) -> String {
    match place.as_os_str() == STDIN {
        true => STDIN_NAME.to_owned(),
        false => place.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_are_shown_are_in_the_format_of_who_sees_them() {
        for (toml, yaml, json) in [
            (
                "write [pools.app.sticky] and its keys below it",
                "write pools.app.sticky and its keys below it",
                "",
            ),
            (
                "add [tls] with certificates = [{ cert_file = \"a.pem\", key_file = \"a.key\" }]",
                "add tls with certificates: [{ cert_file: \"a.pem\", key_file: \"a.key\" }]",
                "add tls with \"certificates\": [{ \"cert_file\": \"a.pem\", \"key_file\": \"a.key\" }]",
            ),
            (
                "add backends = [\"HOST:PORT\"], or discover",
                "add backends: [\"HOST:PORT\"], or discover",
                "add \"backends\": [\"HOST:PORT\"], or discover",
            ),
            ("write ADDRESS:PORT, :PORT or [::]:PORT", "write ADDRESS:PORT, :PORT or [::]:PORT", ""),
        ] {
            assert_eq!(Format::Toml.in_its_words(toml), toml);
            assert_eq!(Format::Yaml.in_its_words(toml), yaml);
            assert_eq!(Format::Json.in_its_words(toml), if json.is_empty() { yaml } else { json });
        }
    }
}
