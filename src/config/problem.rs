//! What is wrong with settings, as it is told: drawn for a terminal, in a line for a log, as fields for a program.

mod again;

use std::fmt::{self, Display, Formatter};
use std::io;
use std::ops::Range;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::telemetry::remedy;

/// More than these are hardly read, and each costs another look at all of a file.
pub(super) const MOST_TOLD: usize = 50;
/// Characters that are shown of a value, or of a path.
pub(super) const LONGEST_VALUE: usize = 200;
/// Characters that are shown of what is said of it.
pub(super) const LONGEST_TEXT: usize = 1000;

/// What is said when more is wrong than is told.
const MORE: &str = "more is wrong, and is told when this is mended";

/// All that is wrong with settings. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    all: Vec<Problem>,
    /// Whether there are more.
    more: bool,
    may_pass: bool,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The flag that said it, or the variable of the environment that stands for the flag, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
    /// The file that says it, if a file does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Where among the settings: `pools.api.backends[2]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// As the operator wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What is drawn of the file.
    #[serde(skip)]
    pub(super) excerpt: Option<Excerpt>,
    /// Whether it is not what was written that must change.
    #[serde(skip)]
    pub(super) may_pass: bool,
}

/// Some lines of a file and what of them is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// Whole lines.
    pub(super) text: String,
    /// The number of the first, from 1.
    pub(super) first_line: usize,
    /// The bytes of them that are wrong.
    pub(super) wrong: Range<usize>,
}

impl Problems {
    /// Of settings that could be read.
    pub(super) fn of(mut all: Vec<Problem>) -> Self {
        let (more, may_pass) = (all.len() > MOST_TOLD, all.iter().any(|problem| problem.may_pass));
        all.truncate(MOST_TOLD);
        Self { all, more, may_pass }
    }

    /// Of files that cannot be read at all.
    pub(super) fn unreadable(all: Vec<Problem>) -> Self {
        Self { may_pass: true, ..Self::of(all) }
    }

    /// These, and those of files that cannot be read, in the order of the files.
    pub(super) fn and_unreadable(mut self, unread: Vec<Problem>, files: &[Option<String>]) -> Self {
        self.may_pass |= !unread.is_empty();
        self.all.splice(..0, unread);
        self.more |= self.all.len() > MOST_TOLD;
        self.all.truncate(MOST_TOLD);
        self.all.sort_by_cached_key(|problem| files.iter().position(|file| *file == problem.file));
        self
    }

    /// These, and before them what may be the reason for them.
    pub(super) fn because_of(mut self, reasons: Vec<Problem>) -> Self {
        self.all.splice(..0, reasons);
        self.more |= self.all.len() > MOST_TOLD;
        self.all.truncate(MOST_TOLD);
        self
    }

    /// Each of them. Never empty.
    pub fn all(&self) -> &[Problem] {
        &self.all
    }

    /// Whether more is wrong than these.
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// Whether the same settings may do another time: a file of them could not be read, or a name not be resolved.
    pub fn may_pass(&self) -> bool {
        self.may_pass
    }

    /// As a compiler would show them, with the lines of the files. What is in no line of a file is told in one line.
    pub fn draw(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut drawn = String::new();
        for problem in &self.all {
            match &problem.excerpt {
                Some(excerpt) => {
                    let between = if drawn.is_empty() { "" } else { "\n" };
                    drawn.push_str(between);
                    drawn.push_str(&problem.draw(excerpt, &renderer));
                }
                None => drawn.push_str(&format!("loadbalancer: {problem}")),
            }
            drawn.push('\n');
        }
        if self.more {
            drawn.push_str(&format!("\nloadbalancer: {MORE}"));
        }
        drawn.truncate(drawn.trim_end().len());
        drawn
    }
}

impl Display for Problems {
    /// In a line, for logs.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.all.iter().enumerate() {
            let before = if index == 0 { "" } else { " | " };
            write!(f, "{before}{problem}")?;
        }
        if self.more { write!(f, " | {MORE}") } else { Ok(()) }
    }
}

impl std::error::Error for Problems {}

impl Problem {
    /// Of words of the command line that say no settings.
    pub fn of_words(flag: Option<String>, value: Option<String>, message: String) -> Self {
        Self { flag, value, ..Self::saying(message) }
    }

    /// Of flags that cannot be.
    pub(super) fn of_flags(flag: &str, value: Option<String>, message: String, help: String) -> Self {
        Self { flag: Some(flag.to_owned()), value, help: Some(help), ..Self::saying(message) }
    }

    /// Of a file that cannot be read.
    pub(super) fn of_file(path: &Path, error: &io::Error) -> Self {
        let help = Some(remedy(error, "name a file or a folder that we may read").to_owned());
        let file = Some(path.display().to_string());
        Self { file, help, ..Self::saying(format!("cannot be read: {error}")) }
    }

    /// Of a text of which only this is to be said.
    pub(super) fn of_text(name: Option<&str>, line: Option<usize>, message: String, help: &str) -> Self {
        let file = name.map(str::to_owned);
        Self { file, line, help: Some(help.to_owned()), ..Self::saying(message) }
    }

    /// Somewhere.
    pub(super) fn saying(message: String) -> Self {
        Self {
            flag: None,
            file: None,
            line: None,
            column: None,
            path: None,
            value: None,
            message,
            help: None,
            excerpt: None,
            may_pass: false,
        }
    }

    fn draw(&self, Excerpt { text, first_line, wrong }: &Excerpt, renderer: &Renderer) -> String {
        let message = legible(&self.message, LONGEST_TEXT);
        let title = match &self.value {
            Some(value) => format!("{}: {message}", legible(value, LONGEST_VALUE)),
            None => message,
        };
        let label = self.path.as_ref().map(|path| legible(path, LONGEST_VALUE));
        let mark = AnnotationKind::Primary.span(wrong.clone()).label(label);
        let file = self.file.as_ref().map(|file| legible(file, LONGEST_TEXT));
        let lines = Snippet::source(text).line_start(*first_line).path(file.as_deref());
        let group = Group::with_title(Level::ERROR.primary_title(title)).element(lines.annotation(mark));
        match &self.help {
            Some(help) => renderer.render(&[group.element(Level::HELP.message(legible(help, LONGEST_TEXT)))]),
            None => renderer.render(&[group]),
        }
    }
}

impl Display for Problem {
    /// In a line: where, the value, what is wrong and how to mend it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(&legible(file, LONGEST_TEXT))?;
            for number in [self.line, self.column].into_iter().flatten() {
                write!(f, ":{number}")?;
            }
            f.write_str(": ")?;
        }
        let place = self.flag.as_deref().or(self.path.as_deref()).map(|text| legible(text, LONGEST_VALUE));
        // Of a key that is wrong itself, the path ends with it.
        let is_told = |value: &&String| self.path.as_ref().is_some_and(|path| ends_with_key(path, value));
        let value = self.value.as_ref().filter(|value| self.flag.is_some() || !is_told(value));
        let value = value.map(|value| match value.as_str() {
            "" => "''".to_owned(),
            value => legible(value, LONGEST_VALUE),
        });
        match (place, value) {
            (Some(place), Some(value)) => write!(f, "{place} {value}: ")?,
            (Some(text), None) => write!(f, "{text}: ")?,
            (None, Some(text)) => write!(f, "{text}: ")?,
            (None, None) => {}
        }
        f.write_str(&legible(&self.message, LONGEST_TEXT))?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {}", legible(help, LONGEST_TEXT)))
    }
}

fn ends_with_key(path: &str, key: &str) -> bool {
    path.strip_suffix(key).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// A text as it can be shown in a line: not too long, and nothing in it moves what stands around it.
pub(super) fn legible(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        match character {
            _ if count == longest => {
                shown.push('…');
                break;
            }
            '\n' | '\r' | '\t' => shown.extend(character.escape_default()),
            // Controls, and characters that turn the direction of text.
            '\0'..'\u{20}'
            | '\u{7f}'..'\u{a0}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => shown.extend(character.escape_unicode()),
            character => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_text_is_one_line_that_is_not_too_long() {
        assert_eq!(legible("/v1 日本 é", 20), "/v1 日本 é");
        assert_eq!(legible("a\nb\t\u{1b}[31m\u{202e}", 20), "a\\nb\\t\\u{1b}[31m\\u{202e}");
        assert_eq!(legible(&"日".repeat(1000), 3), "日日日…");
    }
}
