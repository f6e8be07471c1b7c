//! What a head may say of its body's length: what has one reading everywhere.

use hyper::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};

use super::Garbage;

/// It is said once, however the request came. RFC 9110 section 8.6 lets a proxy mend a length that is said twice. Nobody honest
/// says it twice.
pub const TWO_LENGTHS: &str = "it has more than one Content-Length";

/// Reads a Content-Length without blanks around it.
///
/// # Errors
/// What is wrong with it, as the client is told.
pub fn parse_length(value: &[u8]) -> Result<u64, &'static str> {
    if value.contains(&b',') {
        return Err("its Content-Length is a list");
    }
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err("its Content-Length is not a number");
    }
    if value.len() > 1 && value[0] == b'0' {
        // It would reach the backend as it came, and some read it as octal.
        return Err("its Content-Length begins with a zero");
    }
    let digit = |sum: Option<u64>, digit: &u8| sum?.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    value.iter().fold(Some(0), digit).ok_or("its Content-Length is larger than any body can be")
}

/// The one length that an answer says, however often and with however many zeros before it (RFC 9110 section 8.6); none if it says
/// none.
///
/// # Errors
/// What is wrong with it.
pub fn united_length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut length = None;
    let all = headers.get_all(CONTENT_LENGTH).iter();
    for one in all.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
        let zeros = one.iter().take_while(|byte| **byte == b'0').count();
        let one = parse_length(&one[zeros.min(one.len().saturating_sub(1))..])?;
        if *length.get_or_insert(one) != one {
            return Err("its Content-Lengths differ");
        }
    }
    Ok(length)
}

/// Whether a message has the one transfer coding that we undo.
pub fn is_just_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = codings.next();
    first.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}

/// Why an answer with this head could not be passed on for where it says that its body ends, if so (RFC 9112 section 6.3 lets a coding
/// win over a length, but who sends both may mean something by it).
pub fn unfit_length(headers: &HeaderMap) -> Option<Garbage> {
    match (headers.contains_key(TRANSFER_ENCODING), headers.contains_key(CONTENT_LENGTH)) {
        (true, _) if !is_just_chunked(headers) => Some(Garbage::Coding),
        (true, true) => Some(Garbage::TwoFramings),
        (true, false) => None,
        (false, _) => united_length(headers).err().map(|_| Garbage::Length),
    }
}
