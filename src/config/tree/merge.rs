//! Settings of several files as one tree.

use super::{Entry, Misread, Node, Span, Table, Value};
use crate::config::fault::Fault;

/// Tables in which the keys of several files come together: the settings themselves, and each section of them, so that a
/// route, a pool or a listener is in one file as a whole.
const SHARED: usize = 2;

/// Adds the settings of a file to those of files before it. `tell` says where in which file something stands.
pub(in crate::config) fn merge(
    all: &mut Node,
    more: Node,
    tell: &dyn Fn(&Span) -> String,
    wrong: &mut Vec<Misread>,
) {
    if let (Value::Table(all), Value::Table(more)) = (&mut all.value, more.value) {
        merge_tables(all, more, SHARED, tell, wrong);
    }
}

fn merge_tables(
    all: &mut Table,
    more: Table,
    depth: usize,
    tell: &dyn Fn(&Span) -> String,
    wrong: &mut Vec<Misread>,
) {
    for (name, entry) in more {
        let Some(known) = all.get_mut(&name) else {
            all.insert(name, entry);
            continue;
        };
        match (&mut known.node.value, entry.node.value) {
            (Value::Table(known), Value::Table(more)) if depth > 1 => {
                merge_tables(known, more, depth - 1, tell, wrong);
            }
            _ => {
                let Entry { key: other, .. } = known;
                let other = other.as_ref().map(tell).unwrap_or_default();
                wrong.push(Misread { span: entry.key, fault: Fault::InTwoFiles { name, other } });
            }
        }
    }
}
