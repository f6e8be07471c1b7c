//! What is known of a text with mistakes in it. It is read statement by statement: a mistake in one leaves the others as they
//! are, unless it may have eaten them. A value that is none leaves its key known. Behind a line that is neither a key nor a
//! header nobody knows in which table the next keys are, until a header says so. Behind a bracket or a text over several lines
//! that is not closed nothing is known.

use toml_parser::parser::EventKind;
use toml_parser::{ParseError, Source};

use super::grow::{Garden, Key};
use super::message;
use super::statement::{Form, Statement, Statements};
use super::value::{Value, Values, key_names};
use crate::config::fault::Fault;
use crate::config::tree::{DEEPEST, MOST_FAULTS, Misread, Node, Parsed, Span};

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
            Form::Header => self.header(statement),
            Form::Key => self.key(statement),
            Form::Neither => self.neither(statement),
        };
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
        let is_closed = events
            .iter()
            .any(|event| matches!(event.kind(), EventKind::StdTableClose | EventKind::ArrayTableClose));
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
        let (events, mut error) = statement.events(self.source);
        let length = events.iter().position(|event| event.kind() == EventKind::KeyValSep).unwrap_or(0);
        let mut wrong = Vec::new();
        let keys = key_names(&events[..length], self.source, self.file, &mut wrong);
        let is_known = wrong.is_empty();
        if let Some(open) = statement.unclosed {
            error = Some(statement.unclosed_error(open));
        }
        let mut values = Values::new(self.source, self.file, &events[length..], wrong);
        let depth = self.garden.depth();
        let goes_on = match too_deep(&keys, depth) {
            Some(at) => {
                self.tell(at, at, Fault::TooDeep);
                return false;
            }
            None => !statement.is_unsure,
        };
        let path = self.garden.path(&keys);
        let Value { node, wrong, is_cut } = values.value(&path, self.garden.told());
        let end = statement.certain_end(error.as_ref());
        for wrong in wrong.iter().filter(|wrong| start(wrong) < end) {
            self.tell_error(wrong);
        }
        let is_wrong = error.is_some() || !wrong.is_empty();
        if let Some(error) = &error {
            self.tell_error(error);
        }
        self.is_cut |= is_cut || !is_known;
        if is_known && !self.is_lost {
            let broken =
                Node { broken: true, ..Node::new(crate::config::tree::Value::Nothing, node.span.clone()) };
            let node = if error.is_some() { broken } else { node };
            self.garden.key(&keys, node);
        }
        goes_on && !(is_wrong && statement.has_long_text)
    }

    /// What is neither may be a header, or belong to what is wrong before it.
    fn neither(&mut self, statement: &Statement) -> bool {
        let follows = self.is_wrong && statement.may_follow();
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

fn start(error: &ParseError) -> usize {
    error.unexpected().map_or(0, |span| span.start())
}

/// Where keys get too deep that are in so many tables.
fn too_deep(keys: &[Key], around: usize) -> Option<usize> {
    keys.get(DEEPEST.saturating_sub(around)).map(|key| key.span.bytes.start)
}
