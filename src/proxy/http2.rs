//! What a request that came by HTTP/2 needs, so that it becomes one of HTTP/1.1.

use hyper::Request;
use hyper::header::{CONTENT_LENGTH, COOKIE, HeaderMap, HeaderValue, MaxSizeReached};
use hyper::http::uri::PathAndQuery;

use crate::connect::{HeadLimits, TWO_LENGTHS, parse_length};

use super::{Error, RequestBody};

/// Makes one line of the cookies, and sees to the limits that hyper itself keeps to with HTTP/1, of which a line has four
/// bytes more than its name and its value; and that no value has blanks around it, which would be gone behind us (RFC 9113
/// section 8.2.1); and that a length and a path have one reading.
pub(super) fn check(request: &mut Request<RequestBody>, limits: HeadLimits) -> Result<(), Error> {
    let mut lines = Lines::of(request.headers());
    if lines.cookies > 1 {
        unite_cookies(request.headers_mut()).map_err(|_| Error::HeadTooLarge)?;
        lines = Lines::of(request.headers());
    }
    if lines.has_blanks {
        return Err(Error::Malformed("a value in its head begins or ends with a blank"));
    }
    check_length(request.headers())?;
    let uri = request.uri();
    let path = uri.path_and_query().map_or("", PathAndQuery::as_str);
    if !path.is_ascii() {
        return Err(Error::Malformed(
            "its path has a byte that is not ASCII; a target is to be percent-encoded",
        ));
    }
    let target = path.len();
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    match target + authority + lines.bytes {
        _ if target >= limits.size => Err(Error::TargetTooLong),
        size if size > limits.size || request.headers().len() > limits.headers => Err(Error::HeadTooLarge),
        _ => Ok(()),
    }
}

/// The crate h2 refuses lengths that differ, but neither one that is said twice nor one that is an octal number to others. They
/// would reach a backend as they came.
fn check_length(headers: &HeaderMap) -> Result<(), Error> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    parse_length(length.as_bytes()).map_err(Error::Malformed)?;
    lengths.next().map_or(Ok(()), |_| Err(Error::Malformed(TWO_LENGTHS)))
}

/// What is to be known of a head's lines.
#[derive(Default)]
struct Lines {
    bytes: usize,
    cookies: usize,
    /// Around a value.
    has_blanks: bool,
}

impl Lines {
    fn of(headers: &HeaderMap) -> Self {
        let mut lines = Self::default();
        for (name, value) in headers {
            lines.bytes += name.as_str().len() + value.len() + 4;
            lines.cookies += usize::from(name == COOKIE);
            lines.has_blanks |= matches!(value.as_bytes(), [b' ' | b'\t', ..] | [.., b' ' | b'\t']);
        }
        lines
    }
}

/// RFC 9113 section 8.2.3: a client may have split its cookies, which HTTP/1.1 knows as one line.
///
/// # Errors
/// There are as many lines as there can be, and not even one of them can be another.
fn unite_cookies(headers: &mut HeaderMap) -> Result<(), MaxSizeReached> {
    let mut cookies = headers.get_all(COOKIE).iter();
    if let (Some(first), Some(second)) = (cookies.next(), cookies.next()) {
        let all: Vec<_> = [first, second].into_iter().chain(cookies).map(HeaderValue::as_bytes).collect();
        if let Ok(united) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
            headers.try_insert(COOKIE, united)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_amid_as_many_lines_as_there_can_be_are_refused() {
        let mut headers = HeaderMap::new();
        let cookies = (0..2).map(|_| COOKIE);
        let others = (0..).map(|number| format!("x{number}").parse().expect("a name"));
        let mut all = cookies.chain(others);
        while headers.try_append(all.next().expect("there is no end"), HeaderValue::from_static("")).is_ok() {
        }
        assert!(unite_cookies(&mut headers).is_err());
    }
}
