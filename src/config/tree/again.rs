//! Keys that are given twice in one text.

use super::{Entry, MOST_FAULTS, Misread, Node, Table, Value};
use crate::config::fault::Fault;
use crate::config::path::{Path, Span, Step};

/// What is known of keys that are given twice.
#[derive(Default)]
pub(super) struct Again {
    pub(super) misread: Vec<Misread>,
    /// Those that are tables, whose keys are looked at before they count as broken.
    pub(super) doubled: Vec<Path>,
}

impl Again {
    /// Adds a key to a table. If it is there, sections are one, however often they are begun; of anything else the first is
    /// kept, and nobody knows which of them is meant. `around` is where the table is.
    pub(super) fn add(&mut self, table: &mut Table, name: String, entry: Entry, around: &dyn Fn() -> Path) {
        let Some(known) = table.get_mut(&name) else {
            table.insert(name, entry);
            return;
        };
        let mut path = around();
        path.0.push(Step::Key(name));
        let is_table = matches!(known.node.value, Value::Table(_));
        self.tell(path.clone(), entry.key, known.key.clone(), is_table);
        match (&mut known.node.value, entry.node.value) {
            (Value::Table(section), Value::Table(more)) if path.0.len() == 1 => {
                more.into_iter().for_each(|(name, entry)| self.add(section, name, entry, &|| path.clone()));
            }
            _ => self.spoil(&mut known.node, path),
        }
    }

    /// Nobody knows which of two is meant.
    pub(super) fn spoil(&mut self, node: &mut Node, path: Path) {
        match node.value {
            Value::Table(_) => self.doubled.push(path),
            _ => node.broken = true,
        }
    }

    /// Tells of a key that is given twice.
    pub(super) fn tell(&mut self, path: Path, span: Option<Span>, first: Option<Span>, is_table: bool) {
        if self.misread.len() < MOST_FAULTS {
            self.misread.push(Misread { span, fault: Fault::Duplicate { path, first, is_table } });
        }
    }
}
