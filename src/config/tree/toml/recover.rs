//! What is known of a text with mistakes in it. A key that is given twice, and a value in one line that is none, leave the rest
//! as it is. What is behind any other mistake may be part of something that was not closed: then only the tables before it are
//! known.

use toml::de::{DeTable, Error};

use super::keys::given_before;
use super::{Reader, misread};
use crate::config::fault::Fault;
use crate::config::tree::again::Again;
use crate::config::tree::{Entry, MOST_FAULTS, Misread, Node, Parsed, Span, Step, Value};

/// Headers before a mistake at which it is tried to end a text.
const MOST_ENDS: usize = 4;

/// Reads a text that was found to be no TOML.
pub(super) fn recover(text: &str, file: usize) -> Parsed {
    let errors = DeTable::parse_recoverable(text).1;
    let mut wrong = misread(errors.iter().filter(|error| !is_of_key(error)), file);
    if wrong.iter().any(|wrong| wrong.fault == Fault::TooDeep) {
        return Parsed::nothing(wrong);
    }
    let at: Vec<_> = errors.iter().filter(|error| !is_of_key(error)).map(|error| error.span()).collect();
    let at: Option<Vec<_>> = at.into_iter().map(|span| Some(span?.start)).collect();
    let whole = at.as_ref().and_then(|at| mend(text, at)).and_then(|(text, ends)| read(&text, &ends, file));
    let beginning = || {
        let parsed = ends(text, at.as_ref()?).find_map(|end| read(&text[..end], &[], file));
        parsed.map(|parsed| Parsed { is_cut: true, ..parsed })
    };
    let parsed = whole.or_else(beginning).unwrap_or_else(|| Parsed::nothing(Vec::new()));
    leave_out_what_follows(text, &mut wrong);
    if wrong.is_empty() && parsed.misread.is_empty() {
        return Parsed::nothing(misread(errors.iter(), file));
    }
    wrong.extend(parsed.misread);
    wrong.sort_by_key(|wrong| wrong.span.as_ref().map(|span| span.bytes.start));
    wrong.truncate(MOST_FAULTS);
    Parsed { misread: wrong, ..parsed }
}

/// All behind something that is not closed is read as a part of it.
fn leave_out_what_follows(text: &str, wrong: &mut Vec<Misread>) {
    let start = |wrong: &Misread| wrong.span.as_ref().map_or(0, |span| span.bytes.start);
    let is_unclosed =
        |wrong: &Misread| matches!(&wrong.fault, Fault::Syntax(said) if said.starts_with("unclosed"));
    if wrong.iter().any(is_unclosed) {
        let first = wrong.iter().map(start).min().unwrap_or_default();
        let end = text[line_start(text, first)..]
            .find('\n')
            .map_or(text.len(), |end| end + line_start(text, first));
        wrong.retain(|wrong| start(wrong) <= end || is_unclosed(wrong));
    }
}

/// A key that is given twice, or a table that is something else as well.
fn is_of_key(error: &Error) -> bool {
    error.message() == "duplicate key" || error.message().starts_with("cannot extend value of type")
}

/// Reads a text in which nothing is wrong but keys that are given twice, and values in place of others, which end here.
fn read(text: &str, keys: &[usize], file: usize) -> Option<Parsed> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.iter().all(is_of_key) {
        return None;
    }
    let reader = Reader { file };
    let table = match reader.table(root.into_inner(), 0) {
        Ok(table) => table,
        Err(misread) => return Some(Parsed::nothing(vec![misread])),
    };
    let mut tree = Node::new(Value::Table(table), reader.span(0..0));
    for key in keys {
        key_at(&mut tree, *key)?.broken = true;
    }
    let wanted: Option<Vec<_>> = errors.iter().map(|error| Some(error.span()?.start)).collect();
    let again: Option<Vec<_>> = given_before(text, &wanted?).into_iter().collect();
    let mut told = Again::default();
    for again in again? {
        let node = again.path.find_mut(&mut tree)?;
        let is_table = matches!(node.value, Value::Table(_));
        // Sections are one, however often they are begun. All in a table that is given twice may be meant for two.
        let is_section = is_table && again.path.0.len() == 1;
        if told.doubled.iter().any(|path| again.path.is_within(path)) {
            continue;
        }
        if !is_section {
            told.spoil(node, again.path.clone());
        }
        let span = |bytes| Span { file, bytes };
        told.tell(again.path, Some(span(again.key)), Some(span(again.first)), is_table);
        if told.misread.len() >= MOST_FAULTS {
            return Some(Parsed::nothing(told.misread));
        }
    }
    let Again { misread, doubled } = told;
    Some(Parsed { tree: Some(tree), misread, doubled, is_cut: false })
}

/// What the key that begins here stands for.
fn key_at(node: &mut Node, start: usize) -> Option<&mut Node> {
    match &mut node.value {
        Value::Table(table) => table.values_mut().find_map(|Entry { key, node }| {
            match key.as_ref().is_some_and(|key| key.bytes.start == start) {
                true => Some(node),
                false => key_at(node, start),
            }
        }),
        Value::List(list) => list.iter_mut().find_map(|node| key_at(node, start)),
        _ => None,
    }
}

/// The text with a value in place of each that is wrong, if each is alone in its line with its key; and where these keys begin.
fn mend(text: &str, wrong: &[usize]) -> Option<(String, Vec<usize>)> {
    let mut mended = text.to_owned();
    let mut keys = Vec::new();
    let mut lines: Vec<_> = wrong.iter().map(|at| line_start(text, *at)).collect();
    lines.dedup();
    // What is no TOML at all is nothing but mistakes.
    if lines.len() >= MOST_FAULTS {
        return None;
    }
    for start in lines {
        let end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        let (key, key_end) = key_before_value(text, start, end)?;
        let room = (end - key_end).checked_sub("=0".len())?;
        mended.replace_range(key_end..end, &format!("=0{}", " ".repeat(room)));
        keys.push(key);
    }
    Some((mended, keys))
}

/// Where the last part of the key begins that a line begins with, and where it ends.
fn key_before_value(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let line = &text[start..end];
    let skip = |at: usize| at + line[at..].len() - line[at..].trim_start().len();
    let mut at = skip(0);
    loop {
        let rest = &line[at..];
        let length = match rest.chars().next()? {
            quote @ ('"' | '\'') => rest[1..].find(quote)? + 2,
            _ => rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')?,
        };
        let (key, key_end) = (at, at + length);
        at = skip(key_end);
        match line[at..].chars().next()? {
            '.' => at = skip(at + 1),
            '=' if length > 0 => return Some((start + key, start + key_end)),
            _ => return None,
        }
    }
}

/// Where a text could end before the first mistake: before the headers before it, the nearest first, or before its line if
/// there are none.
fn ends(text: &str, wrong: &[usize]) -> impl Iterator<Item = usize> {
    let first = wrong.iter().min().map_or(0, |at| line_start(text, *at));
    let line_end = text[first..].find('\n').map_or(text.len(), |length| first + length);
    let mut ends = Vec::new();
    let mut at = 0;
    for line in text[..line_end].split_inclusive('\n') {
        if line.trim_start().starts_with('[') {
            ends.push(at);
        }
        at += line.len();
    }
    if ends.is_empty() {
        ends.push(first);
    }
    ends.into_iter().rev().take(MOST_ENDS)
}

fn line_start(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

impl crate::config::tree::Path {
    fn is_within(&self, other: &Self) -> bool {
        let (own, other): (&[Step], &[Step]) = (&self.0, &other.0);
        own.len() > other.len() && own.starts_with(other)
    }
}
