//! Durations as operators write them: a number and a unit, never a bare number.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing that starts with a digit.
    #[error("expected a number and a unit, such as 250ms, 30s, 5m or 1h")]
    NoNumber,
    /// A number alone: nobody could tell seconds from milliseconds.
    #[error("a unit is missing: write {0}ms, {0}s, {0}m or {0}h")]
    NoUnit(u64),
    /// A blank anywhere: this is the duration without it.
    #[error("holds a blank: write {0}")]
    Blank(String),
    /// A number with a fraction.
    #[error("a fraction: use a smaller unit, such as 1500ms for 1.5s")]
    Fraction,
    /// A unit that we do not know.
    #[error("unknown unit `{0}`: use ms, s, m or h")]
    UnknownUnit(String),
    /// Zero, or beyond a year.
    #[error("expected more than zero and at most a year")]
    OutOfRange,
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Parses `250ms`, `30s`, `5m` or `1h`.
///
/// # Errors
/// When the number or the unit is missing or unknown, or the whole is zero or beyond a year.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text.contains(char::is_whitespace) {
        let whole: String = text.split_whitespace().collect();
        return parse_duration(&whole).and(Err(DurationError::Blank(whole)));
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    if number.is_empty() {
        return Err(DurationError::NoNumber);
    }
    let number: u64 = number.parse().map_err(|_| DurationError::OutOfRange)?;
    let millis_per_unit = match unit {
        "" if number == 0 => return Err(DurationError::OutOfRange),
        "" => return Err(DurationError::NoUnit(number)),
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        other if other.starts_with(['.', ',']) => return Err(DurationError::Fraction),
        other => return Err(DurationError::UnknownUnit(other.to_owned())),
    };
    let duration = number.checked_mul(millis_per_unit).map(Duration::from_millis);
    duration.filter(|d| !d.is_zero() && *d <= YEAR).ok_or(DurationError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_a_unit_is_a_duration() {
        for (text, millis) in [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_refused_because_its_unit_is_anyones_guess() {
        assert_eq!(parse_duration("30"), Err(DurationError::NoUnit(30)));
    }

    #[test]
    fn nonsense_zero_and_eternity_are_refused() {
        assert_eq!(parse_duration("soon"), Err(DurationError::NoNumber));
        assert_eq!(parse_duration("-1s"), Err(DurationError::NoNumber));
        assert_eq!(parse_duration("3 weeks"), Err(DurationError::UnknownUnit("weeks".into())));
        for text in ["5 s", "5s ", " 5s", "5s\n"] {
            assert_eq!(parse_duration(text), Err(DurationError::Blank("5s".into())), "{text:?}");
        }
        for text in ["1.5h", "1,5h", "1.5"] {
            assert_eq!(parse_duration(text), Err(DurationError::Fraction), "{text}");
        }
        for text in ["0", "0s", "9999h", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(parse_duration(text), Err(DurationError::OutOfRange), "{text}");
        }
    }
}
