//! The frames of HTTP/2 (RFC 9113 section 4), as far as they are looked at outside h2.

mod backlog;
mod small;

pub use backlog::Backlog;
pub use small::{SMALL, put_small_together};

/// Bytes before each frame.
pub const HEAD: usize = 9;

/// A piece of a body.
pub const DATA: u8 = 0;
/// Begins a stream, or ends it with trailers.
pub const HEADERS: u8 = 1;
const PUSH_PROMISE: u8 = 5;
/// The rest of fields.
pub const CONTINUATION: u8 = 9;

/// The last of a stream.
pub const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// What stands before a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes behind it.
    pub length: usize,
    /// One of RFC 9113 section 6, or another.
    pub kind: u8,
    /// What they mean, the kind says.
    pub flags: u8,
    /// Which stream it is about; 0 for the connection.
    pub stream: u32,
}

impl Head {
    /// Reads one.
    pub fn read(bytes: [u8; HEAD]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes;
        let length = usize::from(l0) << 16 | usize::from(l1) << 8 | usize::from(l2);
        Self { length, kind, flags, stream: u32::from_be_bytes([s0, s1, s2, s3]) & (u32::MAX >> 1) }
    }

    /// As it is sent.
    pub fn bytes(self) -> [u8; HEAD] {
        let [_, .., l0, l1, l2] = self.length.to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        [l0, l1, l2, self.kind, self.flags, s0, s1, s2, s3]
    }

    /// The stream that it begins, unless that was begun before.
    pub fn begins(self) -> Option<u32> {
        (self.kind == HEADERS).then_some(self.stream)
    }

    /// Whether it is the last of its stream.
    pub fn ends(self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM > 0
    }
}

/// Finds the frames in bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    head: [u8; HEAD],
    /// Bytes of the head that have come.
    have: usize,
    /// Bytes that come before the next head.
    skip: usize,
    /// Whether only a CONTINUATION may come next.
    amid_fields: bool,
}

impl Frames {
    /// Of bytes that begin with so many others.
    pub fn after(skip: usize) -> Self {
        Self { skip, ..Self::default() }
    }

    /// Whether any frame may come next.
    pub fn is_between(&self) -> bool {
        self.skip == 0 && self.have == 0 && !self.amid_fields
    }

    /// The next head in these bytes, which are cut to those behind it.
    #[inline]
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        *bytes = &bytes[skipped..];
        if bytes.is_empty() {
            return None;
        }
        let taken = (HEAD - self.have).min(bytes.len());
        self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
        self.have += taken;
        *bytes = &bytes[taken..];
        if self.have < HEAD {
            return None;
        }
        let head = Head::read(self.head);
        (self.have, self.skip) = (0, head.length);
        if matches!(head.kind, HEADERS | PUSH_PROMISE | CONTINUATION) {
            self.amid_fields = head.flags & END_HEADERS == 0;
        }
        Some(head)
    }

    /// How many of these bytes belong to what has begun.
    pub fn remainder(&self, bytes: &[u8]) -> usize {
        let mut ahead = self.clone();
        let mut left = bytes;
        while !ahead.is_between() && !left.is_empty() {
            ahead.next(&mut left);
            let skipped = ahead.skip.min(left.len());
            ahead.skip -= skipped;
            left = &left[skipped..];
        }
        bytes.len() - left.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, stream: u32, length: usize) -> Vec<u8> {
        let mut bytes = u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.resize(HEAD + length, 0xff);
        bytes
    }

    fn heads(frames: &mut Frames, mut bytes: &[u8]) -> Vec<Head> {
        let mut heads = Vec::new();
        loop {
            heads.extend(frames.next(&mut bytes));
            if bytes.is_empty() {
                return heads;
            }
        }
    }

    proptest! {
        #[test]
        fn frames_are_found_however_their_bytes_are_cut(
            lengths in prop::collection::vec((0_u8..12, 0_usize..40), 1..20),
            cuts in prop::collection::vec(1_usize..30, 1..60),
        ) {
            let bytes: Vec<u8> =
                lengths.iter().flat_map(|(kind, length)| frame(*kind, END_HEADERS, 7, *length)).collect();
            let (mut frames, mut found, mut rest) = (Frames::after(3), Vec::new(), &[&[1, 2, 3], &*bytes].concat()[..]);
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                found.extend(heads(&mut frames, piece));
                rest = behind;
            }
            let expected: Vec<_> = lengths.iter().map(|(kind, length)| (*kind, *length)).collect();
            prop_assert_eq!(found.iter().map(|head| (head.kind, head.length)).collect::<Vec<_>>(), expected);
            prop_assert!(frames.is_between());
        }

        #[test]
        fn what_has_begun_ends_with_its_frame(length in 0_usize..40, cut in 1_usize..9) {
            let bytes = [frame(DATA, 0, 1, length), frame(PING, 0, 0, 8)].concat();
            let mut frames = Frames::default();
            heads(&mut frames, &bytes[..cut]);
            prop_assert_eq!(frames.remainder(&bytes[cut..]), HEAD + length - cut);
        }
    }

    #[test]
    fn nothing_comes_between_the_pieces_of_a_header_list() {
        let mut frames = Frames::default();
        heads(&mut frames, &frame(HEADERS, 0, 1, 5));
        assert!(!frames.is_between());
        let rest = [frame(CONTINUATION, END_HEADERS, 1, 4), frame(PING, 0, 0, 8)].concat();
        assert_eq!(frames.remainder(&rest), HEAD + 4);
        heads(&mut frames, &rest);
        assert!(frames.is_between());
    }
}
