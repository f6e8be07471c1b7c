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
    /// Thousands are apart: this is the number.
    #[error("expected digits only: write {0}")]
    Apart(String),
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
        // What is asked for is whole, and would be another number without the rest.
        (_, rest) if is_fraction(rest) => Err(NumberError::NoDigits),
        (_, rest) => match in_one(text) {
            Some(number) => parse_number::<N>(&number).and_then(|_| Err(NumberError::Apart(number))),
            None => Err(NumberError::NotJustDigits(rest.to_owned())),
        },
    }
}

/// A number whose thousands are set apart, without what does so.
fn in_one(text: &str) -> Option<String> {
    let separator = text.chars().find(|c| ['_', ',', ' ', '\''].contains(c))?;
    let mut groups = text.split(separator);
    let first = groups.next().is_some_and(|group| (1..=3).contains(&group.len()));
    let is_whole = first && groups.all(|group| group.len() == 3);
    let number = text.replace(separator, "");
    (is_whole && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

/// Whether it may be the part of a number that is less than one. Thousands behind a comma are not.
fn is_fraction(rest: &str) -> bool {
    let digits = rest.strip_prefix(['.', ',']);
    let is_some = digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    is_some && !(rest.starts_with(',') && rest.len() == 4)
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
        for (text, rest) in [
            ("1k", "k"),
            ("10 MB", " MB"),
            ("1_000k", "_000k"),
            ("1,000,00", ",000,00"),
            ("1000,000", ",000"),
        ] {
            assert_eq!(parse_number::<u64>(text), Err(NumberError::NotJustDigits(rest.into())), "{text}");
        }
    }

    #[test]
    fn thousands_that_are_apart_are_told_as_the_number_that_they_are() {
        for text in ["1,000", "1_000", "1 000", "1'000"] {
            assert_eq!(parse_number::<u64>(text), Err(NumberError::Apart("1000".into())), "{text}");
        }
        assert_eq!(parse_number::<u64>("12,345,678"), Err(NumberError::Apart("12345678".into())));
        assert_eq!(parse_number::<u8>("1,000"), Err(NumberError::OutOfRange));
    }

    #[test]
    fn a_fraction_is_no_whole_number() {
        for text in ["1.5", "1,5", "1.000", "2."] {
            assert_eq!(parse_number::<u64>(text), Err(NumberError::NoDigits), "{text}");
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
