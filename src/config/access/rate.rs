//! Rates as operators write them: a number for each second or minute.

use std::num::NonZeroU32;
use std::time::Duration;

use super::AccessFault;

/// More than this in a second or a minute is no limit, and as a burst neither.
pub(in crate::config) const MOST_RATE: u32 = 1_000_000;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Between two times, when they are spread evenly.
    pub every: Duration,
    /// How many times at once after a long rest.
    pub burst: NonZeroU32,
}

/// Parses `100/s` or `600/m`. The burst is what comes in a second, but at least one.
pub(in crate::config) fn parse_rate(text: &str) -> Result<Rate, AccessFault> {
    let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse().ok().filter(|number| *number <= MOST_RATE).and_then(NonZeroU32::new),
        false => None,
    };
    let Some((digits, unit)) = text.split_once('/') else {
        return Err(match number(text) {
            Some(number) => AccessFault::RateUnit(number.get()),
            None => AccessFault::Rate,
        });
    };
    let count = number(digits).ok_or(AccessFault::Rate)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        _ => return Err(AccessFault::Rate),
    };
    let burst = NonZeroU32::new(count.get().div_ceil(seconds)).unwrap_or(NonZeroU32::MIN);
    Ok(Rate { every: Duration::from_secs(seconds.into()) / count.get(), burst })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_for_each_second_or_minute_and_its_burst_a_seconds_worth() {
        for (text, micros, burst) in [
            ("100/s", 10_000, 100),
            ("1/s", 1_000_000, 1),
            ("600/m", 100_000, 10),
            ("90/m", 666_666, 2),
            ("1/m", 60_000_000, 1),
        ] {
            let rate = parse_rate(text).expect("a rate");
            assert_eq!((rate.every.as_micros(), rate.burst.get()), (micros, burst), "{text}");
        }
    }

    #[test]
    fn a_bare_number_nonsense_zero_and_what_is_no_limit_are_refused() {
        assert_eq!(parse_rate("100"), Err(AccessFault::RateUnit(100)));
        for text in
            ["", "/s", "0/s", "0", "1/h", "1/S", "1/", "+1/s", "1.5/s", "1000001/s", "99999999999/s", " 1/s"]
        {
            assert_eq!(parse_rate(text), Err(AccessFault::Rate), "{text}");
        }
    }
}
