//! Settings as they were written, for who shows some of them: a variable of the environment may hold a secret.

use super::load::Loaded;
use super::tree::{Node, Value};

/// A place among the settings of files, whatever is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Written<'a>(Option<&'a Node>);

impl Loaded {
    /// The settings of the files, as they were written.
    pub fn written(&self) -> Written<'_> {
        Written(self.origin.tree.as_ref())
    }
}

impl<'a> Written<'a> {
    /// What a key of the table here stands for.
    pub fn key(self, key: &str) -> Self {
        match self.0.map(|node| &node.value) {
            Some(Value::Table(table)) => Self(table.get(key).map(|entry| &entry.node)),
            _ => Self(None),
        }
    }

    /// An element of the list here.
    pub fn index(self, index: usize) -> Self {
        match self.0.map(|node| &node.value) {
            Some(Value::List(list)) => Self(list.get(index)),
            _ => Self(None),
        }
    }

    /// What all keys of the table here stand for, in their order.
    pub fn all(self) -> impl Iterator<Item = Self> + use<'a> {
        let table = match self.0.map(|node| &node.value) {
            Some(Value::Table(table)) => Some(table),
            _ => None,
        };
        table.into_iter().flat_map(|table| table.values()).map(|entry| Self(Some(&entry.node)))
    }

    /// The text here with the names of its variables, if it has any.
    pub fn with_variables(self) -> Option<&'a str> {
        self.0.and_then(|node| node.written.as_deref())
    }
}
