//! Sizes as operators write them: a number and a unit. Flags take a number of bytes alone, too; files never do.

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Nothing that starts with a digit.
    #[error("expected a number and a unit, such as {0}")]
    NoNumber(&'static str),
    /// A number alone.
    #[error("a unit is missing: write {number}B{per}, {number}KiB{per} or {number}MiB{per}")]
    NoUnit {
        /// The number.
        number: u64,
        /// What follows the unit.
        per: &'static str,
    },
    /// A blank anywhere: this is the size without it.
    #[error("holds a blank: write {0}")]
    Blank(String),
    /// A number with a fraction.
    #[error("a fraction: use a smaller unit, such as 1536KiB{0} for 1.5MiB{0}")]
    Fraction(&'static str),
    /// Below zero.
    #[error("expected a whole number that is not negative")]
    Negative,
    /// A size where one in each second is to be.
    #[error("`/s` is missing behind the size: write {0}/s")]
    NotPerSecond(String),
    /// A size in each of something else.
    #[error("`/{0}` is not known, only `/s`: write how much it is in each second, such as 1KiB/s")]
    NotOfSeconds(String),
    /// A unit that we do not know.
    #[error("unknown unit `{0}`: use B, KiB, MiB or GiB (1024), or kB, MB or GB (1000){1}")]
    UnknownUnit(String, &'static str),
    /// Beyond what this machine counts.
    #[error("expected fewer digits: nothing is that large")]
    OutOfRange,
}

/// What a second may be meant by that is none.
const SECONDS: [&str; 5] = ["", "S", "sec", "second", "seconds"];

/// Parses `512B`, `64KiB` or `10MB`.
///
/// # Errors
/// When the number or the unit is missing or unknown, or the whole beyond what this machine counts.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    parse(text, "", "512B, 64KiB or 10MB")
}

/// Parses `1KiB/s`: bytes per second.
///
/// # Errors
/// As for a size.
pub fn parse_data_rate(text: &str) -> Result<u64, SizeError> {
    if let Some(size) = text.strip_suffix("/s") {
        return parse(size, "/s", "512B/s or 1KiB/s");
    }
    let (size, per) = text.split_once('/').unwrap_or((text, ""));
    match parse_size(size) {
        // Of nothing every unit is the same.
        Ok(_) if text == "0" => Ok(0),
        Ok(_) if SECONDS.contains(&per) => Err(SizeError::NotPerSecond(size.to_owned())),
        Ok(_) => Err(SizeError::NotOfSeconds(per.to_owned())),
        Err(_) => parse(text, "/s", "512B/s or 1KiB/s"),
    }
}

/// Parses the same, or a number of bytes alone.
///
/// # Errors
/// As for a size.
pub fn parse_bytes(text: &str) -> Result<u64, SizeError> {
    parse_size(text).or_else(|error| error.or_bytes(text))
}

/// Parses a rate of data, or a number of bytes per second alone.
///
/// # Errors
/// As for a size.
pub fn parse_bytes_per_second(text: &str) -> Result<u64, SizeError> {
    let rate = parse_data_rate(text);
    if text.ends_with("/s") { rate } else { rate.or_else(|error| error.or_bytes(text)) }
}

impl SizeError {
    /// What is in bytes if no unit says otherwise.
    fn or_bytes(self, text: &str) -> Result<u64, Self> {
        match self {
            Self::NoUnit { number, .. } if text.contains(char::is_whitespace) => {
                Err(Self::Blank(number.to_string()))
            }
            Self::NoUnit { number, .. } => Ok(number),
            other => Err(other),
        }
    }
}

fn parse(text: &str, per: &'static str, examples: &'static str) -> Result<u64, SizeError> {
    if text.contains(char::is_whitespace) {
        let whole: String = text.split_whitespace().collect();
        return parse(&whole, per, examples).and_then(|_| Err(SizeError::Blank(format!("{whole}{per}"))));
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    if number.is_empty() {
        let is_negative =
            unit.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        return Err(if is_negative { SizeError::Negative } else { SizeError::NoNumber(examples) });
    }
    let number: u64 = number.parse().map_err(|_| SizeError::OutOfRange)?;
    let bytes_per_unit = match unit {
        // Of nothing every unit is the same.
        "" if number == 0 => 1,
        "" => return Err(SizeError::NoUnit { number, per }),
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        other if other.starts_with(['.', ',']) => return Err(SizeError::Fraction(per)),
        other => {
            let and = if per.is_empty() { "" } else { ", and /s behind it" };
            return Err(SizeError::UnknownUnit(other.to_owned(), and));
        }
    };
    number.checked_mul(bytes_per_unit).ok_or(SizeError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_a_unit_is_a_size() {
        for (text, bytes) in
            [("512B", 512), ("64KiB", 65_536), ("1MiB", 1 << 20), ("10MB", 10_000_000), ("0B", 0), ("0", 0)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        assert_eq!(parse_data_rate("1KiB/s"), Ok(1024));
        assert_eq!((parse_bytes("64KiB"), parse_bytes("65536")), (Ok(65_536), Ok(65_536)));
        assert_eq!((parse_bytes_per_second("1KiB/s"), parse_bytes_per_second("1024")), (Ok(1024), Ok(1024)));
    }

    #[test]
    fn bare_numbers_unknown_units_and_nonsense_are_refused_in_words_that_say_what_to_write() {
        let said = |text| parse_size(text).unwrap_err().to_string();
        assert_eq!(said("1024"), "a unit is missing: write 1024B, 1024KiB or 1024MiB");
        assert_eq!(said("1k"), "unknown unit `k`: use B, KiB, MiB or GiB (1024), or kB, MB or GB (1000)");
        assert_eq!(said("much"), "expected a number and a unit, such as 512B, 64KiB or 10MB");
        assert_eq!(said("99999999999GiB"), "expected fewer digits: nothing is that large");
        let said = |text| parse_bytes(text).unwrap_err().to_string();
        assert_eq!(said("1k"), "unknown unit `k`: use B, KiB, MiB or GiB (1024), or kB, MB or GB (1000)");
        let said = |text| parse_data_rate(text).unwrap_err().to_string();
        assert_eq!(said("5"), "a unit is missing: write 5B/s, 5KiB/s or 5MiB/s");
        for text in ["1KiB", "1KiB/", "1KiB/sec"] {
            assert_eq!(said(text), "`/s` is missing behind the size: write 1KiB/s", "{text}");
        }
        for (text, per) in [("5KB/m", "m"), ("5KB/min", "min"), ("1KiB/ms", "ms"), ("0/m", "m")] {
            let told = "is not known, only `/s`: write how much it is in each second, such as 1KiB/s";
            assert_eq!(said(text), format!("`/{per}` {told}"), "{text}");
        }
        assert_eq!(
            said("1k"),
            "unknown unit `k`: use B, KiB, MiB or GiB (1024), or kB, MB or GB (1000), and /s behind it"
        );
    }

    #[test]
    fn a_blank_or_a_fraction_is_told_as_one_with_what_to_write() {
        let said = |text| parse_bytes(text).unwrap_err().to_string();
        for text in ["10 MB", "10MB ", " 10MB", "10\tMB", "10MB\n"] {
            assert_eq!(said(text), "holds a blank: write 10MB", "{text:?}");
        }
        assert_eq!(
            (said("10 "), said("1 0")),
            ("holds a blank: write 10".into(), "holds a blank: write 10".into())
        );
        assert_eq!(said("10 XB"), "unknown unit `XB`: use B, KiB, MiB or GiB (1024), or kB, MB or GB (1000)");
        for text in ["1.5GiB", "1,5MB", "1.5", "1.5k"] {
            assert_eq!(said(text), "a fraction: use a smaller unit, such as 1536KiB for 1.5MiB", "{text}");
        }
        let said = |text| parse_data_rate(text).unwrap_err().to_string();
        assert_eq!(said("1 KiB/s"), "holds a blank: write 1KiB/s");
        assert_eq!(parse_data_rate("0"), Ok(0));
        assert_eq!(said("1.5KiB/s"), "a fraction: use a smaller unit, such as 1536KiB/s for 1.5MiB/s");
    }

    #[test]
    fn what_is_below_zero_is_told_so_and_not_asked_for_its_unit() {
        for text in ["-1", "-1KiB", "-0"] {
            assert_eq!(parse_size(text), Err(SizeError::Negative), "{text}");
            assert_eq!(parse_bytes(text), Err(SizeError::Negative), "{text}");
            assert_eq!(parse_bytes_per_second(text), Err(SizeError::Negative), "{text}");
        }
        assert!(matches!(parse_size("-"), Err(SizeError::NoNumber(_))));
    }
}
