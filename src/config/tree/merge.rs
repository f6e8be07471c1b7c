//! Settings of several files as one tree.

use super::{Entry, MOST_FAULTS, Misread, Node, Table, Value};
use crate::config::fault::Fault;
use crate::config::path::{Path, Span, Step};

/// Tables in which the keys of several files come together: the settings themselves, and each section of them, so that a
/// route, a pool or a listener is in one file as a whole.
const SHARED: usize = 2;

/// What is wrong with settings of several files.
#[derive(Default)]
pub(in crate::config) struct Merged {
    pub(in crate::config) misread: Vec<Misread>,
    /// Tables that two files have. All keys of both are in one, but nobody knows which of them are meant to be.
    pub(in crate::config) doubled: Vec<Path>,
}

/// Adds the settings of a file to those of files before it. `tell` says where in which file something stands.
pub(in crate::config) fn merge(all: &mut Node, more: Node, tell: &dyn Fn(&Span) -> String) -> Merged {
    let mut merged = Merged::default();
    if let (Value::Table(all), Value::Table(more)) = (&mut all.value, more.value) {
        merged.tables(all, more, &Path::default(), tell);
    }
    merged
}

impl Merged {
    fn tables(&mut self, all: &mut Table, more: Table, path: &Path, tell: &dyn Fn(&Span) -> String) {
        for (name, entry) in more {
            let Some(known) = all.get_mut(&name) else {
                all.insert(name, entry);
                continue;
            };
            let mut path = path.clone();
            path.0.push(Step::Key(name));
            match (&mut known.node.value, entry.node.value) {
                (Value::Table(known), Value::Table(more)) if path.0.len() < SHARED => {
                    self.tables(known, more, &path, tell);
                }
                (value, more) => {
                    if self.misread.len() < MOST_FAULTS {
                        let other = known.key.as_ref().map(tell).unwrap_or_default();
                        let fault = Fault::InTwoFiles { path: path.clone(), other };
                        self.misread.push(Misread { span: entry.key, fault });
                    }
                    match (value, more) {
                        (Value::Table(known), Value::Table(more)) => {
                            self.doubled.push(path);
                            add(known, more);
                        }
                        _ => known.node.broken = true,
                    }
                }
            }
        }
    }
}

/// Adds what is not there.
fn add(known: &mut Table, more: Table) {
    for (name, Entry { key, node }) in more {
        match known.get_mut(&name) {
            None => {
                known.insert(name, Entry { key, node });
            }
            Some(known) => {
                if let (Value::Table(known), Value::Table(more)) = (&mut known.node.value, node.value) {
                    add(known, more);
                }
            }
        }
    }
}
