//! Which faults may be mere consequences of others.

use super::{Origin, Read};
use crate::config::fault::Fault;
use crate::config::path::{Path, Step};
use crate::config::said::Scope;
use crate::config::tree::{Found, Node, Value};

impl Origin {
    /// Whether something that a fault depends on is not known.
    pub(super) fn is_unsure(
        &self,
        root: &Node,
        found: &Found<'_>,
        path: &Path,
        fault: &Fault,
        read: &Read,
    ) -> bool {
        let entry = path.entry();
        let around = match found.exact {
            true => found.path.around(),
            false => found.path.clone(),
        };
        // What two sections say together is not what one of them says.
        if read.is_twice(path) {
            return true;
        }
        let (table, keys) = match fault.scope() {
            Scope::Own => return false,
            Scope::Whole => return found.node.has_broken(),
            Scope::Within(keys) => (&found.path, keys),
            Scope::Beside(keys) => (&around, keys),
            Scope::Entry(keys) => (&entry, keys),
            Scope::All(keys) => (&Path::default(), keys),
            Scope::Named(table, name) => {
                let all = Path(vec![Step::Key(table.to_owned())]);
                let named = all.with(Step::Key(name.to_owned())).find(root, true);
                return !self.cut.is_empty()
                    || named.broken
                    || read.may_mean(&all.around(), table, root, false);
            }
        };
        let is_cut = match table.0.is_empty() {
            true => !self.cut.is_empty(),
            false => self.is_cut(&entry.find(root, false)),
        };
        let node = table.find(root, true).node;
        let open = |key: &&str| {
            let steps: Vec<_> = key.split('.').collect();
            is_open(node, &steps, table, &|table, key| read.may_mean(table, key, root, fault.is_lack()))
        };
        is_cut || keys.iter().any(open)
    }
}

impl Read {
    /// Whether a key of a table means nothing but looks as if this one were meant. With `any`, so does one that looks like no
    /// other, if what it says could be needed: that is never a number or a switch.
    fn may_mean(&self, table: &Path, key: &str, root: &Node, any: bool) -> bool {
        self.faults.iter().any(|(path, fault)| match fault {
            Fault::UnknownKey { nearest, .. } if path.around() == *table => match nearest {
                Some(nearest) => nearest == key,
                None => {
                    let value = &path.find(root, true).node.value;
                    any && matches!(value, Value::Text(_) | Value::List(_) | Value::Table(_))
                }
            },
            _ => false,
        })
    }

    /// Whether what stands at a path is given twice.
    fn is_twice(&self, path: &Path) -> bool {
        let is_it = |fault: &Fault| matches!(fault, Fault::Duplicate { path: twice, .. } if twice == path);
        self.misread.iter().any(|misread| is_it(&misread.fault))
    }

    /// The known key that an unknown one looks like.
    pub(in crate::config) fn nearest(&self, unknown: &Path) -> Option<&str> {
        self.faults.iter().find(|(path, _)| path == unknown).and_then(|(_, fault)| match fault {
            Fault::UnknownKey { nearest, .. } => nearest.as_deref(),
            _ => None,
        })
    }
}

/// Whether something that stands under these keys in a table, or that may be meant to, could not be read.
fn is_open(node: &Node, keys: &[&str], at: &Path, may_mean: &dyn Fn(&Path, &str) -> bool) -> bool {
    let Some((key, rest)) = keys.split_first().filter(|_| !node.broken) else { return node.broken };
    let below = |step: Step, node: &Node| is_open(node, rest, &at.with(step), may_mean);
    match (&node.value, *key) {
        (Value::List(list), "*") => {
            list.iter().enumerate().any(|(index, node)| below(Step::Index(index), node))
        }
        (Value::Table(table), "*") => {
            table.iter().any(|(name, entry)| below(Step::Key(name.clone()), &entry.node))
        }
        (Value::Table(table), key) => {
            let given = table.get(key);
            may_mean(at, key) || given.is_some_and(|entry| below(Step::Key(key.to_owned()), &entry.node))
        }
        _ => false,
    }
}
