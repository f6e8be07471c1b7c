//! Numbers as operators write them: digits, and nothing else.

use std::str::FromStr;

/// Why a text is not a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Nothing that starts with a digit.
    #[error("expected a whole number in digits, such as 100")]
    NoDigits,
    /// A blank before the number or behind it: this is the number.
    #[error("holds a blank: write {0}")]
    Blank(String),
    /// A number and something behind it: 1000 and 1024 are both called `k`.
    #[error("expected digits only: write the number in full, without `{0}`")]
    NotJustDigits(String),
    /// Beyond what this machine counts.
    #[error("expected fewer digits: nothing is that large")]
    OutOfRange,
}

/// Parses `8192`.
///
/// # Errors
/// When there is anything but digits, or more of them than this machine counts.
pub fn parse_number<N: FromStr>(text: &str) -> Result<N, NumberError> {
    let bare = text.trim();
    if bare.len() < text.len() {
        return parse_number::<N>(bare).and_then(|_| Err(NumberError::Blank(bare.to_owned())));
    }
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    match text.split_at(digits_end) {
        ("", _) => Err(NumberError::NoDigits),
        (digits, "") => digits.parse().map_err(|_| NumberError::OutOfRange),
        (_, rest) => Err(NumberError::NotJustDigits(rest.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_number() {
        for (text, number) in [("0", 0), ("8192", 8192), ("007", 7)] {
            assert_eq!(parse_number::<u64>(text), Ok(number), "{text}");
        }
    }

    #[test]
    fn a_unit_is_refused_because_its_size_is_anyones_guess() {
        for (text, rest) in [("1k", "k"), ("10 MB", " MB"), ("1.5", ".5"), ("1_000", "_000")] {
            assert_eq!(parse_number::<u64>(text), Err(NumberError::NotJustDigits(rest.into())), "{text}");
        }
    }

    #[test]
    fn a_blank_is_told_as_one() {
        for text in [" 1", "1 ", "1\n", "1\r"] {
            assert_eq!(parse_number::<u64>(text), Err(NumberError::Blank("1".into())), "{text:?}");
        }
    }

    #[test]
    fn nonsense_and_what_cannot_be_counted_are_refused() {
        for text in ["", "x", "-1", "+1", " ", " x"] {
            assert_eq!(parse_number::<u64>(text), Err(NumberError::NoDigits), "{text}");
        }
        assert_eq!(parse_number::<u64>("18446744073709551616"), Err(NumberError::OutOfRange));
    }
}
