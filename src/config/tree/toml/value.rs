//! From what a parser found in a value to a part of a tree.

use std::borrow::Cow;
use std::ops::Range;

use toml_parser::decoder::ScalarKind;
use toml_parser::parser::{Event, EventKind};
use toml_parser::{ParseError, Source};

use super::grow::{Bed, Key, Told};
use crate::config::path::{Path, Span, Step};
use crate::config::tree::{Node, Value as Is};

/// A value, or as much of it as is known.
pub(super) struct Value {
    pub(super) node: Node,
    /// What is wrong in it, and in its key.
    pub(super) wrong: Vec<ParseError>,
    /// Whether it has keys that are not known.
    pub(super) is_cut: bool,
}

pub(super) struct Values<'t> {
    source: Source<'t>,
    file: usize,
    events: Vec<Event>,
    next: usize,
    wrong: Vec<ParseError>,
    is_cut: bool,
}

/// The parts of the key that is among these.
pub(super) fn key_names(
    events: &[Event],
    source: Source<'_>,
    file: usize,
    wrong: &mut Vec<ParseError>,
) -> Vec<Key> {
    let keys = events.iter().filter(|event| event.kind() == EventKind::SimpleKey);
    keys.map(|event| key_name(event, source, file, wrong)).collect()
}

fn key_name(event: &Event, source: Source<'_>, file: usize, wrong: &mut Vec<ParseError>) -> Key {
    let mut name = Cow::Borrowed("");
    if let Some(raw) = source.get(event) {
        raw.decode_key(&mut name, wrong);
    }
    Key { name: name.into_owned(), span: Span { file, bytes: bytes(event) } }
}

impl<'t> Values<'t> {
    /// Of what stands behind a key, with which this is wrong.
    pub(super) fn new(source: Source<'t>, file: usize, events: &[Event], wrong: Vec<ParseError>) -> Self {
        let is_blank = |event: &&Event| {
            matches!(event.kind(), EventKind::Whitespace | EventKind::Comment | EventKind::Newline)
        };
        let events = events.iter().filter(|event| !is_blank(event)).copied().collect();
        Self { source, file, events, next: 1, wrong, is_cut: false }
    }

    /// The value, which stands at this path.
    pub(super) fn value(&mut self, path: &Path, told: &mut Told) -> Value {
        let node = self.node(&mut path.clone(), told);
        Value { node, wrong: std::mem::take(&mut self.wrong), is_cut: self.is_cut }
    }

    fn node(&mut self, path: &mut Path, told: &mut Told) -> Node {
        let Some(event) = self.take() else { return self.unknown(None) };
        match event.kind() {
            EventKind::ArrayOpen => self.list(&event, path, told),
            EventKind::InlineTableOpen => self.table(&event, path, told),
            EventKind::Scalar => self.scalar(&event),
            _ => self.unknown(Some(&event)),
        }
    }

    fn list(&mut self, open: &Event, path: &mut Path, told: &mut Told) -> Node {
        let mut list = Vec::new();
        while let Some(event) = self.events.get(self.next).copied() {
            match event.kind() {
                EventKind::ArrayClose => break,
                EventKind::ValueSep | EventKind::Error => self.next += 1,
                _ => {
                    path.0.push(Step::Index(list.len()));
                    list.push(self.node(path, told));
                    path.0.pop();
                }
            }
        }
        self.whole(open, Is::List(list))
    }

    fn table(&mut self, open: &Event, path: &mut Path, told: &mut Told) -> Node {
        let mut bed = Bed::inline();
        let mut keys = Vec::new();
        let mut known = self.wrong.len();
        while let Some(event) = self.events.get(self.next).copied() {
            if event.kind() == EventKind::InlineTableClose {
                break;
            }
            self.next += 1;
            match event.kind() {
                EventKind::SimpleKey => {
                    keys.push(key_name(&event, self.source, self.file, &mut self.wrong));
                }
                EventKind::KeyValSep => {
                    let is_known = self.wrong.len() == known;
                    let length = path.0.len();
                    path.0.extend(keys.iter().map(|key| Step::Key(key.name.clone())));
                    let node = self.node(path, told);
                    path.0.truncate(length);
                    // What a key that is none stands for may be a part of it.
                    if !is_known {
                        self.wrong.truncate(known + 1);
                    }
                    known = self.wrong.len();
                    self.is_cut |= !is_known;
                    if is_known {
                        bed.key(&keys, node, path.clone(), told);
                    }
                    keys.clear();
                }
                _ => {}
            }
        }
        self.whole(open, bed.into_value())
    }

    fn scalar(&mut self, event: &Event) -> Node {
        let mut text = Cow::Borrowed("");
        let wrong = self.wrong.len();
        let Some(raw) = self.source.get(event) else { return self.unknown(Some(event)) };
        let kind = raw.decode_scalar(&mut text, &mut self.wrong);
        // All else follows from the first.
        self.wrong.truncate(wrong + 1);
        let value = match kind {
            _ if self.wrong.len() > wrong => {
                self.place(event, wrong);
                return self.unknown(Some(event));
            }
            ScalarKind::String => Is::Text(text.into_owned()),
            ScalarKind::Boolean(value) => Is::Bool(value),
            ScalarKind::DateTime => Is::Date,
            ScalarKind::Float => Is::Float(text.parse().unwrap_or(f64::NAN)),
            ScalarKind::Integer(radix) => {
                i128::from_str_radix(&text, radix.value()).map_or(Is::Float(f64::INFINITY), Is::Integer)
            }
        };
        Node::new(value, Some(self.span(bytes(event))))
    }

    /// A text over several lines that is not closed is told of where it begins.
    fn place(&mut self, event: &Event, number: usize) {
        let text = self.source.get(event).map_or("", |raw| raw.as_str());
        let is_long = text.starts_with("\"\"\"") || text.starts_with("'''");
        let error = &mut self.wrong[number];
        if is_long && error.unexpected().is_none_or(|span| span.start() >= event.span().end()) {
            let start = event.span().start();
            *error = error.clone().with_unexpected(toml_parser::Span::new_unchecked(start, start + 3));
        }
    }

    fn take(&mut self) -> Option<Event> {
        let event = self.events.get(self.next).copied();
        self.next += 1;
        event
    }

    /// Brackets with all that is in them.
    fn whole(&mut self, open: &Event, value: Is) -> Node {
        let end = self.take().map_or(open.span().end(), |close| close.span().end());
        Node::new(value, Some(self.span(open.span().start()..end)))
    }

    fn unknown(&self, event: Option<&Event>) -> Node {
        let span = event.map(|event| self.span(bytes(event)));
        Node { broken: true, ..Node::new(Is::Nothing, span) }
    }

    fn span(&self, bytes: Range<usize>) -> Span {
        Span { file: self.file, bytes }
    }
}

fn bytes(event: &Event) -> Range<usize> {
    event.span().start()..event.span().end()
}
