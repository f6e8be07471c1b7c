//! The order in which the cases of routes are looked at. It is total, so that a request always goes the same way.

use std::cmp::Reverse;

use crate::config::{self, Condition, HostMatch, Segment, Test};

use super::Case;
use super::path::{Path, order_of};
use super::rule::Rule;

/// The place of a case; the smaller comes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank<'c> {
    specificity: Specificity<'c>,
    /// Only of cases that are as specific.
    name: &'c str,
}

/// Fields count in their order, and so do the cases of each.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Specificity<'c> {
    priority: Reverse<i32>,
    host: HostRank<'c>,
    path: PathRank<'c>,
    rule: RuleRank,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HostRank<'c> {
    Exact(&'c str),
    /// The longest first.
    Under(Reverse<usize>, &'c str),
    Any,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathRank<'c> {
    /// The first step in which two differ counts.
    Steps(Vec<Step<'c>>),
    /// The longest first: which of two matches less cannot be known.
    Regex(Reverse<usize>, &'c str),
    Any,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step<'c> {
    Literal(&'c str),
    Capture,
    /// The path ends here.
    Closed,
    /// Whatever comes.
    Open,
}

/// How much is asked of a request beside its host and path; what asks more comes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RuleRank {
    /// How many methods there are.
    methods: usize,
    /// How many conditions: in all, and of each kind.
    conditions: [Reverse<usize>; 5],
    /// Bits in which the addresses of the largest network differ.
    clients: u8,
    /// How many listeners there are.
    listeners: usize,
}

impl<'c> Rank<'c> {
    /// The place of a case of one of these routes, whose rules are these.
    pub(super) fn of(case: &'c Case, routes: &'c [config::Route], rules: &[Rule]) -> Self {
        let host = match &case.host {
            Some(HostMatch::Exact(name)) => HostRank::Exact(name),
            Some(HostMatch::Under(suffix)) => HostRank::Under(Reverse(suffix.len()), suffix),
            None => HostRank::Any,
        };
        let route = case.route as usize;
        let (priority, path) = (Reverse(case.priority), PathRank::of(&case.path));
        let specificity = Specificity { priority, host, path, rule: RuleRank::of(&rules[route]) };
        Self { specificity, name: &routes[route].name }
    }

    /// Whether only the name tells them apart.
    pub(super) fn is_as_specific_as(&self, other: &Self) -> bool {
        self.specificity == other.specificity
    }
}

impl<'c> PathRank<'c> {
    fn of(path: &'c Path) -> Self {
        match path {
            path if path.is_any() => Self::Any,
            Path::Exact(path) => {
                let literals = path.strip_prefix('/').unwrap_or(path).split('/').map(Step::Literal);
                Self::Steps(literals.chain([Step::Closed]).collect())
            }
            Path::Steps(segments) => {
                let step = |segment: &'c Segment| match segment {
                    Segment::Literal(text) => Step::Literal(text),
                    Segment::Capture(_) => Step::Capture,
                    Segment::Rest(_) => Step::Open,
                };
                let is_open = matches!(segments.last(), Some(Segment::Rest(_)));
                Self::Steps(segments.iter().map(step).chain((!is_open).then_some(Step::Closed)).collect())
            }
            Path::Regex(pattern) => {
                let (length, text) = order_of(pattern);
                Self::Regex(length, text)
            }
        }
    }
}

impl RuleRank {
    fn of(rule: &Rule) -> Self {
        let count = |is: fn(&Test) -> bool| {
            let tests = rule.conditions.iter().map(|Condition { test, .. }| test);
            Reverse(tests.filter(|test| is(test)).count())
        };
        // None means any.
        let fewest_first = |count| if count == 0 { usize::MAX } else { count };
        Self {
            methods: fewest_first(rule.methods.len()),
            conditions: [
                Reverse(rule.conditions.len()),
                count(|test| matches!(test, Test::Is(_))),
                count(|test| matches!(test, Test::Matches(_))),
                count(|test| matches!(test, Test::Present)),
                count(|test| matches!(test, Test::Absent)),
            ],
            clients: rule.clients.as_ref().map_or(u8::MAX, |clients| clients.width()),
            listeners: fewest_first(rule.listeners.len()),
        }
    }
}
