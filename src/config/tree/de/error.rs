//! What serde says is wrong, and where.

use std::fmt::{self, Display, Formatter};

use serde::de::{self, Expected, Unexpected};

use crate::config::fault::Fault;
use crate::config::nearest::nearest;
use crate::config::path::{Path, Step};
use crate::config::tree::Node;

#[derive(Debug)]
pub(super) struct Error {
    fault: Fault,
    /// From where it was found upwards.
    steps: Vec<Step>,
}

impl Error {
    /// Something of another kind.
    pub(super) fn kind(found: &Node, expected: &str) -> Self {
        Self::of(Fault::Kind { expected: expected.to_owned(), found: found.kind() })
    }

    /// No number between these, or none at all.
    pub(super) fn number(found: &Node, number: Option<i128>, least: i128, most: i128) -> Self {
        let bound = |bound: i128| u64::try_from(bound).ok();
        match (number, bound(least), bound(most)) {
            (Some(number), Some(least), _) if number < i128::from(least) => Self::of(Fault::TooSmall(least)),
            (Some(number), _, Some(most)) if number > i128::from(most) => Self::of(Fault::TooLarge(most)),
            _ => Self::kind(found, "a whole number"),
        }
    }

    pub(super) fn under(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(super) fn into_parts(mut self) -> (Path, Fault) {
        self.steps.reverse();
        (Path(self.steps), self.fault)
    }

    fn of(fault: Fault) -> Self {
        Self { fault, steps: Vec::new() }
    }
}

impl de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::of(Fault::Said(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "true or false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a number",
            Unexpected::Float(_) => "a number with a fraction",
            Unexpected::Str(_) => "text",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a table",
            _ => "nothing",
        };
        Self::of(Fault::Kind { expected: expected.to_string(), found })
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let nearest = nearest(field, known.iter().copied()).map(str::to_owned);
        let known = known.iter().map(|key| (*key).to_owned()).collect();
        Self::of(Fault::UnknownKey { nearest, known })
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.fault)
    }
}

impl std::error::Error for Error {}
