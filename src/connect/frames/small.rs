//! Small DATA frames, put together before anybody looks at them.
//!
//! Who sends one message in each frame, as gRPC does, can fill a window with thousands of them while nobody takes any. h2
//! would hold each by itself, and ends the connection when their heads outweigh what is in them. Put together they cost
//! what one large frame costs. Empty ones are left as they are: nobody needs many of them.
//!
//! Where streams take turns, no two frames of one are neighbours, so they are made so before: what is of other streams does
//! not mind who goes first.

use std::ops::Range;

use super::{DATA, END_STREAM, Frames, HEAD, Head};

/// Bytes that make a frame small: so many h2 counts as worth a frame.
pub const SMALL: usize = 256;
/// The longest frame that may come (RFC 9113 section 4.2).
const LONGEST: usize = 16_384;
const PADDED: u8 = 0x8;
/// So many small frames behind one of another stream are sorted. Fewer are let be.
const MANY: usize = 16;

/// Lets somebody look at the head of each frame in bytes that came, and at those behind it, and then puts small ones together. Tells
/// how many bytes there are then.
///
/// # Errors
/// What the look says.
pub fn put_small_together<E>(
    frames: &mut Frames,
    bytes: &mut [u8],
    mut look: impl FnMut(Head, &[u8]) -> Result<(), E>,
) -> Result<usize, E> {
    let length = bytes.len();
    let (mut rest, mut first, mut last) = (&*bytes, None, None);
    let (mut joinable, mut mixed) = (false, 0);
    while let Some(head) = frames.next(&mut rest) {
        match last {
            // The head of the one before these bytes is gone.
            None => first = (length - rest.len()).checked_sub(HEAD),
            Some(last) if head.kind == DATA => {
                joinable |= join(last, head);
                mixed += usize::from(
                    last.stream != head.stream && join(Head { stream: head.stream, ..last }, head),
                );
            }
            Some(_) => {}
        }
        last = first.map(|_| head);
        look(head, rest)?;
    }
    let Some(first) = first.filter(|_| joinable || mixed >= MANY) else { return Ok(length) };
    let bytes = &mut bytes[first..];
    if mixed >= MANY {
        sort(bytes);
    }
    Ok(first + put_together(bytes))
}

/// Sorts DATA frames that stand together by their streams, each of which keeps its order. One that is not whole stays last.
#[cold]
fn sort(bytes: &mut [u8]) {
    let mut sorted = Vec::with_capacity(bytes.len());
    let mut together = Vec::new();
    let mut from = 0;
    while from < bytes.len() {
        let head = bytes
            .get(from..from + HEAD)
            .map(|head| Head::read(head.try_into().expect("it is as long as a head")));
        let end = head.map_or(bytes.len(), |head| from + HEAD + head.length);
        match head.filter(|head| head.kind == DATA && end <= bytes.len()) {
            Some(head) => together.push((head.stream, from..end)),
            None => {
                append(&mut together, bytes, &mut sorted);
                sorted.extend_from_slice(&bytes[from..end.min(bytes.len())]);
            }
        }
        from = end;
    }
    append(&mut together, bytes, &mut sorted);
    bytes.copy_from_slice(&sorted);
}

fn append(together: &mut Vec<(u32, Range<usize>)>, bytes: &[u8], sorted: &mut Vec<u8>) {
    together.sort_by_key(|(stream, _)| *stream);
    for (_, place) in together.drain(..) {
        sorted.extend_from_slice(&bytes[place]);
    }
}

/// Whether the second of two frames, one right behind the other, can become a part of the first.
fn join(first: Head, second: Head) -> bool {
    let plain = |head: Head, refused: u8| head.kind == DATA && head.flags & refused == 0 && head.length > 0;
    first.stream == second.stream
        && second.length < SMALL
        && first.length + second.length <= LONGEST
        && plain(first, PADDED | END_STREAM)
        && plain(second, PADDED)
}

/// Puts together what can be in bytes that begin with a frame, and tells how many they are then. What comes behind them
/// may be amid a frame, or amid its head.
fn put_together(bytes: &mut [u8]) -> usize {
    let (mut from, mut to) = (0, 0);
    let mut last: Option<(usize, Head)> = None;
    while let Some(head) = bytes.get(from..from + HEAD) {
        let head = Head::read(head.try_into().expect("it is as long as a head"));
        let end = bytes.len().min(from + HEAD + head.length);
        match &mut last {
            Some((at, first)) if join(*first, head) => {
                first.length += head.length;
                first.flags |= head.flags & END_STREAM;
                bytes[*at..*at + HEAD].copy_from_slice(&first.bytes());
                from += HEAD;
            }
            _ => last = Some((to, head)),
        }
        bytes.copy_within(from..end, to);
        to += end - from;
        from = end;
    }
    bytes.copy_within(from.., to);
    to + bytes.len() - from
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADERS: u8 = 1;

    fn frame(kind: u8, flags: u8, stream: u32, length: usize) -> Vec<u8> {
        let mut bytes = Head { length, kind, flags, stream }.bytes().to_vec();
        bytes.extend((0..length).map(|place| place as u8));
        bytes
    }

    /// The heads in bytes, and what the last one lacks of its frame.
    fn heads(mut bytes: &[u8]) -> Vec<(u8, u8, u32, usize)> {
        let mut heads = Vec::new();
        while let Some((head, rest)) = bytes.split_first_chunk() {
            let head = Head::read(*head);
            heads.push((head.kind, head.flags, head.stream, head.length));
            bytes = &rest[head.length.min(rest.len())..];
        }
        heads
    }

    fn together(mut bytes: Vec<u8>) -> Vec<u8> {
        let length = put_together(&mut bytes);
        bytes.truncate(length);
        bytes
    }

    /// What each stream's DATA frames hold, and which streams they end.
    fn content(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>, bool)> {
        let mut streams: Vec<(u32, Vec<u8>, bool)> = Vec::new();
        while let Some((head, rest)) = bytes.split_first_chunk() {
            let head = Head::read(*head);
            let (payload, behind) = rest.split_at(head.length.min(rest.len()));
            bytes = behind;
            match streams.last_mut() {
                Some((stream, held, false)) if *stream == head.stream => held.extend(payload),
                _ => streams.push((head.stream, payload.to_vec(), false)),
            }
            streams.last_mut().expect("it was added").2 |= head.flags & END_STREAM != 0;
        }
        streams
    }

    #[test]
    fn neighbours_of_one_stream_become_one_frame() {
        let bytes = [frame(DATA, 0, 1, 5), frame(DATA, 0, 1, 7), frame(DATA, END_STREAM, 1, 2)].concat();
        let bytes = together(bytes);
        assert_eq!(heads(&bytes), [(DATA, END_STREAM, 1, 14)]);
        assert_eq!(bytes[HEAD..], [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6, 0, 1]);
    }

    #[test]
    fn frames_of_streams_that_take_turns_become_one_for_each() {
        let mut bytes = [frame(DATA, 0, 1, 5), frame(DATA, 0, 3, 5)].concat().repeat(20);
        bytes.extend(frame(HEADERS, 0, 5, 5));
        bytes.extend([frame(DATA, END_STREAM, 3, 5), frame(DATA, END_STREAM, 1, 5)].concat());
        let length =
            put_small_together(&mut Frames::default(), &mut bytes, |_, _| Ok::<_, ()>(())).expect("no error");
        let heads = heads(&bytes[..length]);
        let ends = [(DATA, END_STREAM, 1, 5), (DATA, END_STREAM, 3, 5)];
        assert_eq!(heads, [&[(DATA, 0, 1, 100), (DATA, 0, 3, 100), (HEADERS, 0, 5, 5)], &ends[..]].concat());
    }

    #[test]
    fn a_frame_whose_rest_is_to_come_is_told_with_its_whole_length() {
        let mut bytes = [frame(DATA, 0, 1, 5), frame(DATA, 0, 1, 200)].concat();
        bytes.truncate(HEAD + 5 + HEAD + 3);
        let bytes = together(bytes);
        assert_eq!(heads(&bytes), [(DATA, 0, 1, 205)]);
        assert_eq!(bytes[HEAD..], [0, 1, 2, 3, 4, 0, 1, 2]);
    }

    #[test]
    fn what_means_something_by_itself_stays_by_itself() {
        for frames in [
            [frame(DATA, 0, 1, 5), frame(DATA, 0, 3, 5)],
            [frame(DATA, 0, 1, 0), frame(DATA, 0, 1, 5)],
            [frame(DATA, 0, 1, 5), frame(DATA, 0, 1, 0)],
            [frame(DATA, END_STREAM, 1, 5), frame(DATA, 0, 1, 5)],
            [frame(DATA, PADDED, 1, 5), frame(DATA, 0, 1, 5)],
            [frame(DATA, 0, 1, 5), frame(DATA, PADDED, 1, 5)],
            [frame(HEADERS, 0, 1, 5), frame(DATA, 0, 1, 5)],
            [frame(DATA, 0, 1, 5), frame(HEADERS, END_STREAM, 1, 5)],
            [frame(DATA, 0, 1, 5), frame(DATA, 0, 1, SMALL)],
            [frame(DATA, 0, 1, LONGEST), frame(DATA, 0, 1, 1)],
        ] {
            let bytes = frames.concat();
            assert_eq!(together(bytes.clone()), bytes);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_added_or_moved_wherever_the_bytes_end(
            frames in prop::collection::vec((0_u8..2, 0_u32..3, 0_usize..300, prop::bool::weighted(0.1)), 0..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes: Vec<u8> = frames
                .iter()
                .flat_map(|(kind, stream, length, ends)| frame(*kind, u8::from(*ends), *stream, *length))
                .collect();
            let bytes = &bytes[..cut.index(bytes.len() + 1)];
            let merged = together(bytes.to_vec());
            prop_assert!(merged.len() <= bytes.len());
            prop_assert_eq!(content(&merged), content(bytes));
        }

        #[test]
        fn frames_are_sorted_among_those_beside_them_and_each_stream_keeps_its_order(
            frames in prop::collection::vec((0_u8..5, 0_u32..4, 0_usize..30, prop::bool::weighted(0.05)), 0..60),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes: Vec<u8> = frames
                .iter()
                .flat_map(|(kind, stream, length, ends)| {
                    frame(if *kind > 0 { DATA } else { HEADERS }, u8::from(*ends), *stream, *length)
                })
                .collect();
            let bytes = &bytes[..cut.index(bytes.len() + 1)];
            let mut sorted = bytes.to_vec();
            sort(&mut sorted);
            // What others than DATA stand between stays where it was.
            let place = |bytes: &[u8]| heads(bytes).iter().map(|(kind, ..)| *kind).collect::<Vec<_>>();
            prop_assert_eq!(place(&sorted), place(bytes));
            for stream in 0..4 {
                let of = |bytes: &[u8]| content(bytes).into_iter().filter(|(of, ..)| *of == stream).flat_map(|(_, held, _)| held).collect::<Vec<_>>();
                prop_assert_eq!(of(&sorted), of(bytes));
            }
        }
    }
}
