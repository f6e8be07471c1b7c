//! What hyper found wrong with a head, in words: it does not say.

use super::{FOLDED, Refusal};

/// Looks for the fault in a head that was refused, of which the last line may not have come to its end.
pub(in crate::server) fn explain(head: &[u8]) -> Option<Refusal> {
    let mut lines = head.split(|byte| *byte == b'\n').map(strip).skip_while(|line| line.is_empty());
    explain_request_line(lines.next()?).or_else(|| {
        let mut lines = lines.peekable();
        while let Some(line) = lines.next()
            && !line.is_empty()
        {
            if let Some(refusal) = explain_field(line, lines.peek().is_some()) {
                return Some(refusal);
            }
        }
        None
    })
}

fn strip(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn explain_request_line(line: &[u8]) -> Option<Refusal> {
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next().unwrap_or_default(), words.next(), words.next());
    if !is_token(method) {
        return Some("its method is not a token");
    }
    let target = target?;
    if target.is_empty() || words.next().is_some() {
        return Some("its first line is not a method, a target and a version with one space between them");
    }
    if target.iter().any(|byte| is_control(*byte)) {
        return Some("its target has a control character");
    }
    match version {
        None => Some("its first line has no version, and this is not HTTP/0.9"),
        Some(b"HTTP/1.1" | b"HTTP/1.0") => None,
        Some(version) if version.starts_with(b"HTTP/") => {
            Some("its version is neither HTTP/1.1 nor HTTP/1.0")
        }
        Some(_) => Some("its first line does not end with the version HTTP/1.1"),
    }
}

fn explain_field(line: &[u8], is_whole: bool) -> Option<Refusal> {
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = line.split_at(colon.unwrap_or(line.len()));
    match name {
        [b' ' | b'\t', ..] => Some(FOLDED),
        [] => Some("a line of its head has no name before the colon"),
        [.., b' ' | b'\t'] => Some("a line of its head has a blank before the colon"),
        _ if colon.is_none() && is_whole => Some("a line of its head has no colon"),
        name if !is_token(name) => Some("a name in its head is not a token"),
        _ if value.iter().any(|byte| is_control(*byte)) => {
            Some("a value in its head has a control character")
        }
        _ => None,
    }
}

fn is_control(byte: u8) -> bool {
    byte != b'\t' && byte.is_ascii_control()
}

/// RFC 9110 section 5.6.2.
fn is_token(word: &[u8]) -> bool {
    !word.is_empty()
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}
