//! Which key of a text is which, also where a parser keeps only one of two.

use std::collections::HashMap;
use std::ops::Range;

use toml_parser::parser::{Event, EventKind, parse_document};
use toml_parser::{Source, Span};

use crate::config::tree::{Path, Step};

/// A key that was given before.
pub(super) struct Again {
    pub(super) path: Path,
    /// Where it is given again.
    pub(super) key: Range<usize>,
    /// Where it was given first.
    pub(super) first: Range<usize>,
}

/// The keys that begin at these bytes, each with the place where it, or the table that it adds to, was given before. None of a
/// key that was not.
pub(super) fn given_before(text: &str, wanted: &[usize]) -> Vec<Option<Again>> {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut events = Vec::new();
    parse_document(&tokens, &mut |event: Event| events.push(event), &mut ());
    let mut found: HashMap<usize, Option<Again>> = wanted.iter().map(|at| (*at, None)).collect();
    let mut keys = Keys::default();
    for event in &events {
        keys.take(event, source, &mut found);
    }
    wanted.iter().map(|at| found.remove(at).flatten()).collect()
}

/// All keys so far. The settings as a whole are the number 0, which is no key.
#[derive(Default)]
struct Keys {
    numbers: HashMap<(usize, Step), usize>,
    /// Of each, beginning with the number 1: what it is in, how it is called, where it was given first.
    known: Vec<(usize, Step, Range<usize>)>,
    /// Of arrays of tables, the last table.
    last: HashMap<usize, usize>,
    /// The table of the last header.
    table: usize,
    is_header_of_array: Option<bool>,
    /// The parts of the key that is being read: its number, where it is, where it was before.
    parts: Vec<(usize, Range<usize>, Option<Range<usize>>)>,
    /// Whose value is next.
    value: usize,
    /// Lists with the number of their next element, and inline tables, that are open.
    open: Vec<(usize, Option<usize>)>,
}

impl Keys {
    fn take(&mut self, event: &Event, source: Source<'_>, found: &mut HashMap<usize, Option<Again>>) {
        match event.kind() {
            EventKind::StdTableOpen => self.is_header_of_array = Some(false),
            EventKind::ArrayTableOpen => self.is_header_of_array = Some(true),
            EventKind::StdTableClose | EventKind::ArrayTableClose => self.end_header(),
            EventKind::SimpleKey => {
                let Some(raw) = source.get(event) else { return };
                let mut name = String::new();
                raw.decode_key(&mut name, &mut ());
                self.part(name, event.span());
                if let Some(again) = found.get_mut(&event.span().start()) {
                    *again = self.again();
                }
            }
            EventKind::KeyValSep => self.value = self.parts.drain(..).next_back().map_or(0, |part| part.0),
            EventKind::InlineTableOpen => {
                let number = self.element();
                self.open.push((number, None));
            }
            EventKind::ArrayOpen => {
                let number = self.element();
                self.open.push((number, Some(0)));
            }
            EventKind::Scalar => {
                self.element();
            }
            EventKind::InlineTableClose | EventKind::ArrayClose => {
                self.open.pop();
            }
            _ => {}
        }
    }

    fn part(&mut self, name: String, span: Span) {
        let around = match (self.parts.last(), self.open.last()) {
            (Some((number, ..)), _) => *number,
            (None, _) if self.is_header_of_array.is_some() => 0,
            (None, Some((number, _))) => *number,
            (None, None) => self.table,
        };
        let around = self.last.get(&around).copied().unwrap_or(around);
        let at = span.start()..span.end();
        let (number, before) = self.number(around, Step::Key(name), &at);
        self.parts.push((number, at, before));
    }

    /// The key that was just read, or the nearest around it that was given before.
    fn again(&self) -> Option<Again> {
        let before = |(number, key, first): &(usize, Range<usize>, Option<Range<usize>>)| {
            Some(Again { path: self.path(*number), key: key.clone(), first: first.clone()? })
        };
        self.parts.iter().rev().find_map(before)
    }

    fn end_header(&mut self) {
        let Some(is_array) = self.is_header_of_array.take() else { return };
        let Some((number, at, _)) = self.parts.drain(..).next_back() else { return };
        self.table = number;
        if is_array {
            let next = self.last.get(&number).map_or(0, |last| match self.known[*last - 1].1 {
                Step::Index(index) => index + 1,
                Step::Key(_) => 0,
            });
            self.table = self.number(number, Step::Index(next), &at).0;
            self.last.insert(number, self.table);
        }
        self.open.clear();
    }

    /// The value that begins.
    fn element(&mut self) -> usize {
        match self.open.last_mut() {
            Some((list, Some(next))) => {
                let (list, index) = (*list, *next);
                *next += 1;
                self.number(list, Step::Index(index), &(0..0)).0
            }
            _ => self.value,
        }
    }

    /// The number of something, and where it was given before.
    fn number(&mut self, around: usize, step: Step, at: &Range<usize>) -> (usize, Option<Range<usize>>) {
        let next = self.known.len() + 1;
        match self.numbers.entry((around, step.clone())) {
            std::collections::hash_map::Entry::Occupied(known) => {
                let number = *known.get();
                (number, Some(self.known[number - 1].2.clone()))
            }
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(next);
                self.known.push((around, step, at.clone()));
                (next, None)
            }
        }
    }

    fn path(&self, mut number: usize) -> Path {
        let mut steps = Vec::new();
        while number > 0 {
            let (around, step, _) = &self.known[number - 1];
            steps.push(step.clone());
            number = *around;
        }
        steps.reverse();
        Path(steps)
    }
}
