//! Settings as a tree, in whatever they were written, and where in which file each part of it stands.

mod again;
mod de;
mod find;
mod foreign;
mod interpolate;
mod json;
mod mend;
mod merge;
mod toml;
mod write;
mod yaml;

use indexmap::IndexMap;

use super::fault::Fault;
use super::format::Format;
use super::path::{Path, Span};

pub(super) use de::{MOST_FAULTS, read};
pub(super) use find::Found;
pub(super) use interpolate::{has_variable, interpolate, is_default};
pub(super) use json::of_json;
pub(super) use merge::merge;
pub(super) use write::{unwritable, write};

/// How deep tables and lists may be in each other. Settings need less than ten.
const DEEPEST: usize = 32;
/// Values that a text may have: twice as many as ten thousand routes of ten keys each. A list of nothing, three bytes of text,
/// takes some hundred bytes of memory while it is read.
const MOST_VALUES: usize = 200_000;

/// A part of the settings.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    /// Where it stands, if its format tells.
    pub(super) span: Option<Span>,
    /// As it was written, if variables of the environment were put in.
    pub(super) written: Option<String>,
    /// It was found to be wrong, and is treated as if it were not there.
    pub(super) broken: bool,
}

/// What a part of the settings is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing: of a table or a list the same as if it had nothing in it.
    Nothing,
    Bool(bool),
    Integer(i128),
    Float(f64),
    /// A date or a time, which no setting is.
    Date,
    Text(String),
    List(Vec<Node>),
    Table(Table),
}

/// In the order in which they were written.
pub(super) type Table = IndexMap<String, Entry>;

/// What a key of a table stands for.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Where the key stands.
    pub(super) key: Option<Span>,
    pub(super) node: Node,
}

/// What is wrong before there is a tree.
#[derive(Debug, PartialEq)]
pub(super) struct Misread {
    pub(super) span: Option<Span>,
    pub(super) fault: Fault,
}

/// What is known of a text.
pub(super) struct Parsed {
    /// Its settings, if any of them are known.
    pub(super) tree: Option<Node>,
    /// What is wrong with it.
    pub(super) misread: Vec<Misread>,
    /// Tables that are given twice. All keys of both are in one, but nobody knows which of them are meant to be.
    pub(super) doubled: Vec<Path>,
    /// Whether it says more than is known.
    pub(super) is_cut: bool,
}

/// Reads a text, which is the file of this number.
pub(super) fn parse(text: &str, file: usize, format: Format) -> Parsed {
    match format {
        Format::Toml => toml::parse(text, file),
        Format::Yaml => yaml::parse(text, file),
        Format::Json => json::parse(text, file),
    }
}

impl Parsed {
    fn all(tree: Node) -> Self {
        Self { tree: Some(tree), misread: Vec::new(), doubled: Vec::new(), is_cut: false }
    }

    fn nothing(misread: Vec<Misread>) -> Self {
        Self { tree: None, misread, doubled: Vec::new(), is_cut: true }
    }

    /// Its tree, if nothing is wrong with it.
    pub(super) fn whole(self) -> Result<Node, Vec<Misread>> {
        match self.tree {
            Some(tree) if self.misread.is_empty() => Ok(tree),
            _ => Err(self.misread),
        }
    }
}

impl Node {
    pub(super) fn new(value: Value, span: Option<Span>) -> Self {
        Self { value, span, written: None, broken: false }
    }

    /// No settings at all.
    pub(super) fn empty() -> Self {
        Self::new(Value::Table(Table::new()), None)
    }

    /// What it is, for who expected something else.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Nothing => "nothing",
            Value::Bool(_) => "true or false",
            Value::Integer(_) => "a number",
            Value::Float(_) => "a number with a fraction",
            Value::Date => "a date",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// What it says, if that can be said in a word.
    pub(super) fn shown(&self) -> Option<String> {
        match (&self.written, &self.value) {
            (Some(written), _) => Some(written.clone()),
            (None, Value::Bool(value)) => Some(value.to_string()),
            (None, Value::Integer(value)) => Some(value.to_string()),
            (None, Value::Float(value)) => Some(value.to_string()),
            (None, Value::Text(value)) => Some(value.clone()),
            _ => None,
        }
    }

    /// Whether it or a part of it is broken.
    pub(super) fn has_broken(&self) -> bool {
        self.broken
            || match &self.value {
                Value::List(list) => list.iter().any(Self::has_broken),
                Value::Table(table) => table.values().any(|entry| entry.node.has_broken()),
                _ => false,
            }
    }

    /// The elements that are not broken, with their places among all.
    pub(super) fn elements(list: &[Self]) -> impl Iterator<Item = (usize, &Self)> {
        list.iter().enumerate().filter(|(_, node)| !node.broken)
    }
}
