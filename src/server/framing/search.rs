//! Looks at many bytes at once. Lines of a head are short: to call out to a search made for long ones would cost more
//! than the search.

const BLOCK: usize = 16;
const WORD: usize = 8;

/// The place of the first line feed. Inlined, for lines are so short that a call would show.
#[inline(always)]
pub(super) fn line_feed(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    while let Some((block, behind)) = rest.split_first_chunk::<BLOCK>() {
        // Compiled to one comparison of all.
        if block.iter().fold(false, |found, byte| found | (*byte == b'\n')) {
            break;
        }
        rest = behind;
    }
    let passed = bytes.len() - rest.len();
    if let Some((block, _)) = rest.split_first_chunk::<WORD>() {
        let found = line_feeds(*block);
        if found != 0 {
            return Some(passed + found.trailing_zeros() as usize / 8);
        }
        rest = &rest[WORD..];
        if let Some((block, _)) = rest.split_first_chunk::<WORD>() {
            return Some(passed + WORD + line_feeds(*block).trailing_zeros() as usize / 8);
        }
    }
    let passed = bytes.len() - rest.len();
    rest.iter().position(|byte| *byte == b'\n').map(|at| passed + at)
}

/// The lowest bit that is set is the top one of the first byte that is a line feed: to subtract from a zero borrows.
fn line_feeds(word: [u8; WORD]) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; WORD]);
    let other = u64::from_le_bytes(word) ^ (ONES * b'\n' as u64);
    other.wrapping_sub(ONES) & !other & (ONES << 7)
}

/// Whether all bytes are ASCII and none is one of these: # " < > `
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    // Neighbours, and those that differ in the same bit, are found by one comparison.
    let is_odd = |byte: &u8| (*byte | 1 == b'#') | (*byte | 2 == b'>') | (*byte == b'`') | (*byte >= 0x80);
    let has_odd = |block: &[u8; BLOCK]| block.iter().fold(false, |odd, byte| odd | is_odd(byte));
    // The last block may overlap the one before.
    let Some(last) = bytes.last_chunk::<BLOCK>() else { return !bytes.iter().any(is_odd) };
    !bytes.as_chunks::<BLOCK>().0.iter().any(has_odd) && !has_odd(last)
}
