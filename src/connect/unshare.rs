//! Values of heads that are kept for longer than the piece of memory in which they came.

use std::cell::RefCell;

use hyper::header::{
    AGE, AUTHORIZATION, CONTENT_LENGTH, COOKIE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LOCATION, SET_COOKIE,
};

/// Fields of one head whose values are kept, and how long they may be.
const KEPT: usize = 16;
const LONGEST: usize = 256;

/// Gives values of heads memory of their own, before they are told by HTTP/2.
///
/// What was read is cut into values without a copy, each of which holds all of a read, and that is kilobytes. The table by
/// which HTTP/2 compresses heads (RFC 7541 section 2.3) remembers some dozens of values for as long as the connection
/// lives. It counts the bytes of each, but it would hold the reads.
///
/// The values of the last head are kept, because most come again in the same place: to share them is cheaper than a copy.
#[derive(Debug, Default)]
pub struct Unshared(RefCell<Vec<(HeaderName, HeaderValue)>>);

impl Unshared {
    /// Takes the values of a head from the reads that they came in.
    pub fn take(&self, headers: &mut HeaderMap) {
        let mut known = self.0.borrow_mut();
        let remembered = headers.iter_mut().filter(|(name, value)| is_remembered(name, value));
        for (place, (name, value)) in remembered.enumerate() {
            if let Some((known_name, known)) = known.get(place)
                && known == value
                && known_name == name
            {
                *value = known.clone();
                continue;
            }
            *value = copy(value);
            if value.len() > LONGEST {
                continue;
            }
            let field = (name.clone(), value.clone());
            if let Some(known) = known.get_mut(place) {
                *known = field;
            } else if known.len() < KEPT {
                known.push(field);
            }
        }
    }
}

/// The same for one head that is not like others.
pub fn unshare(headers: &mut HeaderMap) {
    for (_, value) in headers.iter_mut().filter(|(name, value)| is_remembered(name, value)) {
        *value = copy(value);
    }
}

/// Whether h2 may put the field into its table. These it leaves out, for they are another each time, and so it does what is
/// secret.
fn is_remembered(name: &HeaderName, value: &HeaderValue) -> bool {
    !value.is_sensitive()
        && !matches!(
            *name,
            AGE | AUTHORIZATION
                | CONTENT_LENGTH
                | COOKIE
                | ETAG
                | IF_MODIFIED_SINCE
                | IF_NONE_MATCH
                | LOCATION
                | SET_COOKIE
        )
}

fn copy(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).expect("the bytes of a value")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::header::DATE;

    use super::*;

    const TEXT: &str = "Thu, 26 Nov 2026 09:00:00 GMT";

    fn head(read: &Bytes) -> HeaderMap {
        let value = HeaderValue::from_maybe_shared(read.slice(..TEXT.len())).expect("a value");
        let mut headers =
            HeaderMap::from_iter([(DATE, value.clone()), (HeaderName::from_static("x-id"), value.clone())]);
        headers.append(DATE, value);
        headers
    }

    #[test]
    fn a_value_that_is_remembered_does_not_hold_the_read_that_it_came_in() {
        let values = Unshared::default();
        // The second finds the values of the first, the third is another, the last has more of them.
        for (text, times) in [(TEXT, 1), (TEXT, 1), ("Fri, 27 Nov 2026 09:00:00 GMT", 1), (TEXT, 20)] {
            let read = Bytes::from(text.as_bytes().repeat(2));
            let mut headers = head(&read);
            for _ in 1..times {
                headers.append(DATE, headers[DATE].clone());
            }
            let mut again = headers.clone();
            assert!(!read.is_unique());
            values.take(&mut headers);
            unshare(&mut again);
            assert!(read.is_unique());
            assert_eq!(headers, again);
            assert!(headers.len() == times + 2 && headers.values().all(|value| value == text));
        }
    }

    #[test]
    fn what_is_secret_stays_so_and_is_not_kept() {
        let values = Unshared::default();
        let mut secret = HeaderValue::from_static("a");
        secret.set_sensitive(true);
        for value in [HeaderValue::from_static("a"), secret] {
            let mut headers = HeaderMap::from_iter([(DATE, value.clone())]);
            values.take(&mut headers);
            unshare(&mut headers);
            assert_eq!(headers[DATE].is_sensitive(), value.is_sensitive());
        }
    }
}
