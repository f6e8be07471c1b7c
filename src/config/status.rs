//! Statuses of answers: one, or all from one to another, or several of these.

use std::fmt::{self, Display, Formatter};

use hyper::StatusCode;
use hyper::http::status::InvalidStatusCode;
use serde::{Deserialize, Serialize};

/// One status, or all from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(u16, u16)", try_from = "(u16, u16)")]
pub struct StatusRange {
    first: StatusCode,
    last: StatusCode,
}

/// Some statuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statuses(Vec<StatusRange>);

impl StatusRange {
    /// Nothing if the first comes behind the last.
    pub fn new(first: StatusCode, last: StatusCode) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// Whether a status is one of them.
    pub fn contains(self, status: StatusCode) -> bool {
        self.first <= status && status <= self.last
    }

    /// Whether a status is one of both.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl From<StatusRange> for (u16, u16) {
    fn from(range: StatusRange) -> Self {
        (range.first.as_u16(), range.last.as_u16())
    }
}

impl TryFrom<(u16, u16)> for StatusRange {
    type Error = InvalidStatusCode;

    fn try_from((first, last): (u16, u16)) -> Result<Self, InvalidStatusCode> {
        Ok(Self { first: StatusCode::from_u16(first)?, last: StatusCode::from_u16(last)? })
    }
}

impl Statuses {
    /// Those of all of these. However they are written, those that are the same are equal.
    pub fn of(mut ranges: Vec<StatusRange>) -> Self {
        ranges.sort_unstable_by_key(|range| range.first);
        let mut whole = Vec::<StatusRange>::new();
        for range in ranges {
            match whole.last_mut() {
                Some(before) if range.first.as_u16() <= before.last.as_u16() + 1 => {
                    before.last = before.last.max(range.last);
                }
                _ => whole.push(range),
            }
        }
        Self(whole)
    }

    /// Whether a status is one of them.
    pub fn contains(&self, status: StatusCode) -> bool {
        self.0.iter().any(|range| range.contains(status))
    }

    /// As a file lists them.
    pub fn listed(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl Default for Statuses {
    /// Those of success.
    fn default() -> Self {
        let status = |code| StatusCode::from_u16(code).expect("a status has three digits");
        Self(vec![StatusRange { first: status(200), last: status(299) }])
    }
}

impl Display for StatusRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.first.as_u16(), self.last.as_u16());
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}

impl Display for Statuses {
    /// As they are said: `2xx`, or `200-399 or 401`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let between = match index {
                0 => "",
                index if index + 1 == self.0.len() => " or ",
                _ => ", ",
            };
            let (first, last) = (range.first.as_u16(), range.last.as_u16());
            match first.is_multiple_of(100) && last == first + 99 {
                true => write!(f, "{between}{}xx", first / 100)?,
                false => write!(f, "{between}{range}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(ranges: &[(u16, u16)]) -> Statuses {
        let status = |code| StatusCode::from_u16(code).unwrap();
        Statuses::of(
            ranges
                .iter()
                .map(|(first, last)| StatusRange::new(status(*first), status(*last)).unwrap())
                .collect(),
        )
    }

    #[test]
    fn those_that_are_the_same_are_equal_and_said_in_one_way() {
        for (ranges, listed, said) in [
            (&[(200, 299)][..], "200-299", "2xx"),
            (&[(401, 401), (200, 399)], "200-399 401", "200-399 or 401"),
            (&[(250, 299), (200, 249), (210, 220)], "200-299", "2xx"),
            (&[(404, 404), (301, 302), (200, 204)], "200-204 301-302 404", "200-204, 301-302 or 404"),
            (&[(400, 499), (200, 299)], "200-299 400-499", "2xx or 4xx"),
        ] {
            let statuses = statuses(ranges);
            assert_eq!((statuses.listed().join(" ").as_str(), statuses.to_string().as_str()), (listed, said));
        }
        assert_eq!(statuses(&[(200, 299)]), Statuses::default());
    }

    #[test]
    fn the_first_and_the_last_of_a_range_are_of_it() {
        let statuses = statuses(&[(200, 299), (401, 401)]);
        let are_of_it = [199, 200, 299, 300, 400, 401, 402]
            .map(|code| statuses.contains(StatusCode::from_u16(code).unwrap()));
        assert_eq!(are_of_it, [false, true, true, false, false, true, false]);
    }
}
