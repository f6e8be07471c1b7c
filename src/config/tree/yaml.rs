//! From YAML (1.2, its core schema) to a tree.

mod write;

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError};

use super::again::Again;
use super::{DEEPEST, Entry, MOST_FAULTS, MOST_VALUES, Misread, Node, Parsed, Table, Value};
use crate::config::fault::Fault;
use crate::config::path::{Path, Span, Step};

pub(super) use write::to_yaml;

/// Parts that aliases may stand for in all. An alias stands for all parts of what it names, so that a few lines could
/// become billions.
const MOST_ALIASED: usize = 1 << 16;

/// What follows a mistake depends on it, but for what is YAML, and no settings: keys that are given twice or are no text, tags,
/// a second document.
pub(super) fn parse(text: &str, file: usize) -> Parsed {
    let mut builder = Builder {
        file,
        text,
        values: 0,
        nodes: 0,
        aliased: 0,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        again: Again::default(),
        is_cut: false,
    };
    let read = builder.read();
    let Builder { root, again: Again { mut misread, doubled }, is_cut, .. } = builder;
    if let Err(wrong) = read {
        misread.push(wrong);
        return Parsed::nothing(misread);
    }
    let tree = match root {
        // An empty document says nothing.
        None | Some(Node { value: Value::Nothing, .. }) => Node::empty(),
        Some(root) => root,
    };
    Parsed { tree: Some(tree), misread, doubled, is_cut }
}

struct Builder<'t> {
    file: usize,
    text: &'t str,
    /// How many values there are so far, and parts that are kept for aliases.
    values: usize,
    /// How many parts there are so far, and how many of them are there by aliases.
    nodes: usize,
    aliased: usize,
    open: Vec<Open>,
    /// What aliases stand for, and how many parts that has.
    anchors: HashMap<usize, (Node, usize)>,
    root: Option<Node>,
    /// Keys that are given twice, and what else is no settings.
    again: Again,
    /// Whether there is more than is known.
    is_cut: bool,
}

/// A list or a table whose end is not reached.
struct Open {
    value: Value,
    span: Span,
    anchor: usize,
    /// How many parts there were before it.
    before: usize,
    /// Whether it has a tag.
    is_broken: bool,
    /// A key of a table whose value is to come.
    key: Option<(String, Span)>,
    /// Whether that key is none.
    is_no_key: bool,
}

impl Builder<'_> {
    fn read(&mut self) -> Result<(), Misread> {
        for event in Parser::new_from_str(self.text) {
            let (event, span) = event.map_err(|error| self.misread(&error))?;
            if matches!(event, Event::DocumentStart(..)) && self.root.is_some() {
                self.is_cut = true;
                self.tell(self.span(&span), Fault::SecondDocument);
                break;
            }
            self.take(event, &span)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, span: &granit_parser::Span) -> Result<(), Misread> {
        let span = self.span(span);
        let is_key = self.open.last().is_some_and(Open::awaits_key);
        let is_value =
            matches!(event, Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..));
        self.values += usize::from(is_value && !is_key);
        if self.values > MOST_VALUES {
            return Err(Misread { span: Some(span), fault: Fault::TooManyValues(MOST_VALUES) });
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_tagged = self.refuse_tag(tag.is_some(), &span);
                let plain = style == ScalarStyle::Plain;
                let value =
                    if plain && !is_key { plain_value(&text) } else { Value::Text(text.into_owned()) };
                let parts = parts_of(&value);
                let node = Node { broken: is_tagged, ..Node::new(value, Some(span)) };
                self.keep(anchor, &node, parts);
                self.add(node, parts);
                Ok(())
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(Value::List(Vec::new()), span, anchor, tag.is_some())
            }
            Event::MappingStart(_, anchor, tag) => {
                self.open(Value::Table(Table::new()), span, anchor, tag.is_some())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.close();
                Ok(())
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((node, parts)) => {
                    let parts = *parts;
                    self.aliased += parts;
                    if self.aliased > MOST_ALIASED {
                        return Err(Misread { span: Some(span), fault: Fault::TooMany });
                    }
                    let node = Node { span: Some(span), ..node.clone() };
                    self.add(node, parts);
                    Ok(())
                }
                None => Err(Misread { span: Some(span), fault: Fault::Syntax("an alias of itself".into()) }),
            },
            _ => Ok(()),
        }
    }

    /// Tells of a tag: nobody knows what it makes of the part that has it.
    fn refuse_tag(&mut self, is_tagged: bool, span: &Span) -> bool {
        if is_tagged {
            self.tell(span.clone(), Fault::Tag);
        }
        is_tagged
    }

    fn open(&mut self, value: Value, span: Span, anchor: usize, is_tagged: bool) -> Result<(), Misread> {
        if self.open.len() >= DEEPEST {
            return Err(Misread { span: Some(span), fault: Fault::TooDeep });
        }
        let (before, is_broken) = (self.nodes, self.refuse_tag(is_tagged, &span));
        self.open.push(Open { value, span, anchor, before, is_broken, key: None, is_no_key: false });
        Ok(())
    }

    fn close(&mut self) {
        let open = self.open.pop().expect("what ends has begun");
        let parts = 1 + self.nodes - open.before;
        let node = Node { broken: open.is_broken, ..Node::new(open.value, Some(open.span)) };
        self.keep(open.anchor, &node, parts);
        self.add(node, 1);
    }

    fn keep(&mut self, anchor: usize, node: &Node, parts: usize) {
        if anchor != 0 {
            self.values += parts;
            self.anchors.insert(anchor, (node.clone(), parts));
        }
    }

    /// Puts a whole part where it belongs.
    fn add(&mut self, node: Node, parts: usize) {
        self.nodes += parts;
        let Some((open, around)) = self.open.split_last_mut() else {
            self.root = Some(node);
            return;
        };
        match (&mut open.value, open.key.take()) {
            (Value::List(list), _) => list.push(node),
            (Value::Table(_), None) => {
                let span = node.span.clone().expect("each part has its place");
                open.is_no_key = node.broken;
                match node.value {
                    Value::Text(key) => open.key = Some((key, span)),
                    _ => {
                        open.is_no_key = true;
                        open.key = Some(("?".to_owned(), span.clone()));
                        self.tell(span, Fault::Syntax("a key must be text".into()));
                    }
                }
            }
            // It may be anything's.
            (Value::Table(_), Some(_)) if open.is_no_key => self.is_cut = true,
            (Value::Table(table), Some((key, span))) => {
                let entry = Entry { key: Some(span), node };
                self.again.add(table, key, entry, &|| path_of(around));
            }
            // Only lists and tables have parts.
            _ => {}
        }
    }

    fn tell(&mut self, span: Span, fault: Fault) {
        if self.again.misread.len() < MOST_FAULTS {
            self.again.misread.push(Misread { span: Some(span), fault });
        }
    }

    fn misread(&self, error: &ScanError) -> Misread {
        let marker = error.marker();
        let at = marker.byte_offset().unwrap_or_else(|| {
            self.text.char_indices().nth(marker.index()).map_or(self.text.len(), |(at, _)| at)
        });
        let at = at.min(self.text.len());
        Misread {
            span: Some(Span { file: self.file, bytes: at..at }),
            fault: match (Fault::of_syntax(&error.info()), self.is_unquoted(at)) {
                (Fault::Syntax(said), true) => Fault::Unquoted(said),
                (fault, _) => fault,
            },
        }
    }

    /// Whether the value at a place, or just before it, may be meant as text though it begins as something else.
    fn is_unquoted(&self, at: usize) -> bool {
        let (before, behind) = self.text.split_at(self.text.floor_char_boundary(at));
        let is_in_text = |c: char| !c.is_whitespace() && !",]}#".contains(c);
        behind.starts_with(['*', '&', '!', '%', '@', '`'])
            || (before.ends_with([']', '}']) && behind.starts_with(is_in_text))
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        let bytes = span.byte_range().unwrap_or(0..0);
        // A plain scalar's end may be behind the blanks that follow it.
        let text = self.text.get(bytes.clone()).unwrap_or_default();
        Span { file: self.file, bytes: bytes.start..bytes.start + text.trim_end().len() }
    }
}

/// Where the table is that is in these.
fn path_of(around: &[Open]) -> Path {
    let step = |open: &Open| match (&open.value, &open.key) {
        (Value::List(list), _) => Some(Step::Index(list.len())),
        (_, key) => key.as_ref().map(|(key, _)| Step::Key(key.clone())),
    };
    Path(around.iter().filter_map(step).collect())
}

impl Open {
    fn awaits_key(&self) -> bool {
        matches!(self.value, Value::Table(_)) && self.key.is_none()
    }
}

/// A long text takes as much memory as many short ones.
fn parts_of(value: &Value) -> usize {
    const USUAL: usize = 64;
    match value {
        Value::Text(text) => 1 + text.len() / USUAL,
        _ => 1,
    }
}

/// YAML 1.2, section 10.3.2.
fn plain_value(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Nothing,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let radix = |prefix, radix| text.strip_prefix(prefix).map(|digits| i128::from_str_radix(digits, radix));
    if let Some(Ok(number)) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Value::Integer(number);
    }
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && text.bytes().any(|byte| byte.is_ascii_digit());
    if numeric && let Ok(number) = text.parse() {
        return Value::Integer(number);
    }
    match text.parse() {
        Ok(number) if numeric => Value::Float(number),
        _ => Value::Text(text.to_owned()),
    }
}
