//! What files say anew in place of what they said: not everything that can be read is meant.

use std::path::Path;
use std::str;

use crate::config::format::{Format, STDIN_NAME};
use crate::config::origin::Text;
use crate::config::plain::UTF8_MARK;
use crate::config::problem::{Problem, Problems};
use crate::config::route::Action;
use crate::config::tree::{Node, Value, parse};

use super::Loaded;

/// Whether a text has nothing in it, not even a remark.
pub fn says_nothing(text: &[u8], format: Format) -> bool {
    let text = text.strip_prefix(UTF8_MARK.as_bytes()).unwrap_or(text).trim_ascii();
    let is_null = || str::from_utf8(text).is_ok_and(is_null_document);
    matches!(text, b"" | b"null" | b"~") || (format == Format::Yaml && is_null())
}

/// YAML has many words for nothing.
fn is_null_document(text: &str) -> bool {
    let is_empty = |tree| matches!(tree, Node { value: Value::Table(table), .. } if table.is_empty());
    // Whatever says something is longer, or has one of these in it.
    text.len() < 1024
        && !text.contains(['#', ':', '{'])
        && parse(text, 0, Format::Yaml).whole().is_ok_and(is_empty)
}

/// Refuses a text of this name that has nothing in it, as if it were read from there.
///
/// # Errors
/// It has nothing in it.
pub fn refuse_nothing(name: &str, text: &[u8]) -> Result<(), Problems> {
    if says_nothing(text, format_of(Some(name))) {
        Err(Problems::of(vec![emptied(Some(name))]))
    } else {
        Ok(())
    }
}

impl Loaded {
    /// These settings, as they were read from the same place again, in place of those.
    ///
    /// # Errors
    /// A file has nothing in it any more: that says nothing, but a file is empty, too, while it is written. Or a file is gone,
    /// and with it all that said where requests go.
    pub fn replacing(self, before: &Self) -> Result<Self, Problems> {
        let mut problems: Vec<_> = self.emptied(before).map(|text| emptied(text.name.as_deref())).collect();
        if problems.is_empty() && self.is_lost() && !before.is_lost() {
            problems
                .extend(before.files.iter().find(|file| !self.files.contains(file)).map(|file| gone(file)));
        }
        if problems.is_empty() { Ok(self) } else { Err(Problems::of(problems)) }
    }

    /// The texts that are blank and were not. Of settings that came through the admin API nobody knows what the files said.
    fn emptied<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a Text> {
        let nameless = before.origin.texts.iter().any(|text| text.name.is_none() && !text.is_blank());
        let had = move |text: &Text| {
            before.origin.texts.iter().any(|other| other.name == text.name && !other.is_blank())
        };
        self.origin.texts.iter().filter(move |text| text.is_blank() && (nameless || had(text)))
    }

    /// Whether requests go where they go when nobody says where.
    fn is_lost(&self) -> bool {
        let forwards = || self.config.routes.iter().any(|route| matches!(route.action, Action::Forward(_)));
        self.file.pools.is_empty() && forwards()
    }
}

impl Text {
    pub(super) fn is_blank(&self) -> bool {
        says_nothing(self.text.as_bytes(), self.format)
    }
}

pub(super) fn emptied(name: Option<&str>) -> Problem {
    let message = match name {
        Some(STDIN_NAME) => "has nothing in it",
        _ => "has nothing in it, as a file that is being written",
    };
    let help = match format_of(name) {
        Format::Json => "if that is meant, write {}",
        Format::Toml | Format::Yaml => "if that is meant, write a remark into it, such as `# the defaults`",
    };
    Problem::of_text(name, None, message.to_owned(), help)
}

fn format_of(name: Option<&str>) -> Format {
    Format::of(Path::new(name.unwrap_or_default()))
}

fn gone(file: &Path) -> Problem {
    let message = "is gone, and no other file says where requests go".to_owned();
    let help = "put it back, or name a pool in another file";
    Problem::of_text(Some(&file.display().to_string()), None, message, help)
}
