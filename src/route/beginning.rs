//! What all paths begin with that a regular expression matches, as far as that can be seen from its text.

use super::reading::encoded_alike;

const OTHERWISE: &str = r"no path begins as its regular expression does, which must match the whole path; begin it with `/`, or with `/.*` if it is about the end of a path, as in `~ /.*\.php`";
const NOT_NORMAL: &str = "no path in its normal form begins as its regular expression does; percent-encode what must be, and nothing else, in upper case: `%20` is a space, `%C3%A9` an é";

/// The text that whatever matches begins with, and whether that is all of it. Where it is not plain, nothing is said.
pub(super) fn of(regex: &str) -> (&str, bool) {
    if has_alternatives(regex) {
        return ("", false);
    }
    let stands_for_itself = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte);
    match regex.bytes().position(|byte| !stands_for_itself(byte)) {
        None => (regex, true),
        // The last character may be missing.
        Some(end) if b"*?{".contains(&regex.as_bytes()[end]) => (&regex[..end.saturating_sub(1)], false),
        Some(end) => (&regex[..end], false),
    }
}

/// Why no path in normal form is one that it matches, if that is sure.
pub(super) fn why_never(regex: &str) -> Option<&'static str> {
    if is_of_no_path(regex) {
        return Some(OTHERWISE);
    }
    is_never_normal(regex).then_some(NOT_NORMAL)
}

/// Whether what it matches surely begins with something else than a path does: a `/`, or the `*` that stands for the whole
/// server.
fn is_of_no_path(regex: &str) -> bool {
    let regex = regex.strip_prefix('^').unwrap_or(regex);
    if has_alternatives(regex) {
        return false;
    }
    let bytes = regex.as_bytes();
    let [b'\\', escaped, rest @ ..] = bytes else {
        let (text, _) = of(regex);
        return !text.is_empty() && !text.starts_with('/');
    };
    let is_other = match escaped {
        b'd' | b'w' | b's' => true,
        other => other.is_ascii_punctuation() && !b"/*<>".contains(other),
    };
    // With one of these behind it, it may be missing.
    is_other && !rest.first().is_some_and(|next| b"*?{".contains(next))
}

/// Whether what it matches surely begins with what is written in another way in the normal form of a path.
fn is_never_normal(regex: &str) -> bool {
    let regex = regex.strip_prefix('^').unwrap_or(regex);
    if has_alternatives(regex) {
        return false;
    }
    let stands_for_itself =
        |letter: char| letter.is_ascii_alphanumeric() || "/_-% ".contains(letter) || !letter.is_ascii();
    let end = regex.find(|letter| !stands_for_itself(letter)).unwrap_or(regex.len());
    let (text, rest) = regex.split_at(end);
    let mut letters = text.chars();
    if rest.starts_with(['*', '?', '{']) {
        letters.next_back();
    }
    let text = letters.as_str();
    // Of an octet that may go on behind what is known, nothing is.
    let whole = match text.rfind('%') {
        Some(begin) if text.len() - begin < 3 => &text[..begin],
        _ => text,
    };
    encoded_alike(whole) != whole
}

/// Whether it may be several expressions beside each other, of which each has a beginning of its own.
fn has_alternatives(regex: &str) -> bool {
    // In these a bracket or a bar may be something else than it looks.
    let is_clear = !regex.contains(['[', '\\', '#']);
    let mut depth = 0_usize;
    regex.bytes().any(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        byte == b'|' && (depth == 0 || !is_clear)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_begins_otherwise_is_of_no_path() {
        for regex in ["foo.*", "^foo", "\\.php$", "\\.php", "\\d+", "-x", "fo*", "a"] {
            assert!(is_of_no_path(regex), "{regex}");
        }
        for regex in [
            "",
            "/foo",
            "^/foo",
            ".*\\.php$",
            "f*/x",
            "f?/x",
            "\\/x",
            "\\*",
            "\\.?/x",
            "\\W",
            "\\b/",
            "\\x2fa",
            "(?i)/x",
            "a|/b",
            "\\.|/b",
            "[/a]b",
            "^^/a",
        ] {
            assert!(!is_of_no_path(regex), "{regex}");
        }
    }

    #[test]
    fn only_what_surely_is_written_otherwise_is_never_normal() {
        for regex in
            ["/a b", "^/a b", "/a +", "/é", "/é+", "/caf%c3%a9/.*", "/%61", "/a%2f", "/%zz", "/%C3%a9[0-9]"]
        {
            assert!(is_never_normal(regex), "{regex}");
        }
        for regex in [
            "",
            "/a%20b",
            "/caf%C3%A9/.*",
            "/%2F",
            "/a ?b",
            "/a *",
            "/a {0}",
            "/é?",
            "/%",
            "/%c",
            "/%c[3]",
            "/%[0-9]b",
            "/%2F?f",
            "(?x)/a b",
            "(?i)/%c3",
            "/a b|/c",
            "/a\\.é",
            "/(é|e)",
        ] {
            assert!(!is_never_normal(regex), "{regex}");
        }
    }

    #[test]
    fn only_what_surely_stands_there_counts() {
        for (regex, beginning) in [
            ("/v1/[0-9]+", ("/v1/", false)),
            ("/v1/(a|b)/c", ("/v1/", false)),
            ("/v1/abc+", ("/v1/abc", false)),
            ("/v1/abc*", ("/v1/ab", false)),
            ("/v1/ab{2}", ("/v1/a", false)),
            ("/v1.x", ("/v1", false)),
            ("/v1/a_b-c", ("/v1/a_b-c", true)),
            ("", ("", true)),
            ("*", ("", false)),
            ("(?i)/v1", ("", false)),
            ("/a|/b", ("", false)),
            ("/a[(]|/b", ("", false)),
            ("/a\\(|/b", ("", false)),
        ] {
            assert_eq!(of(regex), beginning, "{regex}");
        }
    }
}
