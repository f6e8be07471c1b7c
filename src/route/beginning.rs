//! What all paths begin with that a regular expression matches, as far as that can be seen from its text.

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
