//! One look for the route of one request.

use std::collections::HashMap;

use super::Asked;
use super::rule::Rule;

/// What routes are kept by. The keys are the operator's, so nobody can make them collide.
pub(super) type Map<T> = HashMap<Box<str>, T, foldhash::fast::RandomState>;

/// The cases of routes that have one host and one path, in order.
pub(super) type Leaf = Vec<Entry>;

/// A case of a route where it is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) priority: i32,
    /// Its place among all cases.
    pub(super) case: u32,
    /// The place of its route.
    pub(super) route: u32,
    /// Whether it holds without another look.
    pub(super) always: bool,
}

/// What was found so far. Those that are looked at earlier win over later ones of the same priority.
#[derive(Debug)]
pub(super) struct Search<'r, 'a> {
    rules: &'r [Rule],
    asked: &'a Asked<'a>,
    pub(super) found: Option<&'r Entry>,
}

impl<'r, 'a> Search<'r, 'a> {
    pub(super) fn new(rules: &'r [Rule], asked: &'a Asked<'a>) -> Self {
        Self { rules, asked, found: None }
    }

    /// Whether nothing of this priority or a lower one is looked for any more.
    pub(super) fn is_beyond(&self, highest: Option<i32>) -> bool {
        match (self.found, highest) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(found), Some(highest)) => highest <= found.priority,
        }
    }

    /// Whether something in a leaf may be what is looked for.
    pub(super) fn may_be_in(&self, leaf: &Leaf) -> bool {
        !self.is_beyond(leaf.first().map(|entry| entry.priority))
    }

    /// Looks for the first that holds.
    pub(super) fn look(&mut self, leaf: &'r Leaf) {
        for entry in leaf {
            if self.is_beyond(Some(entry.priority)) {
                return;
            }
            if entry.always || self.rules[entry.route as usize].holds(self.asked) {
                self.found = Some(entry);
                return;
            }
        }
    }
}
