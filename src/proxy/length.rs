//! What a request may say of its body's length: what has one reading everywhere.

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
