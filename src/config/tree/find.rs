//! What stands where in a tree.

use super::{Entry, Node, Value};
use crate::config::path::{Path, Span, Step};

/// What stands at a path.
pub(in crate::config) struct Found<'a> {
    /// The nearest that is there.
    pub(in crate::config) node: &'a Node,
    /// Where its key stands, if it has one.
    pub(in crate::config) key: Option<&'a Span>,
    /// Whether it is what was asked for, not something around it.
    pub(in crate::config) exact: bool,
    /// Its path, counting broken elements.
    pub(in crate::config) path: Path,
    /// Whether something on the way was found to be wrong before.
    pub(in crate::config) broken: bool,
}

impl Path {
    /// What stands there, or the nearest thing around it. With `all`, indices count broken elements, too.
    pub(in crate::config) fn find<'a>(&self, root: &'a Node, all: bool) -> Found<'a> {
        let mut found = Found { node: root, key: None, exact: true, path: Self::default(), broken: false };
        for step in &self.0 {
            let next = match (step, &found.node.value) {
                (Step::Key(key), Value::Table(table)) => {
                    table.get(key).map(|Entry { key: span, node }| (step.clone(), span.as_ref(), node))
                }
                (Step::Index(index), Value::List(list)) if all => {
                    list.get(*index).map(|node| (step.clone(), None, node))
                }
                (Step::Index(index), Value::List(list)) => {
                    Node::elements(list).nth(*index).map(|(index, node)| (Step::Index(index), None, node))
                }
                _ => None,
            };
            let Some((step, key, node)) = next else {
                found.exact = false;
                break;
            };
            found.path.0.push(step);
            found = Found { node, key, broken: found.broken || node.broken, ..found };
        }
        found
    }

    /// The part of a tree that stands there, counting broken elements.
    pub(in crate::config) fn find_mut<'a>(&self, root: &'a mut Node) -> Option<&'a mut Node> {
        self.0.iter().try_fold(root, |node, step| match (step, &mut node.value) {
            (Step::Key(key), Value::Table(table)) => table.get_mut(key).map(|entry| &mut entry.node),
            (Step::Index(index), Value::List(list)) => list.get_mut(*index),
            _ => None,
        })
    }
}
