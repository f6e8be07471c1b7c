//! Places in a tree.

use std::fmt::{self, Display, Formatter};

use super::{Entry, Node, Span, Value};

/// A place in a tree: `pools.api.backends[2]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::config) struct Path(pub(in crate::config) Vec<Step>);

/// From a table or a list to a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::config) enum Step {
    Key(String),
    /// Among the elements that are not broken, when it comes from settings that were read.
    Index(usize),
}

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

    /// Whether what is in a section has names of the operator's choice.
    pub(super) fn has_names(section: &str) -> bool {
        ["listeners", "routes", "pools"].contains(&section)
    }

    /// The listener, the route, the pool or the other section that this is in.
    pub(in crate::config) fn entry(&self) -> Self {
        let is_named = Self::has_names;
        let length = match self.0.first() {
            Some(Step::Key(section)) if is_named(section) => 2,
            _ => 1,
        };
        Self(self.0.iter().take(length).cloned().collect())
    }

    /// The table or the list that it is in.
    pub(in crate::config) fn around(&self) -> Self {
        Self(self.0.split_last().map(|(_, steps)| steps.to_vec()).unwrap_or_default())
    }

    /// A part of what stands there.
    pub(in crate::config) fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// Its last step, as it is shown.
    pub(in crate::config) fn last(&self) -> Option<String> {
        self.0.last().map(|step| match step {
            Step::Key(key) => key.clone(),
            Step::Index(index) => index.to_string(),
        })
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

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    f.write_str(if place == 0 { "" } else { "." })?;
                    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                    if !key.is_empty() && key.chars().all(bare) {
                        f.write_str(key)?;
                    } else {
                        write!(f, "{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}
