//! A tree that grows by headers and keys, of which some may be given twice.

use indexmap::IndexMap;

use crate::config::path::{Path, Span, Step};
use crate::config::tree::again::Again;
use crate::config::tree::{Entry, MOST_FAULTS, Node, Value};

/// A part of a key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) span: Span,
}

/// What was told of keys that are given twice.
pub(super) type Told = Again;

/// The settings so far.
pub(super) struct Garden {
    file: usize,
    root: Bed,
    /// Where the table of the last header is.
    table: Path,
    told: Told,
}

/// A table.
pub(super) struct Bed {
    by: By,
    entries: IndexMap<String, (Span, Plant)>,
}

/// What began a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// Its own header.
    Header,
    /// The header of a table in it, so that its own may follow.
    Inner,
    /// The key of something in it.
    Key,
}

enum Plant {
    Whole(Node),
    Table(Bed),
    /// Tables whose headers have two brackets.
    Tables(Vec<Bed>),
}

impl Garden {
    pub(super) fn new(file: usize) -> Self {
        Self { file, root: Bed::new(By::Header), table: Path::default(), told: Told::default() }
    }

    pub(super) fn told(&mut self) -> &mut Told {
        &mut self.told
    }

    pub(super) fn is_full(&self) -> bool {
        self.told.misread.len() >= MOST_FAULTS
    }

    /// How deep the table of the last header is.
    pub(super) fn depth(&self) -> usize {
        self.table.0.len()
    }

    /// Where a key of this table is.
    pub(super) fn path(&self, keys: &[Key]) -> Path {
        let mut path = self.table.clone();
        path.0.extend(keys.iter().map(|key| Step::Key(key.name.clone())));
        path
    }

    /// The keys that follow are in this table. Whether it is one.
    pub(super) fn header(&mut self, keys: &[Key], is_array: bool) -> bool {
        let Some((last, around)) = keys.split_last() else { return false };
        let mut path = Path::default();
        let Some(bed) = self.root.descend(around, By::Inner, &mut path, &mut self.told) else { return false };
        path.0.push(Step::Key(last.name.clone()));
        let index = bed.begin(last, is_array, &path, &mut self.told);
        path.0.extend(index.flatten().map(Step::Index));
        self.table = path;
        index.is_some()
    }

    /// A key of the table of the last header.
    pub(super) fn key(&mut self, keys: &[Key], node: Node) {
        let bed = self.table.0.iter().try_fold(&mut self.root, |bed, step| match step {
            Step::Key(name) => match &mut bed.entries.get_mut(name)?.1 {
                Plant::Table(bed) => Some(bed),
                // Headers are about the last.
                Plant::Tables(list) => list.last_mut(),
                Plant::Whole(_) => None,
            },
            Step::Index(_) => Some(bed),
        });
        if let Some(bed) = bed {
            bed.key(keys, node, self.table.clone(), &mut self.told);
        }
    }

    /// The tree, and which keys of it are given twice.
    pub(super) fn grown(self) -> (Node, Told) {
        let span = Span { file: self.file, bytes: 0..0 };
        (Node::new(self.root.into_value(), Some(span)), self.told)
    }
}

impl Bed {
    fn new(by: By) -> Self {
        Self { by, entries: IndexMap::new() }
    }

    /// One in braces.
    pub(super) fn inline() -> Self {
        Self::new(By::Header)
    }

    /// Adds what a key stands for. `path` is where this table is.
    pub(super) fn key(&mut self, keys: &[Key], node: Node, mut path: Path, told: &mut Told) {
        let Some((last, around)) = keys.split_last() else { return };
        let Some(bed) = self.descend(around, By::Key, &mut path, told) else { return };
        path.0.push(Step::Key(last.name.clone()));
        match bed.entries.get_mut(&last.name) {
            Some((first, plant)) => plant.again(last, first, &path, told),
            None => {
                bed.entries.insert(last.name.clone(), (last.span.clone(), Plant::Whole(node)));
            }
        }
    }

    /// The table that these name, which is begun if there is none. None if something is there that is no table.
    fn descend(&mut self, keys: &[Key], by: By, path: &mut Path, told: &mut Told) -> Option<&mut Self> {
        keys.iter().try_fold(self, |bed, key| {
            path.0.push(Step::Key(key.name.clone()));
            let begin = || (key.span.clone(), Plant::Table(Self::new(by)));
            let (first, plant) = bed.entries.entry(key.name.clone()).or_insert_with(begin);
            let is_closed = match plant {
                Plant::Whole(_) => true,
                Plant::Table(bed) => by == By::Key && bed.by == By::Header,
                Plant::Tables(_) => by == By::Key,
            };
            if is_closed {
                plant.again(key, first, path, told);
            }
            match plant {
                Plant::Whole(_) => None,
                Plant::Table(bed) => Some(bed),
                Plant::Tables(list) => {
                    path.0.push(Step::Index(list.len() - 1));
                    list.last_mut()
                }
            }
        })
    }

    /// Begins the table whose header has this as its last key. None if something is there that is no table; its number if it is
    /// one of several.
    fn begin(&mut self, key: &Key, is_array: bool, path: &Path, told: &mut Told) -> Option<Option<usize>> {
        let Some((first, plant)) = self.entries.get_mut(&key.name) else {
            let bed = Self::new(By::Header);
            let plant = if is_array { Plant::Tables(vec![bed]) } else { Plant::Table(bed) };
            self.entries.insert(key.name.clone(), (key.span.clone(), plant));
            return Some(is_array.then_some(0));
        };
        let is_next = match plant {
            Plant::Table(bed) => bed.by == By::Inner && !is_array,
            Plant::Tables(_) => is_array,
            Plant::Whole(_) => false,
        };
        if !is_next {
            plant.again(key, first, path, told);
        }
        match plant {
            Plant::Whole(_) => None,
            Plant::Table(bed) => {
                bed.by = By::Header;
                Some(None)
            }
            Plant::Tables(list) => {
                list.push(Self::new(By::Header));
                Some(Some(list.len() - 1))
            }
        }
    }

    pub(super) fn into_value(self) -> Value {
        let entry = |(name, (span, plant)): (String, (Span, Plant))| {
            let node = match plant {
                Plant::Whole(node) => node,
                Plant::Table(bed) => Node::new(bed.into_value(), Some(span.clone())),
                Plant::Tables(list) => {
                    let nodes = list.into_iter().map(|bed| Node::new(bed.into_value(), Some(span.clone())));
                    Node::new(Value::List(nodes.collect()), Some(span.clone()))
                }
            };
            (name, Entry { key: Some(span), node })
        };
        Value::Table(self.entries.into_iter().map(entry).collect())
    }
}

impl Plant {
    /// It is given twice. All in a table that is may be meant for two.
    fn again(&mut self, key: &Key, first: &Span, path: &Path, told: &mut Told) {
        let is_within = |other: &Path| path.0.len() > other.0.len() && path.0.starts_with(&other.0);
        if told.misread.len() >= MOST_FAULTS || told.doubled.iter().any(is_within) {
            return;
        }
        let is_table = match self {
            Self::Whole(node) => {
                told.spoil(node, path.clone());
                matches!(node.value, Value::Table(_))
            }
            // Sections are one, however often they are begun.
            Self::Table(_) if path.0.len() == 1 => true,
            Self::Table(_) | Self::Tables(_) => {
                told.doubled.push(path.clone());
                true
            }
        };
        told.tell(path.clone(), Some(key.span.clone()), Some(first.clone()), is_table);
    }
}
