//! How a path is read. Decisions go by what is read, while a backend gets the path as it came.
//!
//! One resource can be written in many ways, and a route that keeps clients from `/admin` must not be passed by with
//! `/%61dmin` or `/x/../admin`. All that are the same by RFC 3986 section 6.2.2 have one normal form ([`normal`]), by which
//! routes are found. Some backends go further and take `//`, `%2F` or `\` for `/` and ignore what follows a `;`, each of them
//! some of that. They are [`all_readings`]. If one leads to another route, nobody can tell which is meant.

use std::borrow::Cow;

/// Bytes of a long path, and in how many ways such a one may be read.
const LONG: usize = 4096;
const SOME: usize = 6;

/// Whether a path is in its normal form, and nobody reads anything else in it, as of most.
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

/// A liberty that a backend takes with parameters of segments, that is with what follows a `;`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    Never,
    /// It ignores those of the segments that came.
    AsItCame,
    /// It ignores those of the segments that it sees when all is decoded.
    Decoded,
}

/// The liberties that a backend takes with a path.
#[derive(Clone, Copy)]
struct Liberties {
    /// It takes `%2F` for `/`.
    slash: bool,
    /// It takes `\` for `/`, encoded or not.
    backslash: bool,
    /// It takes several `/` in succession for one.
    merge: bool,
    cut: Cut,
}

impl Liberties {
    /// All that make a difference to a path in which all is encoded alike: but one, if it gives no occasion for any.
    fn with(alike: &str) -> Vec<Self> {
        let maybe = |is_there| if is_there { &[false, true][..] } else { &[false] };
        let (slashes, backslashes) = (maybe(alike.contains("%2F")), maybe(alike.contains("%5C")));
        let cuts = match (alike.contains(';'), alike.contains("%3B")) {
            (true, _) => &[Cut::Never, Cut::AsItCame, Cut::Decoded][..],
            (false, true) => &[Cut::Never, Cut::Decoded],
            (false, false) => &[Cut::Never],
        };
        let combinations = slashes.len() * backslashes.len() * cuts.len();
        let merges = maybe(combinations > 1 || alike.contains("//"));
        let mut all = Vec::with_capacity(combinations * merges.len());
        for &slash in slashes {
            for &backslash in backslashes {
                for &merge in merges {
                    all.extend(cuts.iter().map(|&cut| Self { slash, backslash, merge, cut }));
                }
            }
        }
        all
    }

    /// What a backend reads that takes these, in a path in which all is encoded alike. Dots are resolved last: what comes to stand
    /// before them depends on the rest.
    fn read(self, alike: &str) -> String {
        let mut read = String::with_capacity(alike.len());
        for (index, segment) in alike.split('/').enumerate() {
            if index > 0 {
                read.push('/');
            }
            let kept = if self.cut == Cut::AsItCame { before_parameters(segment) } else { segment };
            self.decode(kept, &mut read);
        }
        if self.cut == Cut::Decoded {
            read = read.split('/').map(before_parameters).collect::<Vec<_>>().join("/");
        }
        if self.merge {
            let mut before = None;
            read.retain(|letter| before.replace(letter) != Some('/') || letter != '/');
        }
        match without_dots(&read) {
            Cow::Owned(shorter) => shorter,
            Cow::Borrowed(_) => read,
        }
    }

    /// No backend leaves encoded what may stand for itself, but for separators.
    fn decode(self, mut rest: &str, read: &mut String) {
        while let Some((before, after)) = rest.split_once('%') {
            read.push_str(before);
            let decoded = octet(after).and_then(|byte| match byte {
                b'/' if self.slash => Some('/'),
                b'\\' if self.backslash => Some('/'),
                b'/' | b'\\' => None,
                byte => IN_PATHS[usize::from(byte)].then_some(char::from(byte)),
            });
            rest = match decoded {
                Some(letter) => {
                    read.push(letter);
                    &after[2..]
                }
                None => {
                    read.push('%');
                    after
                }
            };
        }
        read.push_str(rest);
    }
}

fn before_parameters(segment: &str) -> &str {
    segment.split(';').next().unwrap_or_default()
}

/// Whether this holds for all that backends read in a path.
pub(super) fn all_readings(path: &str, holds: impl Fn(&str) -> bool) -> bool {
    all(path, |_, read| holds(read))
}

/// Whether a path begins so for all backends, whatever they read.
pub(super) fn begins_always(path: &str, start: &str) -> bool {
    let start = encoded_alike(start);
    all(path, |liberties, read| read.starts_with(&liberties.read(&start)))
}

/// Whether this holds for what each backend reads, be it that it resolves dots before it takes its liberties as well or not. Of a
/// long path that gives occasion for several it does not: nobody is to make us read that often.
fn all(path: &str, holds: impl Fn(Liberties, &str) -> bool) -> bool {
    sources(path).iter().flatten().all(|source| {
        let ways = Liberties::with(source);
        let is_too_much = source.len() > LONG && ways.len() > SOME;
        !is_too_much && ways.into_iter().all(|liberties| holds(liberties, &liberties.read(source)))
    })
}

/// The path with all encoded alike, and its normal form if that is another.
fn sources(path: &str) -> [Option<Cow<'_, str>>; 2] {
    let (alike, normal) = (encoded_alike(path), normal(path));
    let normal = (normal != alike).then_some(normal);
    [Some(alike), normal]
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
/// What makes a path not plain: a byte, and, as twice [`SLASH_OR_DOT`], a slash or a dot behind a slash.
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
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;

    fn readings(path: &str) -> Vec<String> {
        let all = RefCell::new(Vec::new());
        assert!(all_readings(path, |read| {
            all.borrow_mut().push(read.to_owned());
            true
        }));
        all.into_inner()
    }

    #[test]
    fn a_long_path_that_could_be_read_in_many_ways_is_not_read_at_all() {
        let long = "x".repeat(LONG);
        assert!(all_readings(&format!("/%2f{long}//"), |_| true));
        assert!(!all_readings(&format!("/%2f{long};"), |_| true));
    }

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
    fn backends_read_what_their_liberties_make_of_a_path() {
        for (path, read) in [
            ("/admin", "/admin"),
            ("//admin", "/admin"),
            ("/x/..%2fadmin", "/admin"),
            ("/x\\..\\admin", "/admin"),
            ("/admin;a=b/c;d", "/admin/c"),
            ("/x/..;/admin", "/admin"),
            ("/admin%2Fusers//", "/admin/users/"),
            ("/%2f%2Fadmin", "/admin"),
            ("/a%21%40%25%20", "/a!@%25%20"),
            // Dots behind what is a segment to some only.
            ("/a//../admin", "/admin"),
            ("/admin%2Fx/../users", "/admin/users"),
            ("/x/;/../admin", "/admin"),
            ("/admin/x%2F/../../y", "/admin/y"),
            // Separators behind what only some ignore.
            ("/x;a%2F..%2Fadmin", "/admin"),
            ("/x;b%2Fadmin", "/x/admin"),
            ("/x;\\..\\admin", "/admin"),
            ("/a\\b%2F..%2Fadmin", "/admin"),
            // A sign of parameters that only who decodes first sees.
            ("/admin%3Bx/y", "/admin/y"),
            ("/x/..%3b/admin", "/admin"),
        ] {
            let all = readings(path);
            assert!(all.iter().any(|one| one == read), "{path}: {all:?}");
        }
    }

    #[test]
    fn few_paths_are_read_in_many_ways() {
        for (path, most) in
            [("/a%20b", 1), ("/a/../b", 2), ("/a//b", 2), ("/a;b", 6), ("/a%3Bb", 4), ("/%2f%5c;//..", 48)]
        {
            let count = readings(path).len();
            assert!((1..=most).contains(&count), "{path}: {count}");
        }
    }

    proptest! {
        #[test]
        fn a_form_is_the_form_of_itself_and_nobody_reads_anything_else_in_a_plain_path(path in "/([a.%/;2eEfF5cC3bB]|\\\\|\u{e9}){0,12}") {
            let form = normal(&path).into_owned();
            prop_assert_eq!(&*normal(&form), &form);
            prop_assert!(!form.split('/').any(|segment| segment == "." || segment == ".."));
            for read in readings(&path) {
                prop_assert!(read.starts_with('/'));
                prop_assert!(!read.split('/').any(|segment| segment == "." || segment == ".."));
                if is_plain(&path) {
                    prop_assert_eq!(&read, &path);
                }
            }
            if is_plain(&path) {
                prop_assert_eq!(&form, &path);
            }
        }
    }
}
