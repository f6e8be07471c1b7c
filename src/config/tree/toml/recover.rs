//! What is known of a text with mistakes in it. It is read statement by statement: a mistake in one leaves the others as they
//! are, unless it may have eaten them. A value that is none leaves its key known. Behind a line that is neither a key nor a
//! header nobody knows in which table the next keys are, until a header says so. Behind a bracket or a text over several lines
//! that is not closed nothing is known.

use toml_parser::parser::EventKind;
use toml_parser::{Expected, ParseError, Source};

use super::grow::{Garden, Key, Told};
use super::message;
use super::statement::{Form, Statement, Statements};
use super::value::{Value, Values, key_names};
use crate::config::fault::Fault;
use crate::config::path::Span;
use crate::config::tree::Value::Nothing;
use crate::config::tree::{DEEPEST, MOST_FAULTS, Misread, Node, Parsed};

/// Reads a text that was found to be no TOML. Nothing if nothing was found to be wrong with it.
pub(super) fn recover(text: &str, file: usize) -> Parsed {
    let mut recovery = Recovery {
        source: Source::new(text),
        file,
        garden: Garden::new(file),
        misread: Vec::new(),
        is_cut: false,
        is_lost: false,
        is_wrong: false,
        awaits_value: false,
    };
    let mut statements = Statements::of(recovery.source);
    while let Some(statement) = statements.next() {
        if !recovery.take(&statement) {
            recovery.is_cut = true;
            break;
        }
    }
    let Recovery { garden, mut misread, is_cut, .. } = recovery;
    if let Some(deep) = misread.iter().position(|misread| misread.fault == Fault::TooDeep) {
        // All else may follow from it.
        return Parsed::nothing(vec![misread.swap_remove(deep)]);
    }
    let (tree, again) = garden.grown();
    misread.extend(again.misread);
    misread.sort_by_key(|wrong| wrong.span.as_ref().map(|span| span.bytes.start));
    misread.truncate(MOST_FAULTS);
    Parsed { tree: Some(tree), misread, doubled: again.doubled, is_cut }
}

struct Recovery<'t> {
    source: Source<'t>,
    file: usize,
    garden: Garden,
    misread: Vec<Misread>,
    /// Whether the text says more than is known.
    is_cut: bool,
    /// Whether nobody knows in which table the next keys are.
    is_lost: bool,
    /// Whether something is wrong with the statement before.
    is_wrong: bool,
    /// Whether its value is missing.
    awaits_value: bool,
}

impl Recovery<'_> {
    /// Whether something is known of what follows this.
    fn take(&mut self, statement: &Statement) -> bool {
        if let Some(deep) = statement.too_deep {
            self.tell(deep.start(), deep.end(), Fault::TooDeep);
            return false;
        }
        let told = self.misread.len();
        let goes_on = match statement.form {
            Form::Blank => {
                self.blank(statement);
                return !self.is_full();
            }
            Form::Header if self.awaits_value && statement.is_list() => {
                (self.is_lost, self.is_cut) = (true, true);
                true
            }
            Form::Header => self.header(statement),
            Form::Key => self.key(statement),
            Form::Neither => self.neither(statement),
        };
        self.awaits_value = statement.awaits_value();
        self.is_wrong = self.misread.len() > told || (self.is_wrong && statement.form == Form::Neither);
        goes_on && !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.misread.len() >= MOST_FAULTS || self.garden.is_full()
    }

    /// A remark may have characters in it that no text may have.
    fn blank(&mut self, statement: &Statement) {
        if let (_, Some(error)) = statement.events(self.source) {
            self.tell_error(&error);
        }
    }

    fn header(&mut self, statement: &Statement) -> bool {
        let (events, error) = statement.events(self.source);
        let mut wrong = Vec::new();
        let keys = key_names(&events, self.source, self.file, &mut wrong);
        let is_array = events.iter().any(|event| event.kind() == EventKind::ArrayTableOpen);
        let is_close = |event: &&toml_parser::parser::Event| {
            matches!(event.kind(), EventKind::StdTableClose | EventKind::ArrayTableClose)
        };
        // What is written to its end may be a part of its name.
        let is_closed = events.iter().find(is_close).is_some_and(|close| {
            let behind = self.source.input().get(close.span().end()..).unwrap_or_default();
            behind.is_empty() || behind.starts_with([' ', '\t', '\r', '\n', '#'])
        });
        let error = wrong.first().cloned().or(error);
        if let Some(error) = &error {
            self.tell_error(error);
        }
        if !is_closed || !wrong.is_empty() {
            (self.is_lost, self.is_cut) = (true, true);
            return true;
        }
        if let Some(at) = too_deep(&keys, 0) {
            self.tell(at, at, Fault::TooDeep);
            return false;
        }
        // Keys of what is something else as well are not looked at; it is broken.
        self.is_lost = !self.garden.header(&keys, is_array);
        true
    }

    fn key(&mut self, statement: &Statement) -> bool {
        let (events, error) = statement.events(self.source);
        let length = events.iter().position(|event| event.kind() == EventKind::KeyValSep);
        let mut wrong = Vec::new();
        let keys = key_names(&events[..length.unwrap_or(0)], self.source, self.file, &mut wrong);
        if let Some(at) = too_deep(&keys, self.garden.depth()) {
            self.tell(at, at, Fault::TooDeep);
            return false;
        }
        let is_known = wrong.is_empty() && length.is_some();
        let path = self.garden.path(&keys);
        let mut nowhere = Told::default();
        let told = if self.is_lost { &mut nowhere } else { self.garden.told() };
        let mut values = Values::new(self.source, self.file, &events[length.unwrap_or(0)..], wrong);
        let Value { node, wrong, is_cut } = values.value(&path, told);
        let is_broken = error.is_some() || statement.unclosed.is_some();
        let wrong = self.told_of(statement, wrong, error, is_known);
        if !(self.is_wrong && statement.may_follow(self.source)) {
            wrong.iter().for_each(|wrong| self.tell_error(wrong));
        }
        self.is_cut |= is_cut || !is_known || self.is_lost || statement.may_hold_key;
        if is_known && !self.is_lost {
            let nothing = Node::new(Nothing, node.span.clone());
            let node = if is_broken { Node { broken: true, ..nothing } } else { node };
            self.garden.key(&keys, node);
        }
        if !wrong.is_empty() && (length.is_none() || statement.may_hold_header) {
            (self.is_lost, self.is_cut) = (true, true);
        }
        !statement.is_unsure && (wrong.is_empty() || !statement.has_long_text)
    }

    /// Of what is wrong with a key and its value, what does not follow from the rest of it.
    fn told_of(
        &self,
        statement: &Statement,
        mut wrong: Vec<ParseError>,
        error: Option<ParseError>,
        is_known: bool,
    ) -> Vec<ParseError> {
        let end = statement.certain_end(error.as_ref());
        wrong.retain(|wrong| start(wrong) < end);
        // A key that is none has swallowed what its value begins with, and an open text what is behind it.
        if !is_known {
            wrong.truncate(1);
        }
        let open_text = wrong.iter().position(is_open_text);
        if let Some(first) = open_text {
            wrong.truncate(first + 1);
        }
        let error = statement.unclosed.map(|open| statement.unclosed_error(open)).or(error);
        let last = wrong.last().map(start);
        let is_in_line_of = |last: usize, error: &ParseError| {
            self.source.input().get(last..start(error)).is_some_and(|text| !text.contains('\n'))
        };
        let follows = |error: &ParseError| match last {
            Some(last) => !is_known || open_text.is_some() || is_in_line_of(last, error),
            None => false,
        };
        wrong.extend(error.filter(|error| !follows(error)));
        wrong
    }

    /// What is neither may be a header, or belong to what is wrong before it.
    fn neither(&mut self, statement: &Statement) -> bool {
        let follows = self.is_wrong && statement.may_follow(self.source);
        if let (_, Some(error)) = statement.events(self.source)
            && !follows
        {
            self.tell_error(&error);
        }
        (self.is_lost, self.is_cut) = (true, true);
        !statement.has_long_text
    }

    fn tell_error(&mut self, error: &ParseError) {
        let span = error.unexpected().unwrap_or_default();
        self.tell(span.start(), span.end(), Fault::of_syntax(&message(error)));
    }

    fn tell(&mut self, start: usize, end: usize, fault: Fault) {
        let misread = Misread { span: Some(Span { file: self.file, bytes: start..end }), fault };
        if self.misread.len() < MOST_FAULTS {
            self.misread.push(misread);
        }
    }
}

/// Whether a text begins and does not end.
fn is_open_text(error: &ParseError) -> bool {
    let is_quote = |expected: &Expected| matches!(expected, Expected::Literal("\"" | "'"));
    error.description().ends_with("string") && error.expected().is_some_and(|all| all.iter().any(is_quote))
}

fn start(error: &ParseError) -> usize {
    error.unexpected().map_or(0, |span| span.start())
}

/// Where keys get too deep that are in so many tables.
fn too_deep(keys: &[Key], around: usize) -> Option<usize> {
    keys.get(DEEPEST.saturating_sub(around)).map(|key| key.span.bytes.start)
}
