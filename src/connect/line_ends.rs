//! The line ends of answers' heads: each must have its carriage return (RFC 9112 section 2.2). hyper takes a line feed for
//! one as well and says nothing of it, but who reads the same answer otherwise may see another head.
//!
//! Most answers of a backend have the head of the one before, but for what comes with the second. So the last one that was
//! found right is kept, and only another one is looked at.

/// Bytes of a head that are kept.
const KEPT: usize = 512;
/// Bytes that are compared at once.
const BLOCK: usize = 16;

/// A backend ends a line of a head without a carriage return.
#[derive(Debug, thiserror::Error)]
#[error("a line of its head ends without a carriage return")]
pub(super) struct BareLineFeed;

/// Follows the heads of one connection's answers.
#[derive(Debug, Default)]
pub(super) struct LineEnds {
    /// The last head that was right.
    last: Vec<u8>,
    /// What has come of one whose end has not.
    partial: Vec<u8>,
    in_head: bool,
}

/// What is found in the bytes of a head.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// It ends behind so many bytes.
    End(usize),
    /// Its end is not among them.
    More,
    Bare,
}

impl LineEnds {
    /// Looks at bytes of an answer, or at the first ones.
    ///
    /// # Errors
    /// Its head is not to be read.
    pub(super) fn feed(&mut self, bytes: &[u8], first: bool) -> Result<(), BareLineFeed> {
        if first {
            self.in_head = !bytes.starts_with(&self.last) || self.last.is_empty();
        }
        if self.in_head { self.look(bytes, first) } else { Ok(()) }
    }

    #[inline(never)]
    fn look(&mut self, bytes: &[u8], first: bool) -> Result<(), BareLineFeed> {
        if first {
            self.partial.clear();
        }
        let mut partial = std::mem::take(&mut self.partial);
        let mut known = partial.len();
        // Few heads come in parts.
        let in_parts = known > 0;
        if in_parts {
            partial.extend_from_slice(bytes);
        }
        let text = if in_parts { &partial } else { bytes };
        let mut begin = 0;
        loop {
            match find(&text[begin..], known) {
                Found::Bare => return Err(BareLineFeed),
                Found::End(length) => {
                    let head = &text[begin..begin + length];
                    if !is_interim(head) {
                        self.in_head = false;
                        self.keep(head);
                        return Ok(());
                    }
                    begin += length;
                    known = 0;
                }
                Found::More => break,
            }
        }
        match in_parts {
            true => drop(partial.drain(..begin)),
            false => partial.extend_from_slice(&bytes[begin..]),
        }
        self.partial = partial;
        Ok(())
    }

    fn keep(&mut self, head: &[u8]) {
        self.last.clear();
        if head.len() <= KEPT {
            self.last.extend_from_slice(head);
        }
    }
}

/// Looks for the end of a head, of which so many bytes were looked at before.
fn find(bytes: &[u8], known: usize) -> Found {
    let begin = match bytes {
        [b'\r' | b'\n', ..] => empty_lines(bytes),
        _ => Some(0),
    };
    let Some(begin) = begin.filter(|begin| bytes.get(begin + 1) != Some(&b'\n')) else { return Found::Bare };
    let mut at = begin.max(known.saturating_sub(2));
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<{ BLOCK + 2 }>) {
        let is_remarkable = |at: usize| is_remarkable(block[at], block[at + 1], block[at + 2]);
        // Compiled to three comparisons of all.
        if (0..BLOCK).fold(false, |any, at| any | is_remarkable(at)) {
            let first = (0..BLOCK).find(|at| block[at + 2] == b'\n' && is_remarkable(*at));
            return end(bytes, at + first.unwrap_or_default() + 2);
        }
        at += BLOCK;
    }
    let last = bytes.get(at..).unwrap_or_default();
    let first = last.windows(3).position(|three| is_remarkable(three[0], three[1], three[2]));
    first.map_or(Found::More, |first| end(bytes, at + first + 2))
}

/// What the remarkable line feed there means.
fn end(bytes: &[u8], at: usize) -> Found {
    if bytes[at - 1] == b'\r' { Found::End(at + 1) } else { Found::Bare }
}

/// How many bytes of empty lines come first, which hyper's parser leaves out; none if one ends as it must not.
#[cold]
fn empty_lines(bytes: &[u8]) -> Option<usize> {
    let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let is_bare = |at: usize| bytes[at] == b'\n' && (at == 0 || bytes[at - 1] != b'\r');
    (!(0..begin).any(is_bare)).then_some(begin)
}

/// Whether the last of three bytes is a line feed that ends the head, or has no carriage return.
fn is_remarkable(third: u8, second: u8, byte: u8) -> bool {
    (byte == b'\n') & ((second != b'\r') | (third == b'\n'))
}

/// Whether another head follows (RFC 9110 section 15.2).
fn is_interim(head: &[u8]) -> bool {
    let line = head.trim_ascii_start();
    line.get(9) == Some(&b'1') && line.get(9..12) != Some(b"101")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str =
        "HTTP/1.1 200 OK\r\nServer: a\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n";
    const BODY: &str = "one\ntwo\n\n\r\n\n";

    /// Feeds an answer in pieces of so many bytes, behind one that was right.
    fn fed(answer: &str, pieces: usize, before: &str) -> bool {
        let mut ends = LineEnds::default();
        ends.feed(before.as_bytes(), true).expect("it is right");
        let mut first = true;
        answer.as_bytes().chunks(pieces).all(|piece| ends.feed(piece, std::mem::take(&mut first)).is_ok())
    }

    fn passes(answer: &str) -> bool {
        let same = format!("{HEAD}{BODY}");
        let ways: Vec<_> = [1, 2, 3, 7, 16, 40, 1000]
            .into_iter()
            .flat_map(|pieces| [fed(answer, pieces, &same), fed(answer, pieces, "HTTP/1.1 204 No\r\n\r\n")])
            .collect();
        assert!(ways.iter().all(|passes| *passes == ways[0]), "{answer:?}: {ways:?}");
        ways[0]
    }

    #[test]
    fn bodies_may_hold_what_they_like_and_heads_may_not() {
        assert!(passes(&format!("{HEAD}{BODY}")));
        assert!(passes(&format!("\r\n\r\n{HEAD}{BODY}")));
        assert!(passes(&format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{HEAD}{BODY}")));
        assert!(passes("HTTP/1.1 101 Switching Protocols\r\n\r\nany\nthing"));
        assert!(passes("HTTP/1.1 204 No\r\n\r\n"));
        for bare in [
            "HTTP/1.1 204 No\n\n",
            "HTTP/1.1 204 No\r\n\n",
            "\nHTTP/1.1 204 No\r\n\r\n",
            "\r\n\nHTTP/1.1 204 No\r\n\r\n",
        ] {
            assert!(!passes(bare), "{bare:?}");
        }
        assert!(!passes("HTTP/1.1 103 Early Hints\r\nLink: </a>\n\r\nHTTP/1.1 204 No\r\n\r\n"));
        assert!(!passes("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No\n\r\n"));
    }

    #[test]
    fn any_line_end_of_a_head_is_looked_at() {
        for (at, _) in HEAD.match_indices('\r') {
            let bare = [&HEAD[..at], &HEAD[at + 1..]].concat();
            assert!(!passes(&format!("{bare}{BODY}")), "{bare:?}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_forgotten_for_another() {
        let mut ends = LineEnds::default();
        for (head, kept) in [
            (HEAD.to_owned(), HEAD.len()),
            (format!("{HEAD:0<9}").replace("a\r", &("a".repeat(KEPT) + "\r")), 0),
        ] {
            ends.feed(head.as_bytes(), true).expect("it is right");
            assert_eq!((ends.last.len(), ends.partial.len()), (kept, 0));
        }
    }

    proptest! {
        #[test]
        fn a_head_ends_where_a_plain_search_finds_its_end(text in "[a\r\n]{0,60}", cut in 0_usize..60) {
            let text = format!("a{text}");
            let bytes = text.as_bytes();
            let bare = (1..bytes.len()).find(|at| bytes[*at] == b'\n' && bytes[at - 1] != b'\r');
            let end = text.find("\r\n\r\n").map(|at| at + 4);
            let expected = match (bare, end) {
                (Some(bare), end) if end.is_none_or(|end| bare < end) => Found::Bare,
                (_, Some(end)) => Found::End(end),
                _ => Found::More,
            };
            prop_assert_eq!(find(bytes, 0), expected);
            let cut = cut.min(bytes.len());
            if find(&bytes[..cut], 0) == Found::More {
                prop_assert_eq!(find(bytes, cut), find(bytes, 0));
            }
        }
    }
}
