//! How a path is read. Decisions go by what is read, while a backend gets the path as it came.
//!
//! One resource can be written in many ways, and a route that keeps clients from `/admin` must not be passed by with
//! `/%61dmin` or `/x/../admin`. All that are the same by RFC 3986 section 6.2.2 have one normal form ([`normal`]), by which
//! routes are found. Some backends go further and take `//`, `%2F` or `\` for `/` and ignore what follows a `;`: what those
//! read is the lenient form ([`lenient`]). If the two lead to different routes, nobody can tell which is meant.

use std::borrow::Cow;

/// Whether a path is in both forms already, as most are.
pub(super) fn is_plain(path: &str) -> bool {
    // All bytes are looked at, which costs less than to ask behind each whether it was the last.
    let look = |(odd, before): (u8, u8), byte| {
        let kind = KINDS[usize::from(byte)];
        (odd | kind | (before << 1 & kind & SLASH_OR_DOT) << 1, kind)
    };
    path.bytes().fold((0, 0), look).0 & ODD == 0
}

/// The one form of all paths that are the same by RFC 3986 section 6.2.2: nothing is encoded that need not be, what must be
/// is, in upper case, and there are no segments of one or two dots.
pub(super) fn normal(path: &str) -> Cow<'_, str> {
    match encoded_alike(path) {
        Cow::Borrowed(path) => without_dots(path),
        Cow::Owned(path) => match without_dots(&path) {
            Cow::Owned(shorter) => Cow::Owned(shorter),
            Cow::Borrowed(_) => Cow::Owned(path),
        },
    }
}

/// What the most lenient backend reads in a path in normal form: no parameters of segments, no encoded characters that may
/// stand for themselves, and no empty segments.
pub(super) fn lenient(normal: &str) -> String {
    let mut read = String::with_capacity(normal.len());
    for segment in normal.split('/') {
        let segment = segment.split(';').next().unwrap_or_default();
        if !read.ends_with('/') {
            read.push('/');
        }
        let mut rest = segment;
        while let Some((before, after)) = rest.split_once('%') {
            push_merged(&mut read, before);
            rest = match octet(after) {
                Some(b'/' | b'\\') => {
                    push_merged(&mut read, "/");
                    &after[2..]
                }
                Some(byte) if IN_PATHS[usize::from(byte)] => {
                    read.push(char::from(byte));
                    &after[2..]
                }
                _ => {
                    read.push('%');
                    after
                }
            };
        }
        push_merged(&mut read, rest);
    }
    match without_dots(&read) {
        Cow::Owned(shorter) => shorter,
        Cow::Borrowed(_) => read,
    }
}

/// The same text with nothing encoded that need not be and all that must be.
pub(super) fn encoded_alike(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte == b'/' || IN_PATHS[usize::from(byte)]) {
        return Cow::Borrowed(text);
    }
    let mut alike = String::with_capacity(text.len());
    let mut bytes = text.bytes().enumerate();
    while let Some((index, byte)) = bytes.next() {
        let encoded = if byte == b'%' { text.get(index + 1..).and_then(octet) } else { None };
        match encoded {
            Some(byte) => {
                bytes.nth(1);
                push_alike(&mut alike, byte, is_unreserved(byte));
            }
            None => push_alike(&mut alike, byte, byte == b'/' || IN_PATHS[usize::from(byte)]),
        }
    }
    Cow::Owned(alike)
}

fn push_alike(text: &mut String, byte: u8, as_it_is: bool) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    if as_it_is {
        return text.push(char::from(byte));
    }
    text.extend(['%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

fn push_merged(read: &mut String, text: &str) {
    let text = if read.ends_with('/') { text.trim_start_matches('/') } else { text };
    read.push_str(text);
}

/// The octet whose two digits a text begins with.
fn octet(text: &str) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match text.as_bytes() {
        [high, low, ..] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    }
}

/// RFC 3986 section 5.2.4. What climbs above the root stays there.
fn without_dots(path: &str) -> Cow<'_, str> {
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    let Some(segments) = path.strip_prefix('/').filter(|rest| rest.split('/').any(is_dots)) else {
        return Cow::Borrowed(path);
    };
    let mut kept = String::with_capacity(path.len());
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        if segment == ".." {
            kept.truncate(kept.rfind('/').unwrap_or_default());
        }
        let is_last = segments.peek().is_none();
        match is_dots(segment) {
            true if is_last => kept.push('/'),
            true => {}
            false => {
                kept.push('/');
                kept.push_str(segment);
            }
        }
    }
    Cow::Owned(kept)
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const SLASH: u8 = 1;
/// Twice what a slash is, so that one that follows a slash is found by a shift.
const SLASH_OR_DOT: u8 = 2;
/// What is not as it stands in both forms: a byte that is not, and, as twice [`SLASH_OR_DOT`], one of those behind a slash.
const ODD: u8 = 4;

/// What each byte is to [`is_plain`].
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'/' => SLASH | SLASH_OR_DOT,
            b'.' => SLASH_OR_DOT,
            b';' => ODD,
            _ if IN_PATHS[byte] => 0,
            _ => ODD,
        };
        byte += 1;
    }
    kinds
};

/// For each byte, whether it may stand for itself in a segment (RFC 3986 section 3.3).
const IN_PATHS: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let letter = byte as u8;
        bytes[byte] = letter.is_ascii_alphanumeric()
            || matches!(letter, b'-' | b'.' | b'_' | b'~' | b':' | b'@')
            || matches!(letter, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
        byte += 1;
    }
    bytes
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_the_same_by_rfc_3986_has_one_normal_form() {
        for (path, form) in [
            ("/admin", "/admin"),
            ("/%61dmin", "/admin"),
            ("/x/../admin", "/admin"),
            ("/x/%2e%2E/admin", "/admin"),
            ("/./admin/.", "/admin/"),
            ("/../../admin/x/..", "/admin/"),
            ("/a%2fb%3b", "/a%2Fb%3B"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/a\\b\"", "/a%5Cb%22"),
            ("/100%", "/100%25"),
            ("/%zz%4", "/%25zz%254"),
            ("//a///b", "//a///b"),
            ("/.well-known/x", "/.well-known/x"),
            ("/..a/...", "/..a/..."),
            ("*", "*"),
        ] {
            assert_eq!(normal(path), form, "{path}");
        }
    }

    #[test]
    fn the_lenient_form_is_what_the_most_lenient_backend_reads() {
        for (path, form) in [
            ("/admin", "/admin"),
            ("//admin", "/admin"),
            ("/x/..%2fadmin", "/admin"),
            ("/x\\..\\admin", "/admin"),
            ("/admin;a=b/c;d", "/admin/c"),
            ("/x/..;/admin", "/admin"),
            ("/admin%2Fusers//", "/admin/users/"),
            ("/%2f%2Fadmin", "/admin"),
            ("/a%21%40%25%20", "/a!@%25%20"),
        ] {
            assert_eq!(lenient(&normal(path)), form, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_form_is_the_form_of_itself_and_a_plain_path_is_in_both(path in "/([a.%/;2eEfF5cC]|\\\\|\u{e9}){0,12}") {
            let form = normal(&path).into_owned();
            prop_assert_eq!(&*normal(&form), &form);
            prop_assert!(!form.split('/').any(|segment| segment == "." || segment == ".."));
            let read = lenient(&form);
            prop_assert!(read.starts_with('/') && !read.contains("//") && !read.contains(';'));
            prop_assert!(!read.split('/').any(|segment| segment == "." || segment == ".."));
            prop_assert_eq!(&*normal(&read), &read);
            if is_plain(&path) {
                prop_assert_eq!(&form, &path);
                prop_assert_eq!(&read, &path);
            }
        }
    }
}
