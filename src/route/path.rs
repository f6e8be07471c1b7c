//! Routes by path: this one, those of one shape, those that a regular expression matches, all.

use std::borrow::Cow;
use std::cmp::Reverse;

use crate::config::{PathMatch, Pattern, Segment};

use super::beginning;
use super::reading::{encoded_alike, normal};
use super::search::{Leaf, Map, Search};

/// The name of what stands where a prefix has its `*`.
const REST: &str = "rest";
const NO_SUCH_PATH: &str =
    "no path has `.`, `..` or a `/` in a segment, or anything after a {rest...}; mend its path";

/// A path of a route, in normal form.
#[derive(Clone, Debug)]
pub(super) enum Path {
    /// This one.
    Exact(Box<str>),
    /// Segment for segment. A prefix is one that ends with a rest; a rest alone stands for all paths.
    Steps(Box<[Segment]>),
    /// What matches.
    Regex(Pattern),
}

impl Path {
    /// All paths.
    pub(super) fn any() -> Self {
        Self::Steps(Box::new([Segment::Rest(REST.into())]))
    }

    pub(super) fn of(path: &PathMatch) -> Self {
        match path {
            PathMatch::Exact(path) => Self::Exact(normal(path).into()),
            PathMatch::Prefix(path) => {
                let path = normal(path);
                let steps = path.strip_prefix('/').map(literals).into_iter().flatten();
                Self::Steps(steps.chain([Segment::Rest(REST.into())]).collect())
            }
            PathMatch::Template(segments) => Self::of_template(segments),
            PathMatch::Regex(pattern) => Self::Regex(pattern.clone()),
        }
    }

    /// One without a name in it is just a path.
    fn of_template(segments: &[Segment]) -> Self {
        let literal = |segment: &Segment| match segment {
            Segment::Literal(text) => Some(format!("/{}", encoded_alike(text))),
            Segment::Capture(_) | Segment::Rest(_) => None,
        };
        if let Some(path) = segments.iter().map(literal).collect::<Option<String>>() {
            return Self::Exact(path.into());
        }
        let alike = |segment: &Segment| match segment {
            Segment::Literal(text) => Segment::Literal(encoded_alike(text).into()),
            named => named.clone(),
        };
        Self::Steps(segments.iter().map(alike).collect())
    }

    /// Whether it stands for all paths.
    pub(super) fn is_any(&self) -> bool {
        matches!(self, Self::Steps(steps) if matches!(&**steps, [Segment::Rest(_)]))
    }

    /// Why no path in normal form can be one of these, if so.
    pub(super) fn why_impossible(&self) -> Option<&'static str> {
        let steps = match self {
            Self::Exact(_) => return None,
            Self::Steps(steps) => steps,
            Self::Regex(pattern) => return beginning::why_never(pattern.text()),
        };
        let is_literal =
            |text: &str| text != "." && text != ".." && !text.contains('/') && encoded_alike(text) == text;
        let is_impossible = steps.iter().enumerate().any(|(index, step)| match step {
            Segment::Literal(text) => !is_literal(text),
            Segment::Capture(_) => false,
            Segment::Rest(_) => index + 1 < steps.len(),
        });
        is_impossible.then_some(NO_SUCH_PATH)
    }

    /// The names of what it captures.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Exact(_) => Vec::new(),
            Self::Steps(steps) => steps.iter().filter_map(name).collect(),
            Self::Regex(pattern) => pattern.regex().capture_names().flatten().collect(),
        }
    }

    /// What it takes by this name out of a path in normal form.
    pub(super) fn capture<'p>(&self, name: &str, path: &'p str) -> Option<&'p str> {
        match self {
            Self::Exact(_) => None,
            Self::Steps(steps) => {
                let mut rest = path.strip_prefix('/');
                for step in steps {
                    if matches!(step, Segment::Rest(known) if &**known == name) {
                        return Some(rest.unwrap_or_default());
                    }
                    let (segment, after) = split(rest?);
                    if matches!(step, Segment::Capture(known) if &**known == name) {
                        return Some(segment);
                    }
                    rest = after;
                }
                None
            }
            Self::Regex(pattern) => Some(pattern.regex().captures(path)?.name(name)?.as_str()),
        }
    }
}

/// All paths of a host, so that those that hold for one are found in order.
#[derive(Debug, Default)]
pub(super) struct Paths {
    exact: Map<Leaf>,
    root: Node,
    /// The longest first.
    regexes: Vec<(Pattern, Leaf)>,
}

/// Where one stands after some segments of a path.
#[derive(Debug, Default)]
struct Node {
    literals: Map<Node>,
    capture: Option<Box<Node>>,
    /// Paths that end here.
    closed: Leaf,
    /// All paths that come by here.
    open: Leaf,
    /// The highest priority of all that is said here and below; none if nothing is.
    highest: Option<i32>,
}

impl Paths {
    /// Where routes for a path are kept, to which one of this priority is added.
    pub(super) fn leaf_mut(&mut self, path: &Path, priority: i32) -> &mut Leaf {
        match path {
            Path::Exact(path) => {
                self.root.highest = self.root.highest.max(Some(priority));
                self.exact.entry(path.clone()).or_default()
            }
            Path::Steps(steps) => self.root.leaf_mut(steps, priority),
            Path::Regex(pattern) => {
                self.root.highest = self.root.highest.max(Some(priority));
                let place = self.place_of(pattern).unwrap_or_else(|place| {
                    self.regexes.insert(place, (pattern.clone(), Leaf::default()));
                    place
                });
                &mut self.regexes[place].1
            }
        }
    }

    /// Looks for a path: at itself, at shapes segment for segment, at expressions, and at last at all paths.
    pub(super) fn search<'r>(&'r self, path: &str, search: &mut Search<'r, '_>) {
        if search.is_beyond(self.root.highest) {
            return;
        }
        if let Some(leaf) = self.exact.get(path) {
            search.look(leaf);
        }
        if let Some(rest) = path.strip_prefix('/') {
            self.root.search_below(rest, search);
        }
        for (pattern, leaf) in &self.regexes {
            if search.may_be_in(leaf) && pattern.matches(path) {
                search.look(leaf);
            }
        }
        search.look(&self.root.open);
    }

    /// Where an expression is, or where it would have to be.
    fn place_of(&self, pattern: &Pattern) -> Result<usize, usize> {
        self.regexes.binary_search_by(|(known, _)| order_of(known).cmp(&order_of(pattern)))
    }

    /// All leaves whose paths are known to hold whenever this one does, its own among them.
    pub(super) fn covering<'p>(&'p self, path: &Path, visit: &mut dyn FnMut(&'p Leaf)) {
        match path {
            Path::Exact(path) => {
                let matching = self.regexes.iter().filter(|(pattern, _)| pattern.matches(path));
                self.exact.get(path).into_iter().chain(matching.map(|(_, leaf)| leaf)).for_each(&mut *visit);
                match path.strip_prefix('/') {
                    Some(rest) => self.root.covering(&literals(rest).collect::<Box<[_]>>(), visit),
                    None => visit(&self.root.open),
                }
            }
            Path::Steps(steps) => self.root.covering(steps, visit),
            Path::Regex(pattern) => {
                let (text, is_all) = beginning::of(pattern.text());
                if is_all && text.starts_with('/') {
                    return self.covering(&Path::Exact(text.into()), visit);
                }
                if let Ok(place) = self.place_of(pattern) {
                    visit(&self.regexes[place].1);
                }
                // Of what it begins with, the segments that are whole.
                let whole = text.rsplit_once('/').and_then(|(whole, _)| whole.strip_prefix('/'));
                let steps = whole.map(literals).into_iter().flatten();
                self.root.covering(&steps.chain([Segment::Rest(REST.into())]).collect::<Box<[_]>>(), visit);
            }
        }
    }
}

impl Node {
    fn leaf_mut(&mut self, steps: &[Segment], priority: i32) -> &mut Leaf {
        self.highest = self.highest.max(Some(priority));
        match steps {
            [] => &mut self.closed,
            [Segment::Rest(_), ..] => &mut self.open,
            [Segment::Literal(text), rest @ ..] => {
                self.literals.entry(text.as_ref().into()).or_default().leaf_mut(rest, priority)
            }
            [Segment::Capture(_), rest @ ..] => self.capture.get_or_insert_default().leaf_mut(rest, priority),
        }
    }

    /// Looks for what is left of a path; none if it ended. No deeper than routes go, however long a path is.
    fn search<'r>(&'r self, rest: Option<&str>, search: &mut Search<'r, '_>) {
        if search.is_beyond(self.highest) {
            return;
        }
        match rest {
            Some(rest) => self.search_below(rest, search),
            None => search.look(&self.closed),
        }
        search.look(&self.open);
    }

    fn search_below<'r>(&'r self, rest: &str, search: &mut Search<'r, '_>) {
        let (segment, rest) = split(rest);
        if let Some(node) = self.literals.get(segment) {
            node.search(rest, search);
        }
        if let (Some(node), false) = (&self.capture, segment.is_empty()) {
            node.search(rest, search);
        }
    }

    fn covering<'p>(&'p self, steps: &[Segment], visit: &mut dyn FnMut(&'p Leaf)) {
        match steps {
            [] => visit(&self.closed),
            [Segment::Rest(_), ..] => {}
            [Segment::Literal(text), rest @ ..] => {
                if let Some(node) = self.literals.get(&**text) {
                    node.covering(rest, visit);
                }
                if let (Some(node), false) = (&self.capture, text.is_empty()) {
                    node.covering(rest, visit);
                }
            }
            [Segment::Capture(_), rest @ ..] => {
                if let Some(node) = &self.capture {
                    node.covering(rest, visit);
                }
            }
        }
        visit(&self.open);
    }
}

/// The place of a regular expression among others: the longest comes first.
pub(super) fn order_of(pattern: &Pattern) -> (Reverse<usize>, &str) {
    (Reverse(pattern.text().len()), pattern.text())
}

fn literals(path: &str) -> impl Iterator<Item = Segment> {
    path.split('/').map(|segment| Segment::Literal(segment.into()))
}

fn name(step: &Segment) -> Option<&str> {
    match step {
        Segment::Literal(_) => None,
        Segment::Capture(name) | Segment::Rest(name) => Some(name),
    }
}

/// The first segment, and what comes after it.
fn split(path: &str) -> (&str, Option<&str>) {
    match path.bytes().position(|byte| byte == b'/') {
        Some(end) => (&path[..end], Some(&path[end + 1..])),
        None => (path, None),
    }
}

/// What a path held, by the names that the route's own path gives it, which are those of its normal form.
#[derive(Clone, Debug)]
pub struct Captures<'r> {
    path: Cow<'r, str>,
    of: Option<&'r Path>,
}

impl<'r> Captures<'r> {
    /// None, for routes that do not ask for any.
    pub(super) fn none(path: &'r str) -> Self {
        Self { path: Cow::Borrowed(path), of: None }
    }

    pub(super) fn of(path: Cow<'r, str>, of: &'r Path) -> Self {
        Self { path, of: Some(of) }
    }

    /// What stood where the route's path has this name, still percent-encoded.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.of?.capture(name, &self.path)
    }

    /// The whole path.
    pub fn path(&self) -> &str {
        &self.path
    }
}
