//! What the path of a request asks the sample backend for.

use std::time::Duration;

use hyper::StatusCode;
use thiserror::Error;

const MAX_DELAY_MS: u64 = 600_000;
const MAX_BYTES: u64 = 1 << 40;

/// A path that the sample backend has an answer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Name,
    Health,
    SetHealth { failing: bool },
    Status(StatusCode),
    Delay(Duration),
    Bytes(u64),
    Chunked(u64),
    Echo,
}

/// Why a path has no answer.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum BadPath {
    #[error(
        "no such path; there are /, /health, /health/fail, /health/ok, /status/{{code}}, /delay/{{ms}}, \
         /bytes/{{n}}, /chunked/{{n}} and /echo"
    )]
    Unknown,
    #[error("'{value}' is no {expected}")]
    Value { value: String, expected: &'static str },
}

impl Ask {
    pub(super) fn parse(path: &str) -> Result<Self, BadPath> {
        match path {
            "/" => return Ok(Self::Name),
            "/health" => return Ok(Self::Health),
            "/health/fail" => return Ok(Self::SetHealth { failing: true }),
            "/health/ok" => return Ok(Self::SetHealth { failing: false }),
            "/echo" => return Ok(Self::Echo),
            _ => {}
        }
        let (kind, value) =
            path.strip_prefix('/').and_then(|rest| rest.split_once('/')).ok_or(BadPath::Unknown)?;
        match kind {
            "status" => status(value).map(Self::Status),
            "delay" => delay(value).map(Self::Delay),
            "bytes" => size(value).map(Self::Bytes),
            "chunked" => size(value).map(Self::Chunked),
            _ => Err(BadPath::Unknown),
        }
    }
}

fn status(value: &str) -> Result<StatusCode, BadPath> {
    number(value, 999)
        .and_then(|code| u16::try_from(code).ok())
        .and_then(|code| StatusCode::from_u16(code).ok())
        .filter(|code| !code.is_informational())
        .ok_or_else(|| bad(value, "status of a final answer: expected a number from 200 to 999"))
}

fn delay(value: &str) -> Result<Duration, BadPath> {
    number(value, MAX_DELAY_MS)
        .map(Duration::from_millis)
        .ok_or_else(|| bad(value, "delay in milliseconds: expected a number from 0 to 600000"))
}

fn size(value: &str) -> Result<u64, BadPath> {
    number(value, MAX_BYTES)
        .ok_or_else(|| bad(value, "count of bytes: expected a number from 0 to 1099511627776 (1 TiB)"))
}

/// Digits only: `parse` alone would take a sign, too.
fn number(value: &str, max: u64) -> Option<u64> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|number| digits && *number <= max)
}

fn bad(value: &str, expected: &'static str) -> BadPath {
    BadPath::Value { value: value.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_table_is_understood() {
        let table = [
            ("/", Ask::Name),
            ("/health", Ask::Health),
            ("/health/fail", Ask::SetHealth { failing: true }),
            ("/health/ok", Ask::SetHealth { failing: false }),
            ("/status/418", Ask::Status(StatusCode::IM_A_TEAPOT)),
            ("/delay/0", Ask::Delay(Duration::ZERO)),
            ("/delay/600000", Ask::Delay(Duration::from_secs(600))),
            ("/bytes/1099511627776", Ask::Bytes(MAX_BYTES)),
            ("/chunked/7", Ask::Chunked(7)),
            ("/echo", Ask::Echo),
        ];
        for (path, ask) in table {
            assert_eq!(Ask::parse(path), Ok(ask), "{path}");
        }
    }

    #[test]
    fn other_paths_are_unknown() {
        for path in ["", "*", "/health/", "/echo/", "/bytes", "/nothing/1", "//bytes/1"] {
            assert_eq!(Ask::parse(path), Err(BadPath::Unknown), "{path}");
        }
    }

    #[test]
    fn a_value_out_of_range_is_named_in_the_refusal() {
        for (path, value) in [
            ("/status/99", "99"),
            ("/status/100", "100"),
            ("/status/1000", "1000"),
            ("/status/65736", "65736"),
            ("/delay/600001", "600001"),
            ("/delay/+1", "+1"),
            ("/delay/1.5", "1.5"),
            ("/bytes/", ""),
            ("/bytes/1/2", "1/2"),
            ("/bytes/1099511627777", "1099511627777"),
            ("/chunked/18446744073709551616", "18446744073709551616"),
            ("/chunked/-1", "-1"),
        ] {
            let refusal = Ask::parse(path).unwrap_err().to_string();
            assert!(refusal.starts_with(&format!("'{value}' is no ")), "{path}: {refusal}");
        }
    }
}
